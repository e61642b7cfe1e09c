"""Checkpoints of a run: writing them, and resuming from them."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from autocrop.errors import AutocropError
from autocrop.models import CroppingModel
from autocrop.models.checkpoint import BEST, LAST, load_checkpoint
from autocrop.training.callbacks import EpochRecord
from autocrop.training.optimization import Optimization

SELECTION_METRICS = ("iou", "srcc")
"""Metrics that choose ``best.pt``; the first of them that validation returns is used. Higher is better."""


class Checkpointer:
    """Writes ``last.pt`` after every epoch, to resume from, and ``best.pt`` after the best one.

    Args:
        folder: folder of the run.
        network: network in training.
        optimization: its optimizer, schedule and average.
        data: name of the data set, for the model card.
        fixed_options: options besides the recipe that must stay the same when the run is resumed, by name.
    """

    def __init__(
        self,
        folder: Path,
        network: CroppingModel,
        optimization: Optimization,
        data: str,
        fixed_options: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._network = network
        self._optimization = optimization
        self._data = data
        self._fixed_options = dict(fixed_options)
        self._best = -math.inf

    @property
    def best(self) -> Path:
        """Path of ``best.pt``."""
        return self._folder / BEST

    def check_new(self) -> None:
        """Check that the folder holds no other run.

        Raises:
            AutocropError: the folder contains a run.
        """
        if (self._folder / LAST).exists():
            raise AutocropError(
                f"{self._folder} already holds a run. Continue it with --resume, or choose another folder with -o."
            )

    def restore(self) -> int:
        """Load ``last.pt`` into the network and its optimization.

        Returns:
            Epochs done.

        Raises:
            AutocropError: the checkpoint does not exist, is damaged, or belongs to a run with other options.
        """
        path = self._folder / LAST
        state = load_checkpoint(path)
        if state["name"] != self._network.NAME:
            raise AutocropError(f"{path} is a checkpoint of {state['name']}. Resume it with that model.")
        self._check_unchanged(path, {**state["recipe"], **state["fixed_options"]})
        self._network.load_state_dict(state["raw"])
        self._optimization.load_state_dict(state)
        self._best = state["best"]
        return int(state["epoch"])

    def save_initial(self) -> None:
        """Write ``last.pt`` before the first step, so that a run stopped in its first epoch can be resumed."""
        self._save_last(0, {})

    def save_epoch(self, record: EpochRecord) -> None:
        """Write ``last.pt`` after an epoch, and ``best.pt`` if no earlier epoch was better."""
        score = next(record.metrics[name] for name in SELECTION_METRICS if name in record.metrics)
        if score > self._best and self._network.may_be_best(record.epoch - 1):
            self._best = score
            self._save(BEST, record.epoch, record.metrics)
        self._save_last(record.epoch, record.metrics)

    def _check_unchanged(self, path: Path, saved: dict[str, Any]) -> None:
        current = {**dataclasses.asdict(self._network.recipe), **self._fixed_options}
        names = [name for name in {**current, **saved} if saved.get(name) != current.get(name)]
        if names:
            changes = ", ".join(f"{name} was {saved.get(name)}, now {current.get(name)}" for name in names)
            raise AutocropError(
                f"{path} belongs to a run with other options: {changes}. Resume it with the original options."
            )

    def _save_last(self, epoch: int, metrics: dict[str, float]) -> None:
        resumable = {"raw": self._network.state_dict(), "best": self._best, "fixed_options": self._fixed_options}
        self._save(LAST, epoch, metrics, **resumable, **self._optimization.state_dict())

    def _save(self, name: str, epoch: int, metrics: dict[str, float], **more: Any) -> None:
        """Write to a temporary file and rename it: a killed process leaves the previous checkpoint intact."""
        network = self._optimization.evaluated_network
        state = {
            "name": network.NAME,
            "recipe": dataclasses.asdict(network.recipe),
            "model": network.state_dict(),
            "epoch": epoch,
            "data": self._data,
            "metrics": metrics,
        }
        path = self._folder / name
        temporary = path.with_suffix(".tmp")
        torch.save(state | more, temporary)
        os.replace(temporary, path)
