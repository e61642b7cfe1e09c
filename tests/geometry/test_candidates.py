import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.geometry import boxes as bx
from autocrop.geometry import candidates

ASPECTS = st.floats(0.1, 10)


@pytest.mark.parametrize(("aspect", "count"), [(1, 90), (5 / 4, 90), (4 / 3, 87), (3 / 2, 83), (16 / 9, 60), (2, 38)])
def test_grid_anchor_counts_of_gaic(aspect, count):
    """The counts of the reference implementation, for landscape and portrait alike."""
    assert len(candidates.grid_anchors(aspect)) == count
    assert len(candidates.grid_anchors(1 / aspect)) == count


def test_grid_anchors_of_a_panorama_drop_the_aspect_rule():
    """Where the rule would leave hardly any anchor, the area rule alone decides."""
    assert len(candidates.grid_anchors(3)) == 90


def test_dense_anchors_are_the_895_of_vpn():
    """895 boxes, the whole photo first, none nearly the same as another."""
    anchors = candidates.dense_anchors()
    assert anchors.shape == (895, 4)
    assert anchors[0] == pytest.approx([0, 0, 1, 1])
    overlaps = bx.iou(anchors, anchors)
    np.fill_diagonal(overlaps, 0)
    assert overlaps.max() <= 0.85
    assert 0.113 < bx.area(anchors).min() < 0.115


@given(ASPECTS, ASPECTS)
def test_ratio_windows_have_the_ratio_and_stay_inside(aspect, ratio):
    """Every window has the ratio in pixels and lies in the photo; the largest that fits is among them."""
    windows = candidates.ratio_windows(aspect, ratio)
    shapes = (windows[:, 2] - windows[:, 0]) / (windows[:, 3] - windows[:, 1]) * aspect
    assert shapes == pytest.approx(np.full(len(windows), ratio), rel=1e-3)
    assert windows.min() >= 0
    assert windows.max() <= 1
    assert (windows[:, 2:] - windows[:, :2]).max() == pytest.approx(1, abs=1e-6)


def test_ratio_windows_reach_both_ends():
    """The margin's both ends are among the positions of the largest window."""
    windows = candidates.ratio_windows(2.0, 1.0)
    largest = windows[np.isclose(windows[:, 3] - windows[:, 1], 1)]
    assert largest[:, 0].min() == pytest.approx(0)
    assert largest[:, 2].max() == pytest.approx(1)


def test_neighbors_of_a_box_with_room():
    """27 neighbors of the same shape, the box itself among them."""
    box = np.array([[0.3, 0.3, 0.7, 0.6]], np.float32)
    around = candidates.neighbors(box)
    assert len(around) == 27
    assert np.abs(around - box).max(axis=1).min() < 1e-6
    shapes = (around[:, 2] - around[:, 0]) / (around[:, 3] - around[:, 1])
    assert np.ptp(shapes) < 1e-5


def test_neighbors_of_the_whole_photo_stay_inside():
    """Neighbors that would stick out are moved or dropped."""
    around = candidates.neighbors(bx.FULL_FRAME)
    assert around.min() >= 0
    assert around.max() <= 1
