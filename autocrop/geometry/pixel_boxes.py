"""Geometry of boxes in whole pixels of the upright photo, held as float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float64]
"""Boxes ``[N, 4]`` in pixels."""


def round_outward(boxes: Pixels, whole: Pixels) -> Pixels:
    """The smallest whole pixels that hold the boxes, inside the photo."""
    outward = np.concatenate([np.floor(boxes[:, :2] + 1e-3), np.ceil(boxes[:, 2:] - 1e-3)], axis=1)
    return np.clip(outward, [0, 0, 0, 0], np.concatenate([whole[2:]] * 2))


def union(boxes: Pixels) -> Pixels | None:
    """The smallest box ``[4]`` that holds all; None for none."""
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]) if len(boxes) else None


def relations(windows: Pixels, faces: Pixels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which faces ``[M, 4]`` are wholly inside, and which wholly outside of windows ``[N, 4]``: two ``[N, M]``."""
    left, top, right, bottom = (windows[:, side, None] for side in range(4))
    near_x, near_y, far_x, far_y = (faces[None, :, side] for side in range(4))
    inside = (left <= near_x) & (top <= near_y) & (right >= far_x) & (bottom >= far_y)
    outside = (left >= far_x) | (top >= far_y) | (right <= near_x) | (bottom <= near_y)
    return inside, outside


def overlaps(windows: Pixels, faces: Pixels) -> NDArray[np.float64]:
    """Pixels of each face inside each window, ``[N, M]``."""
    first = np.maximum(windows[:, None, :2], faces[None, :, :2])
    last = np.minimum(windows[:, None, 2:], faces[None, :, 2:])
    return np.clip(last - first, 0, None).prod(axis=2)


def areas(boxes: Pixels) -> NDArray[np.float64]:
    """Area of each box in pixels, ``[N]``."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
