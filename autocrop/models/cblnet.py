"""CBLNet and C2C: Find Beauty in the Rare, Contrastive Composition Feature Clustering (Pan et al., AAAI 2023).

``docs/papers/cblnet-c2c.md`` explains our decisions where the paper is silent or ambiguous.
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
from autocrop.models.base import Proposer, boxes_from_corners
from autocrop.models.imbalance import FeatureSmoothing, InverseFrequency, SyntheticSamples, focal_weight
from autocrop.models.recipe import Recipe, bounded, one_of
from autocrop.models.views import Views, require_targets

IMBALANCE = ("none", "smogn", "focal-r", "inv", "rrt", "lds-fds", "c2c")
"""Methods of Table 2 for the imbalance of the data, in which tight crops are rare."""


@dataclass(frozen=True)
class CBLNetRecipe(Recipe):
    """Hyper-parameters of the section "Implementation Details"."""

    epochs: int = 80
    batch: int = 32
    lr: float = 5e-4
    trim: float = 0.5
    side: int = 224
    views: int = 0
    channels: int = bounded(256, min=1)
    """C: channels of the reduced feature map and of the boundary features."""
    heads: int = bounded(6, min=1)
    """m: heads of each spatial attention module."""
    train_norm: bool = True
    """Train the backbone's batch normalization. Has no effect if the backbone is frozen."""
    imbalance: str = one_of("c2c", IMBALANCE)
    """Method for imbalanced data. With ``rrt``, the second half of the epochs retrains the regression heads."""
    positive: float = bounded(0.05, min=0, max=1)
    """z_p (eq. 5): sides closer than this, as a share of the photo, are positive pairs with similar features."""
    negative: float = bounded(0.7, min=0, max=1)
    """z_n (eq. 6): sides farther apart than this are negative pairs with dissimilar features."""
    alignment: float = bounded(0.025, min=0)
    """β of eq. 7, the weight of the alignment loss."""
    uniformity: float = bounded(0.025, min=0)
    """γ of eq. 7, the weight of the uniformity loss."""
    power: float = bounded(1.0, min=1e-6)
    """α of eq. 3."""
    slack: float = bounded(0.5, min=0)
    """ε of eq. 3: distance below which the features of a positive pair are not pulled closer."""
    sharpness: float = bounded(1.0, min=1e-6)
    """t of eq. 4."""
    focal_mu: float = bounded(2.0, min=0)
    """μ of Focal-R."""
    focal_psi: float = bounded(2.0, min=0)
    """ψ of Focal-R."""
    inverse_power: float = bounded(0.5, min=0, max=1)
    """Exponent of the inverse frequency in ``inv``, ``rrt`` and ``lds-fds``; 1 for the plain inverse."""
    stretch: float = bounded(0.0, min=0, max=1)
    """How far the output of the sigmoid extends beyond the edges of the photo (ours).

    Many sides lie on an edge, which a plain sigmoid reaches only where its gradient vanishes.
    """
    dropout: float = bounded(0.0, min=0, max=1)
    """Dropout rate of the boundary features (ours; small data sets need it)."""

    def __post_init__(self) -> None:
        """Validate the fields and their combinations."""
        super().__post_init__()
        if not self.side:
            raise UsageError("cblnet needs a fixed input size. Pass --set side=224, or another multiple of 32.")
        if self.positive > self.negative:
            raise UsageError(
                f"positive={self.positive} must not be greater than negative={self.negative}: "
                "a pair of sides cannot be both positive and negative."
            )
        if self.imbalance == "rrt" and self.epochs < 2:
            raise UsageError("imbalance=rrt trains in two rounds and needs an epoch for each. Pass --epochs 2 or more.")
        self.check_norm(self.batch)

    def check_norm(self, photos: int) -> None:
        """Check that batch normalization can estimate a variance from a step of this many *photos*.

        Raises:
            UsageError: the deepest feature maps of the step have a single position in total.
        """
        if self.train_norm and not self.freeze_backbone and photos * (self.side // 32) ** 2 == 1:
            raise UsageError(
                "Batch normalization cannot learn from one photo per step with side=32, because the deepest feature "
                "map has a single position. Pass --batch 2 or more, a larger side, or --set train_norm=false."
            )


class CBLNet(Proposer):
    """Cropping boundary locating network: regresses each side of the crop from its own boundary features (Fig. 3)."""

    NAME = "cblnet"
    RECIPE = CBLNetRecipe
    # One run from ImageNet weights. The bundled model started from VRN's backbone instead (weights/README.md).
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
        """Predict the crop of each photo.

        Returns:
            Crop ``[B, 1, 4]``; confidence ``[B, 1]``, always one; boundary features ``[B, 4, C, S/32]`` of the left,
            top, right and bottom side; attention ``[B, 2 m, S/16, S/16]``, m heads over rows, then m over columns.
        """
        boundaries, attention = self._boundary_features(maps)
        boxes = boxes_from_corners(self._locations(boundaries.mean(dim=3)).clamp(0, 1))[:, None]  # [B, 1, 4]
        return boxes, torch.ones_like(boxes[..., 0]), boundaries, attention

    def prepare(self, best: Boxes) -> None:
        """Compute the distribution of the sides in the training split, whose photos are mirrored at random."""
        targets = torch.from_numpy(np.concatenate([best, bx.flip(best)]))  # [2 N, 4]
        for part in (self.balance, self.synthesis):
            if part is not None:
                part.prepare(targets)

    def begin_epoch(self, epoch: int) -> Sequence[nn.Parameter]:
        """Update the statistics of FDS, or start the second round of RRT halfway through the epochs."""
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
        self._reset_regressors()
        return list(self.regressors.parameters())

    def _reset_regressors(self) -> None:
        """Reinitialize the regression heads, identically in every process and in a resumed run."""
        with torch.random.fork_rng():
            torch.manual_seed(self.recipe.seed)
            for layer in self.regressors.modules():
                if isinstance(layer, nn.Linear):
                    layer.reset_parameters()

    def may_be_best(self, epoch: int) -> bool:
        """Return False during the first round of RRT, whose regression heads are discarded."""
        return self.recipe.imbalance != "rrt" or epoch >= self._second_round

    @property
    def _second_round(self) -> int:
        """First epoch of the second round of RRT, counted from 0."""
        return self.recipe.epochs // 2

    def batch_loss(self, batch: Sequence[Views]) -> dict[str, Tensor]:
        """Compute eq. 7, or the L1 loss modified by another method: sums over the sides, means over the batch."""
        self.recipe.check_norm(len(batch))  # a small data set, or one process's share, may be less than recipe.batch
        target = torch.cat([require_targets(views)[:1] for views in batch])  # [B, 4]
        boundaries, _ = self._boundary_features(self.batch_maps(batch))
        pooled = self.dropout(boundaries.mean(dim=3))  # [B, 4, C]
        if self.smoothing is not None:
            self.smoothing.gather(pooled, target)
            pooled = self.smoothing(pooled, target)
        error = self._weighted((self._locations(pooled) - target).abs(), target)  # [B, 4]
        terms = {"l1": error.sum(dim=1).mean()}
        if self.synthesis is not None:
            terms["synthetic"] = self._synthetic_loss(self.synthesis, pooled, target)
        if self.recipe.imbalance == "c2c":
            alignment, uniformity = contrastive_losses(boundaries.flatten(2), target, self.recipe)
            terms["alignment"] = self.recipe.alignment * alignment
            terms["uniformity"] = self.recipe.uniformity * uniformity
        return terms

    def _weighted(self, error: Tensor, target: Tensor) -> Tensor:
        """Weight L1 errors ``[B, 4]`` by Focal-R or inverse frequency, if the recipe asks for it."""
        if self.recipe.imbalance == "focal-r":
            return error * focal_weight(error, self.recipe.focal_mu, self.recipe.focal_psi)
        if self.balance is not None and (self._retraining or self.recipe.imbalance != "rrt"):
            return error * self.balance(target)
        return error

    def _boundary_features(self, maps: Pyramid) -> tuple[Tensor, Tensor]:
        """Encode boundary features ``[B, 4, C, S/32]`` and return them with the attention, see :meth:`features`."""
        features = self.reduce(maps.fused())  # [B, C, S/16, S/16]
        columns, over_rows = self.horizontal(features)  # [B, C, S/16], [B, m, S/16, S/16]
        rows, over_columns = self.vertical(features.transpose(2, 3))
        half = columns.shape[2] // 2
        sides = [columns[..., :half], rows[..., :half], columns[..., half:], rows[..., half:]]  # each [B, C, S/32]
        return torch.stack(sides, dim=1), torch.cat([over_rows, over_columns.transpose(2, 3)], dim=1)

    def _locations(self, pooled: Tensor) -> Tensor:
        """Regress the locations ``[B, 4]`` of the sides from features ``[B, 4, C]``."""
        logits = [regressor(pooled[:, side]) for side, regressor in enumerate(self.regressors)]
        return self._activated(torch.cat(logits, dim=1))

    def _activated(self, logits: Tensor) -> Tensor:
        """Apply the sigmoid, stretched to [-stretch, 1 + stretch]."""
        return (1 + 2 * self.recipe.stretch) * torch.sigmoid(logits) - self.recipe.stretch

    def _synthetic_loss(self, synthesis: SyntheticSamples, pooled: Tensor, target: Tensor) -> Tensor:
        """Compute the L1 loss of SMOGN's synthetic samples, divided by the number of real ones in the batch."""
        errors = []
        for side, regressor in enumerate(self.regressors):
            features, locations = synthesis(pooled[:, side], target, side)
            errors.append((self._activated(regressor(features))[:, 0] - locations).abs().sum())
        return torch.stack(errors).sum() / len(target)


class AxisAttention(nn.Module):
    """Multi-head spatial attention, normalized over the rows, that yields one feature per column (eq. 1 and 2).

    The paper concatenates the maps weighted by each head, reduces their channels, and sums over the rows. Reduction
    and sum are linear, so summing first gives the same result at a fraction of the cost.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attend = nn.Conv2d(channels, heads, 1)
        self.merge = nn.Conv1d(heads * channels, channels, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``[B, C, H, W]`` to column features ``[B, C, W]`` and attention ``[B, heads, H, W]``."""
        attention = torch.softmax(self.attend(features), dim=2)  # [B, heads, H, W]
        weighted = attention.permute(0, 3, 1, 2) @ features.permute(0, 3, 2, 1)  # [B, W, heads, C]
        return self.merge(weighted.flatten(2).transpose(1, 2)), attention


def contrastive_losses(features: Tensor, target: Tensor, recipe: CBLNetRecipe) -> tuple[Tensor, Tensor]:
    """Compute C2C's alignment and uniformity losses (eq. 3 to 6): sums over the sides, means over all pairs of photos.

    Args:
        features: ``[B, 4, D]``, boundary features; they are L2-normalized here.
        target: ``[B, 4]``, locations of the sides.
        recipe: the hyper-parameters.

    Returns:
        Two scalars, zero for a batch of one photo.
    """
    first, second = torch.triu_indices(len(features), len(features), 1, device=features.device)  # [P] each
    if not len(first):
        zero = features.sum() * 0
        return zero, zero
    unit = F.normalize(features.float(), dim=2)
    squares = (unit[first] - unit[second]).square().sum(dim=2)  # [P, 4]
    separation = (target[first] - target[second]).abs()  # [P, 4]; eq. 5 and 6 lack the absolute value
    distance = squares.clamp(min=1e-12).sqrt()  # the square root has no gradient at zero
    alignment = (separation < recipe.positive) * (distance**recipe.power - recipe.slack).clamp(min=0)
    uniformity = (separation > recipe.negative) * torch.exp(-recipe.sharpness * squares)
    return alignment.mean(dim=0).sum(), uniformity.mean(dim=0).sum()


def _regressor(channels: int) -> nn.Sequential:
    """Build a regression head: three linear layers that predict the logit of one side's location."""
    return nn.Sequential(
        nn.Linear(channels, channels),
        nn.ReLU(),
        nn.Linear(channels, channels // 2),
        nn.ReLU(),
        nn.Linear(channels // 2, 1),
    )
