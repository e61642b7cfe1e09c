"""Files written whole or not at all, and what a run that was killed left of them."""

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

TEMPORARY = re.compile(r"\.autocrop-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.tmp")
"""Names of temporary files: machine, process, chance."""
SURELY_DEAD = 24 * 3600.0
"""Seconds after which a temporary file is nobody's any more, whatever machine it comes from. Writing takes seconds."""
_STARTED = time.time()


def write_atomically(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file under a temporary name beside its own and rename it: it is there whole, or not at all.

    Args:
        path: of the file.
        content: of the file.
        like: a file whose modification time it gets: photo libraries sort by it.

    Raises:
        PhotoError: the folder cannot be made or written to.
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
    """Delete the temporary files in *folder* that a process wrote which is no more; nobody else's."""
    try:
        leftovers = [folder / name for name in os.listdir(folder) if TEMPORARY.fullmatch(name)]  # noqa: PTH208 - quick
    except OSError:  # there is none yet, or nobody may look into it
        return
    for path in leftovers:
        try:
            if _is_abandoned(path):
                path.unlink()
        except OSError:  # somebody else was quicker
            continue


def _is_abandoned(path: Path) -> bool:
    match = TEMPORARY.fullmatch(path.name)
    assert match is not None
    # Not the modification time, which is that of the photo.
    changed = path.stat().st_ctime
    if changed < time.time() - SURELY_DEAD:
        return True
    if match[1] != _machine():
        return False
    process = int(match[2])
    if process == os.getpid():  # in a container every run may have the same number
        return changed < _STARTED
    return not _is_running(process)


def _is_running(process: int) -> bool:
    """Whether there is such a process. Where asking is no simple matter, the answer is yes."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


@functools.cache
def _machine() -> str:
    """Tells machines apart that write to one network drive."""
    return f"{zlib.crc32(platform.node().encode()):08x}"
