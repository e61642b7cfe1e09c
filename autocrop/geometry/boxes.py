"""Box geometry in numpy.

Boxes are float32 arrays ``[N, 4]`` of (left, top, right, bottom), normalized to [0, 1] of the upright photo. The same
box is valid in a thumbnail and in the full-size file. Only :func:`to_pixels`, :func:`from_pixels` and
:func:`exact_ratio_pixels` deal with pixels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float32]
"""``[N, 4]`` float32, (left, top, right, bottom) in [0, 1]."""
PixelBox = tuple[int, int, int, int]
"""(left, top, right, bottom) in whole pixels; right and bottom are exclusive."""

FULL_FRAME: Boxes = np.array([[0, 0, 1, 1]], np.float32)
"""The uncropped photo."""


def as_boxes(boxes: ArrayLike) -> Boxes:
    """Validate boxes and convert them to float32 ``[N, 4]``.

    Raises:
        ValueError: the shape is not ``[N, 4]``, a coordinate is not finite, or a box has no area.
    """
    array = np.asarray(boxes, np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"Boxes must have the shape [N, 4]; got {list(array.shape)}.")
    if not np.isfinite(array).all():
        raise ValueError("Boxes must be finite numbers.")
    if (array[:, 2:] <= array[:, :2]).any():
        raise ValueError("Boxes must be (left, top, right, bottom) with left < right and top < bottom.")
    return array


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Compute the share of the photo inside each box, ``[N]``."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Compute the intersection over union of all pairs of boxes: ``[N, 4]`` and ``[M, 4]`` → ``[N, M]``."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    union = area(a)[:, None] + area(b)[None] - overlap
    return overlap / np.maximum(union, 1e-12)


def flip(boxes: Boxes) -> Boxes:
    """Mirror boxes left to right. The left and right sides swap, so that left stays less than right."""
    return np.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], axis=1)


def shift_inside(boxes: Boxes) -> Boxes:
    """Move boxes into the photo without changing their size. Drop boxes that are too large to fit."""
    size = boxes[:, 2:] - boxes[:, :2]
    fits = (size <= 1 + 1e-6).all(axis=1)
    size = np.minimum(size[fits], 1)
    top_left = np.clip(boxes[fits, :2], 0, 1 - size)
    return np.concatenate([top_left, top_left + size], axis=1).astype(np.float32)


def nms(boxes: Boxes, scores: NDArray[np.float32], threshold: float, limit: int) -> NDArray[np.intp]:
    """Apply greedy non-maximum suppression.

    Args:
        boxes: boxes ``[N, 4]``.
        scores: scores ``[N]``, higher is better.
        threshold: largest IoU that two selected boxes may have.
        limit: largest number of boxes to select.

    Returns:
        Indices of the selected boxes, best first.
    """
    selected: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if len(selected) == limit:
            break
        if not selected or iou(boxes[[index]], boxes[selected]).max() <= threshold:
            selected.append(int(index))
    return np.array(selected, np.intp)


def from_pixels(boxes: ArrayLike, width: int, height: int) -> Boxes:
    """Normalize pixel boxes ``[N, 4]`` of a photo of *width* by *height* pixels."""
    return (np.asarray(boxes, np.float64).reshape(-1, 4) / (width, height, width, height)).astype(np.float32)


def to_pixels(box: ArrayLike, width: int, height: int) -> PixelBox:
    """Round one normalized box to whole pixels inside the photo. Each side is at least one pixel long."""
    x1, y1, x2, y2 = np.asarray(box, np.float64) * (width, height, width, height)
    left, top = min(max(round(x1), 0), width - 1), min(max(round(y1), 0), height - 1)
    return left, top, min(max(round(x2), left + 1), width), min(max(round(y2), top + 1), height)


def exact_ratio_pixels(box: ArrayLike, width: int, height: int, ratio: tuple[int, int]) -> PixelBox:
    """Fit the largest pixel box of exactly ``k*a`` by ``k*b`` pixels into a normalized box, and center it there.

    Args:
        box: one normalized box, usually close to the ratio already.
        width: width of the upright photo in pixels.
        height: height of the upright photo in pixels.
        ratio: ``(a, b)``, width to height; it need not be in lowest terms.

    Raises:
        ValueError: the photo is smaller than *a* by *b* pixels.
    """
    divisor = math.gcd(*ratio)
    a, b = ratio[0] // divisor, ratio[1] // divisor
    if width < a or height < b:
        raise ValueError(
            f"A photo of {width}x{height} pixels is too small for a crop of exactly {a}:{b}. "
            "Use a ratio in smaller whole numbers, or a larger photo."
        )
    x1, y1, x2, y2 = np.clip(np.asarray(box, np.float64), 0, 1) * (width, height, width, height)
    # The 0.0005 pixels absorb float32 rounding: a side of 1200 pixels may arrive as 1199.9999.
    k = max(1, min(int((x2 - x1 + 5e-4) // a), int((y2 - y1 + 5e-4) // b)))
    left = min(max(round((x1 + x2 - k * a) / 2), 0), width - k * a)
    top = min(max(round((y1 + y2 - k * b) / 2), 0), height - k * b)
    return left, top, left + k * a, top + k * b
