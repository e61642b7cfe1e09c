"""Which crops of a photo a training step looks at, and what it should think of them.

The papers' losses need scores of many crops of each photo, as GAICD has them. FCDB has one best crop a photo and
votes on ten pairs. So crops are drawn around the best one and from the candidates that the search will meet, and
their stand-in for a MOS is ``1 + 4 · IoU`` with the best crop: the scale of GAICD (1 to 5), and what the search is
judged by. The crops that were voted on come along unscored. ``docs/training.md`` has what was tried.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autocrop import boxes as bx
from autocrop.boxes import Boxes
from autocrop.candidates import dense_anchors, grid_anchors
from autocrop.datasets import Sample

GRID_SHARE, DENSE_SHARE = 0.4, 0.3
"""Shares of grid anchors and dense anchors among the views; the rest is drawn around the best crop."""
JITTER = 0.12
"""Standard deviation of a drawn crop's sides, as a share of the photo's."""
SMALLEST_SIDE = 0.25
"""No drawn crop has a side shorter than this share of the photo's."""


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


def jittered(box: NDArray[np.float32], count: int, rng: np.random.Generator) -> Boxes:
    """*count* crops around one ``[4]``: some very near, some far, all inside the photo."""
    drawn = np.empty((0, 4), np.float32)
    while len(drawn) < count:
        spread = JITTER * rng.uniform(0.2, 1.5, (2 * count, 1))
        around = np.clip(box + spread * rng.standard_normal((2 * count, 4)), 0, 1).astype(np.float32)
        large = (around[:, 2:] - around[:, :2] >= SMALLEST_SIDE).all(axis=1)
        drawn = np.concatenate([drawn, around[large]])
    return drawn[:count]
