"""Scores of crops from proposals."""

import numpy as np
import pytest

from autocrop.geometry import boxes as bx
from autocrop.geometry.proposals import proposal_scores
from tests.helpers.proposing_engine import CONFIDENCE, PROPOSED


def test_score_is_mean_iou_with_proposals():
    """A crop's score is 1 + 4 · mean IoU with all proposals, weighted by confidence squared."""
    boxes = np.array([[0.1, 0.1, 0.9, 0.9], [0, 0, 0.5, 0.6], [0.95, 0, 1, 0.05]], np.float32)
    scores = proposal_scores(PROPOSED, CONFIDENCE, boxes)
    for box, score in zip(boxes, scores, strict=True):
        overlaps = [c**2 * bx.iou(box[None], p[None])[0, 0] for p, c in zip(PROPOSED, CONFIDENCE, strict=True)]
        assert score == pytest.approx(1 + 4 * sum(overlaps) / sum(c**2 for c in CONFIDENCE))
    assert scores[2] == 1


def test_confidence_in_single_proposal_does_not_matter():
    """With one proposal, the score depends on the IoU only."""
    boxes = np.array([[0.1, 0.1, 0.9, 0.9], [0, 0, 0.5, 0.6]], np.float32)
    scores = proposal_scores(PROPOSED[:1], CONFIDENCE[:1], boxes)
    assert scores == pytest.approx(1 + 4 * bx.iou(boxes, PROPOSED[:1])[:, 0])


def test_score_without_confidence_is_one():
    """Without confidence in any proposal, every crop has the lowest score."""
    assert list(proposal_scores(PROPOSED, np.zeros_like(CONFIDENCE), PROPOSED[:3])) == [1, 1, 1]
