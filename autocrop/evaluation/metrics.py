"""The papers' metrics as pure functions of numpy arrays.

Boxes are xyxy in [0, 1]. *scores* are predicted by a model, *mos* are people's mean opinion scores. ``docs/metrics.md``
has the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes

SHOTS = {"many": (0.65, 1.01), "medium": (0.4, 0.65), "few": (0.0, 0.4)}
"""Classes of photos by the area of the best crop: lower limit, inclusive, and upper limit (CBLNet, section 5.1)."""
STRONG_MARGIN = 3
"""Minimum margin of a strong vote: one crop has four or five of five votes."""
RECALL_IOU = 0.75
"""Minimum IoU of a recalled crop (the alpha-recall of the papers)."""
RECALL_POINTS = 101
"""Recall values between 0 and 1 at which average precision samples the precision (COCO)."""
GAP_TOLERANCE = 1e-6
"""Rounding tolerance for differences of mean opinion scores: 3.9 - 3.0 must count as 0.9."""


def paired_iou(predicted: Boxes, targets: Boxes) -> NDArray[np.float32]:
    """Compute the IoU of each predicted box ``[N, 4]`` with the target of the same index ``[N, 4]``: ``[N]``."""
    return np.concatenate([bx.iou(p[None], t[None])[0] for p, t in zip(predicted, targets, strict=True)])


def boundary_displacement(predicted: Boxes, targets: Boxes) -> NDArray[np.float32]:
    """Compute the BDE ``[N]``: the mean distance of the four sides, relative to the photo's sides."""
    return np.abs(predicted - targets).mean(axis=1)


def nearest_targets(predicted: Boxes, targets: Sequence[Boxes]) -> Boxes:
    """Choose the target that each prediction is compared with, if a photo has several.

    It is the target with the highest IoU and, among equals, the one with the smallest displacement. IoU and BDE are
    both computed with this target.

    Args:
        predicted: ``[N, 4]``.
        targets: of each photo, ``[K, 4]``, K >= 1.

    Returns:
        ``[N, 4]``.
    """
    nearest = []
    for box, candidates in zip(predicted, targets, strict=True):
        box = box[None]
        order = np.lexsort((boundary_displacement(box, candidates), -bx.iou(box, candidates)[0]))
        nearest.append(candidates[order[0]])
    return np.stack(nearest)


def shot_classes(targets: Boxes) -> list[str]:
    """Classify each target ``[N, 4]`` by its area: ``many``, ``medium`` or ``few``."""
    names = []
    for area in bx.area(targets):
        (name,) = (name for name, (low, high) in SHOTS.items() if low <= area < high)
        names.append(name)
    return names


def voted_pairs_correct(scores: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Check for each pair of crops whether the scores order it as most people did.

    Args:
        scores: ``[P, 2]``.
        counts: votes ``[P, 2]`` without ties.

    Returns:
        ``[P]``. Equal scores are wrong.
    """
    return (scores[:, 0] - scores[:, 1]) * (counts[:, 0] - counts[:, 1]) > 0


def clear_pairs_correct(scores: ArrayLike, mos: ArrayLike, gap: float) -> NDArray[np.bool_]:
    """Check for each clear pair of a photo's crops whether the scores order it correctly (ASM-Net).

    Args:
        scores: ``[N]``.
        mos: ``[N]``.
        gap: minimum difference in MOS of a clear pair.

    Returns:
        ``[P]``, one for each clear pair. Equal scores are wrong.
    """
    predicted, actual = np.asarray(scores, np.float64), np.asarray(mos, np.float64)
    first, second = np.triu_indices(len(actual), 1)
    difference = actual[first] - actual[second]
    is_clear = np.abs(difference) >= gap - GAP_TOLERANCE
    return ((predicted[first] - predicted[second]) * difference > 0)[is_clear]


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Compute the linear correlation (PCC) of two arrays ``[N]``. It is 0 if either is constant."""
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not len(a) or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip((a / np.linalg.norm(a)) @ (b / np.linalg.norm(b)), -1, 1))


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Compute the rank correlation (SRCC) of two arrays ``[N]``. Ties share their mean rank; a constant gives 0."""
    return pearson(_ranks(x), _ranks(y))


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Rank values from 1. Equal values share the mean of their ranks."""
    _, group, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group]


def top_accuracy(scores: ArrayLike, mos: ArrayLike, k: int, n: int) -> float:
    """Compute Acc_{K/N} of one photo: the share of the *k* highest scored crops that are in the true top *n* (GAIC).

    A crop is in the top *n* if its MOS is at least the n-th highest, so ties are included. Equal scores keep the
    order of the crops. *n* and *k* are limited to the number of crops.
    """
    actual = np.asarray(mos, np.float64)
    returned = _descending(scores)[:k]
    threshold = np.sort(actual)[::-1][min(n, len(actual)) - 1]
    return float((actual[returned] >= threshold).mean())


def weighted_top_accuracy(scores: ArrayLike, mos: ArrayLike, k: int, n: int) -> float:
    """Compute the rank-weighted Acc^w_{K/N} of one photo: lower true ranks count less (GAIC, TPAMI 2020).

    Let r_0 <= r_1 <= ... be the true ranks of the *k* highest scored crops, from 0, with ties in the order of the
    crops. The result is the mean of exp(-(r_j - j) / n), where ranks r_j >= n count as 0.
    """
    actual = np.asarray(mos, np.float64)
    rank = np.empty(len(actual), np.int64)
    rank[_descending(actual)] = np.arange(len(actual))
    n = min(n, len(actual))
    ranks = np.sort(rank[_descending(scores)[:k]])
    return float(np.where(ranks < n, np.exp(-(ranks - np.arange(len(ranks))) / n), 0).mean())


def _descending(values: ArrayLike) -> NDArray[np.intp]:
    """Return the indices that sort values from high to low. Equal values keep their order."""
    return np.argsort(-np.asarray(values, np.float64), kind="stable")


def contains_best_crop(predicted: Boxes, crops: Boxes, mos: ArrayLike, n: int, threshold: float) -> bool:
    """Check whether the crop with the highest MOS is among the first *n* predictions.

    This is ACC_{1/N} of one photo (set prediction, eq. 7).

    Args:
        predicted: ``[K, 4]``, best first. K may be less than *n*, or 0.
        crops: annotated crops ``[N, 4]``.
        mos: ``[N]``. Of several crops with the highest MOS, the first counts.
        n: number of predictions to look at.
        threshold: minimum IoU of a match.
    """
    best = crops[[_descending(mos)[0]]]
    return bool((bx.iou(best, predicted[:n]) >= threshold).any())


def good_crops(crops: Boxes, mos: ArrayLike, threshold: float) -> Boxes:
    """Select the crops with a MOS of at least *threshold* or, if there are none, those with the highest MOS.

    These are the good crops of set prediction.
    """
    actual = np.asarray(mos, np.float64)
    return crops[actual >= min(threshold, actual.max())]


def average_precision(
    predicted: Sequence[Boxes],
    scores: Sequence[NDArray[np.float32]],
    targets: Sequence[Boxes],
    threshold: float,
    top: int,
) -> float:
    """Compute COCO's average precision over all photos at one IoU threshold.

    The first *top* predictions of all photos are sorted by score. In this order, each is matched with the free target
    of its photo that has the highest IoU. The interpolated precision at a recall is the highest precision at this or a
    higher recall. The result is its mean over :data:`RECALL_POINTS` recall values.

    Args:
        predicted: of each photo, ``[K, 4]``, best first.
        scores: of each photo, ``[K]``. Unlike elsewhere, they are compared across photos.
        targets: of each photo, ``[M, 4]``.
        threshold: minimum IoU of a match.
        top: number of predictions per photo to look at.
    """
    matched, confidence = [], []
    for boxes, values, true_boxes in zip(predicted, scores, targets, strict=True):
        order = _descending(values[:top])
        matched.append(_matched(boxes[order], true_boxes, threshold))
        confidence.append(values[order])
    total = sum(len(true_boxes) for true_boxes in targets)
    hits = np.concatenate(matched)[_descending(np.concatenate(confidence))]
    if not total or not len(hits):
        return 0.0
    correct = np.cumsum(hits)
    recall, precision = correct / total, correct / np.arange(1, len(hits) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    return float(envelope[np.searchsorted(recall, np.linspace(0, 1, RECALL_POINTS), side="left")].mean())


def _matched(predicted: Boxes, targets: Boxes, threshold: float) -> NDArray[np.bool_]:
    """Match predictions ``[K, 4]`` in order, each with a target ``[M, 4]`` that is still free."""
    iou = bx.iou(predicted.astype(np.float64), targets.astype(np.float64))
    is_free, hits = np.ones(len(targets), bool), np.zeros(len(predicted), bool)
    for index in range(len(predicted)):
        candidates = np.where(is_free, iou[index], -1)
        if len(targets) and candidates.max() >= threshold:
            hits[index] = True
            # Among targets with equal IoU, COCO matches the last.
            is_free[len(targets) - 1 - np.argmax(candidates[::-1])] = False
    return hits
