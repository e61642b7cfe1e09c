"""Geometry of boxes in whole pixels of the upright photo, stored as float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PixelBoxes = NDArray[np.float64]
"""Boxes ``[N, 4]``, or one box ``[4]``: (left, top, right, bottom) in pixels."""

ROUNDING = 1e-3
"""Tolerance in pixels for coordinates that were float32 in [0, 1]."""


def round_outward(boxes: PixelBoxes, size: tuple[int, int]) -> PixelBoxes:
    """Extend boxes ``[N, 4]`` to whole pixels, and clip them to a photo of *size* (width, height)."""
    outward = np.concatenate([np.floor(boxes[:, :2] + ROUNDING), np.ceil(boxes[:, 2:] - ROUNDING)], axis=1)
    return np.clip(outward, 0, [*size, *size])


def union(boxes: PixelBoxes) -> PixelBoxes | None:
    """Find the smallest box ``[4]`` that contains all boxes ``[N, 4]``; None if N is 0."""
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]) if len(boxes) else None


def contains(windows: PixelBoxes, boxes: PixelBoxes) -> NDArray[np.bool_]:
    """Mark which boxes ``[M, 4]`` lie completely inside which windows ``[N, 4]``, ``[N, M]``."""
    left, top, right, bottom = _sides(windows, axis=1)
    box_left, box_top, box_right, box_bottom = _sides(boxes, axis=0)
    return (left <= box_left) & (top <= box_top) & (right >= box_right) & (bottom >= box_bottom)


def excludes(windows: PixelBoxes, boxes: PixelBoxes) -> NDArray[np.bool_]:
    """Mark which boxes ``[M, 4]`` lie completely outside which windows ``[N, 4]``, ``[N, M]``."""
    left, top, right, bottom = _sides(windows, axis=1)
    box_left, box_top, box_right, box_bottom = _sides(boxes, axis=0)
    return (left >= box_right) | (top >= box_bottom) | (right <= box_left) | (bottom <= box_top)


def cuts(windows: PixelBoxes, boxes: PixelBoxes) -> NDArray[np.bool_]:
    """Mark which boxes ``[M, 4]`` lie partly inside and partly outside which windows ``[N, 4]``, ``[N, M]``."""
    return ~(contains(windows, boxes) | excludes(windows, boxes))


def overlaps(windows: PixelBoxes, boxes: PixelBoxes) -> NDArray[np.float64]:
    """Count the pixels of each box ``[M, 4]`` inside each window ``[N, 4]``, ``[N, M]``."""
    top_left = np.maximum(windows[:, None, :2], boxes[None, :, :2])
    bottom_right = np.minimum(windows[:, None, 2:], boxes[None, :, 2:])
    return np.clip(bottom_right - top_left, 0, None).prod(axis=2)


def areas(boxes: PixelBoxes) -> NDArray[np.float64]:
    """Compute the area of each box ``[N, 4]`` in pixels, ``[N]``."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def _sides(boxes: PixelBoxes, axis: int) -> list[NDArray[np.float64]]:
    """Split boxes into their four sides, shaped to broadcast along a new axis."""
    return [np.expand_dims(boxes[:, side], axis) for side in range(4)]
