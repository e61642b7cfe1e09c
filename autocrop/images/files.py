"""Files written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from autocrop.errors import PhotoError


def write_atomically(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file under a temporary name beside its own and rename it: it is there whole, or not at all.

    Args:
        path: of the file.
        content: of the file.
        like: a file whose modification time it gets: photo libraries sort by it.

    Raises:
        PhotoError: the folder cannot be made or written to.
    """
    temporary = path.with_name(f".autocrop-{secrets.token_hex(4)}.tmp")  # short: names have a limit
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
