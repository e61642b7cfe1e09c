"""Candidate crops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.geometry import boxes as bx
from autocrop.geometry import candidates

ASPECTS = st.floats(0.1, 10)


@pytest.mark.parametrize(("aspect", "count"), [(1, 90), (5 / 4, 90), (4 / 3, 87), (3 / 2, 83), (16 / 9, 60), (2, 38)])
def test_grid_anchors_are_as_many_as_in_gaic(aspect, count):
    """Landscape and portrait photos have as many anchors as in the reference implementation."""
    assert len(candidates.grid_anchors(aspect)) == count
    assert len(candidates.grid_anchors(1 / aspect)) == count


def test_grid_anchors_of_a_panorama_ignore_the_aspect_rule():
    """If the aspect rule would leave hardly any anchors, only the area rule applies."""
    assert len(candidates.grid_anchors(3)) == 90


def test_dense_anchors_are_those_of_vpn():
    """There are 895 distinct boxes, and the first is the whole photo."""
    anchors = candidates.dense_anchors()
    assert anchors.shape == (895, 4)
    assert anchors[0] == pytest.approx([0, 0, 1, 1])
    overlaps = bx.iou(anchors, anchors)
    np.fill_diagonal(overlaps, 0)
    assert overlaps.max() <= 0.85
    assert 0.113 < bx.area(anchors).min() < 0.115


@given(ASPECTS, ASPECTS)
def test_ratio_windows_have_the_ratio(aspect, ratio):
    """Every window has the ratio in pixels and lies inside the photo, and the largest possible one is included."""
    windows = candidates.ratio_windows(aspect, ratio)
    aspects = (windows[:, 2] - windows[:, 0]) / (windows[:, 3] - windows[:, 1]) * aspect
    assert aspects == pytest.approx(np.full(len(windows), ratio), rel=1e-3)
    assert windows.min() >= 0
    assert windows.max() <= 1
    assert (windows[:, 2:] - windows[:, :2]).max() == pytest.approx(1, abs=1e-6)


def test_ratio_windows_reach_both_ends():
    """The largest window touches both edges of the photo."""
    windows = candidates.ratio_windows(2.0, 1.0)
    largest = windows[np.isclose(windows[:, 3] - windows[:, 1], 1)]
    assert largest[:, 0].min() == pytest.approx(0)
    assert largest[:, 2].max() == pytest.approx(1)


def test_neighbors_keep_the_aspect():
    """A box with room around it has 27 neighbors of its aspect, including itself."""
    box = np.array([[0.3, 0.3, 0.7, 0.6]], np.float32)
    around = candidates.neighbors(box)
    assert len(around) == 27
    assert np.abs(around - box).max(axis=1).min() < 1e-6
    aspects = (around[:, 2] - around[:, 0]) / (around[:, 3] - around[:, 1])
    assert np.ptp(aspects) < 1e-5


def test_neighbors_of_the_whole_photo_stay_inside():
    """Neighbors that would extend beyond the photo are moved or dropped."""
    around = candidates.neighbors(bx.FULL_FRAME)
    assert around.min() >= 0
    assert around.max() <= 1
