"""Conversions between stored and upright photos."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autocrop.images.orientation import to_stored, to_upright, upright_pixels
from tests.helpers.files import stored


@given(st.integers(1, 8), st.integers(1, 20), st.integers(1, 20), st.data())
def test_boxes_and_pixels_agree(orientation, width, height, data):
    """The stored box shows the pixels of the upright box, and converting it back restores the upright box."""
    left, right = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    picture = np.arange(width * height, dtype=np.int32).reshape(height, width)
    pixels = np.asarray(stored(Image.fromarray(picture), orientation)[0])
    assert np.array_equal(upright_pixels(pixels, orientation), picture)
    x1, y1, x2, y2 = box = to_stored((left, top, right, bottom), width, height, orientation)
    assert np.array_equal(upright_pixels(pixels[y1:y2, x1:x2], orientation), picture[top:bottom, left:right])
    assert to_upright(box, pixels.shape[1], pixels.shape[0], orientation) == (left, top, right, bottom)
