"""SAFRC, image cropping with spatial-aware feature and rank consistency (Wang et al., CVPR 2023).

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
from autocrop.models.regions import coverage, rod_align, roi_align

WIDTH = 256
"""Of the region feature and of the spatial-aware feature: d_r = d_s."""
CELLS = 9
"""Side of the pooled regions."""


@dataclass(frozen=True)
class SAFRCRecipe(ScorerRecipe):
    """Section 4.2 of the paper; the switches are those of its ablations.

    Tables 4 and 5, but for the row of Table 5 that averages the blocks' peaks ("Avg"): that has no switch.
    """

    weight_decay: float = 1e-4
    schedule: str = "step"
    drop_at: int = 6
    channels: int = 32
    """Channels of the reduced feature map."""
    spatial: bool = True
    """Use the spatial-aware feature; without it the network is GAIC's but for its last layers."""
    attention: bool = True
    """Weigh the blocks' peaks by channel attention."""
    mask: bool = True
    """Show the encoder where the crop is."""
    regression: float = 1.0
    """Weight of L_reg."""
    classification: float = 1.0
    """λ_cls of eq. 4; 0 for no pairwise classifier."""
    consistency: float = 1.0
    """Weight of L_cons, eq. 5, on unlabeled photos; 0 for none. It needs the classifier, and photos."""
    pair_margin: float = 0.5
    """η: pairs that are no further apart than this have no say in L_cls."""
    pairs: int = 256
    """P: pairs drawn of each photo for L_cls."""
    consistency_margin: float = 0.1
    """δ of eq. 6."""

    @property
    def uses_unlabeled(self) -> bool:
        """See the base class."""
        return self.classification > 0 and self.consistency > 0


class SAFRC(CroppingModel):
    """Photo → fused map and the blocks' peaks; a crop is a region of the one and a place in the other."""

    NAME = "safrc"
    RECIPE = SAFRCRecipe
    RECIPES: ClassVar = {
        # What trained the bundled model: VRN's recipe, with fewer views, since each costs more here.
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
    WANTS_UNLABELED = True
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
        """The reduced map ``[1, channels, H/16, W/16]`` and, if used, the attended peaks ``[1, k, 64, 64]``."""
        reduced = self.reduce(maps.fused())
        if self.spatial is None:
            return (reduced,)
        assert maps.peaks is not None
        return reduced, maps.peaks if self.attention is None else self.attention(maps.peaks)

    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """MOS of each crop, ``[N]``."""
        return self.scorer(self.describe(features, boxes)).squeeze(1)

    def describe(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Crop features F_rs of section 3.3, ``[N, 512]``, or ``[N, 256]`` without the spatial-aware feature."""
        regions = torch.cat([roi_align(features[0], boxes, CELLS), rod_align(features[0], boxes, CELLS)], dim=1)
        described = self.region(self.dropout(regions.flatten(1)))
        if self.spatial is None:
            return described
        return torch.cat([described, self.spatial(features[1], boxes)], dim=1)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Eq. 7, with the listwise loss and, where people voted, the vote loss."""
        described = self.describe(self.features(self.maps(views)), views.boxes)
        predicted = self.scorer(described).squeeze(1)
        count = len(views.scores)
        regression = F.smooth_l1_loss(predicted[:count], views.scores)
        terms = {"regression": self.recipe.regression * regression}
        if self.classifier is not None:
            pairs = drawn_pairs(views.scores, self.recipe.pair_margin, self.recipe.pairs)
            if len(pairs):
                better = (views.scores[pairs[:, 0]] > views.scores[pairs[:, 1]]).to(predicted.dtype)
                loss = F.binary_cross_entropy_with_logits(self._compare(described, pairs), better)
                terms["classification"] = self.recipe.classification * loss
            if self.recipe.consistency and views.unlabeled is not None:
                terms["consistency"] = self.recipe.consistency * self._consistency(views.unlabeled)
        return terms | preference_terms(predicted, views, self.recipe)

    def _compare(self, described: Tensor, pairs: Tensor) -> Tensor:
        """Logits ``[P]`` that the first crop of each pair ``[P, 2]`` is the better one."""
        assert self.classifier is not None
        return self.classifier(torch.cat([described[pairs[:, 0]], described[pairs[:, 1]]], dim=1)).squeeze(1)

    def _consistency(self, views: Views) -> Tensor:
        """Eq. 5 on one unlabeled photo."""
        described = self.describe(self.features(self.maps(views)), views.boxes)
        predicted = self.scorer(described).squeeze(1)
        pairs = torch.combinations(torch.arange(len(predicted), device=predicted.device))
        with torch.no_grad():  # the sign has no gradient
            logits = self._compare(described, pairs)
        return consistency_loss(predicted, pairs, logits, self.recipe.consistency_margin)


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al., CVPR 2018) over the blocks' peaks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // 2)
        self.excite = nn.Linear(channels // 2, channels)

    def forward(self, peaks: Tensor) -> Tensor:
        """``[B, k, H, W]``, reweighted."""
        pooled = peaks.mean(dim=(2, 3))
        return peaks * torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))))[..., None, None]


class SpatialEncoder(nn.Module):
    """E_s of section 3.2: two 5x5 convolutions with pooling and a linear layer, on peaks and crop mask.

    The first convolution is linear, and all crops of a photo share its peaks: those are convolved once, the masks
    once a crop, and the sums are what the convolution of both together would be.

    Args:
        channels: k, blocks whose peaks come in.
        mask: convolve the crop's mask, too; without it all crops of a photo get the same feature.
        dropout: before the linear layer.
    """

    def __init__(self, channels: int, mask: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.peaks = nn.Conv2d(channels, 32, 5)
        self.mask = nn.Conv2d(1, 32, 5, bias=False) if mask else None
        self.second = nn.Conv2d(32, 16, 5)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(16 * 13 * 13, WIDTH)
        self.to(memory_format=torch.channels_last)  # pooling is several times faster so

    def forward(self, peaks: Tensor, boxes: Tensor) -> Tensor:
        """Peaks ``[1, k, 64, 64]`` of a photo and boxes ``[N, 4]`` → ``[N, 256]``."""
        maps = self.peaks(peaks)
        if self.mask is not None:
            masks = self.mask(coverage(boxes, peaks.shape[2], peaks.shape[3])[:, None])
            # Expanded by hand: OpenCV fuses a convolution with a sum, and then cannot broadcast.
            maps = masks + maps.expand(boxes.shape[0], -1, -1, -1)
        # The rectifier after the pooling: the same values from a quarter of the work.
        maps = F.relu(F.max_pool2d(maps, 2))
        maps = F.relu(F.max_pool2d(self.second(maps), 2))
        encoded = self.last(self.dropout(maps.flatten(1)))
        return encoded if self.mask is not None else encoded.expand(boxes.shape[0], -1)


def drawn_pairs(scores: Tensor, margin: float, count: int) -> Tensor:
    """Up to *count* pairs ``[P, 2]`` of crops whose scores ``[N]`` are more than *margin* apart, in random order.

    Which of a pair comes first is random, too, so that the classifier's labels are balanced.
    """
    pairs = torch.combinations(torch.arange(len(scores), device=scores.device))
    pairs = pairs[(scores[pairs[:, 0]] - scores[pairs[:, 1]]).abs() > margin]
    pairs = pairs[torch.randperm(len(pairs), device=pairs.device)[:count]]
    swap = torch.rand(len(pairs), 1, device=pairs.device) < 0.5
    return torch.where(swap, pairs.flip(1), pairs)


def consistency_loss(predicted: Tensor, pairs: Tensor, logits: Tensor, margin: float) -> Tensor:
    """Eq. 5 and 6: scores shall order each pair as the classifier does, by at least a margin.

    Args:
        predicted: ``[N]`` scores.
        pairs: ``[P, 2]``, all pairs of crops.
        logits: ``[P]``: of the chance that the first one is better; no gradient flows through them.
        margin: δ.
    """
    lead = predicted[pairs[:, 1]] - predicted[pairs[:, 0]]
    return (margin + torch.sign(logits.detach()) * lead).clamp(min=0).mean()
