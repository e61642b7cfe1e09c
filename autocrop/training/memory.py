"""Memory of training on a CPU."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt."""


def keep_freed_memory() -> bool:
    """Let the C library keep what torch frees, for the next step, instead of giving it back to the system.

    Every step frees and asks for the same gigabytes. Given back, each page of them must be zeroed and mapped again,
    which took more than half of a step's time where this was measured (``docs/training.md``).

    Returns:
        Whether it could be done: with glibc only.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(ctypes.util.find_library("c")).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, -1))
