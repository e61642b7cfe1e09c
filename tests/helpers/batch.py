"""Batches run in the test's own process, and the files that they write."""

from __future__ import annotations

import hashlib

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.runner import run
from autocrop.batch.targets import Target

SQUARE = Target("1x1", (1, 1))


def crop_all(engine, photos, **options):
    """Crop photos, by default to squares, and return the results."""
    options.setdefault("targets", [SQUARE])
    return list(run(engine, Plan.from_photos(photos, Options(**options))))


def names_in(folder):
    """Names of all entries of a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def digests(folder):
    """Digest and modification time of every file below *folder*, by relative path."""
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
