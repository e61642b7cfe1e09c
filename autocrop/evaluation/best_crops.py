"""Protocol for data sets with best crops (FCDB, FLMS): compare the predicted crop with people's choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autocrop.datasets import Sample
from autocrop.errors import AutocropError
from autocrop.evaluation import metrics
from autocrop.evaluation.baselines import baseline_crops, candidate_ceilings
from autocrop.evaluation.predictions import Prediction, check_all_or_none
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes

BEST_OF = (5, 10)
"""Each N for which the best of the first N crops is measured."""
SIMILARITY_TOP = 5
"""Number of first crops whose mutual IoU is measured."""


def measure_best_crops(
    samples: Sequence[Sample], predictions: Sequence[Prediction], given_ratio: bool, top: int | None
) -> dict[str, Any]:
    """Measure predictions by the protocol for best crops. See :func:`~autocrop.evaluation.evaluate.measure`."""
    missing = [prediction.name for prediction in predictions if not len(prediction.boxes)]
    if missing:
        raise AutocropError(
            f"{len(missing)} photos have no predicted box to compare with people's crops, for example {missing[0]}."
        )
    predicted = np.stack([prediction.boxes[0] for prediction in predictions])
    targets = [sample.boxes for sample in samples]
    report: dict[str, Any] = _compare(predicted, targets)
    report["shots"] = _by_shot(predicted, targets) if all(len(boxes) == 1 for boxes in targets) else {}
    report |= _several_crops([prediction.boxes for prediction in predictions], targets, top)
    report |= _voted_pairs(samples, predictions)
    baselines = baseline_crops(samples, given_ratio)
    report["baselines"] = {name: _compare(boxes, targets) for name, boxes in baselines.items()}
    report["ceilings"] = candidate_ceilings(samples, given_ratio)
    return report


def _compare(predicted: Boxes, targets: Sequence[Boxes]) -> dict[str, float]:
    nearest = metrics.nearest_targets(predicted, targets)
    iou = metrics.paired_iou(predicted, nearest)
    return {
        "iou": float(iou.mean()),
        "bde": float(metrics.boundary_displacement(predicted, nearest).mean()),
        "recall": float((iou >= metrics.RECALL_IOU).mean()),
    }


def _by_shot(predicted: Boxes, targets: Sequence[Boxes]) -> dict[str, dict[str, float]]:
    """Compare each class of photos separately."""
    target = np.concatenate(targets)
    shots = np.array(metrics.shot_classes(target))
    return {
        name: {"n": int((shots == name).sum())}
        | _compare(predicted[shots == name], list(target[shots == name][:, None]))
        for name in metrics.SHOTS
        if (shots == name).any()
    }


def _several_crops(predicted: Sequence[Boxes], targets: Sequence[Boxes], top: int | None) -> dict[str, Any]:
    """Measure the best IoU and the similarity of the first crops. Empty if no photo has several predictions."""
    if max(map(len, predicted)) < 2:
        return {"best_of": {}, "similarity": None}
    best = {
        str(n): float(np.mean([bx.iou(p[:n], t).max() for p, t in zip(predicted, targets, strict=True)]))
        for n in BEST_OF
        if top is None or n <= top
    }
    first = [boxes[:SIMILARITY_TOP] for boxes in predicted if len(boxes) > 1]
    pairs = [bx.iou(boxes, boxes)[np.triu_indices(len(boxes), 1)].mean() for boxes in first]
    return {"best_of": best, "similarity": float(np.mean(pairs))}


def _voted_pairs(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Measure the accuracy on pairs of crops that people voted on."""
    voted = [(s, s.votes, p.pairs) for s, p in zip(samples, predictions, strict=True) if s.votes is not None]
    names = [sample.name for sample, _, _ in voted]
    if not check_all_or_none(names, [scores is not None for _, _, scores in voted], "scores of the voted pairs"):
        return {"pair_accuracy": None, "pairs": 0, "pair_accuracy_strong": None, "pairs_strong": 0}
    scores = np.concatenate([scores for _, _, scores in voted if scores is not None])
    correct = metrics.voted_pairs_correct(scores, np.concatenate([votes.counts for _, votes, _ in voted]))
    strong = np.abs(np.concatenate([votes.margin for _, votes, _ in voted])) >= metrics.STRONG_MARGIN
    return {
        "pair_accuracy": float(correct.mean()),
        "pairs": len(correct),
        "pair_accuracy_strong": float(correct[strong].mean()) if strong.any() else None,
        "pairs_strong": int(strong.sum()),
    }
