"""Searches in photos that have features and subjects but no pixels, and checks of the results."""

from __future__ import annotations

import numpy as np

from autocrop.engines import Features
from autocrop.geometry import boxes as bx
from autocrop.search import two_stage
from autocrop.search.analysis import Analysis
from autocrop.search.face_detection import NO_FACES
from autocrop.search.request import CropRequest
from autocrop.search.subjects import Subjects
from autocrop.search.window_sizes import WindowSizes


def find_crops(engine, features, size, ratio=None, top=1, *, exact=True, subjects=None, shape="rectangle", fit=None):
    """Find crops of a photo of *size* (width, height) without an image."""
    subjects = Subjects(size, NO_FACES) if subjects is None else subjects
    features = Features(features.maps, size[0] / size[1])
    analysis = Analysis(size, np.zeros((8, 8, 3), np.uint8), features, subjects)
    return two_stage.find_crops(engine, analysis, CropRequest(ratio, top, exact, shape, fit))


def find_crops_of_faces(engine, size, faces, ratio=None, keep=(), **options):
    """Find crops of a photo with given faces and regions, all in pixels."""
    subjects = Subjects(size, bx.from_pixels(faces, *size), keep)
    return find_crops(engine, Features(None, size[0] / size[1]), size, ratio, subjects=subjects, **options)


def find_boxes(engine, features, ratio=None, top=1):
    """Find boxes in a photo without an image."""
    return two_stage.find_boxes(two_stage.Scorer(engine, features), ratio, top)


def inside_and_outside(windows, boxes):
    """Compare windows ``[N, 4]`` with boxes ``[M, 4]``: which boxes are completely inside or outside, two ``[N, M]``.

    This is independent of ``autocrop.geometry.pixel_boxes``, which it helps to test.
    """
    w, b = np.asarray(windows, float).reshape(-1, 1, 4), np.asarray(boxes, float).reshape(1, -1, 4)
    inside = (w[..., :2] <= b[..., :2]).all(-1) & (w[..., 2:] >= b[..., 2:]).all(-1)
    outside = (w[..., :2] >= b[..., 2:]).any(-1) | (w[..., 2:] <= b[..., :2]).any(-1)
    return inside, outside


def windows_everywhere(size, ratio, positions=30, sizes=16):
    """List windows of a ratio all over a photo, from half of the largest size to the largest; the photo without one."""
    if ratio is None:
        return np.array([[0, 0, *size]])
    all_sizes = WindowSizes.of(size, ratio).sizes
    all_sizes = all_sizes[all_sizes[:, 0] >= 0.5 * all_sizes[-1, 0]]
    windows = []
    for width, height in all_sizes[np.linspace(0, len(all_sizes) - 1, min(len(all_sizes), sizes)).astype(int)]:
        x, y = np.meshgrid(
            np.unique(np.linspace(0, size[0] - width, positions).round()),
            np.unique(np.linspace(0, size[1] - height, positions).round()),
        )
        windows.append(np.stack([x.ravel(), y.ravel(), x.ravel() + width, y.ravel() + height], 1))
    return np.concatenate(windows)
