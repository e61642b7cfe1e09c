"""What a training run reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Position in the run after an optimizer step."""

    epoch: int
    """Current epoch, from 0."""
    step: int
    """Steps done in this epoch."""
    steps: int
    """Steps per epoch."""
    losses: dict[str, float]
    """Mean of each loss term over the epoch so far."""
    lr: float
    """Learning rate of this step."""


@dataclass(frozen=True)
class EpochRecord:
    """Results of one epoch: a line of ``log.jsonl``."""

    epoch: int
    """Number of the epoch, from 1."""
    loss: dict[str, float]
    """Mean of each loss term."""
    metrics: dict[str, float]
    """Validation metrics."""
    lr: float
    """Learning rate of the last step."""
    seconds: float
    """Duration of training and validation."""


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Callbacks:
    """Functions that a run calls. Only the main process of a distributed run calls them."""

    on_message: Callable[[str], None] = _ignore
    """Called with a sentence for the user."""
    on_start: Callable[[], None] = _ignore
    """Called before the first step, when the run folder exists."""
    on_step: Callable[[Progress], None] = _ignore
    """Called after every optimizer step."""
    on_validation: Callable[[], None] = _ignore
    """Called before the validation that ends every epoch."""
    on_epoch: Callable[[EpochRecord], None] = _ignore
    """Called after every epoch, when its checkpoint and log line are written."""
