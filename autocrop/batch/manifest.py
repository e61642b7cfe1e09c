"""What became of each wanted crop, and the lines of JSON that say so: one object a crop, as ``--json`` prints them.

``autocrop apply`` reads them back. What a row needs for that is ``path``, ``name`` and ``box``; the rest is there to
be checked (``photo``), to shape the output (``size``, ``label``), or for people and programs that read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from autocrop.batch.results import Status
from autocrop.batch.targets import Target
from autocrop.errors import AutocropError
from autocrop.geometry.composition import CROP_SHAPES
from autocrop.geometry.ratio import parse_ratio
from autocrop.images.padding import AUTO, Fit, Padding
from autocrop.search.crop import Crop


@dataclass(frozen=True)
class Row:
    """A line that says which crop to write."""

    line: int
    """Its number in the file, from 1."""
    path: Path
    name: str
    """The output's path below the output folder, with slashes."""
    output: Path
    """Where the output goes if no output folder is given."""
    target: Target
    crop: Crop


class RowError(AutocropError):
    """A line that no crop can be made of."""

    def __init__(self, line: int, path: Path, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.path = path


def read_rows(lines: Iterable[str]) -> Iterator[Row | RowError]:
    """The rows of a manifest, or, in place of one that is no good, what is wrong with it.

    Empty lines are passed over, and so are photos that were kept as they are, and rows without a box that say why
    there is none (``skipped``, ``failed``).
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row: Any = None
        try:
            row = json.loads(line.removeprefix("\ufeff"))
            if not isinstance(row, dict):
                raise ValueError("it is no JSON object")
            if row.get("status") == Status.KEPT:
                continue
            if "box" in row or row.get("status") not in (Status.SKIPPED, Status.FAILED):
                yield _row(number, row)
        except (ValueError, AutocropError) as error:
            path = row.get("path") if isinstance(row, dict) else None
            reason = f"{error.msg}, so it is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            yield RowError(number, Path(path if isinstance(path, str) else f"line {number}"), reason)


def _row(line: int, row: dict[str, Any]) -> Row:
    path = row.get("path")
    if not isinstance(path, str) or not path:
        raise ValueError('it has no "path", the photo\'s')
    box, photo, size = (_integers(row, key, count) for key, count in (("box", 4), ("photo", 2), ("size", 2)))
    if box is None:
        raise ValueError('it has no "box", [left, top, right, bottom] in pixels')
    left, top, right, bottom = box
    if left >= right or top >= bottom or left < 0 or top < 0:
        raise ValueError(f"the box {box} has no area in the photo. It is [left, top, right, bottom] in pixels")
    if size is not None and min(size) < 1:
        raise ValueError(f"the size {size} is none. It is [width, height] in pixels")
    label = row.get("label")
    label = label if isinstance(label, str) and label else "crop"
    ratio = row.get("ratio")
    target = Target(label, parse_ratio(ratio) if isinstance(ratio, str) else None, (size[0], size[1]) if size else None)
    name = row.get("name")
    if not isinstance(name, str) or not name:
        name = f"{Path(path).stem}_{label}{Path(path).suffix}"
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or not PurePosixPath(name).name:
        raise ValueError(f'the "name" {name!r} must be a path below the output folder')
    scores = [float(row[key]) if isinstance(row.get(key), int | float) else 0.0 for key in ("score", "score_full")]
    padding, shape = _integers(row, "padding", 4), row.get("shape", "rectangle")
    if shape not in CROP_SHAPES or min(padding or [0]) < 0:
        raise ValueError(f'"shape" is one of {", ".join(CROP_SHAPES)}, "padding" [left, top, right, bottom] in pixels')
    fit = Fit(str(row.get("fit", "pad")), str(row.get("pad_color", AUTO)))
    crop = Crop(
        (left, top, right, bottom),
        scores[0],
        target.ratio,
        scores[1],
        tuple(photo or (0, 0)),  # type: ignore[arg-type]
        padding=Padding(padding[0], padding[1], padding[2], padding[3], fit) if padding else None,
        shape=shape,
    )
    output = row.get("output")
    beside = Path(path).with_name(PurePosixPath(name).name)
    return Row(line, Path(path), name, Path(output) if isinstance(output, str) and output else beside, target, crop)


def _integers(row: dict[str, Any], key: str, count: int) -> list[int] | None:
    """A list of whole numbers; None if the row has none of that name."""
    values = row.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != count or not all(_is_whole(value) for value in values):
        raise ValueError(f'"{key}" must be a list of {count} whole numbers')
    return [int(value) for value in values]


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
