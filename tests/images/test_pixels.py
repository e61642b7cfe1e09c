"""Cropping and resizing of decoded pictures."""

from __future__ import annotations

import numpy as np
import pytest

from autocrop.images.pixels import crop_and_resize


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_resizing_keeps_16_bits(channels):
    """Values between those of 8 bits survive, and an opaque picture stays opaque."""
    ramp = np.tile(np.linspace(0, 65535, 600), (400, 1)).astype(np.uint16)
    array = ramp if channels == 1 else np.dstack([ramp] * 3 + [np.full_like(ramp, 65535)] * (channels - 3))
    small = crop_and_resize(array, (0, 0, 600, 400), (300, 200))
    assert small.shape[:2] == (200, 300)
    assert small.dtype == np.uint16
    color = small if channels == 1 else small[..., 0]
    assert len(np.unique(color[0])) > 290
    assert np.abs(color[100].astype(int) - ramp[0].reshape(-1, 2).mean(axis=1)).max() < 300
    if channels == 4:
        assert small[..., 3].min() == 65535
