"""The consensus of good crops: their mean, weighted by the softmax of their scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.boxes import Boxes, iou
from autocrop.search.bounds import Bounds

CONSENSUS_SIZE = 8
"""Largest number of crops in a consensus."""
SAME_VIEW_IOU = 0.5
"""Smallest IoU of the crops in a consensus with the best one. The mean of two different views shows neither."""
TEMPERATURE = 0.12
"""Temperature of the softmax over scores, which are on the MOS scale, 1 to 5."""


def view_consensus(candidates: Boxes, scores: NDArray[np.float32], bounds: Bounds | None = None) -> Boxes:
    """Average the best candidates that show about the same view as the very best one.

    Args:
        candidates: crops ``[N, 4]``.
        scores: scores ``[N]``, higher is better.
        bounds: bounds that contain the best candidate. Candidates beyond them are left out.

    Returns:
        One box ``[1, 4]``, which is within the bounds.
    """
    order = np.argsort(-scores, kind="stable")[:CONSENSUS_SIZE]
    included = iou(candidates[order[:1]], candidates[order])[0] >= SAME_VIEW_IOU
    if bounds is not None:
        included &= bounds.contain(candidates[order])
    return consensus(candidates[order[included]], scores[order[included]])


def consensus(boxes: Boxes, scores: NDArray[np.float32]) -> Boxes:
    """Average boxes ``[N, 4]``, weighted by the softmax of their scores ``[N]``, to one box ``[1, 4]``.

    The mean of boxes of one aspect has that aspect, and it lies inside the photo if they do.
    """
    weights = np.exp((scores - scores.max()) / TEMPERATURE)
    return (weights / weights.sum() @ boxes)[None].astype(np.float32)
