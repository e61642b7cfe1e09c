"""Baselines that need no model: simple crops and rankings, and upper bounds for the candidate sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from autocrop.datasets import Sample
from autocrop.datasets.fcdb import MEAN_CROP
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import FULL_FRAME, Boxes
from autocrop.geometry.candidates import dense_anchors, grid_anchors, ratio_windows

AREA_DECIMALS = 5
"""Areas are rounded to this many decimals, so that float32 noise does not order crops of the same size."""


def crop_ratio(sample: Sample) -> float:
    """Return the aspect ratio of a photo's best crop, in pixels."""
    x1, y1, x2, y2 = sample.boxes[0]
    return float((x2 - x1) / (y2 - y1) * sample.aspect)


def center_crop(aspect: float, ratio: float) -> Boxes:
    """Return the largest centered crop ``[1, 4]`` with an aspect ratio of *ratio* in a photo with one of *aspect*."""
    w, h = min(1.0, ratio / aspect), min(1.0, aspect / ratio)
    return np.array([[(1 - w) / 2, (1 - h) / 2, (1 + w) / 2, (1 + h) / 2]], np.float32)


def baseline_crops(samples: Sequence[Sample], given_ratio: bool) -> dict[str, Boxes]:
    """Return one crop per photo, ``[N, 4]``, for each baseline."""
    if given_ratio:
        return {"center_crop": np.concatenate([center_crop(s.aspect, crop_ratio(s)) for s in samples])}
    return {"mean_crop": np.repeat(MEAN_CROP, len(samples), 0), "whole_photo": np.repeat(FULL_FRAME, len(samples), 0)}


def candidate_ceilings(samples: Sequence[Sample], given_ratio: bool) -> dict[str, float]:
    """Compute the mean IoU of the best candidate of each set, which no model that selects candidates can exceed."""
    if given_ratio:
        return {"ratio_windows": _ceiling(samples, lambda sample: ratio_windows(sample.aspect, crop_ratio(sample)))}
    return {
        "grid_anchors": _ceiling(samples, lambda sample: grid_anchors(sample.aspect)),
        "dense_anchors": _ceiling(samples, lambda _: dense_anchors()),
    }


def _ceiling(samples: Sequence[Sample], candidates: Callable[[Sample], Boxes]) -> float:
    return float(np.mean([bx.iou(candidates(sample), sample.boxes).max() for sample in samples]))


def baseline_scores(samples: Sequence[Sample]) -> dict[str, list[NDArray[np.float32]]]:
    """Return scores of the annotated crops of each photo, for each baseline."""
    return {
        "largest_first": [np.round(bx.area(s.boxes), AREA_DECIMALS).astype(np.float32) for s in samples],
        "nearest_to_mean_crop": [bx.iou(MEAN_CROP, s.boxes)[0] for s in samples],
    }
