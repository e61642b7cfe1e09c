"""Which crops of a photo a training step looks at, and what it should think of them.

The papers' losses need scores of many crops of each photo, as GAICD has them. FCDB has one best crop a photo and
votes on ten pairs. So crops are drawn around the best one and from the candidates that the search will meet, and
their stand-in for a MOS is ``1 + 4 · IoU`` with the best crop: the scale of GAICD (1 to 5), and what the search is
judged by. The crops that were voted on come along unscored. ``docs/training.md`` has what was tried.
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
"""Shares of grid anchors and dense anchors among the views; the rest is drawn around the best crop."""
JITTER = 0.12
"""Standard deviation of a drawn crop's sides, as a share of the photo's."""
LARGEST_TRIM = 0.6
"""Share of a margin that :func:`trimmed` may cut away."""
MIN_VIEW_SIDE = 0.25
"""No drawn crop has a side shorter than this share of the photo's."""
GOOD_IOU = 0.7
"""From this IoU with a best crop on, the winner of a clear vote is a good crop, too."""


def scored_views(sample: Sample, count: int, rng: np.random.Generator) -> tuple[Boxes, NDArray[np.float32]]:
    """Draw *count* crops with scores: annotated ones where the data set has scores, else drawn around the best crop.

    Returns:
        Boxes ``[N, 4]`` and scores ``[N]``, N <= count (a photo may have fewer annotated crops).
    """
    if sample.scores is not None:
        chosen = rng.permutation(len(sample.scores))[:count]
        return sample.boxes[chosen], sample.scores[chosen]
    grid, dense = grid_anchors(sample.aspect), dense_anchors()
    grid = grid[rng.permutation(len(grid))[: int(count * GRID_SHARE)]]
    dense = dense[rng.permutation(len(dense))[: int(count * DENSE_SHARE)]]
    best = sample.boxes[rng.integers(len(sample.boxes))]
    views = np.concatenate([grid, dense, jittered(best, count - len(grid) - len(dense), rng)])
    return views, 1 + 4 * bx.iou(views, sample.boxes).max(axis=1)


def target_crops(sample: Sample) -> Boxes:
    """The good crops of a photo, the best first, as the models that propose crops learn them.

    Where crops have scores, those that the data set's scale calls good, or, where there are none, those tied for the
    highest score (set prediction). Otherwise the best crops, and the winners of clear votes that show about the same:
    more than :data:`GOOD_IOU` with one of them.

    Returns:
        ``[G, 4]``, G >= 1.
    """
    if sample.scores is not None:
        order = np.argsort(-sample.scores, kind="stable")
        least = sample.scale.good if sample.scale is not None else SCALE.good
        return metrics.good_crops(sample.boxes[order], sample.scores[order], least)
    if sample.votes is None:
        return sample.boxes
    clear = np.abs(sample.votes.margin) >= metrics.STRONG_MARGIN
    winners = sample.votes.pairs[clear, (sample.votes.margin[clear] < 0).astype(int)]
    near = bx.iou(winners, sample.boxes).max(axis=1, initial=0) >= GOOD_IOU
    return np.concatenate([sample.boxes, winners[near]])


def trimmed(sample: Sample, image: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Sample, NDArray[np.uint8]]:
    """Cut away a random part of the margins around the best crops, which stay whole (CBLNet's augmentation).

    Args:
        sample: one with good crops; one with scores comes back as it is, since its crops may reach to the edges.
        image: the photo, ``[h, w, 3]``, of any size.
        rng: decides how much of each margin, from nothing to :data:`LARGEST_TRIM` of it.

    Returns:
        The sample with its boxes normalized to what is left, without the pairs that reach beyond it, and the pixels.
    """
    if sample.scores is not None:
        return sample, image
    share = rng.uniform(0, LARGEST_TRIM, 4)
    least, most = sample.boxes[:, :2].min(axis=0), sample.boxes[:, 2:].max(axis=0)
    height, width = image.shape[:2]
    sides = np.array([width, height])
    start = np.floor(least * share[:2] * sides).astype(int)
    end = np.ceil((1 - (1 - most) * share[2:]) * sides).astype(int)
    low, size = start / sides, (end - start) / sides

    def moved(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        return ((boxes - np.tile(low, 2)) / np.tile(size, 2)).astype(np.float32)

    votes = sample.votes
    if votes is not None:
        pairs = moved(votes.pairs)
        inside = ((pairs > -0.01) & (pairs < 1.01)).all(axis=(1, 2))
        votes = Votes(np.clip(pairs[inside], 0, 1), votes.counts[inside]) if inside.any() else None
    cut = dataclasses.replace(
        sample,
        width=round(sample.width * size[0]),
        height=round(sample.height * size[1]),
        boxes=np.clip(moved(sample.boxes), 0, 1),
        votes=votes,
    )
    return cut, np.ascontiguousarray(image[start[1] : end[1], start[0] : end[0]])


def jittered(box: NDArray[np.float32], count: int, rng: np.random.Generator) -> Boxes:
    """*count* crops around one ``[4]``: some very near, some far, all inside the photo."""
    drawn = np.empty((0, 4), np.float32)
    while len(drawn) < count:
        spread = JITTER * rng.uniform(0.2, 1.5, (2 * count, 1))
        around = np.clip(box + spread * rng.standard_normal((2 * count, 4)), 0, 1).astype(np.float32)
        large = (around[:, 2:] - around[:, :2] >= MIN_VIEW_SIDE).all(axis=1)
        drawn = np.concatenate([drawn, around[large]])
    return drawn[:count]
