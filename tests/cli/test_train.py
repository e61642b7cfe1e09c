"""Train, resume, export and use what came out, all by the command."""

import json

import pytest
from PIL import Image

from tests.cli.test_crop import autocrop

torch = pytest.importorskip("torch")


def test_train_export_crop(tiny_fcdb, tmp_path, photo):
    """A model is trained for one epoch, exported, and crops a photo by the engine without torch."""
    from torchvision.models import mobilenet_v2

    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "backbone.pth")
    train = ["train", "vrn", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", "--batch", "2", "--set", "views=8"]
    done = autocrop(*train, "--epochs", "1", "--backbone-weights", "backbone.pth", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch 1/1" in done.stderr
    files = {"best.pt", "last.pt", "log.jsonl", "config.json", "curves.png"}
    assert {p.name for p in (tmp_path / "run").iterdir()} == files
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "train vrn --data" in config["command"]
    assert config["recipe"]["views"] == 8
    with Image.open(tmp_path / "run" / "curves.png") as curves:
        assert len(curves.convert("RGB").getcolors(1 << 24)) > 5
    done = autocrop("models", "export", "run/best.pt", "-o", "mine", "--name", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "mine" / "manifest.json").read_text())["models"]
    assert row["recipe"]["views"] == 8
    assert "FCDB" in row["data"]
    for given in ("mine", "run/best.pt"):
        done = autocrop("photo.jpg", "--weights", given, "-o", f"{given.replace('/', '_')}.jpg", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "mine.jpg") as one, Image.open(tmp_path / "run_best.pt.jpg") as other:
        assert max(abs(a - b) for a, b in zip(one.size, other.size, strict=True)) <= 1


def test_train_safrc_on_frozen_features_and_unlabelled_photos(tiny_fcdb, tmp_path, photo):
    """The consistency loss is there, the features are kept on disk, and the export has two features."""
    from torchvision.models import mobilenet_v2

    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "backbone.pth")
    train = ["train", "safrc", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", "--batch", "2", "--set", "views=8"]
    train += ["--freeze-backbone", "--feature-cache", "kept", "--unlabeled", tiny_fcdb / "images", "--amp"]
    done = autocrop(*train, "--epochs", "1", "--backbone-weights", "backbone.pth", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "consistency" in done.stderr
    assert len(list((tmp_path / "kept").rglob("*.pt"))) >= 6
    done = autocrop("models", "export", "run/best.pt", "-o", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = autocrop("explain", "photo.jpg", "--weights", "mine", "-o", "why.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.width == 960


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none"], "There is no model 'none'"),
        (["vrn", "--set", "colour=3"], "--set colour=3: write NAME=VALUE"),
        (["vrn", "--set", "views=many"], "--set views=many: the value must be like 64"),
        (["vrn", "--set", "splitter=perhaps"], "must be true or false"),
        (["vrn", "--recipe", "mine"], "There is no recipe 'mine'"),
        (["vrn", "--set", "backbone=foo"], "There is no backbone 'foo'"),
        (["vrn", "--set", "schedule=banana"], "There is no schedule 'banana'"),
        (["vrn", "--unlabeled", "."], "vrn does not learn from photos without annotations"),
        (["vrn", "--feature-cache", "kept"], "Add --freeze-backbone"),
        (["asmnet", "--backbone", "foo"], "There is no backbone 'foo'"),
        (["asmnet", "--set", "pattern=foo"], "There is no composition pattern 'foo'"),
    ],
)
def test_wrong_usage(tiny_fcdb, tmp_path, arguments, says):
    """Exit code 2 and a sentence."""
    done = autocrop("train", *arguments, "--data", f"fcdb:{tiny_fcdb}", "-o", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_needs_exporting_for_opencv(tmp_path, photo):
    """The message names the command that does it."""
    (tmp_path / "best.pt").touch()
    done = autocrop("photo.jpg", "--weights", "best.pt", "--engine", "opencv", cwd=tmp_path)
    assert done.returncode == 2
    assert "autocrop models export best.pt" in done.stderr
