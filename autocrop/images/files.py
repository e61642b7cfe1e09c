"""Write files atomically, and clean up after runs that were killed."""

from __future__ import annotations

import functools
import os
import platform
import re
import secrets
import time
import zlib
from pathlib import Path

from autocrop.errors import PhotoError

TEMPORARY_NAME = re.compile(r"\.autocrop-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.tmp")
"""Name of a temporary file: machine, process ID, random number."""
MAX_AGE = 24 * 3600.0
"""Seconds after which a temporary file counts as abandoned, even one from another machine. Writing takes seconds."""
_STARTED = time.time()


def write_atomically(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file under a temporary name in the same folder, then rename it, so that it is never incomplete.

    Args:
        path: Path of the file. Missing folders are created.
        content: Content of the file.
        like: File whose modification time is copied, since photo libraries sort by it.

    Raises:
        PhotoError: The folder cannot be created, or the file cannot be written.
    """
    temporary = path.with_name(f".autocrop-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            if like is not None:
                times = like.stat()
                os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise PhotoError(f"{path} cannot be written ({reason}). Choose a writable folder with -o.") from error


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of autocrop in *folder* whose process is no longer running."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - faster than Path.iterdir
    except OSError:  # the folder does not exist yet, or may not be read
        return
    for path in (folder / name for name in names if TEMPORARY_NAME.fullmatch(name)):
        try:
            if _is_abandoned(path):
                path.unlink()
        except OSError:  # another process deleted it first
            continue


def _is_abandoned(path: Path) -> bool:
    match = TEMPORARY_NAME.fullmatch(path.name)
    assert match is not None
    # The modification time is copied from the photo, so it does not tell the file's age.
    changed = path.stat().st_ctime
    if changed < time.time() - MAX_AGE:
        return True
    if match[1] != _machine():
        return False
    process = int(match[2])
    if process == os.getpid():  # in a container, every run may have the same process ID
        return changed < _STARTED
    return not _is_running(process)


def _is_running(process: int) -> bool:
    """Return False if no process has that ID. On Windows, where this is hard to find out, always return True."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process belongs to another user
        return True
    return True


@functools.cache
def _machine() -> str:
    """Return an identifier of this machine, since several may write to one network drive."""
    return f"{zlib.crc32(platform.node().encode()):08x}"
