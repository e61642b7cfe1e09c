"""Sizes of windows of a ratio."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.search.bounds import Bounds
from autocrop.search.window_sizes import WindowSizes

SIDES = st.integers(32, 4000)


@given(SIDES, SIDES, st.sampled_from([(1, 1), (4, 5), (16, 9), (3, 1), (2, 3)]))
def test_exact_sizes_have_the_ratio_and_fit_into_the_photo(width, height, ratio):
    """All sizes are multiples of the ratio, and no larger multiple fits."""
    sizes = WindowSizes.of((width, height), ratio)
    assert (sizes.sizes[:, 0] * ratio[1] == sizes.sizes[:, 1] * ratio[0]).all()
    assert (sizes.sizes <= (width, height)).all()
    largest = np.array(sizes.largest)
    assert (largest + ratio > (width, height)).any()


def test_inexact_sizes_of_an_awkward_ratio_are_finer():
    """If there are few exact sizes, inexact ones are off by less than a pixel."""
    exact = WindowSizes.of((1500, 1000), (425, 157))
    inexact = WindowSizes.of((1500, 1000), (425, 157), exact=False)
    assert len(exact.sizes) == 3
    assert len(inexact.sizes) == 1500 - 1  # a window one pixel wide would have no height
    assert np.abs(inexact.sizes[:, 1] - inexact.sizes[:, 0] * 157 / 425).max() <= 0.5
    assert np.array_equal(WindowSizes.of((1500, 1000), (3, 2), exact=False).sizes[-1], (1500, 1000))


def test_fitted_windows_are_the_largest_inside_their_boxes():
    """A window is centered in its box and as large as fits."""
    sizes = WindowSizes.of((1000, 1000), (4, 3))
    (window,) = sizes.fit(np.array([[100.0, 100, 509, 420]]))
    assert window.tolist() == [100, 107, 508, 413]


@pytest.mark.parametrize(("box", "fits"), [((0, 0, 400, 300), True), ((0, 0, 1000, 800), False)])
def test_only_boxes_smaller_than_the_largest_window_can_be_contained(box, fits):
    """The largest 4:3 window of a photo of 1000x1000 pixels is 1000 pixels wide and 750 high."""
    assert WindowSizes.of((1000, 1000), (4, 3)).can_contain(np.array(box, float)) == fits


def test_the_nearest_window_is_within_the_bounds():
    """Bounds move a window and change its size; contradictory bounds have no window."""
    sizes = WindowSizes.of((1000, 1000), (1, 1))
    box = np.array([100.0, 100, 300, 300])
    free = Bounds(np.zeros(4), np.full(4, 1000.0))
    assert sizes.nearest(box, free).tolist() == box.tolist()
    right = Bounds(np.array([500.0, 0, 0, 0]), np.full(4, 1000.0))
    assert sizes.nearest(box, right).tolist() == [500, 100, 700, 300]
    large = Bounds(np.array([0, 0, 400.0, 0]), np.array([100.0, 1000, 1000, 1000]))
    assert sizes.nearest(box, large).tolist() == [100, 50, 400, 350]
    impossible = Bounds(np.array([0, 0, 900.0, 0]), np.array([0, 1000.0, 1000, 100]))
    assert sizes.nearest(box, impossible) is None
