"""Measure a model on a data set, by the protocol that the data set's annotations allow.

Scored crops (GAICD, CPC): the ranking of those crops, and, where boxes are there, whether they find the good ones.
Best crops (FCDB, FLMS): the best box found against the crops people chose, and the order of the pairs they voted on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autocrop.datasets import Sample
from autocrop.datasets.base import Scale
from autocrop.datasets.fcdb import MEAN_CROP
from autocrop.datasets.gaicd import SCALE
from autocrop.engines.base import Engine, Features
from autocrop.errors import AutocropError, PhotoError, UsageError
from autocrop.evaluation import metrics
from autocrop.evaluation.predictions import Prediction, nothing
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import FULL_FRAME, Boxes
from autocrop.geometry.candidates import dense_anchors, grid_anchors, ratio_windows
from autocrop.images import open_photo
from autocrop.search.two_stage import Scorer, find_boxes

TOP_N, RETURNED_K = (5, 10), (1, 2, 3, 4)
"""N and K of Acc_{K/N} (GAIC)."""
FOUND_IOU = (0.85, 0.9)
"""IoU from which on a box is the crop, in ACC_{1/N} and AP (set prediction)."""
AP_TOP = (5, 10, 40)
"""Boxes a photo that the average precision looks at (set prediction)."""


def evaluate(
    engine: Engine,
    samples: Sequence[Sample],
    given_ratio: bool = False,
    on_photo: Callable[[int], None] = lambda done: None,
    top: int | None = None,
) -> dict[str, Any]:
    """Let a model look at every photo, and measure what it says: :func:`predict`, then :func:`measure`."""
    return measure(samples, predict(engine, samples, given_ratio, on_photo, top), given_ratio, top)


def predict(
    engine: Engine,
    samples: Sequence[Sample],
    given_ratio: bool = False,
    on_photo: Callable[[int], None] = lambda done: None,
    top: int | None = None,
    look: Callable[[Sample, Features], None] = lambda sample, features: None,
) -> list[Prediction]:
    """What a model says about each photo; a photo that cannot be decoded gets a prediction with *error*.

    Args:
        engine: the model.
        samples: annotated photos.
        given_ratio: search only at the aspect ratio of the human's crop, as somebody who asks for a ratio would.
        on_photo: called with the number of photos done.
        top: boxes to search for; by default one where people chose best crops, none where they scored crops. A model
            that proposes crops gives the crops that it would suggest where people chose best ones, and its proposals
            as they are where they scored crops: near-duplicates count there (AP).
        look: called with what the engine makes of each photo.

    Raises:
        UsageError: the photos are not annotated, or *given_ratio* makes no sense for them.
    """
    _check(samples, given_ratio)
    predictions = []
    for done, sample in enumerate(samples, start=1):
        predictions.append(_predict(engine, sample, given_ratio, top, look))
        on_photo(done)
    return predictions


def _predict(
    engine: Engine,
    sample: Sample,
    given_ratio: bool,
    top: int | None,
    look: Callable[[Sample, Features], None],
) -> Prediction:
    try:
        features = engine.encode(open_photo(sample.path).preview(), sample.aspect)
    except PhotoError as error:
        return nothing(sample.name, str(error))
    look(sample, features)
    prediction = nothing(sample.name)
    wanted = top if top is not None else int(sample.scores is None)
    proposed = engine.propose(features) if sample.scores is not None else None
    if wanted and proposed is not None:
        prediction = dataclasses.replace(prediction, boxes=proposed.boxes[:wanted], scores=proposed.confidence[:wanted])
    elif wanted:
        boxes, scores = find_boxes(Scorer(engine, features), crop_ratio(sample) if given_ratio else None, wanted)
        prediction = dataclasses.replace(prediction, boxes=boxes, scores=scores)
    if sample.scores is not None:
        prediction = dataclasses.replace(prediction, annotated=engine.score(features, sample.boxes))
    if sample.votes is not None:
        voted = engine.score(features, sample.votes.pairs.reshape(-1, 4))
        prediction = dataclasses.replace(prediction, pairs=voted.reshape(-1, 2))
    return prediction


def measure(
    samples: Sequence[Sample], predictions: Sequence[Prediction], given_ratio: bool = False, top: int | None = None
) -> dict[str, Any]:
    """Compare predictions, whoever made them, with what people think.

    Args:
        samples: annotated photos.
        predictions: one for each, in the same order. Those with an *error* are left out.
        given_ratio: the boxes were searched for at the aspect ratio of the human's crop.
        top: the most boxes that were searched for: metrics of more boxes a photo are left out. None: all of them.

    Returns:
        ``protocol``, ``n``, ``failed`` (names left out) and ``pair_accuracy`` with ``pairs``, and then

        - for ``best crop``: ``iou``, ``bde``, ``recall`` (alpha-recall at IoU 0.75), ``shots`` (the same for each
          class; only where every photo has one best crop), ``best_of`` (IoU of the best of the first 5 and 10 boxes)
          and ``similarity`` (mean IoU of two of the first 5), both only where several boxes were found,
          ``pair_accuracy_strong`` with ``pairs_strong``,
          ``baselines`` and ``ceilings`` (IoU of the best candidate of each set);
        - for ``ranking``: ``srcc``, ``pcc``, ``acc_5``, ``acc_10``, their rank-weighted ``acc_w_5`` and
          ``acc_w_10``, ``acc`` and ``acc_w`` by ``K/N``, ``gap`` (of the pairs), ``baselines``; and ``acc_1`` and
          ``ap`` by IoU and number of boxes.

        What does not apply or is not in the predictions is None; the tables of IoU and shots are then empty.

    Raises:
        UsageError: the photos are not annotated, or *given_ratio* makes no sense for them.
        AutocropError: nothing is left to measure, or only some photos have boxes or scores.
    """
    _check(samples, given_ratio)
    kept = [(s, p) for s, p in zip(samples, predictions, strict=True) if p.error is None]
    failed = [prediction.name for prediction in predictions if prediction.error is not None]
    if not kept:
        raise AutocropError(f"None of the {len(failed)} photos could be read: {predictions[0].error}")
    ranking = samples[0].scores is not None
    report: dict[str, Any] = {"protocol": "ranking" if ranking else "best crop", "n": len(kept), "failed": failed}
    report |= {"iou": None, "bde": None, "recall": None, "shots": {}}
    used, made = [s for s, _ in kept], [p for _, p in kept]
    return report | (_ranking(used, made, top) if ranking else _best_crop(used, made, given_ratio, top))


def _check(samples: Sequence[Sample], given_ratio: bool) -> None:
    """Whether these samples can be measured."""
    if not samples or any(not len(sample.boxes) for sample in samples):
        raise UsageError(
            "These photos carry no crops that people chose or scored, so there is nothing to measure a model by. "
            "Use fcdb, flms, gaicd or cpc."
        )
    if given_ratio and any(sample.scores is not None or len(sample.boxes) > 1 for sample in samples):
        raise UsageError("--given-ratio needs photos with one best crop each, such as FCDB's.")


def crop_ratio(sample: Sample) -> float:
    """Aspect ratio, in pixels, of the photo's best crop."""
    x1, y1, x2, y2 = sample.boxes[0]
    return float((x2 - x1) / (y2 - y1) * sample.aspect)


def center_crop(aspect: float, ratio: float) -> Boxes:
    """The largest crop of aspect *ratio* in the middle of a photo of *aspect*, ``[1, 4]``."""
    w, h = min(1.0, ratio / aspect), min(1.0, aspect / ratio)
    return np.array([[(1 - w) / 2, (1 - h) / 2, (1 + w) / 2, (1 + h) / 2]], np.float32)


def _best_crop(
    samples: Sequence[Sample], predictions: Sequence[Prediction], given_ratio: bool, top: int | None
) -> dict[str, Any]:
    without = [prediction.name for prediction in predictions if not len(prediction.boxes)]
    if without:
        raise AutocropError(f"{len(without)} photos have no box to compare with people's crops, {without[0]} for one.")
    found = np.stack([prediction.boxes[0] for prediction in predictions])
    truth = [sample.boxes for sample in samples]
    report: dict[str, Any] = _compare(found, truth)
    report["shots"] = _by_shot(found, truth) if all(len(boxes) == 1 for boxes in truth) else {}
    report |= _several(predictions, truth, top)
    report |= _voted(samples, predictions)
    baselines = _baseline_crops(samples, given_ratio)
    report["baselines"] = {name: _compare(boxes, truth) for name, boxes in baselines.items()}
    report["ceilings"] = _ceilings(samples, given_ratio)
    return report


def _compare(found: Boxes, truth: Sequence[Boxes]) -> dict[str, float]:
    nearest = metrics.closest(found, truth)
    overlap = metrics.overlap(found, nearest)
    return {
        "iou": float(overlap.mean()),
        "bde": float(metrics.boundary_displacement(found, nearest).mean()),
        "recall": float((overlap >= metrics.RECALL_IOU).mean()),
    }


def _several(predictions: Sequence[Prediction], truth: Sequence[Boxes], top: int | None) -> dict[str, Any]:
    """How good the best of several boxes is, and how much alike they are; empty where there is one a photo."""
    boxes = [prediction.boxes for prediction in predictions]
    if max(map(len, boxes)) < 2:
        return {"best_of": {}, "similarity": None}
    best = {
        str(n): float(np.mean([bx.iou(found[:n], wanted).max() for found, wanted in zip(boxes, truth, strict=True)]))
        for n in TOP_N
        if top is None or n <= top
    }
    first = [found[: TOP_N[0]] for found in boxes if len(found) > 1]
    pairs = [bx.iou(found, found)[np.triu_indices(len(found), 1)].mean() for found in first]
    return {"best_of": best, "similarity": float(np.mean(pairs))}


def _by_shot(found: Boxes, truth: Sequence[Boxes]) -> dict[str, dict[str, float]]:
    actual = np.concatenate(truth)
    shots = np.array(metrics.shot(actual))
    return {
        name: {"n": int((shots == name).sum()), **_compare(found[shots == name], list(actual[shots == name][:, None]))}
        for name in metrics.SHOTS
        if (shots == name).any()
    }


def _voted(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Accuracy on the pairs that people voted on."""
    voted = [(s.votes, p.pairs) for s, p in zip(samples, predictions, strict=True) if s.votes is not None]
    scores = [pairs for _, pairs in voted if pairs is not None]
    _all_or_none([s.name for s in samples if s.votes is not None], [pairs is not None for _, pairs in voted], "pairs")
    if not scores:
        return {"pair_accuracy": None, "pairs": 0, "pair_accuracy_strong": None, "pairs_strong": 0}
    correct = metrics.pairs_correct(np.concatenate(scores), np.concatenate([votes.counts for votes, _ in voted]))
    strong = np.abs(np.concatenate([votes.margin for votes, _ in voted])) >= metrics.STRONG_MARGIN
    return {
        "pair_accuracy": float(correct.mean()),
        "pairs": len(correct),
        "pair_accuracy_strong": float(correct[strong].mean()) if strong.any() else None,
        "pairs_strong": int(strong.sum()),
    }


def _baseline_crops(samples: Sequence[Sample], given_ratio: bool) -> dict[str, Boxes]:
    """What needs no model: ``[N, 4]`` boxes by name."""
    if given_ratio:
        return {"center_crop": np.concatenate([center_crop(s.aspect, crop_ratio(s)) for s in samples])}
    return {"mean_crop": np.repeat(MEAN_CROP, len(samples), 0), "whole_photo": np.repeat(FULL_FRAME, len(samples), 0)}


def _ceilings(samples: Sequence[Sample], given_ratio: bool) -> dict[str, float]:
    """Mean IoU of the candidate nearest to a human's crop: what a model that chooses among them cannot exceed."""
    if given_ratio:
        return {"ratio_windows": _nearest(samples, lambda sample: ratio_windows(sample.aspect, crop_ratio(sample)))}
    return {
        "grid_anchors": _nearest(samples, lambda sample: grid_anchors(sample.aspect)),
        "dense_anchors": _nearest(samples, lambda _: dense_anchors()),
    }


def _nearest(samples: Sequence[Sample], candidates: Callable[[Sample], Boxes]) -> float:
    return float(np.mean([bx.iou(candidates(sample), sample.boxes).max() for sample in samples]))


def _ranking(samples: Sequence[Sample], predictions: Sequence[Prediction], top: int | None) -> dict[str, Any]:
    names = [sample.name for sample in samples]
    scored = _all_or_none(names, [p.annotated is not None for p in predictions], "scores of the annotated crops")
    boxed = any(len(p.boxes) for p in predictions)  # a model may well find nothing in a photo
    if not scored and not boxed:
        raise AutocropError("The predictions have neither scores of the annotated crops nor boxes.")
    scale = samples[0].scale or SCALE
    report: dict[str, Any] = {"gap": scale.gap, "pair_accuracy_strong": None, "pairs_strong": 0}
    report |= _rank(samples, [p.annotated for p in predictions if p.annotated is not None], scale)
    report["baselines"] = {
        name: _rank(samples, [rank(sample.boxes) for sample in samples], scale)
        for name, rank in (("largest_first", _size), ("nearest_to_mean_crop", _nearness))
    }
    return report | (_found(samples, predictions, scale, top) if boxed else {"acc_1": {}, "ap": {}})


def _size(boxes: Boxes) -> NDArray[np.float32]:
    """Area of each crop, rounded, so that crops of one size are equal and not ordered by float32's noise."""
    return np.round(bx.area(boxes), 5).astype(np.float32)


def _nearness(boxes: Boxes) -> NDArray[np.float32]:
    """IoU of each crop with the mean best crop of FCDB."""
    return bx.iou(MEAN_CROP, boxes)[0]


def _rank(samples: Sequence[Sample], scores: Sequence[NDArray[np.float32]], scale: Scale) -> dict[str, Any]:
    """The ranking metrics of scores of the annotated crops, means over the photos; all None for no scores."""
    keys = [f"{k}/{n}" for n in TOP_N for k in RETURNED_K]
    means = [f"acc_{n}" for n in TOP_N] + [f"acc_w_{n}" for n in TOP_N]
    if not scores:
        return dict.fromkeys(["srcc", "pcc", *means, "pair_accuracy"]) | {"pairs": 0, "acc": {}, "acc_w": {}}
    both = [(s, np.asarray(o)) for s, o in zip(scores, (sample.scores for sample in samples), strict=True)]
    report: dict[str, Any] = {
        "srcc": float(np.mean([metrics.spearman(s, o) for s, o in both])),
        "pcc": float(np.mean([metrics.pearson(s, o) for s, o in both])),
    }
    for name, metric in (("acc", metrics.top_accuracy), ("acc_w", metrics.weighted_top_accuracy)):
        each = [float(np.mean([metric(s, o, k, n) for s, o in both])) for n in TOP_N for k in RETURNED_K]
        report[name] = dict(zip(keys, each, strict=True))
        for n in TOP_N:
            report[f"{name}_{n}"] = float(np.mean([report[name][f"{k}/{n}"] for k in RETURNED_K]))
    correct = np.concatenate([metrics.gaps_correct(s, o, scale.gap) for s, o in both])
    return report | {"pair_accuracy": float(correct.mean()) if len(correct) else None, "pairs": len(correct)}


def _found(
    samples: Sequence[Sample], predictions: Sequence[Prediction], scale: Scale, top: int | None
) -> dict[str, Any]:
    """ACC_{1/N} and AP of the boxes found, by IoU and by how many boxes a photo count."""
    boxes, scores = [p.boxes for p in predictions], [p.scores for p in predictions]
    good = [metrics.good_crops(s.boxes, np.asarray(s.scores), scale.good) for s in samples]
    report: dict[str, Any] = {"acc_1": {}, "ap": {}}
    for iou in FOUND_IOU:
        report["acc_1"][f"{iou:.2f}"] = {
            str(n): float(
                np.mean(
                    [
                        metrics.best_found(found, s.boxes, np.asarray(s.scores), n, iou)
                        for s, found in zip(samples, boxes, strict=True)
                    ]
                )
            )
            for n in TOP_N
            if top is None or n <= top
        }
        report["ap"][f"{iou:.2f}"] = {
            str(n): metrics.average_precision(boxes, scores, good, iou, n) for n in AP_TOP if top is None or n <= top
        }
    return report


def _all_or_none(names: Sequence[str], there: Sequence[bool], what: str) -> bool:
    """Whether all have it.

    Raises:
        AutocropError: some have it and some do not.
    """
    if any(there) and not all(there):
        lacking = [name for name, has in zip(names, there, strict=True) if not has]
        raise AutocropError(f"{len(lacking)} of {len(names)} photos have no {what}, {lacking[0]} for one.")
    return all(there) and bool(names)
