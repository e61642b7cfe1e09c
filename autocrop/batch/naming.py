"""Names of outputs: the file that each crop is written to."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from autocrop.batch.manifest import Row
from autocrop.batch.options import Options
from autocrop.batch.paths import identity
from autocrop.batch.sources import Source
from autocrop.errors import PhotoError
from autocrop.images import format_of
from autocrop.images.formats import ALPHA_FORMATS


class Output(NamedTuple):
    """Destination of one crop."""

    file: Path
    name: str
    """Path relative to the output folder, with slashes."""


class OutputNames:
    """Chooses the output of each crop. No two crops of a run share a file.

    Args:
        options: options of the batch.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._taken: set[str] = set()
        """Files of the run so far, in lower case: many file systems ignore case."""

    def of_photo(self, source: Source, label: str, rank: int) -> Output:
        """Choose the output of a crop with this label and rank, counted from 1."""
        options = self._options
        if options.output_file is not None:
            return Output(options.output_file, options.output_file.name)
        fields = {
            "stem": source.path.stem,
            "label": label,
            "rank": f"_{rank}" if options.top > 1 else "",
            "folder": source.path.absolute().parent.name,
        }
        name = options.template.format(**fields) + (options.extension or self._extension(source.path))
        relative = source.folder / name
        file = self._claim(source.path.parent / name if options.output is None else options.output / relative)
        return Output(file, relative.with_name(file.name).as_posix())

    def of_row(self, row: Row) -> Output:
        """Return the output that a row of a manifest names."""
        name, file, options = PurePosixPath(row.name), row.output, self._options
        if options.extension:
            name, file = name.with_suffix(options.extension), file.with_suffix(options.extension)
        file = self._claim(options.output / name if options.output else file)
        return Output(file, name.with_name(file.name).as_posix())

    def is_taken(self, path: Path) -> bool:
        """Return True if a path is an output of this run."""
        return identity(path).casefold() in self._taken

    def _claim(self, path: Path) -> Path:
        """Reserve *path*, or the first free path among ``name-2``, ``name-3`` and so on."""
        candidate, number = path, 2
        while (key := identity(candidate).casefold()) in self._taken:
            candidate = path.with_stem(f"{path.stem}-{number}")
            number += 1
        self._taken.add(key)
        return candidate

    def _extension(self, photo: Path) -> str:
        """Return the photo's extension, or .jpg or .png if crops cannot be written in its format."""
        circle = self._options.shape == "circle"
        try:
            writable = format_of(photo) in ALPHA_FORMATS or not circle
            return photo.suffix if writable else ".png"
        except PhotoError:
            return ".png" if circle else ".jpg"
