"""Fields of a crop as JSON: checked when a manifest or the result of ``Crop.to_dict`` is read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autocrop.geometry.boxes import PixelBox
from autocrop.images.padding import AUTO, Fit, Padding


def parse_box(row: Mapping[str, Any]) -> PixelBox:
    """Return the box of a crop.

    Raises:
        ValueError: it is missing or malformed, has no area, or begins outside the photo.
    """
    box = parse_integers(row, "box", 4)
    if box is None:
        raise ValueError('"box", [left, top, right, bottom] in pixels, is missing')
    left, top, right, bottom = box
    if left >= right or top >= bottom or left < 0 or top < 0:
        raise ValueError(f'"box" {box} has no area in the photo. Write [left, top, right, bottom] in pixels')
    return left, top, right, bottom


def parse_padding(row: Mapping[str, Any]) -> Padding | None:
    """Return the padding of a crop, or None if the row has none.

    Raises:
        ValueError: it is malformed or negative.
        UsageError: the fill or its color is unknown.
    """
    padding = parse_integers(row, "padding", 4)
    fit = Fit(str(row.get("fit", "pad")), str(row.get("pad_color", AUTO)))
    if padding is None:
        return None
    if min(padding) < 0:
        raise ValueError(f'"padding" {padding} is negative. Write [left, top, right, bottom] in pixels')
    return Padding(padding[0], padding[1], padding[2], padding[3], fit)


def parse_integers(row: Mapping[str, Any], key: str, count: int) -> list[int] | None:
    """Return a list of whole numbers, or None if the row does not have that key.

    Raises:
        ValueError: the value is not a list of *count* whole numbers.
    """
    values = row.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != count or not all(_is_integer(value) for value in values):
        raise ValueError(f'"{key}" must be a list of {count} whole numbers')
    return [int(value) for value in values]


def _is_integer(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
