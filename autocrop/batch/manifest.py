"""Manifests: the JSON lines that ``--json`` prints, one per crop, read back by ``autocrop apply``.

A row needs ``path`` and ``box``. ``photo`` is checked against the photo's size, ``ratio`` and ``size`` determine the
shape, ``label`` and ``name`` determine the output, and ``status`` may say not to write the crop.
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
from autocrop.search.crop import Crop
from autocrop.search.crop_fields import parse_box, parse_integers, parse_padding

UNWRITTEN = {
    Status.KEPT.value: (Status.KEPT, "marked as kept in the manifest"),
    Status.SKIPPED.value: (Status.SKIPPED, "marked as skipped in the manifest"),
    "skip": (Status.SKIPPED, "marked as skipped in the manifest"),
    "rejected": (Status.SKIPPED, "marked as rejected in the manifest"),
}
"""Values of ``status`` that say not to write a crop, with the status and the reason to report."""


@dataclass(frozen=True)
class Row:
    """A line of a manifest that describes a crop to write."""

    line: int
    """Line number, from 1."""
    path: Path
    name: str
    """Path of the output relative to the output folder, with slashes."""
    output: Path
    """Where the output goes without an output folder."""
    target: Target
    crop: Crop


@dataclass(frozen=True)
class MarkedRow:
    """A line of a manifest whose status says not to write a crop."""

    path: Path
    status: Status
    """Kept or skipped."""
    reason: str


class RowError(AutocropError):
    """An invalid line of a manifest."""

    def __init__(self, line: int, path: Path, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.path = path


def read_rows(lines: Iterable[str]) -> Iterator[Row | MarkedRow | RowError]:
    """Parse a manifest. An invalid line becomes a :class:`RowError`.

    Empty lines, and rows without a box that failed, are left out.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row: Any = None
        try:
            row = json.loads(line.removeprefix("\ufeff"))
            if not isinstance(row, dict):
                raise ValueError("not a JSON object")
            if _is_marked(row):
                yield _parse_marked_row(row)
            elif "box" in row or row.get("status") != Status.FAILED:
                yield _parse_row(number, row)
        except (ValueError, AutocropError) as error:
            path = row.get("path") if isinstance(row, dict) else None
            reason = f"not valid JSON ({error.msg})" if isinstance(error, json.JSONDecodeError) else str(error)
            yield RowError(number, Path(path if isinstance(path, str) else f"line {number}"), reason)


def check_crop(crop: Crop, size: tuple[int, int]) -> None:
    """Check that a crop from a manifest belongs to a photo of *size* (width, height).

    Raises:
        AutocropError: the photo's size has changed since the crop was found, or the box extends beyond it.
    """
    if any(crop.photo) and crop.photo != size:
        raise AutocropError(
            f"the photo has {size[0]}x{size[1]} pixels, but had {crop.photo[0]}x{crop.photo[1]} when the crop was "
            "found. Find the crop again"
        )
    if crop.box[2] > size[0] or crop.box[3] > size[1]:
        raise AutocropError(f"the box {list(crop.box)} extends beyond the photo, which is {size[0]}x{size[1]} pixels")


def _is_marked(row: dict[str, Any]) -> bool:
    status = row.get("status")
    if status == Status.SKIPPED and "box" in row:  # an earlier run found it, but its output existed there
        return False
    return isinstance(status, str) and status in UNWRITTEN


def _parse_marked_row(row: dict[str, Any]) -> MarkedRow:
    status, reason = UNWRITTEN[row["status"]]
    former = row.get("reason")
    if status is Status.KEPT and isinstance(former, str) and former:
        reason = former
    return MarkedRow(_parse_path(row), status, reason)


def _parse_row(line: int, row: dict[str, Any]) -> Row:
    path = _parse_path(row)
    target = _parse_target(row)
    name = _parse_name(row, path, target.label)
    output = row.get("output")
    default = path.with_name(PurePosixPath(name).name)
    crop = _parse_crop(row, target)
    return Row(line, path, name, Path(output) if isinstance(output, str) and output else default, target, crop)


def _parse_path(row: dict[str, Any]) -> Path:
    path = row.get("path")
    if not isinstance(path, str) or not path:
        raise ValueError('"path", the path of the photo, is missing')
    return Path(path)


def _parse_target(row: dict[str, Any]) -> Target:
    size = parse_integers(row, "size", 2)
    if size is not None and min(size) < 1:
        raise ValueError(f'"size" {size} is not valid. Write [width, height] in pixels')
    label, ratio = row.get("label"), row.get("ratio")
    return Target(
        label if isinstance(label, str) and label else "crop",
        parse_ratio(ratio) if isinstance(ratio, str) else None,
        (size[0], size[1]) if size else None,
    )


def _parse_name(row: dict[str, Any], photo: Path, label: str) -> str:
    name = row.get("name")
    if not isinstance(name, str) or not name:
        name = f"{photo.stem}_{label}{photo.suffix}"
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f'"name" {name!r} is not a path inside the output folder')
    return name


def _parse_crop(row: dict[str, Any], target: Target) -> Crop:
    score, score_full = (
        float(row[key]) if isinstance(row.get(key), int | float) else 0.0 for key in ("score", "score_full")
    )
    box, photo = parse_box(row), parse_integers(row, "photo", 2) or [0, 0]
    shape = row.get("shape", "rectangle")
    if shape not in CROP_SHAPES:
        raise ValueError(f'"shape" must be one of {", ".join(CROP_SHAPES)}')
    padding = parse_padding(row)
    return Crop(box, score, target.ratio, score_full, (photo[0], photo[1]), padding=padding, shape=shape)
