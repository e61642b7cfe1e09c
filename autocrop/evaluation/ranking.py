"""Protocol for data sets with scored crops (GAICD, CPC): rank those crops, and compare predicted boxes with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autocrop.datasets import Sample
from autocrop.datasets.base import Scale
from autocrop.datasets.gaicd import SCALE
from autocrop.errors import AutocropError
from autocrop.evaluation import metrics
from autocrop.evaluation.baselines import baseline_scores
from autocrop.evaluation.predictions import Prediction, check_all_or_none

TOP_N, RETURNED_K = (5, 10), (1, 2, 3, 4)
"""N and K of Acc_{K/N} (GAIC); N also of ACC_{1/N} (set prediction)."""
MATCH_IOUS = (0.85, 0.9)
"""IoU thresholds of ACC_{1/N} and AP (set prediction)."""
AP_TOP = (5, 10, 40)
"""Numbers of boxes per photo that average precision looks at (set prediction)."""


def measure_ranking(samples: Sequence[Sample], predictions: Sequence[Prediction], top: int | None) -> dict[str, Any]:
    """Measure predictions by the protocol for scored crops. See :func:`~autocrop.evaluation.evaluate.measure`."""
    names = [sample.name for sample in samples]
    has_scores = [prediction.annotated is not None for prediction in predictions]
    is_scored = check_all_or_none(names, has_scores, "scores of the annotated crops")
    has_boxes = any(len(prediction.boxes) for prediction in predictions)  # some photos may have none
    if not is_scored and not has_boxes:
        raise AutocropError("The predictions have neither scores of the annotated crops nor boxes.")
    scale = samples[0].scale or SCALE
    report: dict[str, Any] = {"gap": scale.gap, "pair_accuracy_strong": None, "pairs_strong": 0}
    report |= _rank(samples, [p.annotated for p in predictions if p.annotated is not None], scale)
    report["baselines"] = {name: _rank(samples, scores, scale) for name, scores in baseline_scores(samples).items()}
    return report | (_match_boxes(samples, predictions, scale, top) if has_boxes else {"acc_1": {}, "ap": {}})


def _rank(samples: Sequence[Sample], scores: Sequence[NDArray[np.float32]], scale: Scale) -> dict[str, Any]:
    """Average the ranking metrics of the annotated crops over all photos. All are None if there are no scores."""
    means = [f"{name}_{n}" for name in ("acc", "acc_w") for n in TOP_N]
    if not scores:
        return dict.fromkeys(["srcc", "pcc", *means, "pair_accuracy"]) | {"pairs": 0, "acc": {}, "acc_w": {}}
    pairs = list(zip(scores, map(_mos, samples), strict=True))
    report: dict[str, Any] = {
        "srcc": float(np.mean([metrics.spearman(predicted, mos) for predicted, mos in pairs])),
        "pcc": float(np.mean([metrics.pearson(predicted, mos) for predicted, mos in pairs])),
    }
    for name, metric in (("acc", metrics.top_accuracy), ("acc_w", metrics.weighted_top_accuracy)):
        report[name] = {
            f"{k}/{n}": float(np.mean([metric(predicted, mos, k, n) for predicted, mos in pairs]))
            for n in TOP_N
            for k in RETURNED_K
        }
        for n in TOP_N:
            report[f"{name}_{n}"] = float(np.mean([report[name][f"{k}/{n}"] for k in RETURNED_K]))
    correct = np.concatenate([metrics.clear_pairs_correct(predicted, mos, scale.gap) for predicted, mos in pairs])
    return report | {"pair_accuracy": float(correct.mean()) if len(correct) else None, "pairs": len(correct)}


def _match_boxes(
    samples: Sequence[Sample], predictions: Sequence[Prediction], scale: Scale, top: int | None
) -> dict[str, Any]:
    """Compute ACC_{1/N} and AP of the predicted boxes, by IoU and by the number of boxes per photo that count."""
    boxes, scores = [p.boxes for p in predictions], [p.scores for p in predictions]
    targets = [metrics.good_crops(sample.boxes, _mos(sample), scale.good) for sample in samples]

    def accuracy(n: int, iou: float) -> float:
        hits = [
            metrics.contains_best_crop(predicted, sample.boxes, _mos(sample), n, iou)
            for sample, predicted in zip(samples, boxes, strict=True)
        ]
        return float(np.mean(hits))

    def within_top(counts: Sequence[int]) -> list[int]:
        return [n for n in counts if top is None or n <= top]

    return {
        "acc_1": {f"{iou:.2f}": {str(n): accuracy(n, iou) for n in within_top(TOP_N)} for iou in MATCH_IOUS},
        "ap": {
            f"{iou:.2f}": {
                str(n): metrics.average_precision(boxes, scores, targets, iou, n) for n in within_top(AP_TOP)
            }
            for iou in MATCH_IOUS
        },
    }


def _mos(sample: Sample) -> NDArray[np.float32]:
    return np.asarray(sample.scores)
