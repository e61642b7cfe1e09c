"""Atomic writes, and the temporary files that killed runs leave behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from autocrop.errors import PhotoError
from autocrop.images import files, open_photo


@pytest.mark.skipif(os.name == "nt", reason="autocrop does not check there whether a process still runs")
def test_leftovers_of_dead_processes_are_removed(tmp_path):
    """Files of running processes, other machines and other programs stay."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    machine = files._machine()
    stays = {
        f".autocrop-{machine}-{dead.pid}-00000000.tmp": False,
        f".autocrop-{machine}-{os.getppid()}-00000000.tmp": True,
        f".autocrop-{machine}-{os.getpid()}-00000000.tmp": True,
        f".autocrop-{'0' * 8}-{dead.pid}-00000000.tmp": True,
        ".autocrop-notes.tmp": True,
        "photo.jpg": True,
    }
    for name in stays:
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path)
    assert {name: (tmp_path / name).exists() for name in stays} == stays
    files.remove_leftovers(tmp_path / "missing")


def test_temporary_names_are_recognized(tmp_path, monkeypatch):
    """A later run recognizes the temporary names and can delete such files."""
    names = []
    monkeypatch.setattr(files.os, "replace", lambda source, target: names.append(source.name))
    files.write_atomically(tmp_path / "a.jpg", b"x")
    assert files.TEMPORARY_NAME.fullmatch(names[0])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(photo, tmp_path, monkeypatch):
    """When the disk is full, the existing output stays, and no temporary file is left."""
    target = tmp_path / "out.jpg"
    target.write_bytes(b"former")

    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    opened = open_photo(photo)
    with pytest.raises(PhotoError, match="No space left"):
        opened.save(opened.pixels, target)
    assert target.read_bytes() == b"former"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jpg", "photo.jpg"]
