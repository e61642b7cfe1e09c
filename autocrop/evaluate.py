"""Measure a model on a data set: best crop found against best crop chosen by people, and the order of voted pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autocrop import metrics
from autocrop.boxes import WHOLE, Boxes
from autocrop.datasets import Sample, Votes
from autocrop.datasets.fcdb import MEAN_CROP
from autocrop.engines.base import Engine
from autocrop.images import open_photo
from autocrop.search import find_boxes


def evaluate(
    engine: Engine,
    samples: Sequence[Sample],
    given_ratio: bool = False,
    on_photo: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Search every photo and compare with its best crop.

    Args:
        engine: the model.
        samples: photos with one best crop each, and votes where there are any.
        given_ratio: search only at the aspect ratio of the human's crop, as somebody who asks for a ratio would.
        on_photo: called with the number of photos done.

    Returns:
        ``n``, ``iou``, ``bde``, ``shots`` (the same for each class), ``pair_accuracy`` and ``pair_accuracy_strong``
        with ``pairs`` and ``pairs_strong`` (None where there are no votes), and ``baselines``.
    """
    found, scores = [], []
    for done, sample in enumerate(samples, start=1):
        features = engine.encode(open_photo(sample.path).preview())
        ratio = crop_ratio(sample) if given_ratio else None
        found.append(find_boxes(engine, features, ratio=ratio)[0][0])
        if sample.votes is not None:
            voted = engine.score(features, sample.votes.pairs.reshape(-1, 4))
            scores.append(voted.reshape(-1, 2))
        on_photo(done)
    truth = np.concatenate([sample.boxes[:1] for sample in samples])
    report: dict[str, Any] = {"n": len(samples), **_compare(np.stack(found), truth)}
    report["shots"] = _by_shot(np.stack(found), truth)
    report |= _pair_accuracy(scores, [sample.votes for sample in samples if sample.votes is not None])
    report["baselines"] = {name: _compare(boxes, truth) for name, boxes in _baselines(samples, given_ratio).items()}
    return report


def crop_ratio(sample: Sample) -> float:
    """Aspect ratio, in pixels, of the photo's best crop."""
    x1, y1, x2, y2 = sample.boxes[0]
    return float((x2 - x1) / (y2 - y1) * sample.aspect)


def centre_crop(aspect: float, ratio: float) -> Boxes:
    """The largest crop of aspect *ratio* in the middle of a photo of *aspect*, ``[1, 4]``."""
    w, h = min(1.0, ratio / aspect), min(1.0, aspect / ratio)
    return np.array([[(1 - w) / 2, (1 - h) / 2, (1 + w) / 2, (1 + h) / 2]], np.float32)


def _baselines(samples: Sequence[Sample], given_ratio: bool) -> dict[str, Boxes]:
    """What needs no model: ``[N, 4]`` boxes by name."""
    if given_ratio:
        return {"centre_crop": np.concatenate([centre_crop(s.aspect, crop_ratio(s)) for s in samples])}
    return {"mean_crop": np.repeat(MEAN_CROP, len(samples), 0), "whole_photo": np.repeat(WHOLE, len(samples), 0)}


def _compare(found: Boxes, truth: Boxes) -> dict[str, float]:
    return {
        "iou": float(metrics.overlap(found, truth).mean()),
        "bde": float(metrics.boundary_displacement(found, truth).mean()),
    }


def _by_shot(found: Boxes, truth: Boxes) -> dict[str, dict[str, float]]:
    shots = np.array(metrics.shot(truth))
    return {
        name: {"n": int((shots == name).sum()), **_compare(found[shots == name], truth[shots == name])}
        for name in metrics.SHOTS
        if (shots == name).any()
    }


def _pair_accuracy(scores: list[NDArray[np.float32]], votes: list[Votes]) -> dict[str, Any]:
    if not votes:
        return {"pair_accuracy": None, "pairs": 0, "pair_accuracy_strong": None, "pairs_strong": 0}
    correct = metrics.pairs_correct(np.concatenate(scores), np.concatenate([v.counts for v in votes]))
    strong = np.abs(np.concatenate([v.margin for v in votes])) >= metrics.STRONG_MARGIN
    return {
        "pair_accuracy": float(correct.mean()),
        "pairs": len(correct),
        "pair_accuracy_strong": float(correct[strong].mean()) if strong.any() else None,
        "pairs_strong": int(strong.sum()),
    }
