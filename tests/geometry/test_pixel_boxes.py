"""Boxes in whole pixels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autocrop.geometry import pixel_boxes as px
from tests.helpers.search import inside_and_outside


@st.composite
def boxes(draw):
    """Up to four boxes in a photo of 20x20 pixels."""
    corners = draw(st.lists(st.tuples(*[st.integers(0, 19)] * 2, *[st.integers(1, 10)] * 2), max_size=4))
    return np.array([(x, y, x + w, y + h) for x, y, w, h in corners], float).reshape(-1, 4)


@given(boxes(), boxes())
def test_a_box_is_inside_outside_or_cut(windows, others):
    """Exactly one of three relations holds, and overlaps agree with it."""
    contained, excluded, cut = px.contains(windows, others), px.excludes(windows, others), px.cuts(windows, others)
    inside, outside = inside_and_outside(windows, others)
    assert np.array_equal(contained, inside)
    assert np.array_equal(excluded, outside)
    assert (contained.astype(int) + excluded + cut == 1).all()
    overlaps = px.overlaps(windows, others)
    assert np.array_equal(overlaps == 0, excluded)
    assert np.array_equal(overlaps == px.areas(others), contained)


@given(boxes())
def test_the_union_contains_every_box(several):
    """The union is the smallest box that contains all boxes; without boxes, it is None."""
    union = px.union(several)
    if len(several):
        assert px.contains(union[None], several).all()
        assert np.array_equal(union[:2], several[:, :2].min(axis=0))
        assert np.array_equal(union[2:], several[:, 2:].max(axis=0))
    else:
        assert union is None


def test_round_outward_tolerates_float32_error():
    """Boxes are extended to whole pixels inside the photo, but not because of a rounding error."""
    rounded = px.round_outward(np.array([[1.5, 2.9999, 3.0001, 99.2]]), (50, 99))
    assert rounded.tolist() == [[1, 3, 3, 99]]
