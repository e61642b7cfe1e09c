"""Recipes: the hyper-parameters of a training run, each declared with its valid range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from autocrop.errors import UsageError
from autocrop.models.backbones import BACKBONES

SCHEDULES = ("constant", "cosine", "step")
OPTIMIZERS = ("adam", "adamw")

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Range:
    """Smallest and largest valid value of a number. Infinity and NaN are never valid."""

    min: float
    max: float

    def __contains__(self, value: float) -> bool:
        return self.min <= value <= self.max and not math.isinf(value)  # NaN fails both comparisons

    def __str__(self) -> str:
        return f"of at least {self.min}" if self.max == math.inf else f"between {self.min} and {self.max}"


def bounded(default: Number, min: float, max: float = math.inf) -> Number:
    """Declare a numeric field of a recipe whose values must lie between *min* and *max*, inclusive."""
    return field(default=default, metadata={"range": Range(min, max)})


def one_of(default: str, choices: Sequence[str]) -> str:
    """Declare a text field of a recipe whose value must be one of *choices*."""
    return field(default=default, metadata={"choices": tuple(choices)})


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training run. The recipe of each paper sets its own defaults.

    A subclass that redeclares a field with a plain default keeps the range or choices of its base class.
    """

    epochs: int = bounded(60, min=1)
    batch: int = bounded(1, min=1)
    """Photos per optimizer step."""
    lr: float = bounded(1e-4, min=0)
    optimizer: str = one_of("adam", OPTIMIZERS)
    """``adam`` adds the weight decay to the gradient (L2 regularization); ``adamw`` decouples it."""
    weight_decay: float = bounded(0.0, min=0)
    views: int = bounded(64, min=0)
    """Scored crops per photo and step."""
    schedule: str = one_of("constant", SCHEDULES)
    """Learning rate schedule. ``cosine`` warms up for the first 5 % of the steps and decays to zero."""
    drop_at: int = bounded(0, min=0)
    """Epoch after which ``step`` divides the learning rate by ten; 0 for never."""
    trim: float = bounded(0.0, min=0, max=1)
    """Share of photos whose margins around the best crop are randomly trimmed."""
    backbone_lr: float = bounded(1.0, min=0)
    """Learning rate of the backbone, relative to *lr*."""
    clip: float = bounded(0.0, min=0)
    """Maximum norm of the gradient; 0 for no clipping."""
    backbone: str = one_of("mobilenet_v2", tuple(BACKBONES))
    freeze_backbone: bool = False
    """Train on cached features of the ImageNet backbone. Disables color jitter and trimming."""
    side: int = 0
    """Side of the square that photos are resized to, in pixels; 0 keeps the aspect, with a short side of 256."""
    seed: int = bounded(0, min=0, max=2**63 - 1)
    average: float = bounded(0.0, min=0, max=0.999999)
    """Decay, per step, of the exponential moving average of the weights that is validated and saved; 0 for none.

    The average is bias-corrected: the initial weights do not contribute to it.
    """

    def __post_init__(self) -> None:
        """Validate the fields.

        Raises:
            UsageError: a number is out of range, *side* is not a multiple of 32, or a name is unknown.
        """
        for name, valid in self.constraints("range").items():
            value = getattr(self, name)
            if value not in valid:
                raise UsageError(f"{name}={value} is out of range. Use a number {valid}.")
        if self.side % 32 or self.side < 0:
            raise UsageError(
                f"side={self.side} is not valid: use a multiple of 32, or 0 to keep the aspect ratio of each photo."
            )
        for name, choices in self.constraints("choices").items():
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(f"Unknown {name} '{value}'. Choose one of: {', '.join(choices)}.")

    @classmethod
    def constraints(cls, kind: str) -> dict[str, Any]:
        """Collect the constraints declared by the fields of this recipe and its base classes.

        Args:
            kind: ``range`` or ``choices``.

        Returns:
            Name of each constrained field and its :class:`Range` or choices.
        """
        collected: dict[str, Any] = {}
        for base in filter(dataclasses.is_dataclass, reversed(cls.__mro__)):
            collected |= {f.name: f.metadata[kind] for f in dataclasses.fields(base) if kind in f.metadata}
        return collected

    @property
    def uses_unlabeled(self) -> bool:
        """True if the loss uses :attr:`~autocrop.models.views.Views.unlabeled`."""
        return False


@dataclass(frozen=True)
class ScorerRecipe(Recipe):
    """Hyper-parameters that all scorers share: our losses for data sets without the scores the papers rely on."""

    views: int = bounded(64, min=1)
    """Scored crops per photo and step. A scorer cannot learn without any."""
    listwise: float = bounded(0.0, min=0)
    """Weight of the listwise loss (ours, for data with one best crop per photo; see docs/guides/training.md)."""
    votes: float = bounded(0.0, min=0)
    """Weight of the pairwise loss on human votes (ours; FCDB has votes, GAICD has none)."""
    temperature: float = bounded(0.2, min=1e-6)
    """MOS difference that corresponds to one logit in the listwise and vote losses."""
    dropout: float = bounded(0.0, min=0, max=1)
    """Dropout rate of the pooled regions (ours; small data sets need it)."""
