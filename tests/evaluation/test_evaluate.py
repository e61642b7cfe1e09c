import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autocrop.datasets import Sample, Votes, load
from autocrop.datasets.gaicd import SCALE
from autocrop.errors import AutocropError, UsageError
from autocrop.evaluation import metrics
from autocrop.evaluation.evaluate import center_crop, crop_ratio, evaluate, measure
from autocrop.evaluation.predictions import Prediction, nothing
from autocrop.geometry import boxes as bx
from autocrop.geometry.candidates import dense_anchors, ratio_windows
from tests.helpers.command import autocrop
from tests.helpers.datasets import FLMS_CROPS, write_flms, write_gaicd, write_photo
from tests.helpers.engines import CenteredEngine

FAVORITE = np.array([[0.2, 0.2, 0.7, 0.8]], np.float32)


@pytest.fixture
def labeled(tmp_path):
    """Three photos whose best crop is the favorite of the test's engine; two have votes."""
    found = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (90, 60), (40 * number, 90, 60)).save(path)
        pairs = np.stack([FAVORITE, np.array([[0, 0, 1, 1]], np.float32)], axis=1)
        votes = Votes(pairs, np.array([[4, 1]] if number else [[2, 3]])) if number < 2 else None
        found.append(Sample(path, 90, 60, FAVORITE, votes=votes))
    return found


def test_report(engine, labeled):
    """Overlap, classes, votes and baselines, with a model that knows the answer."""
    report = evaluate(engine, labeled)
    assert report["n"] == 3
    assert report["iou"] > 0.9
    assert report["bde"] < 0.03
    assert list(report["shots"]) == ["few"]
    assert (report["pair_accuracy"], report["pairs"]) == (0.5, 2)
    assert (report["pair_accuracy_strong"], report["pairs_strong"]) == (1.0, 1)
    assert report["baselines"]["whole_photo"]["iou"] == pytest.approx(0.3)
    assert set(report["baselines"]) == {"mean_crop", "whole_photo"}


def test_given_ratio(engine, labeled):
    """The search is held to the human crop's ratio; the baseline is the largest center crop of it."""
    report = evaluate(engine, labeled, given_ratio=True)
    ratio = crop_ratio(labeled[0])
    assert ratio == pytest.approx(0.5 * 90 / (0.6 * 60))
    assert set(report["baselines"]) == {"center_crop"}
    assert report["baselines"]["center_crop"]["iou"] == pytest.approx(0.3 / (5 / 6))


def test_center_crop():
    """The largest of its ratio, in the middle, whether the photo is wider or higher."""
    assert center_crop(2, 1) == pytest.approx(np.array([[0.25, 0, 0.75, 1]]))
    assert center_crop(1, 2) == pytest.approx(np.array([[0, 0.25, 1, 0.75]]))


def test_without_votes_the_accuracy_is_none(engine, labeled):
    """Not 0 and not NaN: there is nothing to be right about."""
    report = evaluate(engine, labeled[2:])
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
    assert "center crop" in done.stdout


def test_a_missing_split_is_a_sentence(tiny_fcdb):
    """No empty table and no traceback."""
    done = autocrop("eval", "--data", f"fcdb:{tiny_fcdb}", "--split", "test", cwd=tiny_fcdb)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "cropping_testing_set.json is missing" in done.stderr
    assert Path(tiny_fcdb).name in done.stderr


def test_best_of_ten(engine, labeled):
    """With several good crops the nearest counts, there are no shot classes, and the table of keys stays."""
    other = np.array([[0, 0, 0.3, 0.3]], np.float32)
    several = [dataclasses.replace(sample, boxes=np.concatenate([other, sample.boxes])) for sample in labeled]
    one, many = evaluate(engine, labeled), evaluate(engine, several)
    assert (many["iou"], many["bde"], many["recall"]) == (one["iou"], one["bde"], 1.0)
    assert many["shots"] == {}
    with pytest.raises(UsageError, match="one best crop each"):
        evaluate(engine, several, given_ratio=True)


def test_ceilings(engine, labeled):
    """The best candidate of each set is at least as good as what the search found among them, and no better than 1."""
    ceilings = evaluate(engine, labeled)["ceilings"]
    assert list(ceilings) == ["grid_anchors", "dense_anchors"]
    expected = np.mean([bx.iou(dense_anchors(), FAVORITE).max()])
    assert ceilings["dense_anchors"] == pytest.approx(expected)
    exact = evaluate(engine, labeled, given_ratio=True)["ceilings"]["ratio_windows"]
    assert exact == pytest.approx(bx.iou(ratio_windows(1.5, crop_ratio(labeled[0])), FAVORITE).max())


@pytest.fixture
def scored(tmp_path):
    """Two photos of GAICD."""
    write_gaicd(tmp_path, {"train": 1, "test": 2}, nested=True)
    return load(f"gaicd:{tmp_path}", "test")


class Oracle(CenteredEngine):
    """A model that knows the opinions about the photo it saw last; the crops in between it does not like."""

    def __init__(self, samples):
        super().__init__()
        self.samples = iter(samples)

    def encode(self, image, aspect=None):
        self.sample = next(self.samples)
        return super().encode(image, aspect)

    def score(self, features, boxes, shape="rectangle"):
        known = {box.tobytes(): score for box, score in zip(self.sample.boxes, self.sample.scores, strict=True)}
        return np.array([known.get(box.tobytes(), -10) for box in boxes], np.float32)


def test_ranking_by_a_model_that_knows(scored):
    """All ranking metrics are 1, nothing is searched for, and best-crop metrics are absent but their keys are there."""
    report = evaluate(Oracle(scored), scored)
    assert report["protocol"] == "ranking"
    for key in ("srcc", "pcc", "acc_5", "acc_10", "acc_w_5", "acc_w_10", "pair_accuracy"):
        assert report[key] == pytest.approx(1), key
    assert set(report["acc"]) == {f"{k}/{n}" for k in (1, 2, 3, 4) for n in (5, 10)}
    assert (report["iou"], report["bde"], report["shots"], report["acc_1"]) == (None, None, {}, {})
    assert (report["gap"], report["pair_accuracy_strong"]) == (0.9, None)
    opinions = [np.array(sample.scores, np.float64) for sample in scored]
    gaps = [np.abs(o[:, None] - o)[np.triu_indices(len(o), 1)] for o in opinions]
    assert report["pairs"] == sum(int((np.round(gap, 2) >= 0.9).sum()) for gap in gaps)


def test_ranking_means_over_photos(engine, scored):
    """The report's figures are the means of the metrics of the photos, for the model and for what needs none."""
    report = evaluate(engine, scored)
    predicted = [engine.score(None, sample.boxes) for sample in scored]
    pairs = list(zip(predicted, [sample.scores for sample in scored], strict=True))
    assert report["srcc"] == pytest.approx(np.mean([metrics.spearman(*pair) for pair in pairs]))
    assert report["acc"]["3/10"] == pytest.approx(np.mean([metrics.top_accuracy(*pair, 3, 10) for pair in pairs]))
    assert report["acc_5"] == pytest.approx(np.mean([report["acc"][f"{k}/5"] for k in (1, 2, 3, 4)]))
    assert report["acc_w_10"] == pytest.approx(np.mean([report["acc_w"][f"{k}/10"] for k in (1, 2, 3, 4)]))
    largest = [metrics.spearman(np.round(bx.area(sample.boxes), 4), sample.scores) for sample in scored]
    assert report["baselines"]["largest_first"]["srcc"] == pytest.approx(np.mean(largest))


def test_crops_of_one_size_are_equal_to_the_baseline():
    """Largest first has no opinion on two crops of one size, wherever they lie: float32 must not give it one."""
    x = np.arange(40, dtype=np.float32) / 100
    boxes = np.stack([x, x / 2, x + np.float32(0.6), x / 2 + np.float32(0.7)], axis=1)
    assert len(np.unique(bx.area(boxes))) > 1
    scores = np.linspace(1, 5, 40, dtype=np.float32)
    sample = Sample(Path("photo.jpg"), 300, 200, boxes, scores, scale=SCALE)
    report = measure([sample], [dataclasses.replace(nothing("photo.jpg"), annotated=scores)])
    assert report["srcc"] == pytest.approx(1)
    assert report["baselines"]["largest_first"]["srcc"] == report["baselines"]["largest_first"]["pair_accuracy"] == 0


def test_boxes_found_among_scored_crops(scored):
    """A prediction of the good crops themselves finds them all; only as many boxes are looked at as were asked for."""
    perfect = []
    for sample in scored:
        order = np.argsort(-sample.scores, kind="stable")[:40]
        perfect.append(Prediction(sample.name, sample.boxes[order], sample.scores[order]))
    report = measure(scored, perfect, top=10)
    assert report["acc_1"] == {"0.85": {"5": 1, "10": 1}, "0.90": {"5": 1, "10": 1}}
    assert set(report["ap"]["0.90"]) == {"5", "10"}
    report = measure(scored, perfect)
    assert report["ap"]["0.90"]["40"] == pytest.approx(1)
    assert report["srcc"] is None
    one = dataclasses.replace(perfect[1], annotated=scored[1].scores)
    with pytest.raises(AutocropError, match=r"1 of 2 photos have no scores of the annotated crops, test0\.jpg"):
        measure(scored, [perfect[0], one])


def test_a_photo_that_fails_costs_no_other(engine, labeled):
    """It is named and left out; where none is left there is a sentence."""
    labeled[1].path.write_bytes(labeled[1].path.read_bytes()[:60])
    report = evaluate(engine, labeled)
    assert (report["n"], report["failed"]) == (2, ["1.png"])
    for sample in labeled:
        sample.path.write_bytes(b"")
    with pytest.raises(AutocropError, match="None of the 3 photos could be read"):
        evaluate(engine, labeled)


def test_nothing_to_measure_by(engine, tmp_path):
    """A plain folder has no opinions."""
    write_photo(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="nothing to measure a model by"):
        evaluate(engine, load(f"folder:{tmp_path}", "val"))


def test_command_saves_what_it_measures(tmp_path):
    """The file alone gives the very numbers of the run that wrote it, without a model; nothing is overwritten."""
    write_gaicd(tmp_path / "gaicd", {"train": 1, "val": 3}, nested=False)
    (tmp_path / "gaicd" / "images" / "val" / "val2.jpg").write_bytes(b"gone")
    common = ("eval", "--data", "gaicd:gaicd", "--top", "10", "--json")
    ran = autocrop(*common, "--save", "out/said.jsonl", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "1 of 3 photos are left out, gone or unreadable: val2.jpg" in ran.stderr
    read = autocrop(*common, "--predictions", "out/said.jsonl", cwd=tmp_path)
    first, second = json.loads(ran.stdout), json.loads(read.stdout)
    assert (first.pop("model"), second.pop("model")) == ("vrn", "said")
    assert first == second
    assert (first["n"], first["listed"]) == (2, 3)
    assert first["ap"]["0.85"].keys() == {"5", "10"}
    again = autocrop(*common, "--save", "out/said.jsonl", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists" in again.stderr
    inside = autocrop(*common, "--save", "out/said.jsonl/more.jsonl", cwd=tmp_path)
    assert (inside.returncode, "cannot be written" in inside.stderr) == (2, True)
    both = autocrop(*common, "vrn", "--predictions", "out/said.jsonl", cwd=tmp_path)
    assert both.returncode == 2
    table = autocrop("eval", "--data", "gaicd:gaicd", "--predictions", "out/said.jsonl", cwd=tmp_path).stdout
    assert "2 of 3 photos" in table
    assert {"SRCC", "Acc^w_10", "ACC_1/5,", "largest"} <= set(table.split())


def test_command_takes_the_split_that_is_there(tmp_path):
    """FLMS has nothing but test; its crops are the best of several."""
    write_flms(tmp_path)
    rows = [{"name": name, "boxes": [[0, 0, 48, 32]], "width": 96, "height": 64} for name in FLMS_CROPS]
    (tmp_path / "peer.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = autocrop("eval", "--data", f"flms:{tmp_path}", "--predictions", "peer.jsonl", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    second = (40 * 24) / (48 * 32 + 88 * 56 - 40 * 24)
    assert report["iou"] == pytest.approx((1 + second) / 2)
    assert (report["split"], report["recall"], report["pair_accuracy"]) == ("test", 0.5, None)
