"""Both engines, on the bundled models."""

import dataclasses
import json
import shutil
import time
import warnings

import numpy as np
import pytest
from PIL import Image

from autocrop import weights
from autocrop.engines import load_model, pick_device, preprocess, require_torch
from autocrop.errors import AutocropError, UsageError
from autocrop.geometry.boxes import FULL_FRAME
from autocrop.geometry.candidates import dense_anchors, grid_anchors
from tests.helpers.search import find_boxes

MODELS = sorted(weights.manifest())


def variations(samples, count):
    """*count* different photos: crops of the samples, mirrored and brightened, of many sizes and shapes."""
    rng = np.random.default_rng(0)
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in samples]
    for number in range(count):
        picture = pictures[number % len(pictures)]
        height, width = picture.shape[:2]
        h, w = (int(side * rng.uniform(0.5, 1)) for side in (height, width))
        y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        part = picture[y : y + h, x : x + w][:, :: rng.choice([1, -1])]
        yield np.ascontiguousarray(np.clip(part * rng.uniform(0.6, 1.3), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("model", MODELS)
def test_opencv_and_torch_agree(model, samples):
    """Scores within 1e-3 on photos of many shapes, and the same best candidate on all of them but one."""
    pytest.importorskip("torch")
    count = 100 if model == weights.default_model() else 15
    opencv, torch_engine = load_model(model, "cpu"), load_model(model, "cpu", engine="torch")
    same = 0
    for image in variations(samples, count):
        aspect = image.shape[1] / image.shape[0]
        boxes = np.concatenate([grid_anchors(aspect), dense_anchors()[::30]])
        a, b = (engine.score(engine.encode(image), boxes) for engine in (opencv, torch_engine))
        assert a == pytest.approx(b, abs=1e-3)
        same += int(a.argmax() == b.argmax())
    assert same >= count - 1


@pytest.mark.parametrize(
    ("model", "changes"),
    [("vrn", {"channels": 16, "splitter": False, "side": 224}), ("safrc", {"side": 224}), ("asmnet", {"side": 224})],
)
def test_export_keeps_the_scores(model, changes, samples, tmp_path):
    """A network, another recipe than the bundled one, exported: both engines score as the network itself does."""
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
    scores = [
        engine.score(engine.encode(image), dense_anchors()[::30])
        for engine in (
            TorchEngine(model, network),
            load_model(weights=tmp_path / "mine", engine="opencv"),
            load_model(weights=tmp_path / "mine", device="cpu", engine="torch"),
        )
    ]
    assert np.ptp(scores[0]) > 0
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)
    assert scores[2] == pytest.approx(scores[1], abs=1e-5)


def test_the_torch_engine_takes_boxes_that_must_not_change(samples):
    """Candidates are kept and read-only; torch shall not warn of that."""
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
def test_scores_depend_on_the_photo_and_not_on_the_company(model, samples):
    """A box has one score, whatever other boxes are asked about, and another one in another photo."""
    engine = load_model(model, "cpu")
    first, second = (np.asarray(Image.open(path).convert("RGB")) for path in samples[:2])
    boxes = dense_anchors()[:50]
    together = engine.score(engine.encode(first), boxes)
    alone = np.concatenate([engine.score(engine.encode(first), box[None]) for box in boxes[:5]])
    assert together[:5] == pytest.approx(alone, abs=1e-4)
    assert np.abs(together - engine.score(engine.encode(second), boxes)).max() > 0.05


def test_model_part_is_quick(samples):
    """Encode, 300 candidates and refinement within 120 ms, with room for a busy machine."""
    engine = load_model(None, "cpu")
    image = np.asarray(Image.open(samples[0]).convert("RGB").resize((576, 384)))
    times = []
    for _ in range(5):
        started = time.perf_counter()
        features = engine.encode(image)
        find_boxes(engine, features)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.25


@pytest.mark.parametrize(
    ("size", "expected"),
    [((600, 400), (384, 256)), ((400, 600), (256, 384)), ((32, 32), (256, 256)), ((9000, 300), (1024, 256))],
)
def test_input_sizes(size, expected):
    """Short side 256, multiples of 32, and never larger than memory can bear."""
    assert preprocess.input_size(*size) == expected


def test_normalization():
    """ImageNet's mean becomes 0; the layout is [1, 3, H, W]."""
    image = np.broadcast_to((preprocess.MEAN * 255).round().astype(np.uint8), (4, 6, 3))
    normalized = preprocess.normalize(image)
    assert normalized.shape == (1, 3, 4, 6)
    assert np.abs(normalized).max() < 0.02


def test_weights_from_a_folder(tmp_path):
    """A folder with one model is used, and a file that was tampered with is refused."""
    card = weights.card(weights.default_model())
    for part, path in weights.locate(card.name).items():
        shutil.copy(path, tmp_path / card.files[part].name)
    weights.write_manifest(tmp_path, [dataclasses.replace(card, name="mine")])
    engine = load_model(weights=tmp_path)
    assert engine.model == "mine"
    assert engine.score(engine.encode(np.zeros((64, 64, 3), np.uint8)), FULL_FRAME).shape == (1,)
    with (tmp_path / card.files["head"].name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(AutocropError, match="sha256"):
        load_model(weights=tmp_path)


def test_a_damaged_graph_is_named(tmp_path):
    """A file that is no ONNX graph gets a sentence, also where its digest is right."""
    card = weights.card(weights.default_model())
    files = {}
    for part, file in card.files.items():
        (tmp_path / file.name).write_bytes(b"no graph")
        files[part] = weights.WeightsFile.of(tmp_path / file.name)
    weights.write_manifest(tmp_path, [dataclasses.replace(card, files=files)])
    with pytest.raises(AutocropError, match="no ONNX graph"):
        load_model(weights=tmp_path)


def test_impossible_wishes(monkeypatch):
    """Engines and devices that do not exist, or not here, get a sentence that says what to do."""
    with pytest.raises(UsageError, match="no engine 'tensorflow'"):
        load_model(engine="tensorflow")
    with pytest.raises(UsageError, match="--engine torch"):
        load_model(device="cuda", engine="opencv")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AutocropError, match=r'pip install "autocrop-photo\[torch\]"'):
        require_torch("Training")
    with pytest.raises(AutocropError, match=r"autocrop-photo\[torch\]"):
        pick_device("cuda")
    assert pick_device("auto") == "cpu"


def test_manifest_is_complete():
    """Every bundled file has the digest and the size that the manifest says; the card names data, recipe, metrics."""
    assert not any(weights.verify_all().values())
    text = json.dumps([card.to_dict() for card in weights.manifest().values()])
    assert "research purposes only" in text
    for card in weights.manifest().values():
        assert card.recipe["epochs"] > 0
        assert 0.5 < card.metrics["iou"] < 1
        for part, path in weights.locate(card.name).items():
            assert path.stat().st_size == card.files[part].bytes < 30e6


def test_circles_are_scored_by_the_model_that_can(samples):
    """ASM-Net pools over the inscribed circle (eq. 9), in both engines alike; the others have rectangles only."""
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
