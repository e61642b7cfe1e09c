"""Scoring of arbitrary crops with models that propose crops instead of scoring them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.boxes import Boxes, iou

MIN_PROPOSAL_SIDE = 0.1
"""Shortest side of a proposed crop, as a share of the photo's side."""
MIN_WEIGHT = 1e-12
"""Smallest total weight of all proposals. It avoids a division by zero: without confidence every crop scores 1."""


def proposal_scores(proposals: Boxes, confidence: NDArray[np.float32], boxes: Boxes) -> NDArray[np.float32]:
    """Score crops by their overlap with proposals: 1 + 4 · mean IoU, weighted by confidence squared.

    This is the expected overlap with the right crop if any proposal may be right with a probability that grows with
    its confidence. It ranks crops better than the best match, ``max_k confidence_k · IoU``, which relies on a single
    noisy proposal (``docs/research/search.md``). Scores are on the MOS scale, 1 to 5, which the search expects.

    Args:
        proposals: proposed crops ``[K, 4]``.
        confidence: confidence in each proposal, ``[K]`` in [0, 1].
        boxes: crops to score, ``[N, 4]``.

    Returns:
        Scores ``[N]``.
    """
    weight = np.square(confidence)
    return (1 + 4 * (iou(boxes, proposals) @ weight) / max(float(weight.sum()), MIN_WEIGHT)).astype(np.float32)


def ranked(proposals: Boxes, confidence: NDArray[np.float32]) -> tuple[Boxes, NDArray[np.float32]]:
    """Sort proposals ``[K, 4]`` and their confidence ``[K]``, most confident first."""
    order = np.argsort(-confidence, kind="stable")
    return np.ascontiguousarray(proposals[order]), confidence[order]
