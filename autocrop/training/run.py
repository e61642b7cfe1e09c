"""Train a model and return its best checkpoint: what ``autocrop train`` does, without printing anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from autocrop import memory
from autocrop.datasets import Sample, load
from autocrop.engines import pick_device
from autocrop.engines.torch import TorchEngine
from autocrop.errors import UsageError
from autocrop.evaluation.evaluate import evaluate
from autocrop.models import MODELS, CroppingModel
from autocrop.models.checkpoint import initialize
from autocrop.training import distributed
from autocrop.training.callbacks import Callbacks, EpochRecord
from autocrop.training.data import TrainingViews
from autocrop.training.feature_cache import CachedEngine, FeatureCache
from autocrop.training.loop import FitOptions, fit
from autocrop.training.options import TrainingOptions
from autocrop.training.run_files import draw_curves, write_config
from autocrop.training.targets import target_crops


def run(options: TrainingOptions, callbacks: Callbacks | None = None) -> Path:
    """Train a model and validate it after every epoch.

    If ``torchrun`` started the process, it trains together with the others.

    Args:
        options: what to train, and where to write it.
        callbacks: functions that report messages and progress.

    Returns:
        Path of the best checkpoint.

    Raises:
        UsageError: the data has no annotated crops, or the device does not exist.
        AutocropError: the data cannot be read, CUDA is not available, or the run cannot be started or resumed; see
            :func:`~autocrop.training.loop.fit`.
    """
    data = _load(options)
    device = distributed.initialize(pick_device(options.device))
    try:
        is_main = distributed.ProcessGroup.current().is_main
        return _train(options, data, device, callbacks if callbacks is not None and is_main else Callbacks())
    finally:
        distributed.destroy()


@dataclass(frozen=True)
class _Data:
    training: Sequence[Sample]
    validation: Sequence[Sample]
    unlabeled: Sequence[Sample]


def _load(options: TrainingOptions) -> _Data:
    training, validation = load(options.data, "train"), load(options.data, "val")
    if any(not len(sample.boxes) for sample in training):
        raise UsageError(
            f"The photos of {options.data} have no annotated crops to learn from. Use fcdb, gaicd, or cpc."
        )
    unlabeled = () if options.unlabeled is None else load(f"folder:{options.unlabeled}", "train")
    return _Data(training, validation, unlabeled)


def _train(options: TrainingOptions, data: _Data, device: str, callbacks: Callbacks) -> Path:
    callbacks.on_message(
        f"Training on {len(data.training)} photos, validating on {len(data.validation)}. Run folder: {options.output}"
    )
    memory.keep_freed_memory(unlimited=True)
    network = _build_network(options, data.training, callbacks)
    cache = None
    if network.recipe.freeze_backbone:
        cache = FeatureCache(network.backbone, options.feature_cache, device)
    batches = TrainingViews(data.training, network.recipe, data.unlabeled, network.uses_saliency, cache)

    def validate(trained: CroppingModel) -> dict[str, float]:
        engine = CachedEngine(trained, cache, device) if cache else TorchEngine(options.model, trained, device)
        report = evaluate(engine, data.validation)
        # The gap selects the pairs of crops to compare. It is not a metric.
        return {key: value for key, value in report.items() if isinstance(value, float) and key != "gap"}

    return fit(
        network,
        batches,
        validate,
        _fit_options(options, device),
        _with_run_files(callbacks, options, network, device),
    )


def _build_network(options: TrainingOptions, training: Sequence[Sample], callbacks: Callbacks) -> CroppingModel:
    recipe = options.resolve_recipe()
    torch.manual_seed(recipe.seed)
    # A resumed run loads all weights from its checkpoint.
    network = MODELS[options.model](recipe, pretrained=options.backbone_weights or not options.resume)
    if options.init_from is not None:
        count = initialize(network, options.init_from)
        callbacks.on_message(f"Loaded {count} of {len(network.state_dict())} tensors from {options.init_from}.")
    network.prepare(np.stack([target_crops(sample)[0] for sample in training]))
    return network


def _fit_options(options: TrainingOptions, device: str) -> FitOptions:
    data_folder = options.data.partition(":")[2]
    fixed_options = {
        "data": f"{options.data_name}:{_absolute(data_folder)}",
        "unlabeled": None if options.unlabeled is None else _absolute(options.unlabeled),
    }
    return FitOptions(options.output, device, options.amp, options.resume, options.data_name, fixed_options)


def _absolute(folder: str | Path) -> str:
    """Return the absolute path without resolving links, since a link may replace a data folder that was moved."""
    return str(Path(folder).expanduser().absolute())


def _with_run_files(callbacks: Callbacks, options: TrainingOptions, network: CroppingModel, device: str) -> Callbacks:
    """Extend callbacks to write ``config.json`` and ``curves.png``."""

    def on_start() -> None:
        settings = {"device": device, "amp": options.amp, "processes": distributed.ProcessGroup.current().size}
        write_config(options.output, options.model, options.data, network.recipe, settings, options.resume)
        callbacks.on_start()

    def on_epoch(record: EpochRecord) -> None:
        draw_curves(options.output)
        callbacks.on_epoch(record)

    return dataclasses.replace(callbacks, on_start=on_start, on_epoch=on_epoch)
