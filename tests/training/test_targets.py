"""Crops and scores of a training step."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.datasets import Sample, Votes
from autocrop.datasets.base import Scale
from autocrop.geometry import boxes as bx
from autocrop.training.targets import MIN_VIEW_SIDE, jitter_box, scored_views, target_crops, trim_margins

BEST = np.array([[0.2, 0.1, 0.8, 0.9]], np.float32)
PHOTO = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)


def test_best_crop_yields_scored_views():
    """Without scores, crops are drawn near and far from the best crop and scored by 1 + 4 · IoU."""
    sample = Sample(Path("a.jpg"), 300, 200, BEST)
    views, scores = scored_views(sample, 64, np.random.default_rng(0))
    assert views.shape == (64, 4)
    assert scores == pytest.approx(1 + 4 * bx.iou(views, BEST)[:, 0])
    assert scores.max() > 4
    assert scores.min() < 3


def test_annotated_scores_are_not_changed():
    """With scores, a random part of the annotated crops is drawn, each with its own score."""
    boxes = np.stack([np.array([0, 0, 1, 1 - i / 100], np.float32) for i in range(50)])
    sample = Sample(Path("a.jpg"), 300, 200, boxes, scores=np.arange(50, dtype=np.float32))
    views, scores = scored_views(sample, 20, np.random.default_rng(0))
    assert len(set(scores.tolist())) == 20
    assert all((views[i] == boxes[int(score)]).all() for i, score in enumerate(scores))


def test_winners_near_best_crop_are_targets():
    """Winners of clear votes, four of five or more, are targets if their IoU with the best crop is at least 0.7."""

    def narrower(by):  # the best crop is 0.6 wide
        return [0.2, 0.1, 0.8 - by, 0.9]

    pairs = [
        [narrower(0.06), narrower(0.03)],  # the first won 5 to 0
        [narrower(0.09), narrower(0.12)],  # the second won 4 to 1
        [narrower(0.15), narrower(0.01)],  # 3 to 2 is not clear
        [narrower(0.02), narrower(0.05)],  # 2 to 3 is not clear
        [narrower(0.24), narrower(0.04)],  # the IoU of the winner is 0.6
        [narrower(0.165), narrower(0.3)],  # the IoU of the winner is 0.725
    ]
    votes = Votes(np.array(pairs, np.float32), np.array([[5, 0], [1, 4], [3, 2], [2, 3], [4, 1], [4, 1]]))
    sample = Sample(Path("a.jpg"), 300, 200, BEST, votes=votes)
    expected = np.array([BEST[0], narrower(0.06), narrower(0.12), narrower(0.165)], np.float32)
    assert target_crops(sample) == pytest.approx(expected)
    assert target_crops(dataclasses.replace(sample, votes=None)) == pytest.approx(BEST)


@pytest.mark.parametrize(
    ("scores", "scale", "targets"),
    [
        ([4.0, 3.9, 5.0, 1.0], None, [2, 0]),
        ([3.0, 3.9, 2.0, 3.9], None, [1, 3]),
        ([1.9, 2.0, 3.0, 1.0], Scale(good=2.0, gap=0.5), [2, 1]),
    ],
    ids=["good by GAICD's scale", "none good: the best", "good by the data set's own scale"],
)
def test_crops_with_good_scores_are_targets(scores, scale, targets):
    """The targets are the crops that the scale calls good, best first, or else those with the highest score."""
    boxes = np.stack([np.array([0, 0, 1, 1 - i / 10], np.float32) for i in range(4)])
    sample = Sample(Path("a.jpg"), 300, 200, boxes, scores=np.array(scores, np.float32), scale=scale)
    assert target_crops(sample).tolist() == boxes[targets].tolist()


@given(seed=st.integers(0, 2**32))
def test_jittered_crops_are_valid(seed):
    """Jittered crops are inside the photo, and their sides are not too short."""
    crops = jitter_box(BEST[0], 200, np.random.default_rng(seed))
    assert crops.shape == (200, 4)
    assert crops.min() >= 0
    assert crops.max() <= 1
    assert (crops[:, 2:] - crops[:, :2]).min() >= MIN_VIEW_SIDE


def test_jittered_crops_are_near_and_far():
    """The crops around a box differ in how much they overlap it."""
    overlaps = bx.iou(jitter_box(BEST[0], 200, np.random.default_rng(0)), BEST)[:, 0]
    assert overlaps.max() > 0.9
    assert overlaps.min() < 0.7


@given(seed=st.integers(0, 2**32))
def test_trimming_keeps_best_crop(seed):
    """The best crop shows the same pixels after trimming. Pairs that extend beyond the trimmed photo are removed."""
    pairs = np.array([[[0.2, 0.1, 0.8, 0.9], [0.3, 0.2, 0.7, 0.8]], [[0, 0, 1, 1], [0.3, 0.2, 0.7, 0.8]]], np.float32)
    sample = Sample(Path("a.jpg"), 600, 400, BEST, votes=Votes(pairs, np.array([[4, 1], [1, 4]])))
    trimmed, pixels = trim_margins(sample, PHOTO, np.random.default_rng(seed))
    height, width = pixels.shape[:2]
    left, top, right, bottom = bx.to_pixels(trimmed.boxes[0], width, height)
    assert np.array_equal(pixels[top:bottom, left:right], PHOTO[20:180, 60:240])
    assert trimmed.aspect == pytest.approx(width / height, rel=0.02)
    assert trimmed.votes.pairs[0, 0] == pytest.approx(trimmed.boxes[0], abs=1e-6)
    assert trimmed.votes.counts[0].tolist() == [4, 1]
    if width * height < 0.9 * 300 * 200:  # the second pair certainly extends beyond it
        assert trimmed.votes.counts.tolist() == [[4, 1]]
