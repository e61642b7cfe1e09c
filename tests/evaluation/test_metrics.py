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


def test_overlap_and_displacement_by_hand():
    """A box moved right by a tenth of the photo: IoU .4/.6 and BDE .2/4."""
    predicted, truth = np.array([[0.1, 0, 0.6, 1]], np.float32), np.array([[0, 0, 0.5, 1]], np.float32)
    assert metrics.overlap(predicted, truth) == pytest.approx([0.4 / 0.6])
    assert metrics.boundary_displacement(predicted, truth) == pytest.approx([0.05])


def test_best_of_ten_by_hand():
    """The highest IoU decides, though another box has the smaller displacement; on a tie the displacement does."""
    box = np.array([[0, 0, 0.5, 0.1]], np.float32)
    near, far = [0, 0.08, 0.5, 0.18], [0, 0, 0.95, 0.1]  # IoU .02/.18 and .5/.95; displacement .04 and .1125
    assert metrics.closest(box, [np.array([near, far], np.float32)])[0] == pytest.approx(far)
    whole = np.array([[0, 0, 1, 1]], np.float32)
    halves = np.array([[0, 0, 0.5, 1], [0.25, 0, 0.75, 1], [0, 0, 0.5, 1]], np.float32)
    quarter = np.array([[0.25, 0.25, 0.75, 0.75]], np.float32)  # IoU .25; displacement .25
    corner = np.array([[0, 0, 1, 0.25]], np.float32)  # IoU .25; displacement .1875
    assert metrics.closest(whole, [np.concatenate([quarter, corner])])[0] == pytest.approx(corner[0])
    assert metrics.closest(np.repeat(whole, 2, 0), [halves, quarter])[1] == pytest.approx(quarter[0])


def test_shots_by_area():
    """From .65 on many, from .40 on medium, below few; the whole photo is many."""
    sides = np.sqrt([1, 0.66, 0.64, 0.41, 0.39]).astype(np.float32)
    boxes = np.stack([np.zeros(5), np.zeros(5), sides, sides], axis=1).astype(np.float32)
    assert metrics.shot(boxes) == ["many", "many", "medium", "medium", "few"]


def test_pairs_in_the_order_of_the_votes():
    """Right, wrong, and undecided, which is wrong."""
    scores = np.array([[1, 2], [1, 2], [2, 2]], np.float32)
    counts = np.array([[1, 4], [5, 0], [3, 2]])
    assert metrics.pairs_correct(scores, counts).tolist() == [True, False, False]


def test_pairs_by_gap_by_hand():
    """Of six pairs four are .9 apart or more, 3.9 and 3.0 among them; an equal score is no order."""
    opinions = np.array([3.0, 3.9, 2.0, 3.5], np.float32)
    scores = [1, 2, 0, 0]
    # (0,1) right, (0,2) right, (1,2) right, (2,3) equal: wrong; (0,3) and (1,3) are too close.
    assert metrics.gaps_correct(scores, opinions, 0.9).tolist() == [True, True, True, False]
    assert metrics.gaps_correct([1], [1], 0.9).size == 0


def test_correlations_by_hand():
    """Ranks 1 2 3 4 against 1 3 2 4: 1 - 6·2/(4·15). A constant says nothing about the order: 0, not NaN."""
    assert metrics.spearman([1, 2, 3, 4], [1, 7, 3, 100]) == pytest.approx(0.8)
    assert metrics.pearson([0, 1, 2], [1, 3, 5]) == pytest.approx(1)
    assert metrics.pearson([0, 0, 3], [1, 0, 1]) == pytest.approx(0.5)
    for metric in (metrics.pearson, metrics.spearman):
        assert metric([2, 2, 2], [1, 2, 3]) == 0
        assert metric([1, 2, 3], [2, 2, 2]) == 0
        assert metric([5], [5]) == 0


@settings(deadline=None)  # scipy's first call imports
@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(100, 140)), min_size=2, max_size=90))
def test_correlations_agree_with_scipy(values):
    """Ties and all."""
    scores, opinions = np.array(values, np.float64).T
    if np.ptp(scores) and np.ptp(opinions):
        assert metrics.spearman(scores, opinions) == pytest.approx(stats.spearmanr(scores, opinions)[0], abs=1e-9)
        assert metrics.pearson(scores, opinions) == pytest.approx(stats.pearsonr(scores, opinions)[0], abs=1e-9)


def test_top_accuracy_by_hand():
    """The second and the third of the true order are tied, so that top 2 holds three crops."""
    opinions = [5, 4, 4, 3, 2, 1]
    scores = [1, 0, 9, 8, 0, 0]  # returned: the third crop, the fourth, the first, then the second (first of a tie)
    found = [metrics.top_accuracy(scores, opinions, k, 2) for k in (1, 2, 3, 4)]
    assert found == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4])
    assert metrics.top_accuracy([1, 2], [2, 1], 4, 5) == 1  # two crops: both are in the top two


def test_weighted_top_accuracy_by_hand():
    """True ranks of the returned crops: 2, 3, 0, 1, ties in the order of the crops."""
    opinions = [5, 4, 4, 3, 2, 1]
    scores = [1, 0, 9, 8, 0, 0]
    weighted = [metrics.weighted_top_accuracy(scores, opinions, k, 5) for k in (1, 2, 4)]
    first, second = math.exp(-2 / 5), math.exp(-2 / 5)  # 2 - 0, and 3 - 1
    assert weighted == pytest.approx([first, (first + second) / 2, 1])
    # In the top 3 rank 3 counts nothing.
    assert metrics.weighted_top_accuracy(scores, opinions, 2, 3) == pytest.approx(math.exp(-2 / 3) / 2)


@settings(deadline=None)
@given(st.lists(st.integers(100, 130), min_size=4, max_size=90), st.integers(1, 4), st.sampled_from([5, 10]))
def test_a_perfect_ranking_is_perfect(opinions, k, n):
    """However many ties; and the worst has no more than the perfect one."""
    assert metrics.top_accuracy(opinions, opinions, k, n) == 1
    assert metrics.weighted_top_accuracy(opinions, opinions, k, n) == pytest.approx(1)
    assert metrics.weighted_top_accuracy(-np.array(opinions), opinions, k, n) <= 1


def test_the_favorite_among_the_first_boxes():
    """The first of the highest opinions is sought, by IoU, in the first n boxes only."""
    crops = np.array([[0, 0, 0.5, 1], [0, 0, 1, 1], [0.5, 0, 1, 1]], np.float32)
    found = np.array([[0.5, 0, 1, 1], [0, 0, 0.88, 1]], np.float32)
    opinions = [2, 4, 4]
    assert not metrics.best_found(found, crops, opinions, 1, 0.85)
    assert metrics.best_found(found, crops, opinions, 2, 0.85)
    assert not metrics.best_found(found, crops, opinions, 2, 0.9)
    assert not metrics.best_found(found[:0], crops, opinions, 5, 0.85)


def test_good_crops():
    """From the threshold on; where nothing is good, all of the best."""
    crops = np.array([[0, 0, 0.5, 1], [0, 0, 1, 1], [0.5, 0, 1, 1]], np.float32)
    assert metrics.good_crops(crops, [4, 3.9, 4.5], 4).tolist() == crops[[0, 2]].tolist()
    assert metrics.good_crops(crops, [3.1, 3.1, 3], 4).tolist() == crops[[0, 1]].tolist()


def test_average_precision_by_hand():
    """Two true boxes, found first and third of three: precision 1 up to recall .5, then 2/3."""
    left, right, middle = [0, 0, 0.4, 1], [0.6, 0, 1, 1], [0.3, 0, 0.7, 1]
    truth = [np.array([left, right], np.float32)]
    found = [np.array([left, middle, right], np.float32)]
    scores = [np.array([0.9, 0.8, 0.7], np.float32)]
    # 51 of the 101 recalls, 0 to .5, see precision 1; the other 50 see 2/3.
    assert metrics.average_precision(found, scores, truth, 0.85, 40) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert metrics.average_precision(found, scores, truth, 0.85, 2) == pytest.approx(51 / 101)
    # The same box twice is right once.
    twice = [np.array([left, left], np.float32)]
    assert metrics.average_precision(twice, [scores[0][:2]], truth, 0.85, 5) == pytest.approx(51 / 101)
    nothing = [np.empty((0, 4), np.float32)]
    assert metrics.average_precision(nothing, [scores[0][:0]], truth, 0.85, 5) == 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("threshold", "top"), [(0.5, 5), (0.85, 10), (0.9, 40)])
def test_average_precision_agrees_with_coco(seed, threshold, top):
    """Forty photos with crowded boxes, some without any found, ties in scores, and more boxes than count."""
    rng = np.random.default_rng(seed)
    found, scores, truth = [], [], []
    for _ in range(40):
        truth.append(_boxes(rng, rng.integers(1, 8), 0.02))
        repeated = truth[-1][rng.integers(len(truth[-1]), size=rng.integers(0, 30))]
        noisy = np.concatenate([repeated + rng.normal(0, 0.015, repeated.shape), _boxes(rng, rng.integers(0, 20), 0.1)])
        values = np.round(rng.random(len(noisy)), 2).astype(np.float32)
        order = np.argsort(-values, kind="stable")
        found.append(noisy[order].astype(np.float32))
        scores.append(values[order])
    expected = _coco(found, scores, truth, threshold, top)
    assert 0.01 < expected < 0.99
    assert metrics.average_precision(found, scores, truth, threshold, top) == pytest.approx(expected, abs=1e-6)


def _boxes(rng, count, spread):
    """Boxes that all look much the same, as crops of one photo do."""
    boxes = np.array([0.1, 0.1, 0.9, 0.9]) + rng.normal(0, spread, (count, 4))
    return boxes.astype(np.float32)


def _coco(found, scores, truth, threshold, top):
    """AP of pycocotools."""
    gold, guesses = [], []
    for photo, (boxes, values, actual) in enumerate(zip(found, scores, truth, strict=True), start=1):
        for box in actual.astype(np.float64):
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            gold.append({"image_id": photo, "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "category_id": 1})
        for box, value in zip(boxes.astype(np.float64), values, strict=True):
            corner = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            guesses.append({"image_id": photo, "bbox": corner, "score": float(value), "category_id": 1})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": photo} for photo in range(1, len(truth) + 1)],
            "categories": [{"id": 1}],
            "annotations": [box | {"id": number} for number, box in enumerate(gold, start=1)],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(guesses), "bbox")
        judge.params.iouThrs = np.array([threshold])
        judge.params.maxDets = [top]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e5]], ["all"]
        judge.evaluate()
        judge.accumulate()
    return float(judge.eval["precision"][0, :, 0, 0, 0].mean())
