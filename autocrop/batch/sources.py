"""Which photos a batch has: files, globs, folders, and lists of files."""

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
    """Where below ``-o`` its crops go: the photo's place in the folder that was named."""
    found: bool = False
    """It was found in a folder, and not named itself."""


@dataclass
class Sources:
    """Finds photos, and counts what it leaves out.

    Args:
        recursive: folders are searched with all that is below them.
        output: a folder that is not descended into: the crops go there.
        carried: extensions of files that belong to photos, which are not counted.
    """

    recursive: bool = False
    output: Path | None = None
    carried: Sequence[str] = ()
    left_out: Counter[str] = field(default_factory=Counter)
    """How many entries of folders were passed over, by what they are."""

    def find(self, paths: Sequence[Path]) -> Iterator[Source]:
        """The photos that *paths* name: files, folders, and globs that no shell has expanded.

        In the order of *paths*, and by name within a folder. A path that does not exist is yielded, too: cropping it
        says why.
        """
        named = [match for path in paths for match in _matches(path)]
        several = sum(path.is_dir() for path in named) > 1
        for path in named:
            if path.is_dir():
                # Of several folders each keeps its name below -o, so that their photos do not mix.
                yield from self._walk(path, Path(path.resolve().name) if several else Path(), set())
            else:
                yield Source(path)

    def describe_left_out(self) -> str:
        """What was passed over, in words; empty if nothing was."""
        return ", ".join(f"{count} × {what}" for what, count in self.left_out.items())

    def _walk(self, folder: Path, below: Path, seen: set[tuple[int, int]]) -> Iterator[Source]:
        """The photos of one folder, then those of its subfolders. *seen* has the folders that were entered before."""
        try:
            status = folder.stat()
            if os.name != "nt" and (status.st_dev, status.st_ino) in seen:  # a symbolic link has led back here
                return
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.left_out[f"folder that cannot be read: {folder} ({error.strerror})"] += 1
            return
        folders = []
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                self.left_out["hidden"] += 1
            elif _is_folder(entry):
                folders.append(path)
            elif path.suffix.lower() in PHOTO_SUFFIXES:
                yield Source(path, below, found=True)
            elif not entry.name.endswith(tuple(self.carried)):
                self.left_out["no photo"] += 1
        for path in folders:
            if self.output is not None and _same(path, self.output):
                continue
            if self.recursive:
                yield from self._walk(path, below / path.name, seen)
            else:
                self.left_out["subfolder (-r includes it)"] += 1


def read_list(content: bytes) -> list[Path]:
    """The paths in a list of files: one a line, or, as ``find -print0`` writes them, each ended by a NUL.

    A byte order mark is no part of the first path; lists in UTF-16, as PowerShell writes them, have one, too.

    Raises:
        AutocropError: there are none.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = os.fsencode(content.decode("utf-16", "replace"))
    content = content.removeprefix(codecs.BOM_UTF8)
    separator = b"\0" if b"\0" in content else b"\n"
    names = [name.rstrip(b"\r") if separator == b"\n" else name for name in content.split(separator)]
    paths = [Path(os.fsdecode(name)) for name in names if name.strip()]
    if not paths:
        raise AutocropError("The list of files is empty. It needs one path a line.")
    return paths


def _matches(path: Path) -> list[Path]:
    """What a glob matches, photos and folders, by name; the path itself if it is none, or matches nothing."""
    if not any(sign in str(path) for sign in "*?[") or os.path.lexists(path):
        return [path]
    found = (Path(match) for match in sorted(glob.glob(str(path), recursive=True)))  # noqa: PTH207 - Path.glob takes no absolute patterns
    return [match for match in found if match.suffix.lower() in PHOTO_SUFFIXES and not match.is_dir()] or [path]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _same(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False
