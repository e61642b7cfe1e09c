"""Training targets: the crops of a photo that a step uses, and their scores.

The papers' losses need scores of many crops per photo. GAICD has them; FCDB has one best crop per photo and votes on
ten pairs. For FCDB, crops are drawn around the best crop and from the search's candidates. Their substitute for a
MOS is ``1 + 4 · IoU`` with the best crop: IoU is the metric of the search, and the scale is that of GAICD (1 to 5). The
crops of voted pairs have no scores. ``docs/research/training.md`` lists the experiments behind this.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from autocrop.datasets import Sample, Votes
from autocrop.datasets.gaicd import SCALE
from autocrop.evaluation import metrics
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes
from autocrop.geometry.candidates import dense_anchors, grid_anchors

GRID_SHARE, DENSE_SHARE = 0.4, 0.3
"""Shares of grid anchors and dense anchors among the drawn crops. The rest is drawn around the best crop."""
JITTER = 0.12
"""Standard deviation of the sides of a jittered crop, relative to the photo's side."""
MAX_TRIM = 0.6
"""Largest share of a margin that :func:`trim_margins` cuts off."""
MIN_VIEW_SIDE = 0.25
"""Shortest side of a jittered crop, relative to the photo's side."""
TARGET_IOU = 0.7
"""Minimum IoU with a best crop for the winner of a clear vote to be a target, too: both show about the same."""
TRIM_TOLERANCE = 0.01
"""How far voted crops may extend beyond a trimmed photo, relative to its side. They are clipped."""


def scored_views(sample: Sample, count: int, rng: np.random.Generator) -> tuple[Boxes, NDArray[np.float32]]:
    """Draw up to *count* crops with scores: annotated crops if the data set has scores, else substitutes.

    Returns:
        Boxes ``[N, 4]`` and scores ``[N]``. N < *count* only if the photo has fewer annotated crops.
    """
    if sample.scores is not None:
        chosen = rng.permutation(len(sample.scores))[:count]
        return sample.boxes[chosen], sample.scores[chosen]
    grid, dense = grid_anchors(sample.aspect), dense_anchors()
    grid = grid[rng.permutation(len(grid))[: int(count * GRID_SHARE)]]
    dense = dense[rng.permutation(len(dense))[: int(count * DENSE_SHARE)]]
    best = sample.boxes[rng.integers(len(sample.boxes))]
    views = np.concatenate([grid, dense, jitter_box(best, count - len(grid) - len(dense), rng)])
    return views, 1 + 4 * bx.iou(views, sample.boxes).max(axis=1)


def target_crops(sample: Sample) -> Boxes:
    """Return the good crops of a photo, best first: the targets of models that propose crops.

    If crops have scores, the targets are those that the data set's scale calls good or, if none is good, those with the
    highest score (set prediction). Otherwise they are the best crops and the winners of clear votes whose IoU with a
    best crop is at least :data:`TARGET_IOU`.

    Returns:
        Boxes ``[G, 4]``, G >= 1.
    """
    if sample.scores is not None:
        order = np.argsort(-sample.scores, kind="stable")
        scale = sample.scale or SCALE
        return metrics.good_crops(sample.boxes[order], sample.scores[order], scale.good)
    if sample.votes is None:
        return sample.boxes
    clear = np.abs(sample.votes.margin) >= metrics.STRONG_MARGIN
    winners = sample.votes.pairs[clear, (sample.votes.margin[clear] < 0).astype(int)]
    is_target = bx.iou(winners, sample.boxes).max(axis=1, initial=0) >= TARGET_IOU
    return np.concatenate([sample.boxes, winners[is_target]])


def trim_margins(
    sample: Sample, image: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Sample, NDArray[np.uint8]]:
    """Cut off a random part of the margins around the best crops, which stay intact (CBLNet's augmentation).

    Args:
        sample: photo with best crops. A sample with scores is returned unchanged, as its crops may reach the edges.
        image: pixels of the photo at any size, ``[h, w, 3]``.
        rng: draws the share of each margin to cut off, up to :data:`MAX_TRIM`.

    Returns:
        The sample, its boxes normalized to the remaining photo and without voted pairs that extend beyond it, and the
        remaining pixels.
    """
    if sample.scores is not None:
        return sample, image
    share = rng.uniform(0, MAX_TRIM, 4)
    top_left, bottom_right = sample.boxes[:, :2].min(axis=0), sample.boxes[:, 2:].max(axis=0)
    height, width = image.shape[:2]
    sides = np.array([width, height])
    start = np.floor(top_left * share[:2] * sides).astype(int)
    end = np.ceil((1 - (1 - bottom_right) * share[2:]) * sides).astype(int)
    origin, size = start / sides, (end - start) / sides
    trimmed = dataclasses.replace(
        sample,
        width=round(sample.width * size[0]),
        height=round(sample.height * size[1]),
        boxes=np.clip(_renormalize(sample.boxes, origin, size), 0, 1),
        votes=None if sample.votes is None else _trim_votes(sample.votes, origin, size),
    )
    return trimmed, np.ascontiguousarray(image[start[1] : end[1], start[0] : end[0]])


def _trim_votes(votes: Votes, origin: NDArray[np.float64], size: NDArray[np.float64]) -> Votes | None:
    """Keep the pairs that lie inside the trimmed photo."""
    pairs = _renormalize(votes.pairs, origin, size)
    inside = ((pairs > -TRIM_TOLERANCE) & (pairs < 1 + TRIM_TOLERANCE)).all(axis=(1, 2))
    return Votes(np.clip(pairs[inside], 0, 1), votes.counts[inside]) if inside.any() else None


def _renormalize(
    boxes: NDArray[np.float32], origin: NDArray[np.float64], size: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Normalize boxes ``[..., 4]`` to the part of the photo at *origin* ``[2]`` with *size* ``[2]``."""
    return ((boxes - np.tile(origin, 2)) / np.tile(size, 2)).astype(np.float32)


def jitter_box(box: NDArray[np.float32], count: int, rng: np.random.Generator) -> Boxes:
    """Draw *count* crops around a box ``[4]``, some near and some far, all inside the photo."""
    drawn = np.empty((0, 4), np.float32)
    while len(drawn) < count:
        spread = JITTER * rng.uniform(0.2, 1.5, (2 * count, 1))
        jittered = np.clip(box + spread * rng.standard_normal((2 * count, 4)), 0, 1).astype(np.float32)
        is_large = (jittered[:, 2:] - jittered[:, :2] >= MIN_VIEW_SIDE).all(axis=1)
        drawn = np.concatenate([drawn, jittered[is_large]])
    return drawn[:count]
