"""What the five models share: the interface, the recipe and the training views."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from autocrop.errors import UsageError
from autocrop.geometry.boxes import Boxes
from autocrop.geometry.proposals import MIN_PROPOSAL_SIDE, MIN_WEIGHT
from autocrop.models.backbones import BACKBONES, Backbone, Pyramid

SCHEDULES = ("constant", "cosine", "step")
OPTIMIZERS = ("adam", "adamw")
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("epochs", "batch", "channels", "queries", "width", "heads", "decoders", "hidden"), (1, math.inf)),
    **dict.fromkeys(("lr", "weight_decay", "views", "drop_at", "backbone_lr", "clip", "encoders"), (0, math.inf)),
    **dict.fromkeys(("ranking_gain", "regression", "classification", "consistency", "listwise"), (0, math.inf)),
    **dict.fromkeys(("votes", "ranking", "saliency", "pair_margin", "pairs", "consistency_margin"), (0, math.inf)),
    **dict.fromkeys(("alignment", "uniformity", "slack", "focal_mu", "focal_psi"), (0, math.inf)),
    **dict.fromkeys(("l1", "giou", "focal", "distil_from"), (0, math.inf)),
    **dict.fromkeys(("trim", "dropout", "positive", "negative", "inverse_power", "stretch"), (0, 1)),
    **dict.fromkeys(("match_focal", "near", "most", "theta"), (0, 1)),
    **dict.fromkeys(("low", "high"), (-100, 100)),
    **dict.fromkeys(("power", "sharpness"), (1e-6, math.inf)),
    "average": (0, 0.999999),
    "temperature": (1e-6, math.inf),
    "seed": (0, 2**63 - 1),
}
"""What numbers of a recipe must lie between, its ends included; infinity itself is none. *side* has its own check."""


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training run; each paper's file sets its own defaults."""

    epochs: int = 60
    batch: int = 1
    """Photos an optimizer step."""
    lr: float = 1e-4
    optimizer: str = "adam"
    """``adam``, whose weight decay is a part of the gradient, or ``adamw``, whose decay is apart from it."""
    weight_decay: float = 0.0
    views: int = 64
    """Scored crops of each photo a step."""
    schedule: str = "constant"
    """Learning rate over the run; cosine has a warm-up of 5 % of the steps and ends at zero."""
    drop_at: int = 0
    """Epochs after which the schedule ``step`` goes on with a tenth of the learning rate; 0 for never."""
    trim: float = 0.0
    """Share of photos whose margins around the best crop are trimmed at random."""
    backbone_lr: float = 1.0
    """Learning rate of the backbone, as a share of the others'."""
    clip: float = 0.0
    """Largest norm of the gradient; 0 for no limit."""
    backbone: str = "mobilenet_v2"
    freeze_backbone: bool = False
    """Train on the features of the backbone as ImageNet left it, computed once: no color jitter, no trimming."""
    side: int = 0
    """Of the square that photos are warped to, in pixels; 0 keeps their aspect, with a short side of 256."""
    seed: int = 0
    average: float = 0.0
    """Decay, per step, of the exponential moving average of the weights that is validated and kept; 0 for none.

    The average is corrected for its beginning: the weights before the first step have no part in it.
    """

    def __post_init__(self) -> None:
        """Check what a type cannot say.

        Raises:
            UsageError: there is no such schedule, optimizer or backbone, the side is no multiple of 32, or a number is
                out of range.
        """
        for name, (least, most) in RANGES.items():
            self._check(name, least, most)
        if self.side % 32 or self.side < 0:
            raise UsageError(f"side={self.side}: the networks need a multiple of 32, or 0 to keep a photo's aspect.")
        for field, known in (("schedule", SCHEDULES), ("optimizer", OPTIMIZERS), ("backbone", tuple(BACKBONES))):
            if getattr(self, field) not in known:
                raise UsageError(f"There is no {field} '{getattr(self, field)}'. Use one of: {', '.join(known)}.")

    @property
    def uses_unlabeled(self) -> bool:
        """Whether the loss looks at :attr:`Views.unlabeled`."""
        return False

    def _check(self, name: str, least: float, most: float) -> None:
        """Check that a field, if the recipe has it, is a number within bounds."""
        value = getattr(self, name, least)
        if not least <= value <= most or math.isinf(value):  # written so that NaN is refused, too
            bounds = f", {least} or more" if most == math.inf else f" between {least} and {most}"
            raise UsageError(f"{name}={value}: it must be a number{bounds}.")


@dataclass(frozen=True)
class ScorerRecipe(Recipe):
    """What every scorer can use beside its own loss where a data set lacks the scores its paper was written for."""

    listwise: float = 0.0
    """Weight of the listwise loss (ours, for data with one best crop a photo; see docs/training.md)."""
    votes: float = 0.0
    """Weight of the pairwise loss on human votes (ours; FCDB has votes, GAICD none)."""
    temperature: float = 0.2
    """A difference of this many MOS is one logit to the listwise and the vote loss."""
    dropout: float = 0.0
    """Of the pooled regions in training (ours; small data sets need it)."""

    def __post_init__(self) -> None:
        """A scorer learns from scored crops, so it needs some."""
        super().__post_init__()
        self._check("views", 1, math.inf)


@dataclass(frozen=True)
class Views:
    """One photo with the crops a training step looks at."""

    image: Tensor
    """``[1, 3, H, W]``, ImageNet-normalized."""
    boxes: Tensor
    """``[N, 4]``, xyxy in [0, 1]: the scored crops first, then those that only votes speak of."""
    scores: Tensor
    """``[S]``, S <= N: MOS (or its stand-in, see ``training/targets.py``) of the first S crops."""
    pairs: Tensor
    """``[P, 2]``: indices of crops that people compared."""
    preference: Tensor
    """``[P]``: share of the votes that the first of each pair won."""
    maps: Pyramid | None = None
    """What the frozen backbone makes of the photo, where that was computed before."""
    saliency: Tensor | None = None
    """``[H, W]`` in [0, 1], for the models that ask for it."""
    unlabeled: Views | None = None
    """Another photo, with boxes only, for the models that learn from such photos."""
    targets: Tensor | None = None
    """``[G, 4]``, G >= 1: the good crops of the photo, the best one first (see ``training/targets.py``)."""


class CroppingModel(nn.Module, ABC):
    """A network that encodes a photo once and then scores any number of crops of it."""

    NAME: str
    """On the command line and in checkpoints."""
    FEATURES: tuple[str, ...] = ("features",)
    """Names of what :meth:`features` returns, in exported files."""
    SUPPORTED_SHAPES: tuple[str, ...] = ("rectangle",)
    """Shapes of crops that :meth:`score` knows."""
    WHOLE_BATCH: bool = False
    """Whether the loss compares the photos of a step with each other, so that they all go through it at once."""
    HAS_HEAD: bool = True
    """Whether scoring is exported as a graph; where not, the engines compute scores from the features themselves."""
    TRAINING_ONLY: tuple[str, ...] = ()
    """Prefixes of the parameters that only the loss needs; they are not exported."""

    RECIPE: type[Recipe]
    """With the paper's hyper-parameters as defaults."""
    RECIPES: ClassVar[Mapping[str, Recipe]] = {}
    """Recipes for data sets that the paper did not train on, by the data set's name."""
    WANTS_UNLABELED: bool = False
    """Whether the loss can use :attr:`Views.unlabeled`."""
    recipe: Any
    """An instance of :attr:`RECIPE`."""
    backbone: Backbone

    def __init__(self, recipe: Recipe | None = None, pretrained: bool | Path = False) -> None:  # noqa: ARG002
        """Start from the paper's recipe, or another one.

        Args:
            recipe: an instance of :attr:`RECIPE`; None for the paper's.
            pretrained: where the backbone's weights come from, see
                :class:`~autocrop.models.backbones.Backbone`.
        """
        super().__init__()
        self.recipe = recipe or self.RECIPE()

    @property
    def wants_saliency(self) -> bool:
        """Whether the loss uses :attr:`Views.saliency`."""
        return False

    @abstractmethod
    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """What the scores are computed from, made of the backbone's maps; :attr:`FEATURES` names them."""

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features of one ImageNet-normalized photo ``[1, 3, H, W]``; H and W are multiples of 32."""
        return self.features(self.backbone(image))

    @abstractmethod
    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Scores ``[N]`` of *boxes* ``[N, 4]`` (xyxy in [0, 1]); higher is better, comparable within a photo only."""

    @abstractmethod
    def loss(self, views: Views) -> dict[str, Tensor]:
        """Terms of the loss of one photo, already weighted; the training loop adds them up."""

    def batch_loss(self, batch: Sequence[Views]) -> dict[str, Tensor]:
        """Terms of the mean loss of several photos; of a single one unless :attr:`WHOLE_BATCH`."""
        (views,) = batch
        return self.loss(views)

    def prepare(self, best: Boxes) -> None:
        """Learn from the best crop of every training photo, ``[N, 4]``, what the loss must know; before the run."""

    def compatible(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What of another network's *state* dict has a place of the same name and shape here."""
        own = self.state_dict()
        return {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}

    def begin_epoch(self, epoch: int) -> Sequence[nn.Parameter]:  # noqa: ARG002
        """Called before the first step of each epoch, counted from 0; returns the parameters that begin anew."""
        return ()

    def may_be_best(self, epoch: int) -> bool:  # noqa: ARG002
        """Whether the epoch, counted from 0, may be the one that is kept."""
        return True

    def after_step(self) -> None:
        """Called after each optimizer step."""

    def maps(self, views: Views) -> Pyramid:
        """The backbone's maps of a photo: computed now, or the kept ones."""
        return views.maps if views.maps is not None else self.backbone(views.image)

    def train(self, mode: bool = True) -> CroppingModel:
        """Switch to training; a frozen backbone stays as it is."""
        super().train(mode)
        if self.recipe.freeze_backbone:
            self.backbone.eval().requires_grad_(False)
        return self


class Proposer(CroppingModel):
    """A network that proposes crops itself; it scores other crops by how well they match its proposals.

    The first two of its features are the proposals ``[B, K, 4]`` and its confidence in them ``[B, K]``.
    """

    FEATURES: tuple[str, ...] = ("boxes", "confidence")
    HAS_HEAD = False
    WHOLE_BATCH = True

    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """See :func:`autocrop.geometry.proposals.proposal_scores`."""
        proposals, weight = features[0][0], features[1][0].square()
        return 1 + 4 * (box_iou(boxes, proposals) @ weight) / weight.sum().clamp(min=MIN_WEIGHT)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """The loss of a batch of one photo."""
        return self.batch_loss([views])

    def batch_maps(self, batch: Sequence[Views]) -> Pyramid:
        """The backbone's maps of several photos of one size: computed now, or the kept ones."""
        kept = [views.maps for views in batch if views.maps is not None]
        if len(kept) < len(batch):
            return self.backbone(torch.cat([views.image for views in batch]))
        return Pyramid(*(torch.cat(parts) for parts in zip(*(maps[:3] for maps in kept), strict=True)))


def require_targets(views: Views) -> Tensor:
    """The good crops ``[G, 4]`` of a photo, the best first.

    Raises:
        ValueError: the views were made without.
    """
    if views.targets is None:
        raise ValueError("Models that propose crops learn from good ones, and these views have none.")
    return views.targets


def ordered(corners: Tensor) -> Tensor:
    """Boxes from two corners ``[..., 4]`` in any order, with no side shorter than :data:`MIN_PROPOSAL_SIDE`."""
    low, high = torch.minimum(corners[..., :2], corners[..., 2:]), torch.maximum(corners[..., :2], corners[..., 2:])
    center = (low + high) / 2
    half = ((high - low) / 2).clamp(min=MIN_PROPOSAL_SIDE / 2)
    center = torch.maximum(torch.minimum(center, 1 - half), half)  # those at the edge stay inside
    return torch.cat([center - half, center + half], dim=-1)
