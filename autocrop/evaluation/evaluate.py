"""Evaluation of a model on a data set, using the protocol that fits its annotations.

:func:`predict` runs a model on the photos, and :func:`measure` compares its predictions with people's choices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from autocrop.datasets import Sample
from autocrop.engines.base import Engine, Features
from autocrop.errors import AutocropError, PhotoError, UsageError
from autocrop.evaluation.baselines import crop_ratio
from autocrop.evaluation.best_crops import measure_best_crops
from autocrop.evaluation.predictions import Prediction, empty_prediction
from autocrop.evaluation.ranking import measure_ranking
from autocrop.images import open_photo
from autocrop.search.two_stage import Scorer, find_boxes


def evaluate(
    engine: Engine,
    samples: Sequence[Sample],
    given_ratio: bool = False,
    on_photo: Callable[[int], None] = lambda done: None,
    top: int | None = None,
) -> dict[str, Any]:
    """Run a model on every photo and measure its predictions: :func:`predict`, then :func:`measure`."""
    return measure(samples, predict(engine, samples, given_ratio, on_photo, top), given_ratio, top)


def predict(
    engine: Engine,
    samples: Sequence[Sample],
    given_ratio: bool = False,
    on_photo: Callable[[int], None] = lambda done: None,
    top: int | None = None,
    on_features: Callable[[Sample, Features], None] = lambda sample, features: None,
) -> list[Prediction]:
    """Run a model on every photo.

    In photos with best crops, the search finds the crops that a user would get. Photos with scored crops are searched
    only if *top* is given. There, a model that proposes crops predicts its raw proposals, because near-duplicates count
    in average precision.

    Args:
        engine: model.
        samples: annotated photos.
        given_ratio: search only for crops with the aspect ratio of the annotated crop.
        on_photo: called with the number of photos done.
        top: number of boxes to search for. Default: one where people chose best crops, none where they scored crops.
        on_features: called with the features of each photo.

    Returns:
        One prediction per photo. The prediction for an unreadable photo has an *error*.

    Raises:
        UsageError: the photos have no annotations, or *given_ratio* cannot be used with them.
    """
    _check_samples(samples, given_ratio)
    predictions = []
    for done, sample in enumerate(samples, start=1):
        try:
            features = engine.encode(open_photo(sample.path).preview(), sample.aspect)
        except PhotoError as error:
            predictions.append(empty_prediction(sample.name, str(error)))
        else:
            on_features(sample, features)
            predictions.append(_predict(engine, sample, features, given_ratio, top))
        on_photo(done)
    return predictions


def _predict(engine: Engine, sample: Sample, features: Features, given_ratio: bool, top: int | None) -> Prediction:
    prediction = empty_prediction(sample.name)
    if top is None:
        top = 1 if sample.scores is None else 0
    proposals = engine.propose(features) if sample.scores is not None else None
    if top and proposals is not None:
        prediction = dataclasses.replace(prediction, boxes=proposals.boxes[:top], scores=proposals.confidence[:top])
    elif top:
        boxes, scores = find_boxes(Scorer(engine, features), crop_ratio(sample) if given_ratio else None, top)
        prediction = dataclasses.replace(prediction, boxes=boxes, scores=scores)
    if sample.scores is not None:
        prediction = dataclasses.replace(prediction, annotated=engine.score(features, sample.boxes))
    if sample.votes is not None:
        pair_scores = engine.score(features, sample.votes.pairs.reshape(-1, 4))
        prediction = dataclasses.replace(prediction, pairs=pair_scores.reshape(-1, 2))
    return prediction


def measure(
    samples: Sequence[Sample], predictions: Sequence[Prediction], given_ratio: bool = False, top: int | None = None
) -> dict[str, Any]:
    """Compare predictions of any program with people's choices.

    Args:
        samples: annotated photos.
        predictions: one for each photo, in the same order. Those with an *error* are left out.
        given_ratio: True if the boxes were searched for at the aspect ratio of the annotated crop.
        top: number of boxes that were searched for. Metrics of more boxes are left out. None keeps all metrics.

    Returns:
        ``protocol``, ``n``, ``failed`` (names of photos left out), ``pair_accuracy`` and ``pairs``. In addition,

        - for ``best crop``: ``iou``, ``bde``, ``recall`` (alpha-recall at IoU 0.75), ``shots`` (the same for each
          class; only if every photo has one best crop), ``best_of`` (IoU of the best of the first 5 and 10 boxes)
          and ``similarity`` (mean IoU between the first 5), both only if photos have several predictions,
          ``pair_accuracy_strong`` with ``pairs_strong``, ``baselines``, and ``ceilings`` (IoU of the best candidate
          of each set);
        - for ``ranking``: ``srcc``, ``pcc``, ``acc_5``, ``acc_10``, their rank-weighted ``acc_w_5`` and
          ``acc_w_10``, ``acc`` and ``acc_w`` by ``K/N``, ``gap`` (of the pairs), ``baselines``, and ``acc_1`` and
          ``ap`` by IoU and number of boxes.

        Metrics that do not apply, or that the predictions do not contain, are None or an empty dictionary.

    Raises:
        UsageError: the photos have no annotations, or *given_ratio* cannot be used with them.
        AutocropError: all predictions have an error, or only some photos have boxes or scores.
    """
    _check_samples(samples, given_ratio)
    pairs = [(s, p) for s, p in zip(samples, predictions, strict=True) if p.error is None]
    failed = [prediction.name for prediction in predictions if prediction.error is not None]
    if not pairs:
        raise AutocropError(f"None of the {len(failed)} photos could be read: {predictions[0].error}")
    readable, usable = [sample for sample, _ in pairs], [prediction for _, prediction in pairs]
    is_ranking = samples[0].scores is not None
    report: dict[str, Any] = {"protocol": "ranking" if is_ranking else "best crop", "n": len(pairs), "failed": failed}
    report |= {"iou": None, "bde": None, "recall": None, "shots": {}}
    if is_ranking:
        return report | measure_ranking(readable, usable, top)
    return report | measure_best_crops(readable, usable, given_ratio, top)


def _check_samples(samples: Sequence[Sample], given_ratio: bool) -> None:
    if not samples or any(not len(sample.boxes) for sample in samples):
        raise UsageError(
            "These photos have no annotated crops to compare predictions with. Use fcdb, flms, gaicd, or cpc."
        )
    if given_ratio and any(sample.scores is not None or len(sample.boxes) > 1 for sample in samples):
        raise UsageError("--given-ratio needs photos with exactly one best crop. Use fcdb.")
