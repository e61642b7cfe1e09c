"""Registry of the photos of a batch."""

from __future__ import annotations

from pathlib import Path

from autocrop.batch.former_outputs import possible_originals
from autocrop.batch.options import Options
from autocrop.batch.paths import folder_identity, identity
from autocrop.batch.sources import Source
from autocrop.images.formats import RAW_SUFFIXES


class Inputs:
    """Photos of a batch. They are never overwritten, and their outputs from earlier runs are recognized.

    Args:
        options: options of the batch.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._paths: set[str] = set()
        self._by_name: dict[tuple[str, str], Path] = {}
        """Photos by folder and name without extension; the first one if several share a name."""
        self._raws: dict[tuple[str, str], Path] = {}
        """The same for camera raw photos."""

    def __contains__(self, path: Path) -> bool:
        """Return True if a path, in any spelling, is a photo of the batch."""
        return identity(path) in self._paths

    def add(self, source: Source) -> bool:
        """Register a photo. Return False if it is registered already."""
        key = identity(source.path)
        if key in self._paths:
            return False
        self._paths.add(key)
        self._by_name.setdefault(_name(source.path), source.path)
        if _is_raw(source.path):
            self._raws.setdefault(_name(source.path), source.path)
        return True

    def discard(self, source: Source) -> None:
        """Remove an output of an earlier run, so that it can be overwritten."""
        self._paths.remove(identity(source.path))
        if self._by_name.get(_name(source.path)) == source.path:
            del self._by_name[_name(source.path)]

    def has_companion(self, path: Path) -> bool:
        """Return True if a file has the name of a companion file of a photo, such as a caption."""
        return _name(path) in self._by_name or path.with_suffix("") in self

    def raw_twin_of(self, path: Path) -> Path | None:
        """Return the camera raw photo that has the same name as another kind of photo; None if it does not exist."""
        return None if _is_raw(path) else self._raws.get(_name(path))

    def original_of(self, source: Source) -> Path | None:
        """Return the photo that *source* is an output of, judging by their paths; None if there is no such photo."""
        for folder, stem in possible_originals(source, self._options):
            original = self._by_name.get((folder_identity(str(folder)), stem))
            if original is not None and original != source.path:
                return original
        return None


def _is_raw(path: Path) -> bool:
    return path.suffix.lower() in RAW_SUFFIXES


def _name(path: Path) -> tuple[str, str]:
    return folder_identity(str(path.parent)), path.stem
