"""Metrics, compared with values computed by hand, scipy and pycocotools."""

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import stats

from autocrop.evaluation import metrics


def test_iou_and_displacement_of_shifted_box():
    """A box moved right by a tenth of the photo has IoU .4/.6 and BDE .2/4."""
    predicted, targets = np.array([[0.1, 0, 0.6, 1]], np.float32), np.array([[0, 0, 0.5, 1]], np.float32)
    assert metrics.paired_iou(predicted, targets) == pytest.approx([0.4 / 0.6])
    assert metrics.boundary_displacement(predicted, targets) == pytest.approx([0.05])


def test_nearest_target_has_highest_iou():
    """The target with the highest IoU is chosen even if another one has a smaller displacement."""
    box = np.array([[0, 0, 0.5, 0.1]], np.float32)
    near, far = [0, 0.08, 0.5, 0.18], [0, 0, 0.95, 0.1]  # IoU .02/.18 and .5/.95; displacement .04 and .1125
    assert metrics.nearest_targets(box, [np.array([near, far], np.float32)])[0] == pytest.approx(far)


def test_nearest_target_with_equal_iou_has_smallest_displacement():
    """Displacement decides between targets with the same IoU. Photos may have different numbers of targets."""
    whole = np.array([[0, 0, 1, 1]], np.float32)
    halves = np.array([[0, 0, 0.5, 1], [0.25, 0, 0.75, 1], [0, 0, 0.5, 1]], np.float32)
    quarter = np.array([[0.25, 0.25, 0.75, 0.75]], np.float32)  # IoU .25; displacement .25
    corner = np.array([[0, 0, 1, 0.25]], np.float32)  # IoU .25; displacement .1875
    assert metrics.nearest_targets(whole, [np.concatenate([quarter, corner])])[0] == pytest.approx(corner[0])
    assert metrics.nearest_targets(np.repeat(whole, 2, 0), [halves, quarter])[1] == pytest.approx(quarter[0])


def test_shot_class_depends_on_area():
    """Areas from .65 are many, from .40 medium, and smaller ones few."""
    sides = np.sqrt([1, 0.66, 0.64, 0.41, 0.39]).astype(np.float32)
    boxes = np.stack([np.zeros(5), np.zeros(5), sides, sides], axis=1).astype(np.float32)
    assert metrics.shot_classes(boxes) == ["many", "many", "medium", "medium", "few"]


def test_voted_pairs_with_equal_scores_are_wrong():
    """A pair is correct only if the crop with more votes has the higher score."""
    scores = np.array([[1, 2], [1, 2], [2, 2]], np.float32)
    counts = np.array([[1, 4], [5, 0], [3, 2]])
    assert metrics.voted_pairs_correct(scores, counts).tolist() == [True, False, False]


def test_clear_pairs_differ_by_gap():
    """Pairs whose MOS differs by at least the gap count, among them 3.9 and 3.0. Equal scores are wrong."""
    mos = np.array([3.0, 3.9, 2.0, 3.5], np.float32)
    scores = [1, 2, 0, 0]
    # (0,1), (0,2) and (1,2) are right, (2,3) has equal scores; (0,3) and (1,3) are not clear.
    assert metrics.clear_pairs_correct(scores, mos, 0.9).tolist() == [True, True, True, False]
    assert metrics.clear_pairs_correct([1], [1], 0.9).size == 0


def test_correlations_by_hand():
    """Ranks 1 2 3 4 and 1 3 2 4 have SRCC 1 - 6·2/(4·15)."""
    assert metrics.spearman([1, 2, 3, 4], [1, 7, 3, 100]) == pytest.approx(0.8)
    assert metrics.pearson([0, 1, 2], [1, 3, 5]) == pytest.approx(1)
    assert metrics.pearson([0, 0, 3], [1, 0, 1]) == pytest.approx(0.5)


@pytest.mark.parametrize("metric", [metrics.pearson, metrics.spearman])
def test_correlation_with_constant_is_zero(metric):
    """A constant contains no order. The correlation is 0, not NaN."""
    assert metric([2, 2, 2], [1, 2, 3]) == 0
    assert metric([1, 2, 3], [2, 2, 2]) == 0
    assert metric([5], [5]) == 0


@settings(deadline=None)  # the first call of scipy imports modules
@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(100, 140)), min_size=2, max_size=90))
def test_correlations_agree_with_scipy(values):
    """Both correlations equal scipy's, also with ties."""
    scores, mos = np.array(values, np.float64).T
    if np.ptp(scores) and np.ptp(mos):
        assert metrics.spearman(scores, mos) == pytest.approx(stats.spearmanr(scores, mos)[0], abs=1e-9)
        assert metrics.pearson(scores, mos) == pytest.approx(stats.pearsonr(scores, mos)[0], abs=1e-9)


def test_top_accuracy_includes_ties():
    """The second and third crop are tied, so the true top 2 has three crops."""
    mos = [5, 4, 4, 3, 2, 1]
    scores = [1, 0, 9, 8, 0, 0]  # returned in this order: third, fourth, first, second (first of a tie)
    accuracies = [metrics.top_accuracy(scores, mos, k, 2) for k in (1, 2, 3, 4)]
    assert accuracies == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4])


def test_top_accuracy_of_few_crops():
    """K and N are limited to the number of crops: two crops are always in the top two."""
    assert metrics.top_accuracy([1, 2], [2, 1], 4, 5) == 1


def test_weighted_top_accuracy_by_hand():
    """The true ranks of the returned crops are 2, 3, 0 and 1."""
    mos = [5, 4, 4, 3, 2, 1]
    scores = [1, 0, 9, 8, 0, 0]
    weighted = [metrics.weighted_top_accuracy(scores, mos, k, 5) for k in (1, 2, 4)]
    first, second = math.exp(-2 / 5), math.exp(-2 / 5)  # 2 - 0 and 3 - 1
    assert weighted == pytest.approx([first, (first + second) / 2, 1])
    # Rank 3 is not in the top 3 and counts as 0.
    assert metrics.weighted_top_accuracy(scores, mos, 2, 3) == pytest.approx(math.exp(-2 / 3) / 2)


@settings(deadline=None)
@given(st.lists(st.integers(100, 130), min_size=4, max_size=90), st.integers(1, 4), st.sampled_from([5, 10]))
def test_perfect_ranking_has_accuracy_one(mos, k, n):
    """Scores equal to the MOS have accuracy 1 despite ties, and reversed scores are not better."""
    assert metrics.top_accuracy(mos, mos, k, n) == 1
    assert metrics.weighted_top_accuracy(mos, mos, k, n) == pytest.approx(1)
    assert metrics.weighted_top_accuracy(-np.array(mos), mos, k, n) <= 1


CROPS = np.array([[0, 0, 0.5, 1], [0, 0, 1, 1], [0.5, 0, 1, 1]], np.float32)


def test_best_crop_must_match_one_of_the_first_boxes():
    """The first crop with the highest MOS must be matched by one of the first n boxes."""
    predicted = np.array([[0.5, 0, 1, 1], [0, 0, 0.88, 1]], np.float32)
    mos = [2, 4, 4]
    assert not metrics.contains_best_crop(predicted, CROPS, mos, 1, 0.85)
    assert metrics.contains_best_crop(predicted, CROPS, mos, 2, 0.85)
    assert not metrics.contains_best_crop(predicted, CROPS, mos, 2, 0.9)
    assert not metrics.contains_best_crop(predicted[:0], CROPS, mos, 5, 0.85)


def test_good_crops_reach_threshold_or_are_best():
    """Crops at or above the threshold are good; without any, all crops with the highest MOS are."""
    assert metrics.good_crops(CROPS, [4, 3.9, 4.5], 4).tolist() == CROPS[[0, 2]].tolist()
    assert metrics.good_crops(CROPS, [3.1, 3.1, 3], 4).tolist() == CROPS[[0, 1]].tolist()


LEFT, RIGHT, MIDDLE = [0, 0, 0.4, 1], [0.6, 0, 1, 1], [0.3, 0, 0.7, 1]
SIDES = [np.array([LEFT, RIGHT], np.float32)]
"""Targets of one photo."""


def test_average_precision_by_hand():
    """If the first and third of three boxes match two targets, the precision is 1 up to recall .5, then 2/3."""
    predicted = [np.array([LEFT, MIDDLE, RIGHT], np.float32)]
    scores = [np.array([0.9, 0.8, 0.7], np.float32)]
    # Of the 101 recall values, 51 (0 to .5) have precision 1 and 50 have 2/3.
    assert metrics.average_precision(predicted, scores, SIDES, 0.85, 40) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert metrics.average_precision(predicted, scores, SIDES, 0.85, 2) == pytest.approx(51 / 101)


def test_average_precision_counts_duplicates_once():
    """A second box that matches the same target is wrong."""
    predicted, scores = [np.array([LEFT, LEFT], np.float32)], [np.array([0.9, 0.8], np.float32)]
    assert metrics.average_precision(predicted, scores, SIDES, 0.85, 5) == pytest.approx(51 / 101)


def test_average_precision_without_boxes_is_zero():
    """No predictions mean no precision at any recall."""
    predicted, scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
    assert metrics.average_precision(predicted, scores, SIDES, 0.85, 5) == 0


@settings(deadline=None, max_examples=25)  # an example takes about 50 ms
@given(seed=st.integers(0, 2**32), limits=st.sampled_from([(0.5, 5), (0.85, 10), (0.9, 40)]))
def test_average_precision_agrees_with_coco(seed, limits):
    """Forty photos with crowded boxes, photos without boxes, equal scores, and more boxes than count."""
    threshold, top = limits
    rng = np.random.default_rng(seed)
    predicted, scores, targets = [], [], []
    for _ in range(40):
        targets.append(similar_boxes(rng, rng.integers(1, 8), 0.02))
        repeated = targets[-1][rng.integers(len(targets[-1]), size=rng.integers(0, 30))]
        noise = rng.normal(0, 0.015, repeated.shape)
        boxes = np.concatenate([repeated + noise, similar_boxes(rng, rng.integers(0, 20), 0.1)])
        values = np.round(rng.random(len(boxes)), 2).astype(np.float32)
        order = np.argsort(-values, kind="stable")
        predicted.append(boxes[order].astype(np.float32))
        scores.append(values[order])
    expected = coco_average_precision(predicted, scores, targets, threshold, top)
    assert 0.01 < expected < 0.99
    assert metrics.average_precision(predicted, scores, targets, threshold, top) == pytest.approx(expected, abs=1e-6)


def similar_boxes(rng, count, spread):
    """Draw boxes that overlap strongly, as crops of one photo do."""
    boxes = np.array([0.1, 0.1, 0.9, 0.9]) + rng.normal(0, spread, (count, 4))
    return boxes.astype(np.float32)


def coco_average_precision(predicted, scores, targets, threshold, top):
    """Compute the average precision with pycocotools."""
    annotations, results = [], []
    for photo, (boxes, values, true_boxes) in enumerate(zip(predicted, scores, targets, strict=True), start=1):
        for box in true_boxes:
            x, y, w, h = coco_box(box)
            annotations.append({"image_id": photo, "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "category_id": 1})
        for box, value in zip(boxes, values, strict=True):
            results.append({"image_id": photo, "bbox": coco_box(box), "score": float(value), "category_id": 1})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": photo} for photo in range(1, len(targets) + 1)],
            "categories": [{"id": 1}],
            "annotations": [annotation | {"id": number} for number, annotation in enumerate(annotations, start=1)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.iouThrs = np.array([threshold])
        evaluation.params.maxDets = [top]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e5]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"][0, :, 0, 0, 0].mean())


def coco_box(box):
    """Convert a box to COCO's [x, y, width, height]."""
    x1, y1, x2, y2 = box.astype(np.float64)
    return [x1, y1, x2 - x1, y2 - y1]
