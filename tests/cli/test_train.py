"""Train, resume, export and use what came out, all by the command."""

import json
import sys
import warnings

import pytest
from PIL import Image

from tests.helpers.command import autocrop
from tests.helpers.datasets import write_gaicd

torch = pytest.importorskip("torch")


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """The command in this process, which has torch already, in the test's folder; returns its exit code and stderr."""
    from autocrop import memory
    from autocrop.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "keep_freed_memory", lambda **_: False)  # it could not be undone

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["autocrop", *map(str, arguments)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.fixture
def backbone(tmp_path):
    """A file of weights that are not learned."""
    from torchvision.models import mobilenet_v2

    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "backbone.pth")


def test_train_export_crop(tiny_fcdb, tmp_path, photo, backbone, here):
    """A model is trained for one epoch, exported, and crops a photo by the engine without torch."""
    train = ["train", "vrn", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", "--batch", "2", "--set", "views=8"]
    train += ["--epochs", "1", "--backbone-weights", "backbone.pth"]
    done = autocrop(*train, cwd=tmp_path, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert "epoch 1/1" in done.stderr
    files = {"best.pt", "last.pt", "log.jsonl", "config.json", "curves.png"}
    assert {p.name for p in (tmp_path / "run").iterdir()} == files
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["command"].startswith("python -m autocrop train vrn --data")
    assert config["recipe"]["views"] == 8
    assert config["processes"] == 1
    with Image.open(tmp_path / "run" / "curves.png") as curves:
        assert len(curves.convert("RGB").getcolors(1 << 24)) > 5
    code, said = here("models", "export", "run/best.pt", "-o", "mine", "--name", "mine")
    assert code == 0, said
    (row,) = json.loads((tmp_path / "mine" / "manifest.json").read_text())["models"]
    assert row["recipe"]["views"] == 8
    assert "FCDB" in row["data"]
    for given in ("mine", "run/best.pt"):
        code, said = here("photo.jpg", "--weights", given, "-o", f"{given.replace('/', '_')}.jpg")
        assert code == 0, said
    with Image.open(tmp_path / "mine.jpg") as one, Image.open(tmp_path / "run_best.pt.jpg") as other:
        assert max(abs(a - b) for a, b in zip(one.size, other.size, strict=True)) <= 1
    # Going on with it: as it was, and not as another run, whose command would not be kept either.
    code, said = here(*train, "--resume")
    assert code == 0, said
    code, said = here(*train, "--resume", "--amp")
    assert code == 1
    assert "another amp (False, now True)" in said
    again = json.loads((tmp_path / "run" / "config.json").read_text())
    assert again.pop("resumed")[0]["command"].startswith("autocrop train vrn")
    assert again == config


def test_train_safrc_on_frozen_features_and_unlabeled_photos(tiny_fcdb, tmp_path, photo, backbone, here):
    """The consistency loss is there, the features are kept on disk, and the export has two features."""
    train = ["train", "safrc", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", "--batch", "2", "--set", "views=8"]
    train += ["--freeze-backbone", "--feature-cache", "kept", "--unlabeled", tiny_fcdb / "images", "--amp"]
    code, said = here(*train, "--epochs", "1", "--backbone-weights", "backbone.pth", "--set", "side=224")
    assert code == 0, said
    assert "consistency" in said
    assert len(list((tmp_path / "kept").rglob("*.pt"))) >= 6
    code, said = here("models", "export", "run/best.pt", "-o", "mine")
    assert code == 0, said
    code, said = here("explain", "photo.jpg", "--weights", "mine", "-o", "why.png")
    assert code == 0, said
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.width == 960


def test_validation_of_scored_crops(tmp_path, backbone, here):
    """The log has metrics only, and not the constant by which pairs are chosen."""
    write_gaicd(tmp_path / "gaicd", {"train": 2, "val": 1}, nested=True)
    train = ["train", "asmnet", "--data", "gaicd:gaicd", "-o", "run", "--epochs", "1", "--freeze-backbone"]
    code, said = here(*train, "--backbone", "mobilenet_v2", "--backbone-weights", "backbone.pth")
    assert code == 0, said
    row = json.loads((tmp_path / "run" / "log.jsonl").read_text())
    assert {"srcc", "acc_5", "pair_accuracy"} <= row["metrics"].keys()
    assert "gap" not in row["metrics"]


WRONG = [
    (["none"], "There is no model 'none'"),
    (["vrn", "--set", "color=3"], "--set color=3: write NAME=VALUE"),
    (["vrn", "--set", "views=many"], "--set views=many: the value must be like 64"),
    (["vrn", "--set", "views=0"], "views=0: it must be a number, 1 or more"),
    (["vrn", "--set", "splitter=perhaps"], "must be true or false"),
    (["vrn", "--recipe", "mine"], "There is no recipe 'mine'"),
    (["vrn", "--set", "backbone=foo"], "There is no backbone 'foo'"),
    (["vrn", "--set", "schedule=banana"], "There is no schedule 'banana'"),
    (["vrn", "--set", "optimizer=banana"], "There is no optimizer 'banana'"),
    (["vrn", "--unlabeled", "."], "vrn does not learn from photos without annotations"),
    (["safrc", "--unlabeled", ".", "--set", "classification=0"], "leaves photos without annotations out of its loss"),
    (["safrc", "--unlabeled", ".", "--set", "consistency=0"], "leaves photos without annotations out of its loss"),
    (["vrn", "--feature-cache", "kept"], "Add --freeze-backbone"),
    (["asmnet", "--backbone", "foo"], "There is no backbone 'foo'"),
    (["asmnet", "--set", "pattern=foo"], "Unknown composition pattern 'foo'"),
    (["vrn", "--data", "folder:fcdb/images"], "folder:fcdb/images carry no crops"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG)
def test_wrong_usage(tiny_fcdb, tmp_path, here, arguments, says):
    """Exit code 2 and a sentence."""
    code, said = here("train", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", *arguments)
    assert code == 2
    assert says in said
    assert not (tmp_path / "run").exists()


def test_wrong_usage_of_the_program(tiny_fcdb, tmp_path):
    """The same from a fresh process."""
    done = autocrop("train", "none", "--data", f"fcdb:{tiny_fcdb}", "-o", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("autocrop: There is no model 'none'")


def test_a_checkpoint_needs_exporting_for_opencv(tmp_path, photo):
    """The message names the command that does it."""
    (tmp_path / "best.pt").touch()
    done = autocrop("photo.jpg", "--weights", "best.pt", "--engine", "opencv", cwd=tmp_path)
    assert done.returncode == 2
    assert "autocrop models export best.pt" in done.stderr
