"""The papers' metrics as pure functions of numpy arrays. Boxes are xyxy in [0, 1]. docs/metrics.md has the formulas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes

SHOTS = {"many": (0.65, 1.01), "medium": (0.4, 0.65), "few": (0.0, 0.4)}
"""Classes of photos by the share of the photo inside the best crop (CBLNet, section 5.1): from, below."""
STRONG_MARGIN = 3
"""Votes of five that a pair must be apart to count as strong: four or five one way."""
RECALL_IOU = 0.75
"""A crop that overlaps a person's by this IoU has found it."""
RECALL_POINTS = 101
"""Recalls, from 0 to 1, at which the average precision looks at the precision (COCO)."""


def overlap(predicted: Boxes, truth: Boxes) -> NDArray[np.float32]:
    """IoU of each predicted box ``[N, 4]`` with the true one beside it ``[N, 4]``, ``[N]``."""
    return np.concatenate([bx.iou(p[None], t[None])[0] for p, t in zip(predicted, truth, strict=True)])


def boundary_displacement(predicted: Boxes, truth: Boxes) -> NDArray[np.float32]:
    """BDE of each pair of boxes: mean distance of the four sides, as a share of the photo's sides, ``[N]``."""
    return np.abs(predicted - truth).mean(axis=1)


def closest(predicted: Boxes, truth: Sequence[Boxes]) -> Boxes:
    """Of each photo's true boxes the one that a prediction is measured against: best of ten, where there are ten.

    It is the one of the highest IoU and, among several of the very same, the one of the least displacement. IoU and
    displacement are both to be those of this one box.

    Args:
        predicted: ``[N, 4]``.
        truth: of each photo ``[K, 4]``, K >= 1.

    Returns:
        ``[N, 4]``.
    """
    chosen = []
    for box, candidates in zip(predicted, truth, strict=True):
        box = box[None]
        order = np.lexsort((boundary_displacement(box, candidates), -bx.iou(box, candidates)[0]))
        chosen.append(candidates[order[0]])
    return np.stack(chosen)


def shot(truth: Boxes) -> list[str]:
    """Class of each true box: ``many``, ``medium`` or ``few``."""
    names = []
    for share in bx.area(truth):
        (name,) = (name for name, (low, high) in SHOTS.items() if low <= share < high)
        names.append(name)
    return names


def pairs_correct(scores: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each pair is ordered as most people ordered it.

    Args:
        scores: ``[P, 2]``, predicted.
        counts: ``[P, 2]``, votes; no ties.

    Returns:
        ``[P]``; equal scores are wrong.
    """
    return (scores[:, 0] - scores[:, 1]) * (counts[:, 0] - counts[:, 1]) > 0


def gaps_correct(scores: ArrayLike, opinions: ArrayLike, gap: float) -> NDArray[np.bool_]:
    """Whether the pairs of one photo's crops that are in a clear order are predicted in it (ASM-Net).

    Args:
        scores: ``[N]``, predicted.
        opinions: ``[N]``, people's.
        gap: pairs count whose opinions differ by at least this.

    Returns:
        ``[P]``, of all such pairs; equal scores are wrong.
    """
    predicted, actual = np.asarray(scores, np.float64), np.asarray(opinions, np.float64)
    first, second = np.triu_indices(len(actual), 1)
    difference = actual[first] - actual[second]
    # Opinions are means with a few decimals: 3.9 - 3.0 must count as .9.
    clear = np.abs(difference) >= gap - 1e-6
    return ((predicted[first] - predicted[second]) * difference > 0)[clear]


def pearson(scores: ArrayLike, opinions: ArrayLike) -> float:
    """PCC of predicted scores ``[N]`` with people's ``[N]``; 0 where either is constant."""
    x, y = np.asarray(scores, np.float64), np.asarray(opinions, np.float64)
    if not len(x) or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip((x / np.linalg.norm(x)) @ (y / np.linalg.norm(y)), -1, 1))


def spearman(scores: ArrayLike, opinions: ArrayLike) -> float:
    """SRCC of predicted scores ``[N]`` with people's ``[N]``; ties share their mean rank, a constant gives 0."""
    return pearson(_ranks(scores), _ranks(opinions))


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Rank of each value, from 1; equal ones share the mean of their ranks."""
    _, group, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group]


def top_accuracy(scores: ArrayLike, opinions: ArrayLike, k: int, n: int) -> float:
    """Acc_{K/N} of one photo: share of the *k* crops scored highest that are among the people's top *n* (GAIC).

    A crop is among them if its opinion is no less than the n-th highest, so ties with that one are inside. Equal
    scores keep the order of the crops. A photo of fewer crops has a smaller *n* and *k*.
    """
    actual = np.asarray(opinions, np.float64)
    returned = _descending(scores)[:k]
    least = np.sort(actual)[::-1][min(n, len(actual)) - 1]
    return float((actual[returned] >= least).mean())


def weighted_top_accuracy(scores: ArrayLike, opinions: ArrayLike, k: int, n: int) -> float:
    """Rank-weighted Acc^w_{K/N} of one photo (GAIC, TPAMI 2020): a returned crop counts less, the lower its true rank.

    With the true ranks r_0 <= r_1 <= ... of the *k* crops scored highest, counted from 0, ties in the order of the
    crops: the mean of exp(-(r_j - j) / n) over those r_j < n, the others counting 0.
    """
    actual = np.asarray(opinions, np.float64)
    rank = np.empty(len(actual), np.int64)
    rank[_descending(actual)] = np.arange(len(actual))
    n = min(n, len(actual))
    ranks = np.sort(rank[_descending(scores)[:k]])
    return float(np.where(ranks < n, np.exp(-(ranks - np.arange(len(ranks))) / n), 0).mean())


def _descending(values: ArrayLike) -> NDArray[np.intp]:
    """Indices from the highest to the lowest; equal ones stay in order."""
    return np.argsort(-np.asarray(values, np.float64), kind="stable")


def best_found(found: Boxes, crops: Boxes, opinions: ArrayLike, n: int, threshold: float) -> bool:
    """Whether people's favorite is among the first *n* boxes found: ACC_{1/N} of one photo (set prediction, eq. 7).

    Args:
        found: ``[K, 4]``, best first; of fewer than *n* all count, of none it is not.
        crops: ``[N, 4]``, annotated.
        opinions: ``[N]``; of several highest the first is the favorite.
        n: how many of the boxes found count.
        threshold: IoU from which on a box is the crop.
    """
    favorite = crops[[_descending(opinions)[0]]]
    return bool((bx.iou(favorite, found[:n]) >= threshold).any())


def good_crops(crops: Boxes, opinions: ArrayLike, good: float) -> Boxes:
    """Crops of opinion *good* or more; where there is none, those of the highest (set prediction)."""
    actual = np.asarray(opinions, np.float64)
    return crops[actual >= min(good, actual.max())]


def average_precision(
    found: Sequence[Boxes],
    scores: Sequence[NDArray[np.float32]],
    truth: Sequence[Boxes],
    threshold: float,
    top: int,
) -> float:
    """COCO's average precision at one IoU over all photos.

    The first *top* boxes of every photo are pooled, highest score first. In each photo, in the same order, a box is
    matched with the true one of the highest IoU that is still free. The precision at a recall is the best at that
    recall or a higher one, and its mean over :data:`RECALL_POINTS` recalls is the result.

    Args:
        found: of each photo ``[K, 4]``, best first.
        scores: of each photo ``[K]``; here, unlike elsewhere, compared between photos.
        truth: of each photo ``[M, 4]``.
        threshold: IoU that a match needs.
        top: boxes a photo that count.
    """
    matched, confidence = [], []
    for boxes, values, actual in zip(found, scores, truth, strict=True):
        order = _descending(values[:top])
        matched.append(_matched(boxes[order], actual, threshold))
        confidence.append(values[order])
    total = sum(len(actual) for actual in truth)
    hits = np.concatenate(matched)[_descending(np.concatenate(confidence))]
    if not total or not len(hits):
        return 0.0
    correct = np.cumsum(hits)
    recall, precision = correct / total, correct / np.arange(1, len(hits) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    return float(envelope[np.searchsorted(recall, np.linspace(0, 1, RECALL_POINTS), side="left")].mean())


def _matched(found: Boxes, truth: Boxes, threshold: float) -> NDArray[np.bool_]:
    """Whether each box ``[K, 4]``, in order, finds a true one ``[M, 4]`` that none before it has taken."""
    similarity = bx.iou(found.astype(np.float64), truth.astype(np.float64))
    free, hits = np.ones(len(truth), bool), np.zeros(len(found), bool)
    for index in range(len(found)):
        candidates = np.where(free, similarity[index], -1)
        if len(truth) and candidates.max() >= threshold:
            hits[index] = True
            # Of several of the same IoU the last, as COCO does.
            free[len(truth) - 1 - np.argmax(candidates[::-1])] = False
    return hits
