"""Fit a box from a manifest to the ratio of its row, so that an edited box is never distorted."""

from __future__ import annotations

import dataclasses

from autocrop.batch.targets import Target
from autocrop.errors import AutocropError
from autocrop.geometry.boxes import PixelBox
from autocrop.geometry.ratio import Ratio, reduced
from autocrop.search.crop import Crop
from autocrop.search.request import CropRequest
from autocrop.search.snapping import round_to_pixels


def fit_to_target(crop: Crop, target: Target) -> Crop:
    """Return a crop whose box has the ratio of its target, with a note if the box had to change.

    The new box is the largest of that ratio inside the old one, and centered in it. Crops with padding and crops of any
    shape are returned unchanged.

    Args:
        crop: a crop from a manifest.
        target: the target of its row. A size determines the ratio and allows a deviation, because a resize follows.

    Raises:
        AutocropError: the box is too small for a crop of exactly this ratio.
    """
    ratio = _ratio_of(crop, target)
    exact = target.size is None
    if crop.padding is not None or ratio is None or _has_ratio((crop.width, crop.height), ratio, exact):
        return crop
    note = f"fitted to {ratio[0]}:{ratio[1]}: the box in the manifest was {crop.width}x{crop.height}"
    return dataclasses.replace(crop, box=_fit(crop.box, ratio, exact), notes=(*crop.notes, note))


def _ratio_of(crop: Crop, target: Target) -> Ratio | None:
    if target.size is not None:
        return reduced(*target.size)
    return (1, 1) if crop.shape == "circle" else target.ratio


def _has_ratio(size: tuple[int, int], ratio: Ratio, exact: bool) -> bool:
    """Return True if a search for this ratio may return a box of *size* (width, height)."""
    width, height = size
    (a, b), deviation = ratio, abs(width * ratio[1] - height * ratio[0])
    # Without exactness, rounding to whole pixels may change the width and the height by one pixel each.
    return deviation == 0 if exact else deviation <= a + b


def _fit(box: PixelBox, ratio: Ratio, exact: bool) -> PixelBox:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if exact and (width < ratio[0] or height < ratio[1]):
        raise AutocropError(
            f"the box {list(box)} of {width}x{height} pixels is too small for a crop of exactly {ratio[0]}:{ratio[1]}. "
            "Enlarge it, or change the ratio"
        )
    scale = min(width / ratio[0], height / ratio[1])
    x, y = ratio[0] * scale / width, ratio[1] * scale / height
    # The box takes the place of the photo, so that the result stays inside it.
    window = (1 - x) / 2, (1 - y) / 2, (1 + x) / 2, (1 + y) / 2
    x1, y1, x2, y2 = round_to_pixels(window, (width, height), CropRequest(ratio, exact=exact))
    return left + x1, top + y1, left + x2, top + y2
