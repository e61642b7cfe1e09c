"""Conversion of photos to a network's input."""

import numpy as np
import pytest

from autocrop.engines import preprocess


@pytest.mark.parametrize(
    ("size", "expected"),
    [((600, 400), (384, 256)), ((400, 600), (256, 384)), ((32, 32), (256, 256)), ((9000, 300), (1024, 256))],
)
def test_input_sizes_are_multiples_of_32(size, expected):
    """The short side is 256, and the long side is limited."""
    assert preprocess.input_size(*size) == expected


def test_normalize_centers_imagenets_mean():
    """The mean of ImageNet becomes 0, and the layout is [1, 3, H, W]."""
    image = np.broadcast_to((preprocess.MEAN * 255).round().astype(np.uint8), (4, 6, 3))
    normalized = preprocess.normalize(image)
    assert normalized.shape == (1, 3, 4, 6)
    assert np.abs(normalized).max() < 0.02
