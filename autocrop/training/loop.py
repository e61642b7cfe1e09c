"""The epoch loop. It is the same for every model: losses, validation and data are passed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import nn

from autocrop.models import CroppingModel, Views
from autocrop.training.callbacks import Callbacks, EpochRecord, Progress
from autocrop.training.checkpointer import Checkpointer
from autocrop.training.distributed import ProcessGroup
from autocrop.training.gradients import BatchLoss, accumulate_gradients
from autocrop.training.optimization import Optimization
from autocrop.training.run_files import write_log


class Batches(Protocol):
    """Training data as the loop reads it. :class:`~autocrop.training.data.TrainingViews` implements this protocol."""

    batch: int
    """Photos per optimizer step."""

    def __len__(self) -> int:
        """Return the optimizer steps per epoch."""
        ...

    def epoch(self, number: int, rank: int = 0, processes: int = 1) -> Iterator[list[Views]]:
        """Iterate over one process's share of the batches of an epoch. Repeated calls give the same batches."""
        ...


@dataclass(frozen=True)
class FitOptions:
    """Options of :func:`fit` that are not part of the network's recipe."""

    folder: Path
    """Folder of the run. It is created if it does not exist."""
    device: str = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``."""
    amp: bool = False
    """Compute the loss in bfloat16 where torch considers that safe."""
    resume: bool = False
    """Continue the run in the folder."""
    data: str = ""
    """Name of the data set, stored in checkpoints for the model card."""
    fixed_options: Mapping[str, Any] = field(default_factory=dict)
    """Options besides the recipe and *amp* that must stay the same when the run is resumed, by name."""


def fit(
    network: CroppingModel,
    batches: Batches,
    validate: Callable[[CroppingModel], dict[str, float]],
    options: FitOptions,
    callbacks: Callbacks | None = None,
) -> Path:
    """Train a network with its own recipe and loss.

    Every epoch ends with validation, a line in ``log.jsonl`` and the checkpoint ``last.pt``. The best epoch is also
    saved as ``best.pt``. Every photo of every step seeds torch from the recipe's seed and the photo's position in the
    run, so a resumed run takes the same steps as an uninterrupted one, and several processes take the same steps as
    one. The main process validates, writes the files and calls the callbacks.

    Args:
        network: network to train. It is moved to the device.
        batches: training data.
        validate: function that measures the network after every epoch. It must return one of
            :data:`~autocrop.training.checkpointer.SELECTION_METRICS`.
        options: folder, device and other options.
        callbacks: functions that report progress.

    Returns:
        Path of ``best.pt``.

    Raises:
        AutocropError: the folder already holds a run although *resume* is False, it has no run that can be resumed
            with these options although *resume* is True, or the loss is not finite.
        UsageError: a batch cannot be split evenly among the processes.
    """
    callbacks = callbacks or Callbacks()
    group = ProcessGroup.current()
    group.check_batch(batches.batch)
    network.to(options.device).train()  # a frozen backbone excludes its parameters here
    optimization = Optimization(network, len(batches))
    fixed_options = {"amp": options.amp, **options.fixed_options}
    checkpointer = Checkpointer(options.folder, network, optimization, options.data, fixed_options)
    epochs_done = _open_run(checkpointer, options, group, callbacks)
    loss = group.data_parallel(BatchLoss(network, options.device, options.amp))
    for epoch in range(epochs_done, network.recipe.epochs):
        started = time.monotonic()
        network.train()
        optimization.begin_epoch(epoch)
        losses, rate = {}, 0.0
        for progress in _train_epoch(network, loss, batches, optimization, epoch, group):
            losses, rate = progress.losses, progress.lr
            if group.is_main:
                callbacks.on_step(progress)
        if group.is_main:
            callbacks.on_validation()
            metrics = validate(optimization.evaluated_network)
            record = EpochRecord(epoch + 1, losses, metrics, rate, round(time.monotonic() - started, 1))
            write_log(options.folder, record)
            checkpointer.save_epoch(record)
            callbacks.on_epoch(record)
        group.barrier()
    return checkpointer.best


def _open_run(checkpointer: Checkpointer, options: FitOptions, group: ProcessGroup, callbacks: Callbacks) -> int:
    """Resume a run or begin a new one. Returns the number of epochs done."""
    epochs_done = 0
    if options.resume:
        epochs_done = checkpointer.restore()
    else:
        checkpointer.check_new()
    group.barrier()  # every process checks for an existing run before the main one writes
    if group.is_main:
        options.folder.mkdir(parents=True, exist_ok=True)
        callbacks.on_start()
        if not options.resume:
            checkpointer.save_initial()
    return epochs_done


def _train_epoch(
    network: CroppingModel,
    loss: nn.Module,
    batches: Batches,
    optimization: Optimization,
    epoch: int,
    group: ProcessGroup,
) -> Iterator[Progress]:
    """Take the steps of one epoch. Yields the progress after each."""
    totals: dict[str, float] = {}
    for step, batch in enumerate(batches.epoch(epoch, group.rank, group.size), start=1):
        positions = [index * group.size + group.rank for index in range(len(batch))]
        seeds = [_torch_seed(network.recipe.seed, epoch, step, position) for position in positions]
        optimization.zero_gradients()
        terms = accumulate_gradients(loss, batch, seeds, network.WHOLE_BATCH)
        rate = optimization.step()
        for name, value in group.mean(terms).items():
            totals[name] = totals.get(name, 0.0) + value
        means = {name: total / step for name, total in totals.items()}
        yield Progress(epoch, step, len(batches), means, rate)


def _torch_seed(*numbers: int) -> int:
    """Combine numbers into a seed for torch, which takes 64 bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
