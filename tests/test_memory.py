"""Tuning of malloc, measured by the page faults of a new process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is specific to glibc")

CROPPING = """
import resource, sys
from autocrop.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(3):
    [bytearray(24 << 20) for _ in range(6)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    [bytearray(24 << 20) for _ in range(6)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Program that allocates blocks of 24 MB repeatedly and prints the page faults after the first rounds."""
TRAINING = """
import resource, sys
from autocrop.memory import LARGEST_KEPT, keep_freed_memory
assert keep_freed_memory(unlimited=sys.argv[1] == "unlimited")
size = LARGEST_KEPT + (8 << 20)
for _ in range(2):
    [b"x" * size for _ in range(2)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    [b"x" * size for _ in range(2)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Program that does the same with blocks that exceed the limit for cropping."""


def page_faults(program, mode):
    command = [sys.executable, "-c", program, mode]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_kept_memory_is_not_mapped_again():
    """Reusing blocks causes almost no page faults if freed memory is kept, and many otherwise."""
    assert page_faults(CROPPING, "keep") < 100
    assert page_faults(CROPPING, "return") > 1000


def test_unlimited_keeps_large_blocks():
    """Blocks of 40 MB are only kept with ``unlimited``, as in training."""
    assert page_faults(TRAINING, "unlimited") < 100 < page_faults(TRAINING, "limited")
