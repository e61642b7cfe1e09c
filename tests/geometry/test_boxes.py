"""Boxes, normalized and in pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.geometry import boxes as bx

SIDES = st.integers(32, 9000)
TERMS = st.integers(1, 32)


@st.composite
def windows(draw):
    """A normalized box that is not empty."""
    x = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    y = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    return np.array([x[0], y[0], max(x[1], x[0] + 1e-3), max(y[1], y[0] + 1e-3)])


@given(windows(), SIDES, SIDES, TERMS, TERMS)
def test_exact_ratio_pixels_are_the_largest_inside_the_window(box, width, height, a, b):
    """The box has exactly the ratio, lies inside the photo, and no larger multiple of the ratio fits the window."""
    left, top, right, bottom = bx.exact_ratio_pixels(box, width, height, (a, b))
    assert (right - left) * b == (bottom - top) * a
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    divisor = np.gcd(a, b)
    k = (right - left) * divisor // a
    x1, y1, x2, y2 = np.clip(box, 0, 1) * (width, height, width, height)
    too_wide = (k + 1) * a / divisor > x2 - x1 + 5e-4
    too_high = (k + 1) * b / divisor > y2 - y1 + 5e-4
    assert k == 1 or too_wide or too_high


def test_exact_ratio_pixels_reject_small_photos():
    """A photo of 100x100 pixels is too small for a crop of exactly 191:100."""
    with pytest.raises(ValueError, match="too small for a crop of exactly 191:100"):
        bx.exact_ratio_pixels([0, 0, 1, 1], 100, 100, (191, 100))


@given(windows(), SIDES, SIDES)
def test_to_pixels_stays_inside_the_photo(box, width, height):
    """A box of any shape has at least one pixel per side and lies inside the photo."""
    left, top, right, bottom = bx.to_pixels(box, width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_iou_of_known_boxes():
    """Two halves that share a quarter of the photo have an IoU of 0.25 / 0.75."""
    a = np.array([[0, 0, 0.5, 1]], np.float32)
    b = np.array([[0.25, 0, 0.75, 1], [0.5, 0, 1, 1], [0, 0, 0.5, 1]], np.float32)
    assert bx.iou(a, b) == pytest.approx(np.array([[1 / 3, 0, 1]]))


def test_flip_swaps_left_and_right():
    """The left side of a mirrored box stays less than the right one, and mirroring twice changes nothing."""
    box = np.array([[0.1, 0.2, 0.4, 0.9]], np.float32)
    assert bx.flip(box) == pytest.approx(np.array([[0.6, 0.2, 0.9, 0.9]]))
    assert bx.flip(bx.flip(box)) == pytest.approx(box)


def test_nms_selects_the_better_of_two_similar_boxes():
    """If two boxes overlap by more than the threshold, the one with the higher score is selected."""
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.95], [0, 0, 0.5, 0.5]], np.float32)
    scores = np.array([1, 2, 0], np.float32)
    assert bx.nms(boxes, scores, 0.85, 9).tolist() == [1, 2]
    assert bx.nms(boxes, scores, 0.85, 1).tolist() == [1]


@pytest.mark.parametrize("boxes", [[[0, 0, 1]], [[0.5, 0, 0.5, 1]], [[0, np.nan, 1, 1]], [0, 0, 1, 1]])
def test_as_boxes_rejects_malformed_boxes(boxes):
    """Arrays of another shape, empty boxes and NaN raise."""
    with pytest.raises(ValueError, match="Boxes must"):
        bx.as_boxes(boxes)


def test_shift_inside_moves_or_drops_boxes():
    """A box that extends beyond the photo is moved, and a box that is too large is dropped."""
    boxes = np.array([[-0.1, 0.2, 0.4, 0.6], [0, 0, 1.2, 1]], np.float32)
    assert bx.shift_inside(boxes) == pytest.approx(np.array([[0, 0.2, 0.5, 0.6]]))
