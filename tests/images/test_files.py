import os
import subprocess
import sys

import pytest

from autocrop.images import files


@pytest.mark.skipif(os.name == "nt", reason="processes are not asked there")
def test_leftovers_of_dead_processes_are_removed(tmp_path):
    """Those of this machine whose process has ended; not those of a living one, of another machine, of others."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    machine = files._machine()
    names = {
        f".autocrop-{machine}-{dead.pid}-00000000.tmp": False,
        f".autocrop-{machine}-{os.getppid()}-00000000.tmp": True,
        f".autocrop-{machine}-{os.getpid()}-00000000.tmp": True,
        f".autocrop-{'0' * 8}-{dead.pid}-00000000.tmp": True,
        ".autocrop-notes.tmp": True,
        "photo.jpg": True,
    }
    for name in names:
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names
    files.remove_leftovers(tmp_path / "missing")


def test_temporary_names_are_recognized(tmp_path, monkeypatch):
    """The name under which a file is written is one that a later run knows how to clean up."""
    seen = []
    monkeypatch.setattr(files.os, "replace", lambda source, target: seen.append(source.name))
    files.write_atomically(tmp_path / "a.jpg", b"x")
    assert files.TEMPORARY.fullmatch(seen[0])
    assert list(tmp_path.iterdir()) == []
