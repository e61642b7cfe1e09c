"""What is done with freed memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ROUNDS = """
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's")
def test_kept_memory_is_not_mapped_again():
    def pages(what):
        command = [sys.executable, "-c", ROUNDS, what]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert pages("keep") < 100
    assert pages("give") > 1000


LARGE = """
import resource, sys
from autocrop.memory import LARGEST_KEPT, keep_freed_memory
assert keep_freed_memory(all_of_it=sys.argv[1] == "all")
size = LARGEST_KEPT + (8 << 20)
for _ in range(2):
    [b"x" * size for _ in range(2)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    [b"x" * size for _ in range(2)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's")
def test_blocks_of_any_size_are_kept_for_training():
    """Those of 40 MB are mapped again for each photo, and kept in training."""

    def pages(what):
        command = [sys.executable, "-c", LARGE, what]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert pages("all") < 100 < pages("some")
