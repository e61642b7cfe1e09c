"""Evaluation of models and predictions by both protocols."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autocrop.datasets import Sample, Votes, load
from autocrop.datasets.gaicd import SCALE
from autocrop.errors import AutocropError, UsageError
from autocrop.evaluation import metrics
from autocrop.evaluation.baselines import center_crop, crop_ratio
from autocrop.evaluation.evaluate import evaluate, measure, predict
from autocrop.evaluation.predictions import Prediction, empty_prediction
from autocrop.geometry import boxes as bx
from autocrop.geometry.candidates import dense_anchors, ratio_windows
from tests.helpers.datasets import write_gaicd, write_photo
from tests.helpers.engines import CenteredEngine
from tests.helpers.proposing_engine import PROPOSED, ProposingEngine, write_samples_near_proposal

FAVORITE = np.array([[0.2, 0.2, 0.7, 0.8]], np.float32)


@pytest.fixture
def labeled(tmp_path):
    """Three photos whose best crop is the favorite of the test's engine. Two have votes."""
    samples = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (90, 60), (40 * number, 90, 60)).save(path)
        pairs = np.stack([FAVORITE, np.array([[0, 0, 1, 1]], np.float32)], axis=1)
        votes = Votes(pairs, np.array([[4, 1]] if number else [[2, 3]])) if number < 2 else None
        samples.append(Sample(path, 90, 60, FAVORITE, votes=votes))
    return samples


def test_report_of_best_crops(engine, labeled):
    """The report has overlap, classes, votes and baselines."""
    report = evaluate(engine, labeled)
    assert report["n"] == 3
    assert report["iou"] > 0.9
    assert report["bde"] < 0.03
    assert list(report["shots"]) == ["few"]
    assert (report["pair_accuracy"], report["pairs"]) == (0.5, 2)
    assert (report["pair_accuracy_strong"], report["pairs_strong"]) == (1.0, 1)
    assert report["baselines"]["whole_photo"]["iou"] == pytest.approx(0.3)
    assert set(report["baselines"]) == {"mean_crop", "whole_photo"}


def test_given_ratio_restricts_search_and_baseline(engine, labeled):
    """With the ratio of the best crop given, the baseline is the largest center crop of that ratio."""
    report = evaluate(engine, labeled, given_ratio=True)
    ratio = crop_ratio(labeled[0])
    assert ratio == pytest.approx(0.5 * 90 / (0.6 * 60))
    assert set(report["baselines"]) == {"center_crop"}
    assert report["baselines"]["center_crop"]["iou"] == pytest.approx(0.3 / (5 / 6))


def test_center_crop_is_largest_of_its_ratio():
    """The crop is centered and touches two edges, in wide and in high photos."""
    assert center_crop(2, 1) == pytest.approx(np.array([[0.25, 0, 0.75, 1]]))
    assert center_crop(1, 2) == pytest.approx(np.array([[0, 0.25, 1, 0.75]]))


def test_pair_accuracy_without_votes_is_none(engine, labeled):
    """Without votes the accuracy is None rather than 0 or NaN."""
    report = evaluate(engine, labeled[2:])
    assert report["pair_accuracy"] is None
    assert report["pair_accuracy_strong"] is None


def test_nearest_of_several_best_crops_counts(engine, labeled):
    """With several best crops, the nearest one counts, there are no shot classes, and no ratio can be given."""
    other = np.array([[0, 0, 0.3, 0.3]], np.float32)
    several = [dataclasses.replace(sample, boxes=np.concatenate([other, sample.boxes])) for sample in labeled]
    one, many = evaluate(engine, labeled), evaluate(engine, several)
    assert (many["iou"], many["bde"], many["recall"]) == (one["iou"], one["bde"], 1.0)
    assert many["shots"] == {}
    with pytest.raises(UsageError, match="exactly one best crop"):
        evaluate(engine, several, given_ratio=True)


def test_ceilings_are_best_candidates(engine, labeled):
    """The ceiling of each candidate set is the mean IoU of its best candidate."""
    ceilings = evaluate(engine, labeled)["ceilings"]
    assert list(ceilings) == ["grid_anchors", "dense_anchors"]
    expected = np.mean([bx.iou(dense_anchors(), FAVORITE).max()])
    assert ceilings["dense_anchors"] == pytest.approx(expected)
    ceiling = evaluate(engine, labeled, given_ratio=True)["ceilings"]["ratio_windows"]
    assert ceiling == pytest.approx(bx.iou(ratio_windows(1.5, crop_ratio(labeled[0])), FAVORITE).max())


def test_unreadable_photos_are_left_out(engine, labeled):
    """An unreadable photo is named in the report. If no photo is readable, that is an error."""
    labeled[1].path.write_bytes(labeled[1].path.read_bytes()[:60])
    report = evaluate(engine, labeled)
    assert (report["n"], report["failed"]) == (2, ["1.png"])
    for sample in labeled:
        sample.path.write_bytes(b"")
    with pytest.raises(AutocropError, match="None of the 3 photos could be read"):
        evaluate(engine, labeled)


def test_photos_without_annotations_are_rejected(engine, tmp_path):
    """A model cannot be measured on a plain folder."""
    write_photo(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="no annotated crops to compare"):
        evaluate(engine, load(f"folder:{tmp_path}", "val"))


@pytest.fixture
def near_proposal(tmp_path):
    """Nine photos whose best crop is near the first proposal of :class:`ProposingEngine`."""
    return write_samples_near_proposal(tmp_path)


def test_several_crops_are_measured(near_proposal):
    """The best of five crops is at least as good as the first, and the similarity is their mean mutual IoU."""
    engine = ProposingEngine()
    predictions = predict(engine, near_proposal, top=5)
    report = measure(near_proposal, predictions, top=5)
    assert set(report["best_of"]) == {"5"}
    assert report["best_of"]["5"] >= report["iou"] > 0.75
    first = predictions[0].boxes[:5]
    overlaps = [bx.iou(first[[i]], first[[j]])[0, 0] for i in range(len(first)) for j in range(i)]
    assert report["similarity"] == pytest.approx(np.mean(overlaps), abs=1e-5)


def test_single_crops_have_no_similarity(near_proposal):
    """Metrics of several crops are empty if each photo has one prediction."""
    report = measure(near_proposal, predict(ProposingEngine(), near_proposal))
    assert report["best_of"] == {}
    assert report["similarity"] is None


def test_raw_proposals_are_predicted_for_scored_crops(near_proposal):
    """With scored crops, near-duplicates are kept, because average precision counts them."""
    scored = [dataclasses.replace(sample, scores=np.array([4.5], np.float32)) for sample in near_proposal]
    (prediction, *_) = predict(ProposingEngine(), scored, top=4)
    assert prediction.boxes == pytest.approx(PROPOSED[[0, 1, 3, 2]])
    assert prediction.scores.tolist() == pytest.approx([0.8, 0.7, 0.4, 0.2])


@pytest.fixture
def scored(tmp_path):
    """Two photos of GAICD."""
    write_gaicd(tmp_path, {"train": 1, "test": 2}, nested=True)
    return load(f"gaicd:{tmp_path}", "test")


class OracleEngine(CenteredEngine):
    """A model that scores annotated crops by their MOS and all other crops low."""

    def __init__(self, samples):
        super().__init__()
        self.samples = iter(samples)

    def encode(self, image, aspect=None):
        self.sample = next(self.samples)
        return super().encode(image, aspect)

    def score(self, features, boxes, shape="rectangle"):
        mos = {box.tobytes(): score for box, score in zip(self.sample.boxes, self.sample.scores, strict=True)}
        return np.array([mos.get(box.tobytes(), -10) for box in boxes], np.float32)


def test_perfect_ranking_has_perfect_metrics(scored):
    """All ranking metrics are 1. Nothing is searched for, and the metrics of best crops are empty."""
    report = evaluate(OracleEngine(scored), scored)
    assert report["protocol"] == "ranking"
    for key in ("srcc", "pcc", "acc_5", "acc_10", "acc_w_5", "acc_w_10", "pair_accuracy"):
        assert report[key] == pytest.approx(1), key
    assert set(report["acc"]) == {f"{k}/{n}" for k in (1, 2, 3, 4) for n in (5, 10)}
    assert (report["iou"], report["bde"], report["shots"], report["acc_1"]) == (None, None, {}, {})
    assert (report["gap"], report["pair_accuracy_strong"]) == (0.9, None)
    opinions = [np.array(sample.scores, np.float64) for sample in scored]
    gaps = [np.abs(mos[:, None] - mos)[np.triu_indices(len(mos), 1)] for mos in opinions]
    assert report["pairs"] == sum(int((np.round(gap, 2) >= 0.9).sum()) for gap in gaps)


def test_ranking_metrics_are_means_over_photos(engine, scored):
    """The report has the means of the metrics of each photo, for the model and for the baselines."""
    report = evaluate(engine, scored)
    scores = [engine.score(None, sample.boxes) for sample in scored]
    pairs = list(zip(scores, [sample.scores for sample in scored], strict=True))
    assert report["srcc"] == pytest.approx(np.mean([metrics.spearman(*pair) for pair in pairs]))
    assert report["acc"]["3/10"] == pytest.approx(np.mean([metrics.top_accuracy(*pair, 3, 10) for pair in pairs]))
    assert report["acc_5"] == pytest.approx(np.mean([report["acc"][f"{k}/5"] for k in (1, 2, 3, 4)]))
    assert report["acc_w_10"] == pytest.approx(np.mean([report["acc_w"][f"{k}/10"] for k in (1, 2, 3, 4)]))
    largest = [metrics.spearman(np.round(bx.area(sample.boxes), 4), sample.scores) for sample in scored]
    assert report["baselines"]["largest_first"]["srcc"] == pytest.approx(np.mean(largest))


def test_largest_first_ignores_rounding_noise():
    """Crops of the same size at different positions are equal to the baseline despite float32 rounding."""
    x = np.arange(40, dtype=np.float32) / 100
    boxes = np.stack([x, x / 2, x + np.float32(0.6), x / 2 + np.float32(0.7)], axis=1)
    assert len(np.unique(bx.area(boxes))) > 1
    scores = np.linspace(1, 5, 40, dtype=np.float32)
    sample = Sample(Path("photo.jpg"), 300, 200, boxes, scores, scale=SCALE)
    report = measure([sample], [dataclasses.replace(empty_prediction("photo.jpg"), annotated=scores)])
    assert report["srcc"] == pytest.approx(1)
    assert report["baselines"]["largest_first"]["srcc"] == report["baselines"]["largest_first"]["pair_accuracy"] == 0


@pytest.fixture
def perfect(scored):
    """Predictions of the 40 crops with the highest MOS."""
    predictions = []
    for sample in scored:
        order = np.argsort(-sample.scores, kind="stable")[:40]
        predictions.append(Prediction(sample.name, sample.boxes[order], sample.scores[order]))
    return predictions


def test_predicted_boxes_are_matched_with_scored_crops(scored, perfect):
    """Predicting the best crops matches all of them. Metrics of more boxes than were searched for are left out."""
    report = measure(scored, perfect, top=10)
    assert report["acc_1"] == {"0.85": {"5": 1, "10": 1}, "0.90": {"5": 1, "10": 1}}
    assert set(report["ap"]["0.90"]) == {"5", "10"}
    report = measure(scored, perfect)
    assert report["ap"]["0.90"]["40"] == pytest.approx(1)
    assert report["srcc"] is None


def test_scores_must_exist_for_all_photos(scored, perfect):
    """Scores for some photos only are an error that names a photo without."""
    one = dataclasses.replace(perfect[1], annotated=scored[1].scores)
    with pytest.raises(AutocropError, match=r"1 of 2 photos have no scores of the annotated crops, .*test0\.jpg"):
        measure(scored, [perfect[0], one])
