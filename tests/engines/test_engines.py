"""Both engines with the bundled models."""

import dataclasses
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from autocrop import weights
from autocrop.concurrency import default_workers
from autocrop.engines import load_model, opencv
from autocrop.geometry.candidates import dense_anchors, grid_anchors
from tests.helpers.search import find_boxes

MODELS = sorted(weights.manifest())


def varied_photos(samples, count):
    """Make *count* different photos: parts of the samples, mirrored and brightened, of many sizes and shapes."""
    rng = np.random.default_rng(0)
    images = [np.asarray(Image.open(path).convert("RGB")) for path in samples]
    for number in range(count):
        image = images[number % len(images)]
        height, width = image.shape[:2]
        h, w = (int(side * rng.uniform(0.5, 1)) for side in (height, width))
        y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        part = image[y : y + h, x : x + w][:, :: rng.choice([1, -1])]
        yield np.ascontiguousarray(np.clip(part * rng.uniform(0.6, 1.3), 0, 255).astype(np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_opencv_and_torch_agree(model, samples):
    """Scores differ by less than 1e-3, and the best candidate is the same in all photos but one."""
    pytest.importorskip("torch")
    count = 100 if model == weights.default_model() else 15
    opencv_engine, torch_engine = load_model(model, "cpu"), load_model(model, "cpu", engine="torch")
    agreements = 0
    for image in varied_photos(samples, count):
        boxes = np.concatenate([grid_anchors(image.shape[1] / image.shape[0]), dense_anchors()[::30]])
        scores, torch_scores = (engine.score(engine.encode(image), boxes) for engine in (opencv_engine, torch_engine))
        assert scores == pytest.approx(torch_scores, abs=1e-3)
        agreements += int(scores.argmax() == torch_scores.argmax())
    assert agreements >= count - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "changes"),
    [("vrn", {"channels": 16, "splitter": False, "side": 224}), ("safrc", {"side": 224}), ("asmnet", {"side": 224})],
)
def test_an_exported_network_keeps_its_scores(model, changes, samples, tmp_path):
    """A network of another recipe than the bundled one scores the same after its export, in both engines."""
    torch = pytest.importorskip("torch")
    from autocrop import models
    from autocrop.engines.torch import TorchEngine
    from autocrop.training.export import export_checkpoint

    torch.manual_seed(0)
    recipe = models.MODELS[model].RECIPE(backbone="mobilenet_v3_small", **changes)
    network = models.MODELS[model](recipe)
    state = {"name": model, "recipe": dataclasses.asdict(recipe), "model": network.state_dict(), "data": "fcdb"}
    torch.save(state | {"epoch": 1, "metrics": {"iou": 0.5}}, tmp_path / "best.pt")
    export_checkpoint(tmp_path / "best.pt", tmp_path / "mine", "mine")
    image = np.asarray(Image.open(samples[0]).convert("RGB"))
    before, opencv, from_onnx = (
        engine.score(engine.encode(image), dense_anchors()[::30])
        for engine in (
            TorchEngine(model, network),
            load_model(weights=tmp_path / "mine", engine="opencv"),
            load_model(weights=tmp_path / "mine", device="cpu", engine="torch"),
        )
    )
    assert np.ptp(before) > 0
    assert opencv == pytest.approx(before, abs=1e-3)
    assert from_onnx == pytest.approx(opencv, abs=1e-5)


def test_the_torch_engine_accepts_read_only_boxes(samples):
    """Cached candidates are read-only, and torch does not warn about that."""
    torch = pytest.importorskip("torch")
    engine = load_model("asmnet", "cpu", engine="torch")
    boxes = dense_anchors()
    assert not boxes.flags.writeable
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            engine.score(engine.encode(np.asarray(Image.open(samples[0]).convert("RGB"))), boxes)
    finally:
        torch.set_warn_always(before)


@pytest.mark.parametrize("model", MODELS)
def test_scores_do_not_depend_on_other_boxes(model, samples):
    """A box has one score, whichever boxes are scored with it, and a different score in another photo."""
    engine = load_model(model, "cpu")
    first, second = (np.asarray(Image.open(path).convert("RGB")) for path in samples[:2])
    boxes = dense_anchors()[:50]
    together = engine.score(engine.encode(first), boxes)
    alone = np.concatenate([engine.score(engine.encode(first), box[None]) for box in boxes[:5]])
    assert together[:5] == pytest.approx(alone, abs=1e-4)
    assert np.abs(together - engine.score(engine.encode(second), boxes)).max() > 0.05


def test_a_search_is_quick(samples):
    """A photo is encoded and searched within 120 ms; the limit leaves room for a busy machine."""
    engine = load_model(None, "cpu")
    image = np.asarray(Image.open(samples[0]).convert("RGB").resize((576, 384)))
    times = []
    for _ in range(5):
        started = time.perf_counter()
        find_boxes(engine, engine.encode(image))
        times.append(time.perf_counter() - started)
    assert min(times) < 0.25


def test_only_asmnet_scores_circles(samples):
    """ASM-Net pools over the inscribed circle (eq. 9), with the same scores in both engines."""
    pytest.importorskip("torch")
    image = np.asarray(Image.open(samples[0]).convert("RGB"))
    boxes = dense_anchors()[::40]
    scores = []
    for name in ("opencv", "torch"):
        engine = load_model("asmnet", "cpu", engine=name)
        features = engine.encode(image)
        assert engine.shapes == ("rectangle", "circle")
        scores.append(engine.score(features, boxes, shape="circle"))
        assert np.abs(scores[-1] - engine.score(features, boxes)).max() > 0.01
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    assert load_model("vrn", "cpu").shapes == ("rectangle",)


@pytest.mark.parametrize("model", ["vrn", "asmnet"])
def test_threads_share_a_bounded_number_of_graphs(model, samples, monkeypatch):
    """Twenty threads at once load one graph per core at most, and each photo gets its own scores."""
    loaded = []
    read = opencv.read_graph
    monkeypatch.setattr(opencv, "read_graph", lambda path: loaded.append(path) or read(path))
    engine = load_model(model, "cpu", engine="opencv")
    images = [np.asarray(Image.open(path).convert("RGB")) for path in samples]
    boxes = dense_anchors()[::40]
    expected = [engine.score(engine.encode(image), boxes) for image in images]
    assert len(loaded) == 1
    start = threading.Barrier(20)

    def score(number):
        start.wait(30)
        image = images[number % len(images)]
        return engine.score(engine.encode(image), boxes)

    with ThreadPoolExecutor(20) as executor:
        for number, scores in enumerate(executor.map(score, range(20))):
            assert scores == pytest.approx(expected[number % len(images)], abs=1e-5)
    assert len(loaded) <= default_workers()


def test_a_failed_encoding_returns_its_graphs(samples):
    """An engine works after more failures than it has graphs."""
    engine = load_model(None, "cpu", engine="opencv")
    image = np.asarray(Image.open(samples[0]).convert("RGB"))
    boxes = dense_anchors()[::40]
    expected = engine.score(engine.encode(image), boxes)
    features = engine.encode(image)
    for _ in range(default_workers() + 1):
        with pytest.raises(AttributeError):
            engine.score(dataclasses.replace(features, maps=dataclasses.replace(features.maps, prepared=None)), boxes)
    assert engine.score(engine.encode(image), boxes) == pytest.approx(expected, abs=1e-5)
