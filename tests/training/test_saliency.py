import numpy as np
import pytest
from PIL import Image

from autocrop.training.saliency import spectral_residual


def test_a_lone_object_stands_out():
    """A small disc on a smooth ground is salient, the ground is not."""
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
def test_nothing_to_see(shape):
    """A plain picture has finite values."""
    assert np.isfinite(spectral_residual(np.full(shape, 128, np.uint8))).all()


def test_the_astronaut_is_more_salient_than_the_wall(samples):
    """On a real photo: some of it is salient, most is not."""
    saliency = spectral_residual(np.asarray(Image.open(samples[0]).convert("RGB")))
    assert 0.02 < (saliency > 0.5).mean() < 0.4
