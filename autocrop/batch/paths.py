"""Identity of paths: different spellings of one path compare equal."""

from __future__ import annotations

import functools
import os
from pathlib import Path


def identity(path: Path) -> str:
    """Return a string that is the same for all spellings of a path."""
    try:
        if path.is_symlink():
            return str(path.resolve())
    except (OSError, RuntimeError):  # a symbolic link that points to itself
        return str(path.absolute())
    if path.name in ("", ".."):
        return folder_identity(str(path))
    return os.path.join(folder_identity(str(path.parent)), path.name)  # noqa: PTH118 - fast: called for every photo


@functools.lru_cache(maxsize=4096)
def folder_identity(folder: str) -> str:
    """Resolve the symbolic links of a folder. Cached, because a batch asks once for each photo."""
    return os.path.realpath(folder)
