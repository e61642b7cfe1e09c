"""Bounds within which a window treats everybody the same way."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autocrop.search.bounds import Bounds, bounds_around
from autocrop.search.severity import Level, severity_of
from autocrop.search.subject_boxes import SubjectBoxes
from autocrop.search.subjects import Subjects


@st.composite
def boxes(draw, size=100):
    """A box in whole pixels."""
    x, y = (sorted(draw(st.lists(st.integers(0, size), min_size=2, max_size=2, unique=True))) for _ in range(2))
    return [x[0], y[0], x[1], y[1]]


@given(st.lists(boxes(), min_size=1, max_size=4), boxes(), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_windows_within_bounds_are_not_more_severe(faces, window, shares):
    """Any window between the bounds of a window that cuts no face is at least as good."""
    subjects = SubjectBoxes.of(Subjects((100, 100), np.array(faces, np.float32) / 100))
    window = np.array(window, float)
    if severity_of(window[None], subjects).level[0] < Level.CUTS_FACE:
        bounds = bounds_around(window, subjects)
        assert (bounds.low <= window).all()
        assert (bounds.high >= window).all()
        other = np.round(bounds.low + np.array(shares) * (bounds.high - bounds.low))
        if (other[2:] > other[:2]).all():
            rank = severity_of(np.array([other, window]), subjects).rank
            assert rank[0] <= rank[1]


@given(st.lists(boxes(), min_size=4, max_size=4))
def test_shifted_and_clipped_boxes_are_within_bounds(four_boxes):
    """Boxes that were moved or clipped are within the bounds, and so is the mean of boxes within them."""
    normalized = np.array(four_boxes, np.float32) / 100
    low, high = normalized[:2].min(axis=0), normalized[:2].max(axis=0)
    bounds = Bounds(low.astype(np.float64), high.astype(np.float64))
    shifted, clipped = bounds.shift(normalized), bounds.clip(normalized)
    assert bounds.contain(shifted).all()
    assert bounds.contain(clipped).all()
    assert len(shifted) >= 2
    mean = (shifted.mean(axis=0) + normalized[:2].mean(axis=0)) / 2
    assert bounds.contain(mean[None]).all()
