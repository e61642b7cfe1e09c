"""The command ``autocrop eval``."""

import json
from pathlib import Path

import pytest

from tests.helpers.command import autocrop
from tests.helpers.datasets import FLMS_CROPS, write_flms, write_gaicd


def test_eval_prints_json_or_table(tiny_fcdb):
    """The bundled model is measured without torch."""
    finished = autocrop("eval", "--data", f"fcdb:{tiny_fcdb}", "--split", "val", "--json", cwd=tiny_fcdb)
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert {"iou", "bde", "n", "pair_accuracy", "baselines"} <= report.keys()
    assert report["n"] == 2
    finished = autocrop("eval", "--data", f"fcdb:{tiny_fcdb}", "--given-ratio", cwd=tiny_fcdb)
    assert "center crop" in finished.stdout


def test_missing_split_is_an_error(tiny_fcdb):
    """The error names the missing file and its folder, and no table is printed."""
    finished = autocrop("eval", "--data", f"fcdb:{tiny_fcdb}", "--split", "test", cwd=tiny_fcdb)
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert "cropping_testing_set.json is missing" in finished.stderr
    assert Path(tiny_fcdb).name in finished.stderr


@pytest.mark.slow
def test_saved_predictions_have_the_same_metrics(tmp_path):
    """Measuring the saved file without a model gives the report of the run that wrote it."""
    write_gaicd(tmp_path / "gaicd", {"train": 1, "val": 3}, nested=False)
    (tmp_path / "gaicd" / "images" / "val" / "val2.jpg").write_bytes(b"damaged")
    common = ("eval", "--data", "gaicd:gaicd", "--top", "10", "--json")
    model = autocrop(*common, "--save", "out/saved.jsonl", cwd=tmp_path)
    assert model.returncode == 0, model.stderr
    assert "Left out 1 of 3 photos that are missing or unreadable: val2.jpg" in model.stderr
    file = autocrop(*common, "--predictions", "out/saved.jsonl", cwd=tmp_path)
    first, second = json.loads(model.stdout), json.loads(file.stdout)
    assert (first.pop("model"), second.pop("model")) == ("vrn", "saved")
    assert first == second
    assert (first["n"], first["listed"]) == (2, 3)
    assert first["ap"]["0.85"].keys() == {"5", "10"}
    again = autocrop(*common, "--save", "out/saved.jsonl", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "already exists" in again.stderr
    inside = autocrop(*common, "--save", "out/saved.jsonl/more.jsonl", cwd=tmp_path)
    assert (inside.returncode, "cannot be written" in inside.stderr) == (2, True)
    both = autocrop(*common, "vrn", "--predictions", "out/saved.jsonl", cwd=tmp_path)
    assert both.returncode == 2
    table = autocrop("eval", "--data", "gaicd:gaicd", "--predictions", "out/saved.jsonl", cwd=tmp_path).stdout
    assert "2 of 3 photos" in table
    assert {"SRCC", "Acc^w_10", "ACC_1/5,", "largest"} <= set(table.split())


def test_flms_is_evaluated_on_its_test_split(tmp_path):
    """The default split of FLMS is test, and the nearest of its best crops counts."""
    write_flms(tmp_path)
    rows = [{"name": name, "boxes": [[0, 0, 48, 32]], "width": 96, "height": 64} for name in FLMS_CROPS]
    (tmp_path / "peer.jsonl").write_text("\n".join(map(json.dumps, rows)))
    finished = autocrop("eval", "--data", f"flms:{tmp_path}", "--predictions", "peer.jsonl", "--json", cwd=tmp_path)
    report = json.loads(finished.stdout)
    second = (40 * 24) / (48 * 32 + 88 * 56 - 40 * 24)
    assert report["iou"] == pytest.approx((1 + second) / 2)
    assert (report["split"], report["recall"], report["pair_accuracy"]) == ("test", 0.5, None)
