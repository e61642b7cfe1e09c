import dataclasses
from pathlib import Path

import numpy as np
import pytest

from autocrop.datasets import Sample, Votes
from autocrop.datasets.base import Scale
from autocrop.geometry import boxes as bx
from autocrop.training.targets import MIN_VIEW_SIDE, jittered, scored_views, target_crops, trimmed

BEST = np.array([[0.2, 0.1, 0.8, 0.9]], np.float32)


def test_one_best_crop_becomes_scores():
    """The stand-in for a MOS is 1 + 4 · IoU with the best crop; crops near it and far from it are drawn."""
    sample = Sample(Path("a.jpg"), 300, 200, BEST)
    views, scores = scored_views(sample, 64, np.random.default_rng(0))
    assert views.shape == (64, 4)
    assert scores == pytest.approx(1 + 4 * bx.iou(views, BEST)[:, 0])
    assert scores.max() > 4
    assert scores.min() < 3


def test_winners_near_the_best_crop_are_good_crops():
    """Of clear votes, four of five or more, and of what overlaps the best crop by 0.7 or more."""

    def narrower(by):  # of a width of 0.6
        return [0.2, 0.1, 0.8 - by, 0.9]

    pairs = [
        [narrower(0.06), narrower(0.03)],  # the first won, 5 to 0
        [narrower(0.09), narrower(0.12)],  # the second won, 1 to 4
        [narrower(0.15), narrower(0.01)],  # 3 to 2 is not clear
        [narrower(0.02), narrower(0.05)],  # nor is 2 to 3
        [narrower(0.24), narrower(0.04)],  # the winner overlaps by 0.6
        [narrower(0.165), narrower(0.3)],  # and this one by 0.725
    ]
    votes = Votes(np.array(pairs, np.float32), np.array([[5, 0], [1, 4], [3, 2], [2, 3], [4, 1], [4, 1]]))
    sample = Sample(Path("a.jpg"), 300, 200, BEST, votes=votes)
    expected = np.array([BEST[0], narrower(0.06), narrower(0.12), narrower(0.165)], np.float32)
    assert target_crops(sample) == pytest.approx(expected)
    assert target_crops(dataclasses.replace(sample, votes=None)) == pytest.approx(BEST)


def test_crops_of_high_scores_are_good_crops():
    """From 4 on for GAICD and from its own scale's mark for others, the best first; else those tied for the best."""
    boxes = np.stack([np.array([0, 0, 1, 1 - i / 10], np.float32) for i in range(4)])

    def found(*scores, scale=None):
        sample = Sample(Path("a.jpg"), 300, 200, boxes, scores=np.array(scores, np.float32), scale=scale)
        return [round(10 * float(1 - box[3])) for box in target_crops(sample)]

    assert found(4.0, 3.9, 5.0, 1.0) == [2, 0]
    assert found(3.0, 3.9, 2.0, 3.9) == [1, 3]
    assert found(1.9, 2.0, 3.0, 1.0, scale=Scale(good=2.0, gap=0.5)) == [2, 1]


def test_annotated_scores_are_used_as_they_are():
    """A data set with MOS gives them raw, some of its crops at a time."""
    boxes = np.stack([np.array([0, 0, 1, 1 - i / 100], np.float32) for i in range(50)])
    sample = Sample(Path("a.jpg"), 300, 200, boxes, scores=np.arange(50, dtype=np.float32))
    views, scores = scored_views(sample, 20, np.random.default_rng(0))
    assert len(set(scores.tolist())) == 20
    assert all((views[i] == boxes[int(score)]).all() for i, score in enumerate(scores))


def test_jittered_crops_are_proper_crops():
    """Inside the photo, with sides that are not too short, and not all alike."""
    drawn = jittered(BEST[0], 200, np.random.default_rng(0))
    assert drawn.shape == (200, 4)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert (drawn[:, 2:] - drawn[:, :2]).min() >= MIN_VIEW_SIDE
    overlaps = bx.iou(drawn, BEST)[:, 0]
    assert overlaps.max() > 0.9
    assert overlaps.min() < 0.7


def test_trimming_keeps_the_best_crop_whole():
    """The best crop shows the same pixels before and after; pairs that reach beyond what is left are gone."""
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    pairs = np.array([[[0.2, 0.1, 0.8, 0.9], [0.3, 0.2, 0.7, 0.8]], [[0, 0, 1, 1], [0.3, 0.2, 0.7, 0.8]]], np.float32)
    sample = Sample(Path("a.jpg"), 600, 400, BEST, votes=Votes(pairs, np.array([[4, 1], [1, 4]])))
    for seed in range(20):
        cut, pixels = trimmed(sample, image, np.random.default_rng(seed))
        height, width = pixels.shape[:2]
        left, top, right, bottom = bx.to_pixels(cut.boxes[0], width, height)
        assert np.array_equal(pixels[top:bottom, left:right], image[20:180, 60:240])
        assert cut.aspect == pytest.approx(width / height, rel=0.02)
        assert cut.votes.counts.tolist() == [[4, 1]]
        assert cut.votes.pairs[0, 0] == pytest.approx(cut.boxes[0], abs=1e-6)
