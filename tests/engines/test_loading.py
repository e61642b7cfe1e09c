"""Loading of models, and the choice of engine and device."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from autocrop import weights
from autocrop.engines import load_model, pick_device, require_torch
from autocrop.errors import AutocropError, UsageError
from autocrop.geometry.boxes import FULL_FRAME


def test_weights_are_loaded_from_a_folder(tmp_path):
    """A folder with one model is used, and a file that was tampered with is rejected."""
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


def test_a_damaged_graph_is_rejected(tmp_path):
    """The message names a file that is not an ONNX graph, even if its digest is right."""
    card = weights.card(weights.default_model())
    files = {}
    for part, file in card.files.items():
        (tmp_path / file.name).write_bytes(b"no graph")
        files[part] = weights.WeightsFile.of(tmp_path / file.name)
    weights.write_manifest(tmp_path, [dataclasses.replace(card, files=files)])
    with pytest.raises(AutocropError, match="not an ONNX graph"):
        load_model(weights=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "tensorflow"}, "Unknown engine 'tensorflow'. Use one of: auto, opencv, torch"),
        ({"device": "tpu"}, "Unknown device 'tpu'. Use one of: auto, cpu, cuda"),
        ({"device": "cuda", "engine": "opencv"}, "--engine torch"),
        ({"model": "vrn", "weights": "folder"}, "Use only one of them"),
    ],
)
def test_invalid_arguments_are_rejected(arguments, message):
    """Unknown engines and devices, and arguments that conflict, raise with a message that says what to do."""
    with pytest.raises(UsageError, match=message):
        load_model(**arguments)


def test_missing_torch_is_reported(monkeypatch):
    """Without torch, the message says how to install it, and the automatic device is the CPU."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AutocropError, match=r'pip install "autocrop-photo\[torch\]"'):
        require_torch("Training")
    with pytest.raises(AutocropError, match=r"autocrop-photo\[torch\]"):
        pick_device("cuda")
    assert pick_device("auto") == "cpu"


def test_the_manifest_is_complete():
    """Every bundled file has the manifest's digest and size, and every card has its data, recipe and metrics."""
    assert not any(weights.verify_all().values())
    text = json.dumps([card.to_dict() for card in weights.manifest().values()])
    assert "research purposes only" in text
    for card in weights.manifest().values():
        assert card.recipe["epochs"] > 0
        assert 0.5 < card.metrics["iou"] < 1
        for part, path in weights.locate(card.name).items():
            assert path.stat().st_size == card.files[part].bytes < 30e6
