import numpy as np
import pytest

from autocrop import metrics


def test_overlap_and_displacement_by_hand():
    """A box moved right by a tenth of the photo: IoU .4/.6 and BDE .2/4."""
    predicted, truth = np.array([[0.1, 0, 0.6, 1]], np.float32), np.array([[0, 0, 0.5, 1]], np.float32)
    assert metrics.overlap(predicted, truth) == pytest.approx([0.4 / 0.6])
    assert metrics.boundary_displacement(predicted, truth) == pytest.approx([0.05])


def test_shots_by_area():
    """From .65 on many, from .40 on medium, below few; the whole photo is many."""
    sides = np.sqrt([1, 0.66, 0.64, 0.41, 0.39]).astype(np.float32)
    boxes = np.stack([np.zeros(5), np.zeros(5), sides, sides], axis=1).astype(np.float32)
    assert metrics.shot(boxes) == ["many", "many", "medium", "medium", "few"]


def test_pairs_in_the_order_of_the_votes():
    """Right, wrong, and undecided, which is wrong."""
    scores = np.array([[1, 2], [1, 2], [2, 2]], np.float32)
    counts = np.array([[1, 4], [5, 0], [3, 2]])
    assert metrics.pairs_correct(scores, counts).tolist() == [True, False, False]
