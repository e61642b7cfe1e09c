"""What the five models share: the interface, the recipe and the training views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from autocrop.errors import UsageError
from autocrop.models.backbones import BACKBONES, Backbone, Pyramid

SCHEDULES = ("constant", "cosine", "step")


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training run; each paper's file sets its own defaults."""

    epochs: int = 60
    batch: int = 1
    """Photos an optimiser step."""
    lr: float = 1e-4
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
    """Train on the features of the backbone as ImageNet left it, computed once: no colour jitter, no trimming."""
    seed: int = 0
    average: float = 0.0
    """Decay, per step, of the exponential moving average of the weights that is validated and kept; 0 for none."""

    def __post_init__(self) -> None:
        """Check what a type cannot say.

        Raises:
            UsageError: there is no such schedule or backbone.
        """
        for field, known in (("schedule", SCHEDULES), ("backbone", tuple(BACKBONES))):
            if getattr(self, field) not in known:
                raise UsageError(f"There is no {field} '{getattr(self, field)}'. Use one of: {', '.join(known)}.")


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


@dataclass(frozen=True)
class Views:
    """One photo with the crops a training step looks at."""

    image: Tensor
    """``[1, 3, H, W]``, ImageNet-normalised."""
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


class CroppingModel(nn.Module, ABC):
    """A network that encodes a photo once and then scores any number of crops of it."""

    NAME: str
    """On the command line and in checkpoints."""
    FEATURES: tuple[str, ...] = ("features",)
    """Names of what :meth:`features` returns, in exported files."""
    SHAPES: tuple[str, ...] = ("rectangle",)
    """Shapes of crops that :meth:`score` knows."""
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
        """Features of one ImageNet-normalised photo ``[1, 3, H, W]``; H and W are multiples of 32."""
        return self.features(self.backbone(image))

    @abstractmethod
    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Scores ``[N]`` of *boxes* ``[N, 4]`` (xyxy in [0, 1]); higher is better, comparable within a photo only."""

    @abstractmethod
    def loss(self, views: Views) -> dict[str, Tensor]:
        """Terms of the loss of one photo, already weighted; the training loop adds them up."""

    def maps(self, views: Views) -> Pyramid:
        """The backbone's maps of a photo: computed now, or the kept ones."""
        return views.maps if views.maps is not None else self.backbone(views.image)

    def train(self, mode: bool = True) -> CroppingModel:
        """Switch to training; a frozen backbone stays as it is."""
        super().train(mode)
        if self.recipe.freeze_backbone:
            self.backbone.eval().requires_grad_(False)
        return self
