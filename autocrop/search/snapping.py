"""Final adjustments of a crop: snap it to the photo's edge, and round it to whole pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from autocrop.geometry.boxes import Boxes, PixelBox, exact_ratio_pixels, shift_inside, to_pixels
from autocrop.search.request import CropRequest

MIN_MARGIN = 0.02
"""Narrowest margin worth trimming, as a share of the photo's side.

Two in five sides of the crops that people choose lie on the photo's edge.
"""
EXACTNESS_COST = 0.01
"""Largest share of a crop's width to give up for an exact ratio if the crop will be resized anyway."""


def snap_sides(box: Boxes) -> Boxes:
    """Move the sides of a box ``[1, 4]`` that are close to the photo's edge to the edge."""
    return np.where(box < MIN_MARGIN, 0, np.where(box > 1 - MIN_MARGIN, 1, box)).astype(np.float32)


def snap_size(box: Boxes) -> Boxes:
    """Enlarge a box ``[1, 4]`` that is nearly as large as possible to its full size, without changing its aspect."""
    half = (box[:, 2:] - box[:, :2]) / 2
    longest = 2 * half.max()
    if longest < 1 - MIN_MARGIN:
        return box
    center, half = (box[:, :2] + box[:, 2:]) / 2, half / longest
    return shift_inside(np.concatenate([center - half, center + half], axis=1))


def round_to_pixels(box: ArrayLike, size: tuple[int, int], request: CropRequest) -> PixelBox:
    """Round a box ``[4]`` to whole pixels of exactly the requested ratio.

    If exactness is not requested and costs more than :data:`EXACTNESS_COST`, the ratio may be off by one pixel.
    """
    nearest = to_pixels(box, *size)
    ratio = request.ratio
    if ratio is None or (not request.exact and (size[0] < ratio[0] or size[1] < ratio[1])):
        return nearest
    left, top, right, bottom = exact_ratio_pixels(box, *size, ratio)
    if request.exact or right - left >= (1 - EXACTNESS_COST) * (nearest[2] - nearest[0]):
        return left, top, right, bottom
    return nearest
