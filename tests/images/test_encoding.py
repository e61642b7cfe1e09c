"""Encodings of photo files."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from autocrop.images.encoding import Encoding


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, 0),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422, 1),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, 2),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440, 0),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411, 1),
    ],
)
def test_subsampling_is_the_nearest_that_pillow_writes(sampling, expected):
    """For 4:4:0 and 4:1:1, which Pillow cannot write, the result keeps at least as much color."""
    _, data = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])
    assert Encoding.of_file(Image.open(io.BytesIO(data))).subsampling == expected
