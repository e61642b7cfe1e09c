"""VRN, the View Ranking Network: Discriminate Clearer to Rank Better (Pan et al., ICIP 2022).

``docs/papers/vrn.md`` explains our decisions where the paper is silent or ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocrop.models.backbones import Backbone, Pyramid
from autocrop.models.base import CroppingModel
from autocrop.models.losses import preference_terms
from autocrop.models.recipe import ScorerRecipe, bounded
from autocrop.models.regions import rod_align, roi_align
from autocrop.models.views import Views


@dataclass(frozen=True)
class VRNRecipe(ScorerRecipe):
    """Hyper-parameters of section 4.2, with switches for the ablation of Table 2."""

    channels: int = bounded(32, min=1)
    """Channels of the reduced feature map."""
    splitter: bool = True
    """Use the feature splitter and the image-wise difference learner."""
    ranking_gain: float = bounded(3.0, min=0)
    """λ of eq. 5, the weight of L_r; 0 disables the ranking gain loss."""
    regression: float = bounded(1.0, min=0)
    """Weight of L_v and L_i (eq. 5)."""


class VRN(CroppingModel):
    """View Ranking Network: splits the fused feature map into an image-wise and a view-wise part (Fig. 2).

    The view-wise difference learner (VDL) predicts mean-subtracted MOS. The image-wise difference learner (IDL)
    predicts the mean MOS and is only used for training.
    """

    NAME = "vrn"
    RECIPE = VRNRecipe
    # Recipe of the bundled model; docs/research/training.md lists the alternatives we tried.
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
        """Compute the view-wise feature map ``[1, channels, H/16, W/16]``."""
        return self._split(maps)[:1]

    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Predict the mean-subtracted MOS ``[N]`` of each crop, by the VDL alone as in the paper."""
        (view_wise,) = features
        regions = torch.cat([roi_align(view_wise, boxes), rod_align(view_wise, boxes)], dim=1)  # [N, 2C, 9, 9]
        return self.view_learner(regions)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Compute L = L_i + L_v + λ L_r (eq. 5), plus the listwise and vote losses that the recipe enables."""
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
            # Without the splitter, the VDL predicts raw MOS: subtract their mean to match the targets.
            centered = scored if self.splitter is not None else scored - scored.mean()
            terms["rank"] = self.recipe.ranking_gain * ranking_gain_loss(centered, views.scores - mean)
        return terms | preference_terms(predicted, views, self.recipe)

    def _split(self, maps: Pyramid) -> tuple[Tensor, Tensor]:
        """Compute the view-wise and image-wise feature maps; without the splitter, both are the whole map."""
        features = self.reduce(maps.fused())  # [1, C, H/16, W/16]
        if self.splitter is None:
            return features, features
        weight = self.splitter(features)  # [1, C, 1, 1]
        return features * weight, features * (1 - weight)


class FeatureSplitter(nn.Module):
    """Feature splitter (Fig. 3): predicts which share of each channel is view-wise. The rest is image-wise."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``[B, C, H, W]`` to view-wise weights ``[B, C, 1, 1]`` in [0, 1]."""
        pooled = features.mean(dim=(2, 3))  # [B, C]
        return torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))))[..., None, None]


class DifferenceLearner(nn.Module):
    """Head of GAIC for 9x9 regions (Fig. 2b), with 768, 128 and 1 channels.

    The first layer of GAIC is a 9x9 convolution, which on a 9x9 region equals a linear layer.
    """

    def __init__(self, channels: int, dropout: float = 0.0, size: int = 9) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            nn.Linear(channels * size * size, 768), nn.ReLU(), nn.Linear(768, 128), nn.ReLU(), nn.Linear(128, 1)
        )

    def forward(self, regions: Tensor) -> Tensor:
        """Map regions ``[N, C, 9, 9]`` to scores ``[N]``."""
        return self.layers(self.dropout(regions.flatten(1))).squeeze(1)


def ranking_gain_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Ranking gain loss L_r = e^-β (eq. 1, 3 and 4), where β is the discounted gain in the ground-truth order.

    Unlike in the paper, the discounts are normalized to sum to one. Otherwise β reaches the hundreds and e^-β
    underflows in float32. For a fixed number of crops, the normalization is a temperature.

    Args:
        predicted: ``[N]``, mean-subtracted scores.
        target: ``[N]``, mean-subtracted MOS. Crops with equal MOS keep their order.
    """
    order = torch.argsort(target, descending=True, stable=True)
    similarity = target - (predicted - target).abs()  # σ, eq. 3
    discount = 1 / torch.log(torch.arange(len(target), device=target.device, dtype=target.dtype) + 2)  # 1 / ln(i + 1)
    return torch.exp(-((discount / discount.sum()) * torch.expm1(similarity[order])).sum())
