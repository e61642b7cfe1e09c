"""VRN, the View Ranking Network (Pan et al., ICIP 2022): feature splitter and ranking gain loss.

Where the paper is silent or cannot be read literally, ``docs/models.md`` says what was decided and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocrop.models.backbones import Backbone, Pyramid
from autocrop.models.base import CroppingModel, ScorerRecipe, Views
from autocrop.models.losses import preference_terms
from autocrop.models.regions import rod_align, roi_align


@dataclass(frozen=True)
class VRNRecipe(ScorerRecipe):
    """Section 4.2 of the paper, which the base's defaults are; the switches are those of its ablation, Table 2."""

    channels: int = 32
    """Channels of the reduced feature map."""
    splitter: bool = True
    ranking_gain: float = 3.0
    """λ of eq. 5; 0 switches the ranking gain loss off."""
    regression: float = 1.0
    """Weight of L_v, and of L_i with it."""


class VRN(CroppingModel):
    """Photo → fused map → image-wise and view-wise halves; crops are scored on the view-wise half alone."""

    NAME = "vrn"
    RECIPE = VRNRecipe
    # What trained the bundled model; docs/training.md has what else was tried.
    RECIPES: ClassVar = {
        "fcdb": VRNRecipe(
            optimizer="adamw",
            epochs=10,
            batch=4,
            lr=1.5e-4,
            schedule="cosine",
            backbone_lr=0.25,
            weight_decay=1e-4,
            regression=0.25,
            ranking_gain=0.75,
            listwise=1.0,
            votes=2.0,
            dropout=0.5,
            average=0.998,
            trim=0.35,
        )
    }
    TRAINING_ONLY = ("image_learner.",)
    recipe: VRNRecipe

    def __init__(self, recipe: VRNRecipe | None = None, pretrained: bool | Path = False) -> None:
        super().__init__(recipe, pretrained)
        self.backbone = Backbone(self.recipe.backbone, pretrained)
        self.reduce = nn.Conv2d(self.backbone.out_channels, self.recipe.channels, 1)
        self.splitter = FeatureSplitter(self.recipe.channels) if self.recipe.splitter else None
        self.view_learner = DifferenceLearner(2 * self.recipe.channels, self.recipe.dropout)
        self.image_learner = (
            DifferenceLearner(self.recipe.channels, self.recipe.dropout) if self.recipe.splitter else None
        )

    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """View-wise features ``[1, channels, H/16, W/16]``."""
        return self._split(maps)[:1]

    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Mean-subtracted MOS of each crop, ``[N]``: the paper's inference without the image-wise learner."""
        (view_wise,) = features
        return self.view_learner(torch.cat([roi_align(view_wise, boxes), rod_align(view_wise, boxes)], dim=1))

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Eq. 5, L = L_i + L_v + λ L_r, with the listwise loss and, where people voted, the vote loss."""
        view_wise, image_wise = self._split(self.maps(views))
        predicted = self.score((view_wise,), views.boxes)
        scored = predicted[: len(views.scores)]
        target, mean = views.scores, views.scores.mean()
        terms = {}
        if self.image_learner is not None:
            image_scores = self.image_learner(roi_align(image_wise, views.boxes[: len(target)]))
            terms["image"] = self.recipe.regression * (image_scores - mean).abs().mean()
            target = target - mean
        terms["view"] = self.recipe.regression * (scored - target).abs().mean()
        if self.recipe.ranking_gain:
            # Without the splitter the branch predicts raw MOS: only its own mean taken off makes the two comparable.
            centered = scored if self.splitter is not None else scored - scored.mean()
            terms["rank"] = self.recipe.ranking_gain * ranking_gain_loss(centered, views.scores - mean)
        return terms | preference_terms(predicted, views, self.recipe)

    def _split(self, maps: Pyramid) -> tuple[Tensor, Tensor]:
        """View-wise and image-wise features; both are the whole map without the splitter."""
        features = self.reduce(maps.fused())
        if self.splitter is None:
            return features, features
        weight = self.splitter(features)
        return features * weight, features * (1 - weight)


class FeatureSplitter(nn.Module):
    """Fig. 3: per-channel weight of the view-wise part in [0, 1]; the image-wise part has the rest."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, features: Tensor) -> Tensor:
        """``[B, C, H, W]`` → ``[B, C, 1, 1]``."""
        pooled = features.mean(dim=(2, 3))
        return torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))))[..., None, None]


class DifferenceLearner(nn.Module):
    """Fig. 2b, the head of GAIC: 9x9 region → 768 → 128 → one score. The 9x9 convolution is a linear layer."""

    def __init__(self, channels: int, dropout: float = 0.0, size: int = 9) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            nn.Linear(channels * size * size, 768), nn.ReLU(), nn.Linear(768, 128), nn.ReLU(), nn.Linear(128, 1)
        )

    def forward(self, regions: Tensor) -> Tensor:
        """``[N, C, 9, 9]`` → ``[N]``."""
        return self.layers(self.dropout(regions.flatten(1))).squeeze(1)


def ranking_gain_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Eq. 1, 3 and 4: e^-β, where β is the discounted gain of the crops in their true order.

    The discounts are normalized to sum to one (without that β reaches the hundreds and e^-β is 0 in float32), which
    for a fixed number of crops is a temperature. Targets must be mean-subtracted.

    Args:
        predicted: ``[N]``.
        target: ``[N]``, mean-subtracted MOS; ties keep their order.
    """
    order = torch.argsort(target, descending=True, stable=True)
    similarity = target - (predicted - target).abs()  # eq. 3
    discount = 1 / torch.log(torch.arange(len(target), device=target.device, dtype=target.dtype) + 2)  # ranks from 1
    return torch.exp(-((discount / discount.sum()) * torch.expm1(similarity[order])).sum())
