"""Run an evaluation and return its report: what ``autocrop eval`` does, without printing anything."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autocrop.datasets import Split, default_split, load
from autocrop.engines import load_model
from autocrop.errors import AutocropError, UsageError
from autocrop.evaluation.evaluate import measure, predict
from autocrop.evaluation.options import EvaluationOptions
from autocrop.evaluation.plots import PlotRecorder, draw_plots
from autocrop.evaluation.predictions import Prediction, load_predictions, save_predictions


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation."""

    report: dict[str, Any]
    """Metrics, as :func:`~autocrop.evaluation.evaluate.measure` returns them, with ``model``, ``data``, ``split``,
    ``given_ratio`` and ``listed`` (number of photos in the split)."""
    left_out: list[str]
    """Names of the photos that are missing or unreadable."""
    plots: list[Path]
    """Plots that were drawn."""


def run(options: EvaluationOptions, on_photo: Callable[[int, int], None] = lambda done, total: None) -> Evaluation:
    """Measure a model, or a file of predictions.

    Args:
        options: what to measure.
        on_photo: called after each photo with the number of photos done and the total.

    Raises:
        UsageError: the data has no annotations, a name is unknown, or an output cannot be written.
        AutocropError: data, model or predictions cannot be read, or a package for the plots is missing.
    """
    if options.save is not None:
        _check_save(options.save)
    if options.plots is not None:
        _check_plots(options.plots)
    split = options.split or default_split(options.data)
    samples = load(options.data, split)
    recorder = None
    if options.predictions is not None:
        model, predictions = options.predictions.stem, load_predictions(options.predictions, samples)
    else:
        model, predictions, recorder = _predict(options, samples, on_photo)
    if options.save is not None:
        save_predictions(options.save, samples, predictions)
    report: dict[str, Any] = {
        "model": model,
        "data": options.data.partition(":")[0],
        "split": split,
        "given_ratio": options.given_ratio,
        "listed": samples.listed,
    } | measure(samples, predictions, options.given_ratio, options.top)
    plots = [] if options.plots is None else draw_plots(options.plots, samples, predictions, recorder)
    return Evaluation(report, [*samples.missing, *report["failed"]], plots)


def _predict(
    options: EvaluationOptions, samples: Split, on_photo: Callable[[int, int], None]
) -> tuple[str, list[Prediction], PlotRecorder]:
    """Run a model on the photos. Returns its name, its predictions, and the other data that the plots need."""
    engine = load_model(options.model, options.device, options.weights, options.engine)
    recorder = PlotRecorder(engine)
    predictions = predict(
        engine,
        samples,
        options.given_ratio,
        lambda done: on_photo(done, len(samples)),
        options.top,
        recorder.record,
    )
    return engine.model, predictions, recorder


def _check_save(path: Path) -> None:
    """Check before a long run that a new file can be written."""
    if path.exists():
        raise UsageError(f"{path} already exists. Choose another file for --save.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path} cannot be written: {folder} is not a writable folder.")


def _check_plots(folder: Path) -> None:
    """Check before a long run that plots can be drawn."""
    missing = [name for name in ("matplotlib", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        raise AutocropError(
            f'--plots requires {" and ".join(missing)}. Install with: pip install "autocrop-photo[torch]"'
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file. Choose a folder for --plots.")
