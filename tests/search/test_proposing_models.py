"""Searching with models that propose crops."""

import numpy as np
import pytest

from autocrop.geometry import boxes as bx
from autocrop.search.subjects import Subjects
from tests.helpers.proposing_engine import PROPOSED, ProposingEngine
from tests.helpers.search import find_boxes, find_crops


def encode(engine, width, height):
    return engine.encode(np.zeros((height, width, 3), np.uint8))


def test_different_proposals_are_returned():
    """Proposals are returned unchanged, the most confident first, without near-duplicates."""
    engine = ProposingEngine()
    boxes, scores = find_boxes(engine, encode(engine, 90, 60), top=3)
    assert boxes == pytest.approx(PROPOSED[[0, 3, 2]])
    assert list(scores) == sorted(scores, reverse=True)


def test_anchors_complete_too_few_proposals():
    """If more crops are requested than there are different proposals, anchors follow the proposals."""
    engine = ProposingEngine()
    features = encode(engine, 90, 60)
    boxes, _ = find_boxes(engine, features, top=3)
    more, _ = find_boxes(engine, features, top=5)
    assert more[:3] == pytest.approx(boxes)
    assert len(more) == 5
    assert np.triu(bx.iou(more, more), 1).max() <= 0.76


def test_first_crop_is_consensus_of_proposals():
    """Three similar proposals outweigh one with a slightly higher confidence."""
    boxes = np.array([[0, 0, 0.5, 0.5], [0.2, 0.2, 1, 1], [0.22, 0.2, 1, 1], [0.2, 0.22, 1, 1]], np.float32)
    engine = ProposingEngine(boxes, np.array([0.6, 0.5, 0.5, 0.5], np.float32))
    crops, _ = find_boxes(engine, encode(engine, 90, 60), top=2)
    assert crops == pytest.approx(boxes[[1, 0]])
    assert engine.score(None, boxes).argmax() == 1


def test_crop_of_given_ratio_overlaps_proposals():
    """A crop with a ratio is chosen by its overlap with the proposals."""
    engine = ProposingEngine()
    (crop,) = find_crops(engine, encode(engine, 900, 600), (900, 600), ratio=(1, 1))
    assert crop.width == crop.height > 400
    assert bx.iou(bx.from_pixels(np.array([crop.box]), 900, 600), PROPOSED[:1])[0, 0] > 0.6


def test_protected_region_overrules_proposals():
    """A crop contains the region to keep even if no proposal does."""
    engine = ProposingEngine()
    subjects = Subjects((900, 600), np.empty((0, 4), np.float32), [(0, 0, 45, 30)])
    (crop,) = find_crops(engine, encode(engine, 900, 600), (900, 600), subjects=subjects)
    assert crop.box[:2] == (0, 0)
