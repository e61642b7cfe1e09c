"""Candidate crops: where the search may look. Pure numpy; every function returns boxes ``[N, 4]`` in [0, 1].

An *aspect* is the width of a photo or crop divided by its height, in pixels.
"""

from __future__ import annotations

import functools

import numpy as np

from autocrop.geometry.boxes import Boxes, as_boxes, iou, shift_inside, suppress

FEWEST_ANCHORS = 20
"""With fewer grid anchors than this (very wide or tall photos) the aspect rule is dropped."""


def grid_anchors(aspect: float) -> Boxes:
    """Grid anchors of GAIC (Zeng et al., CVPR 2019, section 3.1): at most 90 crops of 12 by 12 cells.

    The top-left corner lies on one of 4x4 cell centers, the bottom-right corner on another 4x4. Kept are the crops
    of at least half the photo whose own aspect lies strictly between 1:2 and 2:1. A panorama would keep hardly
    any, so the aspect rule is dropped where fewer than :data:`FEWEST_ANCHORS` survive.
    """
    first, last = np.arange(4), np.arange(8, 12)
    x1, y1, x2, y2 = (axis.ravel() for axis in np.meshgrid(first, first, last, last, indexing="ij"))
    large = (x2 - x1) * (y2 - y1) >= 72
    shape = (x2 - x1) / (y2 - y1) * aspect
    usual = large & (shape > 0.5 + 1e-6) & (shape < 2 - 1e-6)
    keep = usual if usual.sum() >= FEWEST_ANCHORS else large
    return ((np.stack([x1, y1, x2, y2], axis=1)[keep] + 0.5) / 12).astype(np.float32)


@functools.cache
def dense_anchors() -> Boxes:
    """The 895 predefined anchors of VPN (Wei et al., CVPR 2018), stage one of ASM-Net's search; read-only.

    Crops of three aspects and three scales slide over seven photo sizes; a crop whose IoU with an earlier one
    exceeds 0.85 is dropped. The first is the whole photo.
    """
    sizes = ((800, 600), (600, 800), (500, 400), (400, 500), (500, 500), (1600, 900), (900, 1600))
    crops = []
    for width, height in sizes:
        stride = 0.1 * min(width, height)
        for shape in (4 / 3, 3 / 4, 16 / 9):
            for scale in (1.0, 0.8, 0.6):
                w, h = scale * width, scale * width / shape
                if h > scale * height:
                    w, h = scale * height * shape, scale * height
                for x in np.linspace(0, width - w, int(np.ceil((width - w) / stride - 1e-9)) + 1):
                    for y in np.linspace(0, height - h, int(np.ceil((height - h) / stride - 1e-9)) + 1):
                        crops.append((x / width, y / height, (x + w) / width, (y + h) / height))
    boxes = np.minimum(np.array(crops, np.float32), 1)
    kept = boxes[:1]
    for box in boxes[1:, None]:
        if iou(box, kept).max() <= 0.85:
            kept = np.concatenate([kept, box])
    kept.setflags(write=False)
    return kept


COARSE = 0.7
"""Dense anchors that overlap by more than this IoU are thinned out for stage one: 234 of 895 are left."""


@functools.cache
def coarse_anchors() -> Boxes:
    """Candidates of stage one where the model may choose the shape: the dense anchors thinned out; read-only."""
    dense = dense_anchors()
    coarse = dense[suppress(dense, -np.arange(len(dense), dtype=np.float32), COARSE, len(dense))]
    coarse.setflags(write=False)
    return coarse


RATIO_SIZES = (1.0, 0.9, 0.8, 0.7, 0.6)
"""Sides of ratio windows, as shares of the largest window that fits."""


def ratio_windows(aspect: float, ratio: float, sizes: tuple[float, ...] = RATIO_SIZES, steps: int = 8) -> Boxes:
    """Windows of one aspect ratio: several sizes, each at several places.

    Args:
        aspect: of the photo.
        ratio: aspect of the windows, in pixels.
        sizes: sides of the windows, as shares of the largest that fits.
        steps: a margin as long as the photo's side would get this many steps; a shorter one gets its share, and
            both of its ends are always included.
    """
    w, h = min(1.0, ratio / aspect), min(1.0, aspect / ratio)
    windows = []
    for size in sizes:
        xs = _positions(1 - size * w, steps)
        ys = _positions(1 - size * h, steps)
        x, y = (axis.ravel() for axis in np.meshgrid(xs, ys))
        windows.append(np.stack([x, y, x + size * w, y + size * h], axis=1))
    return np.minimum(np.concatenate(windows), 1).astype(np.float32)


def _positions(margin: float, steps: int) -> np.ndarray:
    """Evenly spaced starts in [0, margin], both ends included."""
    return np.linspace(0, margin, max(1, round(margin * steps)) + 1) if margin > 1e-9 else np.zeros(1)


def neighbors(boxes: Boxes) -> Boxes:
    """Crops slightly off the given ones and of the same shape: stage two of ASM-Net's search, with the aspect fixed.

    Centers move by 0 or 4 % of the photo's side in each axis, and sizes change by 0 or 5 %: 27 crops a seed. Those
    that stick out are moved inside, those too large dropped.
    """
    boxes = as_boxes(boxes)
    shifts, factors = (-0.04, 0.0, 0.04), (0.95, 1.0, 1.05)
    dx, dy, size = (axis.ravel() for axis in np.meshgrid(shifts, shifts, factors))
    center = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2 + np.stack([dx, dy], axis=1)
    half = (boxes[:, None, 2:] - boxes[:, None, :2]) / 2 * size[:, None]
    around = np.concatenate([center - half, center + half], axis=2).reshape(-1, 4)
    return shift_inside(around.astype(np.float32))
