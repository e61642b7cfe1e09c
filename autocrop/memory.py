"""Tuning of glibc's malloc: keep freed memory for the next photo or training step."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8
"""Parameters of glibc's mallopt."""
LARGEST_KEPT = 32 << 20
"""Size in bytes of the largest block that is kept while cropping. The blocks of large photos exceed it."""
KEPT = 256 << 20
"""Freed memory at the end of the heap, in bytes, above which glibc returns it to the operating system."""
ARENAS = 2
"""Number of arenas that all threads share. With one arena per thread, a tenth more memory was kept."""


def keep_freed_memory(unlimited: bool = False) -> bool:
    """Let the C library keep freed memory instead of returning it to the operating system.

    Every photo, and every training step, frees and allocates blocks of the same sizes. Returned pages must be zeroed
    and mapped again, which took a tenth of the time of cropping and more than half of a training step in our
    measurements (``docs/benchmarks.md``, ``docs/research/performance.md``).

    Args:
        unlimited: keep blocks of any size and without a limit, for training. Otherwise, keep blocks of up to
            :data:`LARGEST_KEPT` bytes.

    Returns:
        True if the C library is glibc and accepted the settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    if unlimited:
        return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, -1))
    settings = ((ARENA_MAX, ARENAS), (MMAP_THRESHOLD, LARGEST_KEPT), (TRIM_THRESHOLD, KEPT))
    return all(mallopt(parameter, value) for parameter, value in settings)
