"""The papers' metrics as pure functions of numpy arrays. Boxes are xyxy in [0, 1]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autocrop import boxes as bx
from autocrop.boxes import Boxes

SHOTS = {"many": (0.65, 1.01), "medium": (0.4, 0.65), "few": (0.0, 0.4)}
"""Classes of photos by the share of the photo inside the best crop (CBLNet, section 5.1): from, below."""
STRONG_MARGIN = 3
"""Votes of five that a pair must be apart to count as strong: four or five one way."""


def overlap(predicted: Boxes, truth: Boxes) -> NDArray[np.float32]:
    """IoU of each predicted box ``[N, 4]`` with the true one beside it ``[N, 4]``, ``[N]``."""
    return np.concatenate([bx.iou(p[None], t[None])[0] for p, t in zip(predicted, truth, strict=True)])


def boundary_displacement(predicted: Boxes, truth: Boxes) -> NDArray[np.float32]:
    """BDE of each pair of boxes: mean distance of the four sides, as a share of the photo's sides, ``[N]``."""
    return np.abs(predicted - truth).mean(axis=1)


def shot(truth: Boxes) -> list[str]:
    """Class of each true box: ``many``, ``medium`` or ``few``."""
    names = []
    for share in bx.area(truth):
        (name,) = (name for name, (low, high) in SHOTS.items() if low <= share < high)
        names.append(name)
    return names


def pairs_correct(scores: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each pair is ordered as most people ordered it.

    Args:
        scores: ``[P, 2]``, predicted.
        counts: ``[P, 2]``, votes; no ties.

    Returns:
        ``[P]``; equal scores are wrong.
    """
    return (scores[:, 0] - scores[:, 1]) * (counts[:, 0] - counts[:, 1]) > 0
