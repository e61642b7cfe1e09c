"""Training on cached features of a frozen backbone."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from autocrop.datasets import Sample, load
from autocrop.engines.torch import TorchEngine
from autocrop.geometry.candidates import dense_anchors
from autocrop.images import open_photo
from autocrop.models import MODELS
from autocrop.training.data import TrainingViews
from autocrop.training.feature_cache import CachedEngine, FeatureCache
from autocrop.training.loop import FitOptions, fit


def new_network(model="vrn"):
    """Create a network with a frozen backbone, always with the same weights."""
    recipe = dataclasses.replace(
        MODELS[model].RECIPES["fcdb"], epochs=1, batch=2, views=8, lr=1e-2, freeze_backbone=True, average=0
    )
    torch.manual_seed(0)
    return MODELS[model](recipe)


@pytest.fixture
def train_split(tiny_fcdb):
    return load(f"fcdb:{tiny_fcdb}", "train")


@pytest.mark.parametrize("model", ["vrn", "safrc", "asmnet"])
def test_frozen_backbone_does_not_change(model, train_split, tmp_path):
    """Training changes the other parameters only, and cached features equal computed ones up to rounding."""
    network = new_network(model)
    batches = TrainingViews(train_split, network.recipe, cache=FeatureCache(network.backbone))
    views = next(batches.epoch(0))[0]
    network.eval()
    computed, cached = network.encode(views.image), network.features(network.maps(views))
    for a, b in zip(computed, cached, strict=True):
        assert torch.allclose(a, b, atol=0.02 * float(a.detach().abs().max()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fit(network, batches, lambda network: {"iou": 0.5}, FitOptions(tmp_path))
    changed = {
        name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed
    assert "backbone" not in changed


def test_features_on_disk_are_reused(train_split, tmp_path, monkeypatch):
    """A second cache with the same folder does not run the backbone. Another backbone writes its own files."""
    network = new_network()
    image = next(TrainingViews(train_split, network.recipe).epoch(0))[0].image
    pixels = np.zeros((64, 96, 3), np.uint8)
    first = FeatureCache(network.backbone, tmp_path).maps(pixels, image)
    assert len(list(tmp_path.rglob("*.pt"))) == 1
    second = FeatureCache(network.backbone, tmp_path)
    monkeypatch.setattr(second, "_compute", lambda image: pytest.fail("The backbone was run again."))
    assert all(torch.equal(a, b) for a, b in zip(first[:3], second.maps(pixels, image)[:3], strict=True))
    other_backbone = MODELS["vrn"](network.recipe).backbone
    FeatureCache(other_backbone, tmp_path).maps(pixels, image)
    assert len(list(tmp_path.rglob("*.pt"))) == 2


def test_replaced_photo_has_new_features(tmp_path):
    """A photo with the name and size of another one has its own features, in memory and on disk."""
    network = new_network()
    sample = Sample(tmp_path / "photo.png", 96, 64, np.array([[0.1, 0.1, 0.8, 0.9]], np.float32))
    features = []
    for level in (0, 200):
        Image.new("RGB", (96, 64), (level, 40, 90)).save(sample.path)
        cache = FeatureCache(network.backbone, tmp_path / "cache")
        (views,) = next(TrainingViews([sample], network.recipe, cache=cache).epoch(0))
        # The photo has a single color and equals its mirror image: validation must find the features of training.
        CachedEngine(network, cache, "cpu").encode(open_photo(sample.path).preview())
        features.append(views.maps.stride8)
    assert not torch.equal(*features)
    assert len(list((tmp_path / "cache").rglob("*.pt"))) == 2


def test_cached_engine_scores_like_torch_engine(train_split):
    """Scores from cached features are equal up to rounding, and the backbone runs only once per photo."""
    network = new_network()
    image = open_photo(train_split[0].path).preview()
    boxes = dense_anchors()[::40]
    cache = FeatureCache(network.backbone)
    engine, cached_engine = TorchEngine("vrn", network), CachedEngine(network, cache, "cpu")
    expected, scores = (each.score(each.encode(image), boxes) for each in (engine, cached_engine))
    assert expected == pytest.approx(scores, abs=0.01)
    cache._backbone = None  # computing features would fail from here on
    assert (cached_engine.score(cached_engine.encode(image), boxes) == scores).all()
