"""Bounds for the sides of a window, within which it treats every face and region the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.boxes import Boxes
from autocrop.geometry.pixel_boxes import PixelBoxes, contains, cuts, excludes
from autocrop.search.subject_boxes import SubjectBoxes

ROUNDING = 1e-6
"""Float32 rounding tolerance of normalized boxes."""


@dataclass(frozen=True)
class Bounds:
    """Lowest and highest value of each side of a box, in [0, 1] or in pixels.

    The boxes within bounds form a convex set: the mean of boxes within them is within them, too.
    """

    low: NDArray[np.float64]
    """Lowest (left, top, right, bottom), ``[4]``."""
    high: NDArray[np.float64]
    """Highest (left, top, right, bottom), ``[4]``."""

    def contain(self, boxes: Boxes) -> NDArray[np.bool_]:
        """Mark the normalized boxes ``[N, 4]`` that are within the bounds, ``[N]``."""
        within: NDArray[np.bool_] = (boxes >= self.low - ROUNDING) & (boxes <= self.high + ROUNDING)
        return within[:, 0] & within[:, 1] & within[:, 2] & within[:, 3]

    def top_left_range(self, size: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find the lowest and highest (left, top) of boxes of given sizes, both ``[..., 2]``.

        No box of a size is within the bounds if its lowest value exceeds its highest.

        Args:
            size: widths and heights, ``[..., 2]``.
        """
        return np.maximum(self.low[:2], self.low[2:] - size), np.minimum(self.high[:2], self.high[2:] - size)

    def shift(self, boxes: Boxes) -> Boxes:
        """Move normalized boxes within the bounds without changing their size. Drop boxes that do not fit."""
        size = boxes[:, 2:] - boxes[:, :2]
        first, last = self.top_left_range(size)
        top_left = np.minimum(np.maximum(boxes[:, :2], first), last)
        fits = (first <= last + ROUNDING).all(axis=1)
        return np.concatenate([top_left, top_left + size], axis=1)[fits].astype(np.float32)

    def clip(self, boxes: Boxes) -> Boxes:
        """Move the sides of normalized boxes within the bounds. Drop boxes that become empty."""
        clipped = np.clip(boxes, self.low, self.high).astype(np.float32)
        return clipped[(clipped[:, 2:] > clipped[:, :2]).all(axis=1)]


def bounds_around(window: PixelBoxes, subjects: SubjectBoxes) -> Bounds:
    """Find the bounds, in pixels, within which a window that cuts no face keeps its severity.

    The faces that it contains stay inside, and the faces that it excludes stay outside on the same side. If it leaves
    room around all faces, it keeps leaving room.

    Args:
        window: window ``[4]`` in whole pixels.
        subjects: subjects of the photo.
    """
    low, high = np.zeros(4), subjects.scale
    faces = subjects.faces if cuts(window[None], subjects.roomy_faces).any() else subjects.roomy_faces
    for box in subjects.with_region(faces[contains(window[None], faces)[0]]):
        high[:2], low[2:] = np.minimum(high[:2], box[:2]), np.maximum(low[2:], box[2:])
    for face in faces[excludes(window[None], faces)[0]]:
        gaps = np.concatenate([window[:2] - face[2:], face[:2] - window[2:]])
        side = int(gaps.argmax())  # the side of the window that faces it
        if side < 2:
            low[side] = max(low[side], face[side + 2])
        else:
            high[side] = min(high[side], face[side - 2])
    return Bounds(low, high)
