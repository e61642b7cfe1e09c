"""Training on the kept features of a frozen backbone."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from autocrop.datasets import Sample, load
from autocrop.images import open_photo
from autocrop.models import MODELS
from autocrop.training.data import TrainingViews
from autocrop.training.feature_cache import CachedEngine, FeatureCache
from autocrop.training.loop import fit


def recipe_of(model):
    return dataclasses.replace(
        MODELS[model].RECIPES["fcdb"], epochs=1, batch=2, views=8, lr=1e-2, freeze_backbone=True, average=0
    )


@pytest.mark.parametrize("model", ["vrn", "safrc", "asmnet"])
def test_only_the_rest_is_trained(model, tiny_fcdb, tmp_path):
    """The backbone stays bit for bit, the rest moves; and the cache changes nothing but rounding."""
    torch.manual_seed(0)
    network = MODELS[model](recipe_of(model))
    samples = load(f"fcdb:{tiny_fcdb}", "train")
    cached = TrainingViews(samples, network.recipe, cache=FeatureCache(network.backbone))
    views = next(cached.epoch(0))[0]
    network.eval()
    expected, found = (network.encode(views.image), network.features(network.maps(views)))
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=0.02 * float(a.detach().abs().max()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fit(network, cached, tmp_path / "run", validate=lambda kept: {"iou": 0.5})
    changed = {
        name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed
    assert "backbone" not in changed


def test_features_are_kept_on_disk_for_the_next_run(tiny_fcdb, tmp_path, monkeypatch):
    """A second cache on the same folder never runs the backbone; another backbone has files of its own."""
    torch.manual_seed(0)
    network = MODELS["vrn"](recipe_of("vrn"))
    samples = load(f"fcdb:{tiny_fcdb}", "train")
    image = next(TrainingViews(samples, network.recipe).epoch(0))[0].image
    pixels = np.zeros((64, 96, 3), np.uint8)
    first = FeatureCache(network.backbone, tmp_path).maps(pixels, image)
    files = list(tmp_path.rglob("*.pt"))
    again = FeatureCache(network.backbone, tmp_path)
    monkeypatch.setattr(again, "_computed", lambda image: pytest.fail("computed again"))
    assert all(torch.equal(a, b) for a, b in zip(first[:3], again.maps(pixels, image)[:3], strict=True))
    other = MODELS["vrn"](recipe_of("vrn"))
    FeatureCache(other.backbone, tmp_path).maps(pixels, image)
    assert len(list(tmp_path.rglob("*.pt"))) == 2 * len(files) == 2


def test_another_photo_of_the_same_name_has_its_own_features(tmp_path):
    """A photo that was replaced, by one of the same size, is looked at anew, here and in the kept files."""
    torch.manual_seed(0)
    network = MODELS["vrn"](recipe_of("vrn"))
    sample = Sample(tmp_path / "photo.png", 96, 64, np.array([[0.1, 0.1, 0.8, 0.9]], np.float32))
    seen = []
    for level in (0, 200):
        Image.new("RGB", (96, 64), (level, 40, 90)).save(sample.path)
        cache = FeatureCache(network.backbone, tmp_path / "kept")
        (views,) = next(TrainingViews([sample], network.recipe, cache=cache).epoch(0))
        # One color, so that it does not matter whether this view is mirrored: validation finds what training kept.
        CachedEngine(network, cache, "cpu").encode(open_photo(sample.path).preview())
        seen.append(views.maps.stride8)
    assert not torch.equal(*seen)
    assert len(list((tmp_path / "kept").rglob("*.pt"))) == 2


def test_validation_uses_the_cache(tiny_fcdb):
    """The engine that validates such a run scores as the network's own engine does, but for rounding."""
    from autocrop.engines.torch import TorchEngine
    from autocrop.geometry.candidates import dense_anchors

    torch.manual_seed(0)
    network = MODELS["vrn"](recipe_of("vrn"))
    image = open_photo(load(f"fcdb:{tiny_fcdb}", "train")[0].path).preview()
    boxes = dense_anchors()[::40]
    cache = FeatureCache(network.backbone)
    engines = [TorchEngine("vrn", network), CachedEngine(network, cache, "cpu")]
    a, b = (engine.score(engine.encode(image), boxes) for engine in engines)
    assert a == pytest.approx(b, abs=0.01)
    cache._backbone = None  # from now on it could not compute anything
    assert (engines[1].score(engines[1].encode(image), boxes) == b).all()
