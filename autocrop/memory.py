"""What becomes of memory that was freed: kept for the next photo or step, or given back to the system."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8
"""Parameters of glibc's mallopt."""
LARGEST_KEPT = 32 << 20
"""Bytes of the largest block that glibc keeps when told to by its size."""
KEPT = 256 << 20
"""Bytes that it keeps of those, at the end of what it has."""
ARENAS = 2
"""Pieces of memory from which it serves threads. With one for each thread the kept blocks were a tenth more."""


def keep_freed_memory(all_of_it: bool = False) -> bool:
    """Let the C library keep what is freed, for the next photo or step, instead of giving it back to the system.

    Every photo and every step of a training frees and asks for the same blocks. Given back, each page of them must be
    zeroed and mapped again, which took a tenth of the time of cropping and more than half of a training step's where
    this was measured (``docs/benchmarks.md``, ``docs/training.md``).

    Args:
        all_of_it: blocks of any size, and without a limit: for training. Otherwise those of up to
            :data:`LARGEST_KEPT` bytes, which is less than a large photo's.

    Returns:
        Whether it could be done: with glibc only.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    if all_of_it:
        return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, -1))
    chosen = ((ARENA_MAX, ARENAS), (MMAP_THRESHOLD, LARGEST_KEPT), (TRIM_THRESHOLD, KEPT))
    return all(mallopt(parameter, value) for parameter, value in chosen)
