"""Find the photos of a batch: files, folders, globs, and lists of files."""

from __future__ import annotations

import codecs
import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autocrop.errors import AutocropError
from autocrop.images import PHOTO_SUFFIXES


@dataclass(frozen=True)
class Source:
    """One photo of a batch."""

    path: Path
    folder: Path = Path()
    """Subfolder of ``-o`` for its crops: the photo's folder relative to the one that the user named."""
    discovered: bool = False
    """True if the photo was found in a folder, False if the user named it."""


@dataclass
class Sources:
    """Finds photos, and counts the files that it ignores."""

    recursive: bool = False
    """Search the subfolders of folders."""
    output: Path | None = None
    """Output folder, which is not searched."""
    companion_extensions: Sequence[str] = ()
    """Extensions of files that belong to photos, and are not counted as ignored."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Number of ignored folder entries by kind."""

    def find(self, paths: Sequence[Path]) -> Iterator[Source]:
        """Yield the photos that *paths* name, in this order, and sorted by name within a folder.

        A path that does not exist is also yielded, so that cropping it reports the error.

        Args:
            paths: files, folders, and globs that no shell has expanded.
        """
        expanded = [match for path in paths for match in _expand_glob(path)]
        several_folders = sum(path.is_dir() for path in expanded) > 1
        for path in expanded:
            if path.is_dir():
                # If there are several folders, each keeps its name below -o, so that their photos stay apart.
                yield from self._search(path, Path(path.resolve().name) if several_folders else Path(), set())
            else:
                yield Source(path)

    def _search(self, folder: Path, relative: Path, visited: set[tuple[int, int]]) -> Iterator[Source]:
        """Yield the photos of a folder, then those of its subfolders.

        Args:
            folder: folder to search.
            relative: path of the folder below ``-o``.
            visited: device and inode of the folders searched before.
        """
        try:
            status = folder.stat()
            if os.name != "nt" and (status.st_dev, status.st_ino) in visited:  # reached again by a symbolic link
                return
            visited.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.ignored[f"unreadable folder {folder} ({error.strerror})"] += 1
            return
        subfolders = []
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                self.ignored["hidden"] += 1
            elif _is_folder(entry):
                subfolders.append(path)
            elif path.suffix.lower() in PHOTO_SUFFIXES:
                yield Source(path, relative, discovered=True)
            elif not entry.name.endswith(tuple(self.companion_extensions)):
                self.ignored["not a photo"] += 1
        for path in subfolders:
            if self.output is not None and _is_same(path, self.output):
                continue
            if self.recursive:
                yield from self._search(path, relative / path.name, visited)
            else:
                self.ignored["subfolder (-r searches it)"] += 1


def describe_ignored(ignored: Counter[str]) -> str:
    """Describe what was ignored, as in ``2 × hidden, 1 × not a photo``."""
    return ", ".join(f"{count} × {kind}" for kind, count in ignored.items())


def read_list(content: bytes) -> list[Path]:
    """Parse a list of files: one path per line or, as ``find -print0`` writes it, each path ended by a NUL.

    A byte order mark is ignored; it also identifies lists in UTF-16, which PowerShell writes.

    Raises:
        AutocropError: the list is empty.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = os.fsencode(content.decode("utf-16", "replace"))
    content = content.removeprefix(codecs.BOM_UTF8)
    separator = b"\0" if b"\0" in content else b"\n"
    names = [name.rstrip(b"\r") if separator == b"\n" else name for name in content.split(separator)]
    paths = [Path(os.fsdecode(name)) for name in names if name.strip()]
    if not paths:
        raise AutocropError("The list of files is empty. Write one path per line.")
    return paths


def _expand_glob(path: Path) -> list[Path]:
    """Return the photos that a glob matches, sorted; the path itself if it exists, or if nothing matches."""
    if not any(character in str(path) for character in "*?[") or os.path.lexists(path):
        return [path]
    matches = (Path(match) for match in sorted(glob.glob(str(path), recursive=True)))  # noqa: PTH207 - Path.glob takes no absolute patterns
    return [match for match in matches if match.suffix.lower() in PHOTO_SUFFIXES and not match.is_dir()] or [path]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link that points to itself
        return False


def _is_same(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False
