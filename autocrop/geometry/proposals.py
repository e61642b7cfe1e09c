"""What the models that propose crops, instead of scoring them, make of any crop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes

MIN_PROPOSAL_SIDE = 0.1
"""No proposed crop has a side shorter than this share of the photo's."""
MIN_WEIGHT = 1e-12
"""Of all proposals together: where the model believes in none of them, every crop scores 1."""


def proposal_scores(proposals: Boxes, confidence: NDArray[np.float32], boxes: Boxes) -> NDArray[np.float32]:
    """Score crops by how well they agree with what was proposed: 1 + 4 · mean IoU, weighted by confidence squared.

    If any proposal may be the right crop, with a chance that grows with its confidence, this is the overlap with it
    that may be expected. It orders crops better than the best match, ``max_k confidence_k · IoU``, does, which trusts
    in one of many noisy proposals (``docs/search.md``). The scale is that of MOS, 1 to 5, for which the search is made.

    Args:
        proposals: ``[K, 4]``.
        confidence: of each, ``[K]`` in [0, 1].
        boxes: ``[N, 4]``.

    Returns:
        ``[N]``.
    """
    weight = np.square(confidence)
    return (1 + 4 * (bx.iou(boxes, proposals) @ weight) / max(float(weight.sum()), MIN_WEIGHT)).astype(np.float32)


def ranked(proposals: Boxes, confidence: NDArray[np.float32]) -> tuple[Boxes, NDArray[np.float32]]:
    """Proposals ``[K, 4]`` and confidence ``[K]``, the most confident first."""
    order = np.argsort(-confidence, kind="stable")
    return np.ascontiguousarray(proposals[order]), confidence[order]
