"""Cropping and resizing of decoded pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from autocrop.images import pixels
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


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_previews_of_huge_pictures_are_reduced(monkeypatch, mode):
    """Analysis does not copy hundreds of megapixels; smaller pictures and indices of colors are not changed."""
    monkeypatch.setattr(pixels, "MAX_PREVIEW_PIXELS", 1000)
    image = Image.linear_gradient("L").resize((64, 60)).convert(mode)
    assert pixels.reduced_for_preview(image).size == ((64, 60) if mode == "P" else (32, 30))
    assert pixels.reduced_for_preview(image.crop((0, 0, 25, 40))).size == (25, 40)
    array = np.asarray(image.convert("RGB")).astype(np.uint16)
    assert pixels.reduced_for_preview(array).shape == (30, 32, 3)
