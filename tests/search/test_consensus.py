"""The mean of good crops."""

import numpy as np
import pytest

from autocrop.search.bounds import Bounds
from autocrop.search.consensus import consensus, view_consensus

TWO_VIEWS = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32)


def test_consensus_weighs_boxes_by_score():
    """Boxes with equal scores are averaged, and a much better box decides alone."""
    assert consensus(TWO_VIEWS, np.array([1, 1], np.float32)) == pytest.approx(np.array([[0.25, 0.25, 0.75, 0.75]]))
    assert consensus(TWO_VIEWS, np.array([9, 1], np.float32)) == pytest.approx(TWO_VIEWS[:1], abs=1e-6)


def test_different_views_are_not_averaged():
    """Boxes that hardly overlap the best one are left out, even if they are as good."""
    assert view_consensus(TWO_VIEWS, np.array([1, 1], np.float32)) == pytest.approx(TWO_VIEWS[:1])


def test_boxes_beyond_the_bounds_are_left_out():
    """The consensus is within the bounds."""
    boxes = np.array([[0.1, 0, 0.6, 0.5], [0, 0, 0.6, 0.5]], np.float32)
    bounds = Bounds(np.array([0.05, 0, 0, 0]), np.ones(4))
    assert view_consensus(boxes, np.array([1, 1], np.float32), bounds) == pytest.approx(boxes[:1])
