"""ASM-Net, image cropping with composition and saliency aware aesthetic score map (Tu et al., AAAI 2020).

Where the paper is silent or cannot be read literally, ``docs/models.md`` says what was decided and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocrop.geometry.composition import CROP_SHAPES, Cells, cell_shares, pattern
from autocrop.models.backbones import Backbone, Pyramid
from autocrop.models.base import CroppingModel, ScorerRecipe, Views
from autocrop.models.losses import preference_terms


@dataclass(frozen=True)
class ASMNetRecipe(ScorerRecipe):
    """Sections 3 and 4.2 of the paper, on GAICD; the switches are those of its ablations, Table 1 and Figure 5."""

    epochs: int = 80
    weight_decay: float = 1e-4
    backbone: str = "vgg16"
    pattern: str = "cross-rectangle"
    """See :func:`autocrop.geometry.composition.pattern`."""
    ranking: float = 1.0
    """Weight of L_rank."""
    saliency: float = 0.1
    """λ of eq. 8; 0 switches the saliency-aware loss off."""
    pair_margin: float = 0.9
    """δ of eq. 3: pairs that are less apart than this have no say in L_rank; 0.3 on CPC."""

    def __post_init__(self) -> None:
        """Check the pattern's name, too."""
        super().__post_init__()
        pattern(self.pattern)


class ASMNet(CroppingModel):
    """Photo → score map with a channel a partition; a crop's score is the mean over its cells."""

    NAME = "asmnet"
    RECIPE = ASMNetRecipe
    RECIPES: ClassVar = {
        "cpc": ASMNetRecipe(epochs=30, pair_margin=0.3),
        # What trained the bundled model: VRN's recipe, with a higher rate for the one linear layer.
        "fcdb": ASMNetRecipe(
            optimizer="adamw",
            epochs=6,
            batch=4,
            lr=5e-4,
            schedule="cosine",
            backbone="mobilenet_v2",
            backbone_lr=0.08,
            ranking=0.25,
            listwise=1.0,
            votes=2.0,
            average=0.998,
            trim=0.35,
        ),
    }
    FEATURES = ("scores",)
    SUPPORTED_SHAPES = CROP_SHAPES
    HAS_HEAD = False
    recipe: ASMNetRecipe

    def __init__(self, recipe: ASMNetRecipe | None = None, pretrained: bool | Path = False) -> None:
        super().__init__(recipe, pretrained)
        self.labels = pattern(self.recipe.pattern)
        self.backbone = Backbone(self.recipe.backbone, pretrained)
        partitions = int(self.labels.max()) + 1
        self.dropout = nn.Dropout2d(self.recipe.dropout)
        self.maps_to_scores = nn.ModuleList(
            nn.Conv2d(channels, partitions, 1, bias=i == 0) for i, channels in enumerate(self.backbone.channels)
        )

    @property
    def wants_saliency(self) -> bool:
        """See the base class."""
        return self.recipe.saliency > 0

    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """The score map M, ``[1, L, H, W]``, as large as the photo.

        The paper enlarges the feature maps to the photo's size, concatenates them and applies one 1x1 convolution.
        That is linear, as enlarging is: convolving each first gives the same with a hundredth of the memory.
        """
        size = (8 * maps.stride8.shape[2], 8 * maps.stride8.shape[3])
        scores = [
            F.interpolate(convolve(self.dropout(m)), size=size, mode="bilinear", align_corners=False)
            for convolve, m in zip(self.maps_to_scores, maps[:3], strict=True)
        ]
        return (scores[0] + scores[1] + scores[2],)

    def score(self, features: tuple[Tensor, ...], boxes: Tensor, shape: str = "rectangle") -> Tensor:
        """Φ of each crop, ``[N]``, or of the circles inscribed in them (eq. 9)."""
        return pooled_scores(features[0][0], boxes, Cells.of(self.labels, shape))

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Eq. 8, with the listwise loss and, where people voted, the vote loss."""
        features = self.features(self.maps(views))
        predicted = self.score(features, views.boxes)
        scored = predicted[: len(views.scores)]
        terms = {}
        if self.recipe.ranking:
            terms["rank"] = self.recipe.ranking * ranking_loss(scored, views.scores, self.recipe.pair_margin)
        if self.recipe.saliency and views.saliency is not None:
            terms["saliency"] = self.recipe.saliency * saliency_loss(features[0][0], views.saliency)
        return terms | preference_terms(predicted, views, self.recipe)


def pooled_scores(score_map: Tensor, boxes: Tensor, cells: Cells) -> Tensor:
    """Composition-aware pooling, differentiable: see :func:`autocrop.geometry.composition.pooled_scores`.

    Args:
        score_map: ``[L, H, W]``.
        boxes: ``[N, 4]``.
        cells: of the model's pattern.

    Returns:
        ``[N]``.
    """
    height, width = score_map.shape[1:]
    table = F.pad(score_map.double().cumsum(1).cumsum(2), (1, 0, 1, 0)).flatten()
    rows, columns = cells.labels.shape
    top, bottom = _cell_edges(boxes[:, 1], boxes[:, 3], rows, height)
    left, right = _cell_edges(boxes[:, 0], boxes[:, 2], columns, width)
    channel = torch.from_numpy(cells.labels).to(boxes.device) * ((height + 1) * (width + 1))

    def corner(y: Tensor, x: Tensor) -> Tensor:
        return table[channel + y[:, :, None] * (width + 1) + x[:, None, :]]  # (N, rows, columns)

    total = corner(bottom, right) - corner(bottom, left) - corner(top, right) + corner(top, left)
    area = (bottom - top)[:, :, None] * (right - left)[:, None, :]
    weights = torch.from_numpy(cells.weights).to(boxes.device)
    return (total / area * weights).sum(dim=(1, 2)).to(score_map.dtype)


def _cell_edges(low: Tensor, high: Tensor, count: int, size: int) -> tuple[Tensor, Tensor]:
    """See :func:`autocrop.geometry.composition.cell_edges`."""
    share = torch.from_numpy(cell_shares(count)).to(low.device)
    low, high = low.double(), high.double()
    edges = torch.round((low[:, None] + (high - low)[:, None] * share) * size).long()
    start = edges[:, :-1].clamp(max=size - 1)
    return start, torch.maximum(edges[:, 1:], start + 1)


def ranking_loss(predicted: Tensor, target: Tensor, margin: float) -> Tensor:
    """Eq. 3 and 4 as a mean over pairs, so that λ does not depend on how many there are; zero where there is none.

    Args:
        predicted: ``[N]``.
        target: ``[N]``, raw scores.
        margin: δ.
    """
    # MOS are means with a few decimals, in float32: 4.1 - 3.2 must count as .9.
    better = target[:, None] - target[None, :] >= margin - 1e-6
    loss = (1 + predicted[None, :] - predicted[:, None]).clamp(min=0)
    return (loss * better).sum() / better.sum().clamp(min=1)


def statistics(score_map: Tensor) -> tuple[Tensor, Tensor]:
    """θ_avg and θ_std of eq. 5 and 6: mean and standard deviation over the partitions, ``[L, H, W]`` → ``[H, W]``."""
    average = score_map.mean(dim=0)
    # The square root has no gradient at zero, where one partition, or equal ones, would be.
    return average, ((score_map - average).square().mean(dim=0) + 1e-8).sqrt()


def saliency_loss(score_map: Tensor, saliency: Tensor) -> Tensor:
    """Eq. 7: regions that are not salient shall not care where in a crop they are.

    Args:
        score_map: ``[L, H, W]``.
        saliency: ``[H, W]`` in [0, 1].
    """
    _, spread = statistics(score_map)
    return ((1 - saliency) * spread / spread.mean()).mean()
