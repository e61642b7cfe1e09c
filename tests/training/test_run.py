"""Training as a library call."""

import json

import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from autocrop import memory
from autocrop.errors import UsageError
from autocrop.models.checkpoint import load_checkpoint
from autocrop.training.callbacks import Callbacks
from autocrop.training.options import TrainingOptions
from autocrop.training.run import run
from tests.helpers.datasets import write_photo


@pytest.fixture(autouse=True)
def _default_memory_settings(monkeypatch):
    """Keep the memory settings of the test process, which could not be restored."""
    monkeypatch.setattr(memory, "keep_freed_memory", lambda **_: False)


@pytest.fixture
def backbone_weights(tmp_path):
    """Save random weights of a backbone to a file."""
    from torchvision.models import mobilenet_v2

    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "backbone.pth")
    return tmp_path / "backbone.pth"


def test_run_reports_by_callbacks_only(tiny_fcdb, tmp_path, backbone_weights, capsys):
    """A run calls the callbacks in order, writes its files and prints nothing."""
    calls = []
    callbacks = Callbacks(
        on_message=lambda text: calls.append("message"),
        on_start=lambda: calls.append("start"),
        on_step=lambda progress: calls.append(f"step {progress.step} of {progress.steps}"),
        on_validation=lambda: calls.append("validation"),
        on_epoch=lambda record: calls.append(f"epoch {record.epoch}"),
    )
    overrides = {"epochs": 1, "batch": 2, "views": 8, "side": 96}
    output = tmp_path / "run"
    options = TrainingOptions(
        "vrn", f"fcdb:{tiny_fcdb}", output, overrides=overrides, backbone_weights=backbone_weights
    )
    best = run(options, callbacks)
    assert calls == ["message", "start", "step 1 of 2", "step 2 of 2", "validation", "epoch 1"]
    assert best == output / "best.pt"
    assert load_checkpoint(best)["recipe"]["views"] == 8
    assert json.loads((output / "config.json").read_text())["data"] == f"fcdb:{tiny_fcdb}"
    with Image.open(output / "curves.png") as curves:
        assert len(curves.convert("RGB").getcolors(1 << 24)) > 5
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_photos_without_annotations_are_rejected(tmp_path):
    """Nothing can be learned from a plain folder, and no run folder is created."""
    write_photo(tmp_path / "photos" / "a.jpg")
    with pytest.raises(UsageError, match="have no annotated crops"):
        run(TrainingOptions("vrn", f"folder:{tmp_path / 'photos'}", tmp_path / "run"))
    assert not (tmp_path / "run").exists()
