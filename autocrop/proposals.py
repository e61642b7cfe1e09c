"""What the models that propose crops, instead of scoring them, make of any crop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autocrop import boxes as bx
from autocrop.boxes import Boxes

SMALLEST_SIDE = 0.1
"""No proposed crop has a side shorter than this share of the photo's."""


def proposal_scores(proposals: Boxes, confidence: NDArray[np.float32], boxes: Boxes) -> NDArray[np.float32]:
    """Score crops by how well they match what was proposed: ``1 + 4 · max_k confidence_k · IoU(crop, proposal_k)``.

    That is the scale of MOS, 1 to 5, as it is for the models that score crops: the search is made for it.

    Args:
        proposals: ``[K, 4]``.
        confidence: of each, ``[K]`` in [0, 1].
        boxes: ``[N, 4]``.

    Returns:
        ``[N]``.
    """
    return (1 + 4 * (bx.iou(boxes, proposals) * confidence).max(axis=1)).astype(np.float32)


def agreement(proposals: Boxes, confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """How well each proposal ``[K, 4]`` stands for all of them, ``[K]``: mean IoU with them, by confidence squared.

    The most confident of many proposals is a noisy choice. The one that agrees most with the others is the crop whose
    overlap with the right one is the largest on average, if any of them may be right (``docs/search.md``).
    """
    weight = np.square(confidence)
    return (bx.iou(proposals, proposals) @ weight / max(float(weight.sum()), 1e-12)).astype(np.float32)


def ranked(proposals: Boxes, confidence: NDArray[np.float32]) -> tuple[Boxes, NDArray[np.float32]]:
    """Proposals ``[K, 4]`` and confidence ``[K]``, the most confident first."""
    order = np.argsort(-confidence, kind="stable")
    return np.ascontiguousarray(proposals[order]), confidence[order]
