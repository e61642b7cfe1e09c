"""The picture that explains a crop."""

import numpy as np
import pytest
from PIL import Image

from autocrop import weights
from autocrop.engines import Features, load_model
from autocrop.errors import UsageError
from autocrop.explain import check_output, draw, explain_photo, heat_maps
from autocrop.explain.drawing import MAX_PHOTO_HEIGHT, WIDTH
from autocrop.images import open_photo
from autocrop.search.crop import Crop
from tests.helpers.search import find_crops


@pytest.mark.parametrize("model", sorted(weights.manifest()))
def test_every_bundled_model_is_explained(model, samples):
    """Each model has heat maps that vary over the photo, and the picture shows the crop in its original brightness."""
    engine = load_model(model, "cpu")
    image = np.asarray(Image.open(samples[1]).convert("RGB"))
    features = engine.encode(image)
    crops = find_crops(engine, features, image.shape[1::-1], (1, 1), top=3)
    maps = heat_maps(engine, features)
    assert maps
    assert all(values.ndim == 2 and values.std() > 0 for values in maps.values())
    picture = draw(image, crops, maps)
    assert picture.width == WIDTH
    scale = WIDTH / image.shape[1]
    if image.shape[0] * scale > MAX_PHOTO_HEIGHT:
        pytest.skip("the sample is narrower than the picture")
    left, top, right, bottom = crops[0].box
    x, y = round((left + right) / 2 * scale), round((top + bottom) / 2 * scale)
    original = np.asarray(Image.fromarray(image).resize((WIDTH, round(image.shape[0] * scale))))
    center = np.s_[y - 5 : y + 5, x - 5 : x + 5]
    assert np.asarray(picture)[center].mean() == pytest.approx(original[center].mean(), abs=25)


class EngineWithMaps:
    """An engine with given feature maps."""

    def __init__(self, network, maps):
        self.network = network
        self._maps = maps

    def maps(self, features):
        return self._maps


def heat_maps_of(network, maps):
    """Extract the heat maps of a network with given feature maps."""
    return heat_maps(EngineWithMaps(network, maps), Features(None, 1.0))


def test_asmnet_shows_mean_and_spread():
    """The heat maps are the mean and the standard deviation over the score map's channels."""
    scores = np.random.default_rng(0).normal(size=(12, 8, 9)).astype(np.float32)
    mean, spread = heat_maps_of("asmnet", {"scores": scores}).values()
    assert np.allclose(mean, scores.mean(axis=0))
    assert np.allclose(spread, scores.std(axis=0))


def test_safrc_shows_the_strongest_attended_maps():
    """The first heat map is the mean, and the strongest blocks follow."""
    features = np.zeros((12, 8, 9), np.float32)
    peaks = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 4, 4), np.float32)
    titles = list(heat_maps_of("safrc", {"features": features, "peaks": peaks}))
    assert titles[1:] == [f"Attended map of block {number}" for number in (5, 4, 3)]


def test_an_unknown_network_has_no_heat_maps():
    """The picture of another engine's model has no heat maps."""
    assert heat_maps_of("unknown", {}) == {}


def test_set_prediction_shows_where_its_proposals_are():
    """Proposals are weighted by validity; the heat map's rows are the photo's rows."""
    maps = {
        "boxes": np.array([[0, 0, 1, 0.25], [0.5, 0, 1, 1]], np.float32),
        "confidence": np.array([0.6, 0.2], np.float32),
    }
    (coverage,) = heat_maps_of("setpred", maps).values()
    side = len(coverage)
    expected = np.zeros((side, side))
    expected[: side // 4] += 0.75
    expected[:, side // 2 :] += 0.25
    assert coverage == pytest.approx(expected, abs=1e-6)


def test_cblnet_shows_its_attention():
    """Attention over rows places the left and right sides; each heat map is the mean over its heads."""
    attention = np.random.default_rng(0).random((6, 3, 4), np.float32)
    (rows_title, over_rows), (columns_title, over_columns) = heat_maps_of("cblnet", {"attention": attention}).items()
    assert "left and right" in rows_title
    assert "upper and lower" in columns_title
    assert over_rows == pytest.approx((attention[0] + attention[1] + attention[2]) / 3)
    assert over_columns == pytest.approx((attention[3] + attention[4] + attention[5]) / 3)


@pytest.mark.parametrize("size", [(3000, 40), (40, 3000), (1, 1), (200, 300), (20000, 20)])
def test_photos_of_any_shape_fit_into_the_picture(engine, size):
    """Very wide, tall and small photos are drawn."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    crops = find_crops(engine, engine.encode(image), size)
    picture = draw(image, crops, {"map": np.random.default_rng(0).random((4, 6), np.float32)})
    assert picture.width == WIDTH
    assert picture.height < 1500


@pytest.mark.parametrize(("top", "bottom"), [(0, 9), (5, 14), (11, 20)])
def test_crops_smaller_than_a_pixel_are_drawn(top, bottom):
    """A crop of a long, thin photo may be less than a pixel high in the picture."""
    crop = Crop((0, top, 20000, bottom), 1.0, None, 0.5, (20000, 20))
    assert draw(np.zeros((20, 20000, 3), np.uint8), [crop], {}).width == WIDTH


def test_an_explanation_is_saved_as_png(engine, photo, tmp_path):
    """The best crop and three runners-up are explained in one PNG file."""
    explanation = explain_photo(engine, open_photo(photo))
    assert 2 <= len(explanation.crops) <= 4
    explanation.save(tmp_path / "why.png")
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == explanation.picture.size


def test_outputs_that_must_not_be_written_are_rejected(photo, tmp_path):
    """The output must be a PNG file other than the photo, and an existing file is only replaced on request."""
    (tmp_path / "old.png").touch()
    for output, message in ((tmp_path / "why.jpg", "ends in .png"), (tmp_path / "old.png", "--overwrite")):
        with pytest.raises(UsageError, match=message):
            check_output(output, photo)
    check_output(tmp_path / "old.png", photo, overwrite=True)
    check_output(tmp_path / "new.png", photo)
    photo.rename(tmp_path / "photo.png")
    with pytest.raises(UsageError, match="is the photo itself"):
        check_output(tmp_path / "photo.png", tmp_path / "photo.png", overwrite=True)
