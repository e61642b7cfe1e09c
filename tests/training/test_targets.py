from pathlib import Path

import numpy as np
import pytest

from autocrop import boxes as bx
from autocrop.datasets import Sample, Votes
from autocrop.training.targets import SMALLEST_SIDE, jittered, scored_views, trimmed

BEST = np.array([[0.2, 0.1, 0.8, 0.9]], np.float32)


def test_one_best_crop_becomes_scores():
    """The stand-in for a MOS is 1 + 4 · IoU with the best crop; crops near it and far from it are drawn."""
    sample = Sample(Path("a.jpg"), 300, 200, BEST)
    views, scores = scored_views(sample, 64, np.random.default_rng(0))
    assert views.shape == (64, 4)
    assert scores == pytest.approx(1 + 4 * bx.iou(views, BEST)[:, 0])
    assert scores.max() > 4
    assert scores.min() < 3


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
    assert (drawn[:, 2:] - drawn[:, :2]).min() >= SMALLEST_SIDE
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
