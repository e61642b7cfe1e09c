"""Options of a batch."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autocrop.batch.naming import DEFAULT_NAME, NAME_FIELDS, SIDECAR, tells_crops
from autocrop.batch.targets import Target
from autocrop.errors import PhotoError, UsageError
from autocrop.images import MAX_PIXELS, format_of
from autocrop.images.padding import Fit
from autocrop.search.subjects import Region


@dataclass(frozen=True)
class Options:
    """How to crop a batch."""

    targets: Sequence[Target] = (Target("crop"),)
    top: int = 1
    output: Path | None = None
    """A folder, or a file where there is one output; None for beside each photo."""
    name: str = DEFAULT_NAME
    """Template of the outputs' names, see :data:`NAME_FIELDS`."""
    format: str | None = None
    """Extension of all outputs, as ``.webp``; None for that of each photo."""
    overwrite: bool = False
    update: bool = False
    """Replace outputs that are older than their photo."""
    upscale: bool = False
    quality: int | None = None
    strip: bool = False
    lossless: bool = False
    max_pixels: int = MAX_PIXELS
    dry_run: bool = False
    carry: Sequence[str] = ()
    """Extensions, as ``.txt``, of files beside a photo that are copied to the names of its crops."""
    faces: bool = True
    """Look for faces, and cut none where that is possible."""
    keep: Sequence[Region] = ()
    """Parts of each photo that must stay in."""
    fit: Fit | None = None
    """What to do where no crop of a ratio holds all that it should; None for the least bad crop."""
    shape: str = "rectangle"
    """Of the crops, or ``circle``."""
    min_gain: float | None = None
    """Leave a photo alone whose best crop does not score this much above the whole."""
    thumbnails: bool = False
    """Results bring a small picture of their photo."""


def check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    """Whether an output may have *size* (width, height).

    Raises:
        UsageError: it would have more than *max_pixels*.
    """
    if size[0] * size[1] > max_pixels:
        raise UsageError(
            f"{size[0]}x{size[1]} are {size[0] * size[1]} pixels, and --max-pixels allows {max_pixels}. "
            "Choose a smaller size, or raise --max-pixels if there is memory for it."
        )


def extension(file_format: str) -> str:
    """What ``--format`` was given, as an extension: ``webp`` and ``.WEBP`` are ``.webp``.

    Raises:
        UsageError: no picture can be written under it.
    """
    suffix = f".{file_format.lower().removeprefix('.')}"
    try:
        format_of(Path(f"crop{suffix}"))
    except PhotoError as error:
        raise UsageError(str(error)) from error
    return suffix


def check_name(options: Options) -> None:
    """Check the template of the outputs' names.

    Raises:
        UsageError: it has other fields than :data:`NAME_FIELDS`, leads out of the output folder, or lacks what would
            tell the crops of one photo apart.
    """
    allowed = ", ".join(f"{{{name}}}" for name in NAME_FIELDS)
    try:
        parsed = list(string.Formatter().parse(options.name))
    except ValueError as error:
        raise UsageError(f"--name {options.name}: {error}. It may have the fields {allowed}.") from error
    used = {name for _, name, _, _ in parsed if name is not None}
    if used - NAME_FIELDS.keys() or any(form or conversion for _, _, form, conversion in parsed):
        raise UsageError(f"--name {options.name}: the fields are {allowed}, as they stand here.")
    path = PurePosixPath(options.name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or options.name.endswith(("/", "\\")) or "stem" not in used:
        raise UsageError(f"--name {options.name}: it is a path below the output folder, and needs {{stem}} in it.")
    if len(options.targets) > 1 and "label" not in used:
        raise UsageError(f"--name {options.name} lacks {{label}}: a photo's crops would all have one name.")
    if options.top > 1 and "rank" not in used:
        raise UsageError(f"--name {options.name} lacks {{rank}}: with --top a photo's crops would all have one name.")
    if options.output is None and not options.dry_run and options.format != SIDECAR and not tells_crops(options.name):
        raise UsageError(
            f"--name {options.name}: beside the photos its crops could not be told from photos, and the next run would "
            "crop them again. Add {label} or a word, as in {stem}_small, or choose a folder with -o."
        )
