"""Spectral residual saliency."""

import numpy as np
import pytest
from PIL import Image

from autocrop.training.saliency import spectral_residual


def test_single_object_is_salient():
    """A small disc on a smooth background is more salient than the background."""
    y, x = np.mgrid[:240, :360]
    image = np.repeat((80 + x / 12)[..., None], 3, axis=2)
    disc = (y - 80) ** 2 + (x - 250) ** 2 < 15**2
    image[disc] = (220, 40, 40)
    saliency = spectral_residual(image.astype(np.uint8))
    assert saliency.shape == (240, 360)
    assert saliency.dtype == np.float32
    assert 0 <= saliency.min() <= saliency.max() <= 1
    assert saliency[disc].mean() > 3 * saliency[:, :150].mean()


@pytest.mark.parametrize("shape", [(256, 256, 3), (256, 1024, 3), (1024, 256, 3)])
def test_saliency_of_uniform_image_is_finite(shape):
    """An image of a single color has no NaN or infinite values."""
    assert np.isfinite(spectral_residual(np.full(shape, 128, np.uint8))).all()


def test_only_part_of_a_photo_is_salient(samples):
    """In a portrait, some pixels are salient and most are not."""
    saliency = spectral_residual(np.asarray(Image.open(samples[0]).convert("RGB")))
    assert 0.02 < (saliency > 0.5).mean() < 0.4
