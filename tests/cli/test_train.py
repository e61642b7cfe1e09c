"""Training, resuming and exporting with the command."""

import json
import sys
import warnings

import pytest
from PIL import Image

from tests.helpers.command import autocrop
from tests.helpers.datasets import write_gaicd

torch = pytest.importorskip("torch")


@pytest.fixture
def run_command(tmp_path, monkeypatch, capsys):
    """Run commands in this process, which has loaded torch already. Returns a function → exit code and stderr."""
    from autocrop import memory
    from autocrop.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "keep_freed_memory", lambda **_: False)  # could not be undone

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["autocrop", *map(str, arguments)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as exited:
            main()
        return exited.value.code, capsys.readouterr().err

    return run


@pytest.fixture
def backbone(tmp_path):
    """Save random weights of a backbone to a file."""
    from torchvision.models import mobilenet_v2

    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "backbone.pth")


@pytest.mark.slow
def test_trained_model_is_resumed_exported_and_used(tiny_fcdb, tmp_path, photo, backbone, run_command):
    """A model is trained for one epoch, exported, and crops a photo with and without torch."""
    train = ["train", "vrn", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", "--batch", "2", "--set", "views=8"]
    train += ["--epochs", "1", "--backbone-weights", "backbone.pth"]
    finished = autocrop(*train, cwd=tmp_path, OMP_NUM_THREADS="1")
    assert finished.returncode == 0, finished.stderr
    assert "epoch 1/1" in finished.stderr
    files = {"best.pt", "last.pt", "log.jsonl", "config.json", "curves.png"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == files
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["command"].startswith("python -m autocrop train vrn --data")
    assert config["recipe"]["views"] == 8
    assert config["processes"] == 1
    with Image.open(tmp_path / "run" / "curves.png") as curves:
        assert len(curves.convert("RGB").getcolors(1 << 24)) > 5
    code, stderr = run_command("models", "export", "run/best.pt", "-o", "exported", "--name", "mine")
    assert code == 0, stderr
    (row,) = json.loads((tmp_path / "exported" / "manifest.json").read_text())["models"]
    assert row["recipe"]["views"] == 8
    assert "FCDB" in row["data"]
    for weights, output in (("exported", "onnx.jpg"), ("run/best.pt", "checkpoint.jpg")):
        code, stderr = run_command("photo.jpg", "--weights", weights, "-o", output)
        assert code == 0, stderr
    with Image.open(tmp_path / "onnx.jpg") as one, Image.open(tmp_path / "checkpoint.jpg") as other:
        assert max(abs(a - b) for a, b in zip(one.size, other.size, strict=True)) <= 1
    # The run is resumed with its own options. A command with others is rejected and not recorded.
    code, stderr = run_command(*train, "--resume")
    assert code == 0, stderr
    code, stderr = run_command(*train, "--resume", "--amp")
    assert code == 1
    assert "amp was False, now True" in stderr
    resumed_config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert resumed_config.pop("resumed")[0]["command"].startswith("autocrop train vrn")
    assert resumed_config == config


@pytest.mark.slow
def test_safrc_learns_from_cached_features_and_unlabeled_photos(tiny_fcdb, tmp_path, photo, backbone, run_command):
    """The loss includes consistency, features are kept on disk, and the exported model can be explained."""
    train = ["train", "safrc", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", "--batch", "2", "--set", "views=8"]
    train += ["--freeze-backbone", "--feature-cache", "cache", "--unlabeled", tiny_fcdb / "images", "--amp"]
    code, stderr = run_command(*train, "--epochs", "1", "--backbone-weights", "backbone.pth", "--set", "side=224")
    assert code == 0, stderr
    assert "consistency" in stderr
    assert len(list((tmp_path / "cache").rglob("*.pt"))) >= 6
    code, stderr = run_command("models", "export", "run/best.pt", "-o", "exported")
    assert code == 0, stderr
    code, stderr = run_command("explain", "photo.jpg", "--weights", "exported", "-o", "why.png")
    assert code == 0, stderr
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.width == 960


def test_log_of_scored_crops_has_ranking_metrics(tmp_path, backbone, run_command):
    """Validation on GAICD logs ranking metrics, but not the constant that selects the pairs."""
    write_gaicd(tmp_path / "gaicd", {"train": 2, "val": 1}, nested=True)
    train = ["train", "asmnet", "--data", "gaicd:gaicd", "-o", "run", "--epochs", "1", "--freeze-backbone"]
    code, stderr = run_command(*train, "--backbone", "mobilenet_v2", "--backbone-weights", "backbone.pth")
    assert code == 0, stderr
    row = json.loads((tmp_path / "run" / "log.jsonl").read_text())
    assert {"srcc", "acc_5", "pair_accuracy"} <= row["metrics"].keys()
    assert "gap" not in row["metrics"]


INVALID = [
    (["none"], "Unknown model 'none'"),
    (["vrn", "--set", "color=3"], "The recipe of vrn has no field 'color'"),
    (["vrn", "--set", "color"], "--set color has no value. Write it as NAME=VALUE."),
    (["vrn", "--set", "views=many"], "views=many: the value must be a number such as 64"),
    (["vrn", "--set", "views=0"], "views=0 is out of range. Use a number of at least 1"),
    (["vrn", "--set", "splitter=perhaps"], "must be true or false"),
    (["vrn", "--recipe", "mine"], "Unknown recipe 'mine'"),
    (["vrn", "--set", "backbone=foo"], "Unknown backbone 'foo'"),
    (["vrn", "--set", "schedule=banana"], "Unknown schedule 'banana'"),
    (["vrn", "--set", "optimizer=banana"], "Unknown optimizer 'banana'"),
    (["vrn", "--imbalance", "c2c"], "Models with this field: cblnet"),
    (["vrn", "--unlabeled", "."], "vrn cannot learn from photos without annotations"),
    (["safrc", "--unlabeled", ".", "--set", "classification=0"], "ignores photos without annotations"),
    (["safrc", "--unlabeled", ".", "--set", "consistency=0"], "ignores photos without annotations"),
    (["vrn", "--feature-cache", "cache"], "Add --freeze-backbone"),
    (["asmnet", "--backbone", "foo"], "Unknown backbone 'foo'"),
    (["asmnet", "--set", "pattern=foo"], "Unknown composition pattern 'foo'"),
    (["vrn", "--data", "folder:fcdb/images"], "folder:fcdb/images have no annotated crops"),
]


@pytest.mark.parametrize(("arguments", "message"), INVALID)
def test_invalid_usage_is_rejected(tiny_fcdb, tmp_path, run_command, arguments, message):
    """The command exits with code 2 and an explanation, before it creates the run folder."""
    code, stderr = run_command("train", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", *arguments)
    assert code == 2
    assert message in stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow  # the import of torch
def test_invalid_usage_is_rejected_in_a_new_process(tiny_fcdb, tmp_path):
    """The program prints its name before the explanation."""
    finished = autocrop("train", "none", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", cwd=tmp_path)
    assert finished.returncode == 2
    assert finished.stderr.startswith("autocrop: Unknown model 'none'")


def test_checkpoint_is_rejected_by_opencv(tmp_path, photo):
    """The error names the command that exports the checkpoint."""
    (tmp_path / "best.pt").touch()
    finished = autocrop("photo.jpg", "--weights", "best.pt", "--engine", "opencv", cwd=tmp_path)
    assert finished.returncode == 2
    assert "autocrop models export best.pt" in finished.stderr
