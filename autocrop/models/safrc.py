"""SAFRC: Image Cropping with Spatial-aware Feature and Rank Consistency (Wang et al., CVPR 2023).

``docs/papers/safrc.md`` explains our decisions where the paper is silent or ambiguous.
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
from autocrop.models.regions import coverage, rod_align, roi_align
from autocrop.models.views import Views

WIDTH = 256
"""Width of the region feature and of the spatial-aware feature (section 4.2: d_r = d_s = 256)."""
CELLS = 9
"""Side of the pooled regions (section 4.2: h = 9)."""


@dataclass(frozen=True)
class SAFRCRecipe(ScorerRecipe):
    """Hyper-parameters of section 4.2, with switches for the ablations of Tables 4 and 5.

    The row of Table 5 that averages the feature maps ("Avg") is not implemented.
    """

    weight_decay: float = 1e-4
    schedule: str = "step"
    drop_at: int = 6
    channels: int = bounded(32, min=1)
    """Channels of the reduced feature map."""
    spatial: bool = True
    """Use the spatial-aware feature. Without it, the network is GAIC's except for the last layers."""
    attention: bool = True
    """Reweight the peak maps by channel attention."""
    mask: bool = True
    """Pass the crop mask to the spatial encoder."""
    regression: float = bounded(1.0, min=0)
    """Weight of L_reg (eq. 1)."""
    classification: float = bounded(1.0, min=0)
    """λ_cls of eq. 4, the weight of L_cls; 0 removes the pairwise classifier."""
    consistency: float = bounded(1.0, min=0)
    """Weight of L_cons (eq. 5); 0 disables it. It needs the pairwise classifier and unlabeled photos."""
    pair_margin: float = bounded(0.5, min=0)
    """η: L_cls ignores pairs of crops whose scores differ by this or less."""
    pairs: int = bounded(256, min=0)
    """P: number of pairs sampled per photo for L_cls."""
    consistency_margin: float = bounded(0.1, min=0)
    """δ of eq. 6."""

    @property
    def uses_unlabeled(self) -> bool:
        """True if the rank consistency loss is enabled."""
        return self.classification > 0 and self.consistency > 0


class SAFRC(CroppingModel):
    """SAFRC: scores crops by their region feature and their spatial-aware feature (Fig. 2)."""

    NAME = "safrc"
    RECIPE = SAFRCRecipe
    RECIPES: ClassVar = {
        # Recipe of the bundled model: VRN's with fewer views, because each costs more here.
        "fcdb": SAFRCRecipe(
            optimizer="adamw",
            epochs=5,
            batch=4,
            views=48,
            lr=1.5e-4,
            schedule="cosine",
            backbone_lr=0.25,
            regression=0.25,
            classification=0.25,
            listwise=1.0,
            votes=2.0,
            dropout=0.5,
            average=0.998,
            trim=0.35,
        )
    }
    TRAINING_ONLY = ("classifier.",)
    SUPPORTS_UNLABELED = True
    recipe: SAFRCRecipe

    def __init__(self, recipe: SAFRCRecipe | None = None, pretrained: bool | Path = False) -> None:
        super().__init__(recipe, pretrained)
        recipe = self.recipe
        self.backbone = Backbone(recipe.backbone, pretrained, peaks=recipe.spatial)
        self.FEATURES = ("features", "peaks") if recipe.spatial else ("features",)
        self.reduce = nn.Conv2d(self.backbone.out_channels, recipe.channels, 1)
        self.dropout = nn.Dropout(recipe.dropout)
        self.region = nn.Sequential(
            nn.Linear(2 * recipe.channels * CELLS * CELLS, 768), nn.ReLU(), nn.Linear(768, WIDTH)
        )
        self.attention = ChannelAttention(self.backbone.peaks) if recipe.spatial and recipe.attention else None
        self.spatial = SpatialEncoder(self.backbone.peaks, recipe.mask, recipe.dropout) if recipe.spatial else None
        width = WIDTH * (2 if recipe.spatial else 1)
        self.scorer = nn.Linear(width, 1)
        self.classifier = nn.Linear(2 * width, 1) if recipe.classification else None

    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """Compute the reduced map ``[1, channels, H/16, W/16]`` and, if used, the attended peaks ``[1, k, 64, 64]``."""
        reduced = self.reduce(maps.fused())
        if self.spatial is None:
            return (reduced,)
        assert maps.peaks is not None
        return reduced, maps.peaks if self.attention is None else self.attention(maps.peaks)

    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Predict the MOS ``[N]`` of each crop."""
        return self.scorer(self.crop_features(features, boxes)).squeeze(1)

    def crop_features(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Compute F_rs of section 3.3, ``[N, 512]``, or F_r ``[N, 256]`` without the spatial-aware feature."""
        regions = torch.cat([roi_align(features[0], boxes, CELLS), rod_align(features[0], boxes, CELLS)], dim=1)
        region_features = self.region(self.dropout(regions.flatten(1)))  # [N, 256]
        if self.spatial is None:
            return region_features
        return torch.cat([region_features, self.spatial(features[1], boxes)], dim=1)  # [N, 512]

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Compute eq. 7, plus the listwise and vote losses that the recipe enables."""
        crops = self.crop_features(self.features(self.maps(views)), views.boxes)
        predicted = self.scorer(crops).squeeze(1)  # [N]
        regression = F.smooth_l1_loss(predicted[: len(views.scores)], views.scores)  # eq. 1
        terms = {"regression": self.recipe.regression * regression}
        if self.classifier is not None:
            terms |= self._classification_term(crops, views.scores)
            if self.recipe.consistency and views.unlabeled is not None:
                terms["consistency"] = self.recipe.consistency * self._consistency(views.unlabeled)
        return terms | preference_terms(predicted, views, self.recipe)

    def _classification_term(self, crops: Tensor, scores: Tensor) -> dict[str, Tensor]:
        """Compute the weighted L_cls (eq. 2 and 3) of sampled pairs; empty if no scores differ enough."""
        pairs = sample_pairs(scores, self.recipe.pair_margin, self.recipe.pairs)
        if not len(pairs):
            return {}
        label = (scores[pairs[:, 0]] > scores[pairs[:, 1]]).to(crops.dtype)  # q, eq. 2
        loss = F.binary_cross_entropy_with_logits(self._compare(crops, pairs), label)
        return {"classification": self.recipe.classification * loss}

    def _compare(self, crops: Tensor, pairs: Tensor) -> Tensor:
        """Predict the logits ``[P]`` that the first crop of each pair ``[P, 2]`` is better than the second."""
        assert self.classifier is not None
        return self.classifier(torch.cat([crops[pairs[:, 0]], crops[pairs[:, 1]]], dim=1)).squeeze(1)

    def _consistency(self, views: Views) -> Tensor:
        """Compute L_cons (eq. 5) of an unlabeled photo."""
        crops = self.crop_features(self.features(self.maps(views)), views.boxes)
        predicted = self.scorer(crops).squeeze(1)  # [N]
        pairs = torch.combinations(torch.arange(len(predicted), device=predicted.device))  # [N (N - 1) / 2, 2]
        with torch.no_grad():  # eq. 6 uses only the sign, which has no gradient
            logits = self._compare(crops, pairs)
        return consistency_loss(predicted, pairs, logits, self.recipe.consistency_margin)


class ChannelAttention(nn.Module):
    """Squeeze-and-excitation (Hu et al., CVPR 2018) over the peak maps (section 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // 2)
        self.excite = nn.Linear(channels // 2, channels)

    def forward(self, peaks: Tensor) -> Tensor:
        """Reweight the channels of ``[B, k, H, W]``."""
        pooled = peaks.mean(dim=(2, 3))  # [B, k]
        return peaks * torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))))[..., None, None]


class SpatialEncoder(nn.Module):
    """The encoder E_s of section 3.2: two 5x5 convolutions with max pooling and a linear layer.

    The paper convolves the concatenation of peak maps and crop mask. Convolution is linear and all crops of a photo
    share the peak maps, so these are convolved once per photo, only the masks once per crop, and the results added.

    Args:
        channels: k, number of peak maps.
        mask: use the crop mask. Without it, all crops of a photo get the same feature.
        dropout: dropout rate before the linear layer.
    """

    def __init__(self, channels: int, mask: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.peaks = nn.Conv2d(channels, 32, 5)
        self.mask = nn.Conv2d(1, 32, 5, bias=False) if mask else None
        self.second = nn.Conv2d(32, 16, 5)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(16 * 13 * 13, WIDTH)
        self.to(memory_format=torch.channels_last)  # makes pooling several times faster

    def forward(self, peaks: Tensor, boxes: Tensor) -> Tensor:
        """Encode crops ``[N, 4]`` of a photo with peak maps ``[1, k, 64, 64]``: ``[N, 256]``."""
        maps = self.peaks(peaks)  # [1, 32, 60, 60]
        if self.mask is not None:
            masks = self.mask(coverage(boxes, peaks.shape[2], peaks.shape[3])[:, None])  # [N, 32, 60, 60]
            # Expanded explicitly: OpenCV fuses the convolution with the sum and then cannot broadcast.
            maps = masks + maps.expand(boxes.shape[0], -1, -1, -1)
        # ReLU and max pooling commute; pooling first leaves ReLU a quarter of the values.
        maps = F.relu(F.max_pool2d(maps, 2))  # [N, 32, 30, 30]
        maps = F.relu(F.max_pool2d(self.second(maps), 2))  # [N, 16, 13, 13]
        encoded = self.last(self.dropout(maps.flatten(1)))  # [N, 256], or [1, 256] without masks
        return encoded if self.mask is not None else encoded.expand(boxes.shape[0], -1)


def sample_pairs(scores: Tensor, margin: float, count: int) -> Tensor:
    """Sample pairs of crops whose scores differ by more than a margin (section 3.3).

    The order within each pair is random, too, which balances the labels of the classifier.

    Args:
        scores: ``[N]``.
        margin: η.
        count: maximum number of pairs.

    Returns:
        ``[P, 2]``, indices into *scores*, P <= count.
    """
    pairs = torch.combinations(torch.arange(len(scores), device=scores.device))
    pairs = pairs[(scores[pairs[:, 0]] - scores[pairs[:, 1]]).abs() > margin]
    pairs = pairs[torch.randperm(len(pairs), device=pairs.device)[:count]]
    swap = torch.rand(len(pairs), 1, device=pairs.device) < 0.5
    return torch.where(swap, pairs.flip(1), pairs)


def consistency_loss(predicted: Tensor, pairs: Tensor, logits: Tensor, margin: float) -> Tensor:
    """Rank consistency loss L_cons (eq. 5 and 6): scores must order each pair as the classifier does, by a margin.

    Args:
        predicted: ``[N]``, scores.
        pairs: ``[P, 2]``, all pairs of crops.
        logits: ``[P]``, classifier output: positive if the first crop is better. They receive no gradient.
        margin: δ.
    """
    difference = predicted[pairs[:, 1]] - predicted[pairs[:, 0]]  # [P]
    return (margin + torch.sign(logits.detach()) * difference).clamp(min=0).mean()
