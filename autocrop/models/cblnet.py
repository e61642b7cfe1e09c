"""CBLNet with C2C, contrastive composition clustering (Pan et al., AAAI 2023), and the methods it is compared with.

Where the paper is silent or cannot be read literally, ``docs/models.md`` says what was decided and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocrop.errors import UsageError
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes
from autocrop.models.backbones import Backbone, Pyramid
from autocrop.models.base import Proposer, Recipe, Views, ordered, require_targets
from autocrop.models.imbalance import FeatureSmoothing, InverseFrequency, SyntheticSamples, focal_weight

IMBALANCE = ("none", "smogn", "focal-r", "inv", "rrt", "lds-fds", "c2c")
"""The methods of Table 2: what is done about tight crops being rare."""


@dataclass(frozen=True)
class CBLNetRecipe(Recipe):
    """Section "Implementation Details" of the paper."""

    epochs: int = 80
    batch: int = 32
    lr: float = 5e-4
    trim: float = 0.5
    side: int = 224
    views: int = 0
    channels: int = 256
    """C: channels of the reduced feature map, and of the boundary features."""
    heads: int = 6
    """m: heads of each of the two spatial attentions."""
    train_norm: bool = True
    """The backbone's batch normalization learns, too; with a frozen backbone it does not."""
    imbalance: str = "c2c"
    """One of :data:`IMBALANCE`. With ``rrt`` the second half of the epochs trains the regression heads again."""
    positive: float = 0.05
    """z_p: sides that are less apart than this, as a share of the photo, shall have similar features."""
    negative: float = 0.7
    """z_n: sides that are more apart than this shall have dissimilar ones."""
    alignment: float = 0.025
    """β, weight of the alignment loss."""
    uniformity: float = 0.025
    """γ, weight of the uniformity loss."""
    power: float = 1.0
    """α of eq. 3."""
    slack: float = 0.5
    """ε of eq. 3: distance from which on features of positive pairs are drawn together."""
    sharpness: float = 1.0
    """t of eq. 4."""
    focal_mu: float = 2.0
    """μ of Focal-R."""
    focal_psi: float = 2.0
    """ψ of Focal-R."""
    inverse_power: float = 0.5
    """Of the frequencies by whose inverse ``inv``, ``rrt`` and ``lds-fds`` weight; 1 for the plain inverse."""
    stretch: float = 0.0
    """By how much the sigmoid reaches beyond the photo's edges (ours): many sides lie on them, which a
    sigmoid only reaches where it has no gradient any more."""
    dropout: float = 0.0
    """Of the boundary features in training (ours; small data sets need it)."""

    def __post_init__(self) -> None:
        """Check the method's name, the input's side and what only fits together, too."""
        super().__post_init__()
        if self.imbalance not in IMBALANCE:
            raise UsageError(f"There is no imbalance '{self.imbalance}'. Use one of: {', '.join(IMBALANCE)}.")
        if not self.side:
            raise UsageError("cblnet needs photos of one size: give --set side=224, or another multiple of 32.")
        if self.positive > self.negative:
            raise UsageError(
                f"positive={self.positive} must not be more than negative={self.negative}: "
                "no two sides are both near each other and far apart."
            )
        if self.imbalance == "rrt" and self.epochs < 2:
            raise UsageError(
                "imbalance=rrt trains in two rounds, and epochs=1 leaves no first one. Give --epochs 2 or more."
            )
        self.check_norm(self.batch)

    def check_norm(self, photos: int) -> None:
        """Check that a step of so many *photos* leaves batch normalization a variance to follow.

        Raises:
            UsageError: the deepest maps of the step are of one place.
        """
        if self.train_norm and not self.freeze_backbone and photos * (self.side // 32) ** 2 == 1:
            raise UsageError(
                "Batch normalization cannot learn from one photo a step with side=32: its deepest map is a single "
                "place. Give --batch 2 or more, a larger side, or --set train_norm=false."
            )


class CBLNet(Proposer):
    """Photo → boundary features of the four sides, by attention over rows and columns → their four locations."""

    NAME = "cblnet"
    RECIPE = CBLNetRecipe
    # From ImageNet in one run; the bundled model began with VRN's backbone (weights/README.md).
    RECIPES: ClassVar = {
        "fcdb": CBLNetRecipe(
            epochs=24,
            lr=2e-4,
            optimizer="adamw",
            schedule="cosine",
            backbone_lr=0.5,
            weight_decay=1e-4,
            train_norm=False,
            average=0.97,
            dropout=0.2,
            stretch=0.05,
            negative=0.3,
            slack=0.1,
            uniformity=1.0,
        )
    }
    FEATURES = ("boxes", "confidence", "boundaries", "attention")
    TRAINING_ONLY = ("balance.", "smoothing.", "synthesis.")
    recipe: CBLNetRecipe

    def __init__(self, recipe: CBLNetRecipe | None = None, pretrained: bool | Path = False) -> None:
        super().__init__(recipe, pretrained)
        channels = self.recipe.channels
        norm = self.recipe.train_norm and not self.recipe.freeze_backbone
        self.backbone = Backbone(self.recipe.backbone, pretrained, train_norm=norm)
        self.reduce = nn.Conv2d(self.backbone.out_channels, channels, 1)
        self.horizontal = AxisAttention(channels, self.recipe.heads)
        self.vertical = AxisAttention(channels, self.recipe.heads)
        self.dropout = nn.Dropout(self.recipe.dropout)
        self.regressors = nn.ModuleList(_regressor(channels) for _ in range(4))
        method = self.recipe.imbalance
        weighted = method in ("inv", "rrt", "lds-fds")
        self.balance = InverseFrequency(self.recipe.inverse_power, method == "lds-fds") if weighted else None
        self.smoothing = FeatureSmoothing(channels) if method == "lds-fds" else None
        self.synthesis = SyntheticSamples() if method == "smogn" else None
        self._retraining = False

    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """The crop ``[B, 1, 4]``, its confidence, which is one, boundary features and attention.

        Boundary features are ``[B, 4, C, S/32]`` in the order left, top, right, bottom; attention is
        ``[B, 2 m, S/16, S/16]``, over rows (which columns' features are made of) and then over columns.
        """
        sides, attention = self._sides(maps)
        boxes = ordered(self._locations(sides.mean(dim=3)).clamp(0, 1))[:, None]
        return boxes, torch.ones_like(boxes[..., 0]), sides, attention

    def prepare(self, best: Boxes) -> None:
        """Count how the sides of the training split's best crops lie; photos are mirrored in training."""
        targets = torch.from_numpy(np.concatenate([best, bx.flip(best)]))
        for part in (self.balance, self.synthesis):
            if part is not None:
                part.prepare(targets)

    def begin_epoch(self, epoch: int) -> Sequence[nn.Parameter]:
        """Statistics of FDS are those of the epochs before; RRT's second round begins halfway."""
        if self.smoothing is not None and epoch:
            self.smoothing.update()
        if self.recipe.imbalance != "rrt":
            return ()
        self._retraining = epoch >= self._second_round
        if self._retraining:
            self.requires_grad_(False)
            self.regressors.requires_grad_(True)
            self.backbone.eval()
        if epoch != self._second_round:
            return ()
        with torch.random.fork_rng():  # the same in every process, and in a run that is resumed
            torch.manual_seed(self.recipe.seed)
            for layer in self.regressors.modules():
                if isinstance(layer, nn.Linear):
                    layer.reset_parameters()
        return list(self.regressors.parameters())

    def may_be_best(self, epoch: int) -> bool:
        """RRT's first round is no result."""
        return self.recipe.imbalance != "rrt" or epoch >= self._second_round

    @property
    def _second_round(self) -> int:
        """First epoch of RRT's second round, counted from 0."""
        return self.recipe.epochs // 2

    def batch_loss(self, batch: Sequence[Views]) -> dict[str, Tensor]:
        """Eq. 7, or the L1 loss as another method changes it: sums over the sides, means over the batch."""
        self.recipe.check_norm(len(batch))  # a small data set's or one process's share may be less than the recipe's
        target = torch.cat([require_targets(views)[:1] for views in batch])
        sides, _ = self._sides(self.batch_maps(batch))
        pooled = self.dropout(sides.mean(dim=3))
        if self.smoothing is not None:
            self.smoothing.gather(pooled, target)
            pooled = self.smoothing(pooled, target)
        error = (self._locations(pooled) - target).abs()
        if self.recipe.imbalance == "focal-r":
            error = error * focal_weight(error, self.recipe.focal_mu, self.recipe.focal_psi)
        elif self.balance is not None and (self._retraining or self.recipe.imbalance != "rrt"):
            error = error * self.balance(target)
        terms = {"l1": error.sum(dim=1).mean()}
        if self.synthesis is not None:
            terms["synthetic"] = self._synthetic_loss(self.synthesis, pooled, target)
        if self.recipe.imbalance == "c2c":
            alignment, uniformity = contrastive_losses(sides.flatten(2), target, self.recipe)
            terms["alignment"] = self.recipe.alignment * alignment
            terms["uniformity"] = self.recipe.uniformity * uniformity
        return terms

    def _sides(self, maps: Pyramid) -> tuple[Tensor, Tensor]:
        """Boundary features ``[B, 4, C, S/32]`` and the attention that made them, see :meth:`features`."""
        features = self.reduce(maps.fused())
        columns, over_rows = self.horizontal(features)
        rows, over_columns = self.vertical(features.transpose(2, 3))
        half = columns.shape[2] // 2
        sides = torch.stack([columns[..., :half], rows[..., :half], columns[..., half:], rows[..., half:]], dim=1)
        return sides, torch.cat([over_rows, over_columns.transpose(2, 3)], dim=1)

    def _locations(self, pooled: Tensor) -> Tensor:
        """Features ``[B, 4, C]`` → the sides' locations ``[B, 4]`` in [0, 1]."""
        parts = [regressor(pooled[:, side]) for side, regressor in enumerate(self.regressors)]
        return self._activated(torch.cat(parts, dim=1))

    def _activated(self, logits: Tensor) -> Tensor:
        """Locations in [0, 1], or a little beyond."""
        return (1 + 2 * self.recipe.stretch) * torch.sigmoid(logits) - self.recipe.stretch

    def _synthetic_loss(self, synthesis: SyntheticSamples, pooled: Tensor, target: Tensor) -> Tensor:
        """L1 of synthetic samples, on the scale of the batch's own: a sum over the sides, a mean over the batch."""
        errors = []
        for side, regressor in enumerate(self.regressors):
            features, places = synthesis(pooled[:, side], target, side)
            errors.append((self._activated(regressor(features))[:, 0] - places).abs().sum())
        return torch.stack(errors).sum() / len(target)


class AxisAttention(nn.Module):
    """Eq. 1 and 2: multi-head spatial attention, normalized over the rows, that makes one feature of each column.

    The paper concatenates the heads' weighted maps, reduces their channels and sums over the rows. Reduction and sum
    are both linear; done the other way round they are the same at a fraction of the cost.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attend = nn.Conv2d(channels, heads, 1)
        self.merge = nn.Conv1d(heads * channels, channels, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, C, H, W]`` → ``[B, C, W]``, and the attention ``[B, heads, H, W]``, which sums to one over H."""
        attention = torch.softmax(self.attend(features), dim=2)
        weighted = attention.permute(0, 3, 1, 2) @ features.permute(0, 3, 2, 1)  # (B, W, heads, C)
        return self.merge(weighted.flatten(2).transpose(1, 2)), attention


def contrastive_losses(features: Tensor, target: Tensor, recipe: CBLNetRecipe) -> tuple[Tensor, Tensor]:
    """C2C's alignment and uniformity losses, eq. 3 to 6: sums over the sides, means over all pairs of the batch.

    Args:
        features: ``[B, 4, D]``; they are normalized here.
        target: ``[B, 4]``: locations of the sides.
        recipe: has the hyper-parameters.

    Returns:
        Two scalars, zero for a batch of one photo.
    """
    first, second = torch.triu_indices(len(features), len(features), 1, device=features.device)
    if not len(first):
        zero = features.sum() * 0
        return zero, zero
    unit = F.normalize(features.float(), dim=2)
    squares = (unit[first] - unit[second]).square().sum(dim=2)
    apart = (target[first] - target[second]).abs()
    distance = squares.clamp(min=1e-12).sqrt()  # the root has no gradient at zero
    alignment = (apart < recipe.positive) * (distance**recipe.power - recipe.slack).clamp(min=0)
    uniformity = (apart > recipe.negative) * torch.exp(-recipe.sharpness * squares)
    return alignment.mean(dim=0).sum(), uniformity.mean(dim=0).sum()


def _regressor(channels: int) -> nn.Sequential:
    """Three layers, to the logit of one side's location."""
    return nn.Sequential(
        nn.Linear(channels, channels),
        nn.ReLU(),
        nn.Linear(channels, channels // 2),
        nn.ReLU(),
        nn.Linear(channels // 2, 1),
    )
