"""The picture that says why, and the command that writes it."""

import numpy as np
import pytest
from PIL import Image

from autocrop import explain as explaining
from autocrop import weights
from autocrop.engines import Features, load_model
from autocrop.search.crop import Crop
from tests.helpers.search import find_crops


@pytest.mark.parametrize("model", sorted(weights.manifest()))
def test_every_bundled_model_can_be_explained(model, samples):
    """There are maps, they vary over the photo, and the picture shows the crop bright and the rest dark."""
    engine = load_model(model, "cpu")
    image = np.asarray(Image.open(samples[1]).convert("RGB"))
    features = engine.encode(image)
    crops = find_crops(engine, features, image.shape[1::-1], (1, 1), top=3)
    maps = explaining.heat_maps(engine, features)
    assert maps
    assert all(values.ndim == 2 and values.std() > 0 for values in maps.values())
    picture = explaining.explain(image, crops, maps)
    assert picture.width == explaining.WIDTH
    shown = np.asarray(picture)
    scale = explaining.WIDTH / image.shape[1]
    if image.shape[0] * scale > explaining.LARGEST_HEIGHT:
        pytest.skip("the sample is narrower than the picture")
    left, top, right, bottom = crops[0].box
    middle = round((left + right) / 2 * scale), round((top + bottom) / 2 * scale)
    original = np.asarray(Image.fromarray(image).resize((explaining.WIDTH, round(image.shape[0] * scale))))
    inside = np.s_[middle[1] - 5 : middle[1] + 5, middle[0] - 5 : middle[0] + 5]
    assert shown[inside].mean() == pytest.approx(original[inside].mean(), abs=25)


class Known:
    """An engine whose maps are known."""

    def __init__(self, network, maps):
        self.network = network
        self._maps = maps

    def maps(self, features):
        return self._maps


def test_what_each_model_shows():
    """ASM-Net: mean and spread; SAFRC: the mean and the strongest blocks; a model without readers: nothing."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(12, 8, 9)).astype(np.float32)
    features = Features(None, 1.0)
    mean, spread = explaining.heat_maps(Known("asmnet", {"scores": scores}), features).values()
    assert np.allclose(mean, scores.mean(axis=0))
    assert np.allclose(spread, scores.std(axis=0))
    peaks = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 4, 4), np.float32)
    titles = list(explaining.heat_maps(Known("safrc", {"features": scores, "peaks": peaks}), features))
    assert titles[1:] == [f"Attended map of block {number}" for number in (5, 4, 3)]
    assert explaining.heat_maps(Known("somebody's own", {}), features) == {}


def test_where_set_predictions_crops_are():
    """Two crops, one three times as valid: the map's rows go down the photo, its columns across."""
    maps = {
        "boxes": np.array([[0, 0, 1, 0.25], [0.5, 0, 1, 1]], np.float32),
        "confidence": np.array([0.6, 0.2], np.float32),
    }
    (found,) = explaining.heat_maps(Known("setpred", maps), Features(None, 1.0)).values()
    size = len(found)
    expected = np.zeros((size, size))
    expected[: size // 4] += 0.75
    expected[:, size // 2 :] += 0.25
    assert found == pytest.approx(expected, abs=1e-6)


def test_where_cblnet_looks():
    """The first half of the attention, over rows, makes the left and right sides; each is a mean over its heads."""
    attention = np.random.default_rng(0).random((6, 3, 4), np.float32)
    found = explaining.heat_maps(Known("cblnet", {"attention": attention}), Features(None, 1.0))
    (sides, over_rows), (ends, over_columns) = found.items()
    assert "left and right" in sides
    assert "upper and lower" in ends
    assert over_rows == pytest.approx((attention[0] + attention[1] + attention[2]) / 3)
    assert over_columns == pytest.approx((attention[3] + attention[4] + attention[5]) / 3)


def test_tall_and_tiny_photos(engine):
    """Any shape fits into the picture."""
    for width, height in ((3000, 40), (40, 3000), (1, 1), (200, 300), (20000, 20)):
        image = np.zeros((height, width, 3), np.uint8)
        crops = find_crops(engine, engine.encode(image), (width, height))
        picture = explaining.explain(image, crops, {"map": np.random.default_rng(0).random((4, 6), np.float32)})
        assert picture.width == explaining.WIDTH
        assert picture.height < 1500


def test_crops_of_less_than_a_pixel_are_drawn():
    """A crop a few pixels high of a long, thin photo is less than a pixel of the picture; it is drawn as one."""
    for top, bottom in ((0, 9), (5, 14), (11, 20)):
        crop = Crop((0, top, 20000, bottom), 1.0, None, 0.5, (20000, 20))
        assert explaining.explain(np.zeros((20, 20000, 3), np.uint8), [crop], {}).width == explaining.WIDTH
