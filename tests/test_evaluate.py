import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autocrop.datasets import Sample, Votes
from autocrop.evaluate import centre_crop, crop_ratio, evaluate
from tests.cli.test_crop import autocrop

FAVOURITE = np.array([[0.2, 0.2, 0.7, 0.8]], np.float32)


@pytest.fixture
def labelled(tmp_path):
    """Three photos whose best crop is the favourite of the test's engine; two have votes."""
    found = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (90, 60), (40 * number, 90, 60)).save(path)
        pairs = np.stack([FAVOURITE, np.array([[0, 0, 1, 1]], np.float32)], axis=1)
        votes = Votes(pairs, np.array([[4, 1]] if number else [[2, 3]])) if number < 2 else None
        found.append(Sample(path, 90, 60, FAVOURITE, votes=votes))
    return found


def test_report(engine, labelled):
    """Overlap, classes, votes and baselines, with a model that knows the answer."""
    report = evaluate(engine, labelled)
    assert report["n"] == 3
    assert report["iou"] > 0.9
    assert report["bde"] < 0.03
    assert list(report["shots"]) == ["few"]
    assert (report["pair_accuracy"], report["pairs"]) == (0.5, 2)
    assert (report["pair_accuracy_strong"], report["pairs_strong"]) == (1.0, 1)
    assert report["baselines"]["whole_photo"]["iou"] == pytest.approx(0.3)
    assert set(report["baselines"]) == {"mean_crop", "whole_photo"}


def test_given_ratio(engine, labelled):
    """The search is held to the human crop's ratio; the baseline is the largest centre crop of it."""
    report = evaluate(engine, labelled, given_ratio=True)
    ratio = crop_ratio(labelled[0])
    assert ratio == pytest.approx(0.5 * 90 / (0.6 * 60))
    assert set(report["baselines"]) == {"centre_crop"}
    assert report["baselines"]["centre_crop"]["iou"] == pytest.approx(0.3 / (5 / 6))


def test_centre_crop():
    """The largest of its ratio, in the middle, whether the photo is wider or higher."""
    assert centre_crop(2, 1) == pytest.approx(np.array([[0.25, 0, 0.75, 1]]))
    assert centre_crop(1, 2) == pytest.approx(np.array([[0, 0.25, 1, 0.75]]))


def test_without_votes_the_accuracy_is_none(engine, labelled):
    """Not 0 and not NaN: there is nothing to be right about."""
    report = evaluate(engine, labelled[2:])
    assert report["pair_accuracy"] is None
    assert report["pair_accuracy_strong"] is None


def test_command(tiny_fcdb):
    """Autocrop eval measures the bundled model without torch and prints one JSON object, or a table."""
    done = autocrop("eval", "--data", f"fcdb:{tiny_fcdb}", "--split", "val", "--json", cwd=tiny_fcdb)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {"iou", "bde", "n", "pair_accuracy", "baselines"} <= report.keys()
    assert report["n"] == 2
    done = autocrop("eval", "--data", f"fcdb:{tiny_fcdb}", "--given-ratio", cwd=tiny_fcdb)
    assert "centre crop" in done.stdout


def test_a_missing_split_is_a_sentence(tiny_fcdb):
    """No empty table and no traceback."""
    done = autocrop("eval", "--data", f"fcdb:{tiny_fcdb}", "--split", "test", cwd=tiny_fcdb)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "cropping_testing_set.json is missing" in done.stderr
    assert Path(tiny_fcdb).name in done.stderr
