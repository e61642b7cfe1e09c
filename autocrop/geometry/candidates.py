"""Candidate crops for the search. Every function returns boxes ``[N, 4]`` in [0, 1].

An *aspect* is the width of a photo or crop divided by its height, both in pixels.
"""

from __future__ import annotations

import functools

import numpy as np

from autocrop.geometry.boxes import Boxes, as_boxes, iou, nms, shift_inside

MIN_ANCHORS = 20
"""If the aspect rule leaves fewer grid anchors than this, as in very wide or tall photos, it is not applied."""
COARSE_IOU = 0.7
"""Largest IoU of two coarse anchors. Of the 895 dense anchors, 234 remain."""
RATIO_SIZES = (1.0, 0.9, 0.8, 0.7, 0.6)
"""Sizes of ratio windows, relative to the largest window that fits."""


def grid_anchors(aspect: float) -> Boxes:
    """Make the grid anchors of GAIC (Zeng et al., CVPR 2019, section 3.1): at most 90 crops on a grid of 12x12 cells.

    The top-left corner is one of 4x4 cell centers, and the bottom-right corner is one of another 4x4. A crop must
    cover at least half of the photo, and its aspect must lie strictly between 1:2 and 2:1. If fewer than
    :data:`MIN_ANCHORS` crops meet both rules, as in a panorama, the aspect rule does not apply.
    """
    first, last = np.arange(4), np.arange(8, 12)
    x1, y1, x2, y2 = (axis.ravel() for axis in np.meshgrid(first, first, last, last, indexing="ij"))
    large = (x2 - x1) * (y2 - y1) >= 72
    crop_aspect = (x2 - x1) / (y2 - y1) * aspect
    regular = large & (crop_aspect > 0.5 + 1e-6) & (crop_aspect < 2 - 1e-6)
    selected = regular if regular.sum() >= MIN_ANCHORS else large
    return ((np.stack([x1, y1, x2, y2], axis=1)[selected] + 0.5) / 12).astype(np.float32)


@functools.cache
def dense_anchors() -> Boxes:
    """Make the 895 predefined anchors of VPN (Wei et al., CVPR 2018), which ASM-Net uses in stage one of its search.

    Windows of three aspects and three scales slide over photos of seven sizes. A window is dropped if its IoU with an
    earlier one exceeds 0.85. The first anchor is the whole photo. The array is read-only because it is cached.
    """
    photo_sizes = ((800, 600), (600, 800), (500, 400), (400, 500), (500, 500), (1600, 900), (900, 1600))
    crops = []
    for width, height in photo_sizes:
        stride = 0.1 * min(width, height)
        for crop_aspect in (4 / 3, 3 / 4, 16 / 9):
            for scale in (1.0, 0.8, 0.6):
                w, h = scale * width, scale * width / crop_aspect
                if h > scale * height:
                    w, h = scale * height * crop_aspect, scale * height
                for x in np.linspace(0, width - w, int(np.ceil((width - w) / stride - 1e-9)) + 1):
                    for y in np.linspace(0, height - h, int(np.ceil((height - h) / stride - 1e-9)) + 1):
                        crops.append((x / width, y / height, (x + w) / width, (y + h) / height))
    boxes = np.minimum(np.array(crops, np.float32), 1)
    anchors = boxes[:1]
    for box in boxes[1:, None]:
        if iou(box, anchors).max() <= 0.85:
            anchors = np.concatenate([anchors, box])
    anchors.setflags(write=False)
    return anchors


@functools.cache
def coarse_anchors() -> Boxes:
    """Thin the dense anchors to :data:`COARSE_IOU`: the candidates of stage one of a search without a ratio.

    The array is read-only because it is cached.
    """
    dense = dense_anchors()
    coarse = dense[nms(dense, -np.arange(len(dense), dtype=np.float32), COARSE_IOU, len(dense))]
    coarse.setflags(write=False)
    return coarse


def ratio_windows(aspect: float, ratio: float, sizes: tuple[float, ...] = RATIO_SIZES, steps: int = 8) -> Boxes:
    """Make windows of one aspect ratio in several sizes, each at several positions.

    Args:
        aspect: aspect of the photo.
        ratio: aspect of the windows, in pixels.
        sizes: sizes of the windows, relative to the largest one that fits.
        steps: density of the positions: steps per side of the photo. A window always touches both ends of its margin.
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
    """Space positions evenly in [0, margin], both ends included."""
    return np.linspace(0, margin, max(1, round(margin * steps)) + 1) if margin > 1e-9 else np.zeros(1)


def neighbors(boxes: Boxes) -> Boxes:
    """Make small variations of boxes with the same aspect: stage two of ASM-Net's search, with the aspect fixed.

    Centers move by 0 or 4 % of the photo's side along each axis, and sizes change by 0 or 5 %: 27 variations per box.
    Variations that extend beyond the photo are moved inside. Those that are too large are dropped.
    """
    boxes = as_boxes(boxes)
    shifts, factors = (-0.04, 0.0, 0.04), (0.95, 1.0, 1.05)
    dx, dy, size = (axis.ravel() for axis in np.meshgrid(shifts, shifts, factors))
    center = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2 + np.stack([dx, dy], axis=1)
    half = (boxes[:, None, 2:] - boxes[:, None, :2]) / 2 * size[:, None]
    around = np.concatenate([center - half, center + half], axis=2).reshape(-1, 4)
    return shift_inside(around.astype(np.float32))
