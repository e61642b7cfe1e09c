"""Short training runs on the photos of the ``tiny_fcdb`` fixture."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import torch

from autocrop.models import MODELS
from autocrop.models.vrn import VRN
from autocrop.training.callbacks import Callbacks
from autocrop.training.loop import FitOptions, fit

RECIPE = dataclasses.replace(
    VRN.RECIPES["fcdb"], epochs=2, batch=2, views=8, lr=1e-3, average=0.5, trim=0.0, seed=20261121, side=96
)


class StoppedError(Exception):
    """Raised to stop a run early."""


def new_network(recipe=RECIPE):
    """Create the network of a recipe, always with the same weights."""
    torch.manual_seed(7)
    return next(model for model in MODELS.values() if model.RECIPE is type(recipe))(recipe)


def train(folder, batches, recipe=RECIPE, stop_after=None, **options):
    """Train a new network; optionally stop after some epochs, as an interrupted process would."""
    steps = []

    def on_epoch(record):
        if record.epoch == stop_after:
            raise StoppedError

    with contextlib.suppress(StoppedError):
        fit(
            new_network(recipe),
            batches,
            validate=lambda network: {"iou": float(len(steps))},
            options=FitOptions(folder, data="fcdb", **options),
            callbacks=Callbacks(on_step=steps.append, on_epoch=on_epoch),
        )


def read_log(folder):
    """Read the rows of ``log.jsonl``."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def read_last(folder):
    """Read ``last.pt``."""
    return torch.load(folder / "last.pt", weights_only=True)
