"""ASM-Net: Image Cropping with Composition and Saliency Aware Aesthetic Score Map (Tu et al., AAAI 2020).

``docs/papers/asmnet.md`` explains our decisions where the paper is silent or ambiguous.
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
from autocrop.models.base import CroppingModel
from autocrop.models.losses import preference_terms
from autocrop.models.recipe import ScorerRecipe, bounded
from autocrop.models.views import Views


@dataclass(frozen=True)
class ASMNetRecipe(ScorerRecipe):
    """Hyper-parameters of sections 3 and 4.2 for GAICD, with switches for the ablations of Table 1 and Figure 5."""

    epochs: int = 80
    weight_decay: float = 1e-4
    backbone: str = "vgg16"
    pattern: str = "cross-rectangle"
    """Composition pattern, see :func:`autocrop.geometry.composition.pattern`."""
    ranking: float = bounded(1.0, min=0)
    """Weight of L_rank (eq. 4)."""
    saliency: float = bounded(0.1, min=0)
    """λ of eq. 8, the weight of L_sal; 0 disables the saliency-aware loss."""
    pair_margin: float = bounded(0.9, min=0)
    """δ of eq. 3: L_rank ignores pairs of crops whose scores differ by less. 0.3 for CPC."""

    def __post_init__(self) -> None:
        """Validate the fields, including the name of the pattern."""
        super().__post_init__()
        pattern(self.pattern)


class ASMNet(CroppingModel):
    """ASM-Net: predicts an aesthetic score map with one channel per composition partition.

    The score of a crop is the mean over its cells, each pooled from the channel of its partition (section 3.1).
    """

    NAME = "asmnet"
    RECIPE = ASMNetRecipe
    RECIPES: ClassVar = {
        "cpc": ASMNetRecipe(epochs=30, pair_margin=0.3),
        # Recipe of the bundled model: VRN's, with a higher learning rate for the single linear layer.
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
    def uses_saliency(self) -> bool:
        """True if the saliency-aware loss is enabled."""
        return self.recipe.saliency > 0

    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """Compute the score map M, ``[1, L, H, W]``, at the resolution of the photo (section 3.1).

        The paper upsamples the feature maps, concatenates them and applies a 1x1 convolution. Both operations are
        linear, so convolving each map before upsampling gives the same result with a hundredth of the memory.
        """
        size = (8 * maps.stride8.shape[2], 8 * maps.stride8.shape[3])
        scores = [
            F.interpolate(convolve(self.dropout(m)), size=size, mode="bilinear", align_corners=False)
            for convolve, m in zip(self.maps_to_scores, maps[:3], strict=True)
        ]  # 3 x [1, L, H, W]
        return (scores[0] + scores[1] + scores[2],)

    def score(self, features: tuple[Tensor, ...], boxes: Tensor, shape: str = "rectangle") -> Tensor:
        """Compute Φ of crops (eq. 2), or of the circles inscribed in them (eq. 9).

        Args:
            features: the score map ``[1, L, H, W]``.
            boxes: ``[N, 4]``, xyxy in [0, 1].
            shape: ``rectangle`` or ``circle``.

        Returns:
            ``[N]``.
        """
        return pooled_scores(features[0][0], boxes, Cells.of(self.labels, shape))

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Compute eq. 8, plus the listwise and vote losses that the recipe enables."""
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
    """Composition-aware pooling (eq. 2), differentiable; see :func:`autocrop.geometry.composition.pooled_scores`.

    Args:
        score_map: ``[L, H, W]``.
        boxes: ``[N, 4]``, xyxy in [0, 1].
        cells: R x C cells of the composition pattern.

    Returns:
        ``[N]``.
    """
    height, width = score_map.shape[1:]
    table = F.pad(score_map.double().cumsum(1).cumsum(2), (1, 0, 1, 0)).flatten()  # [L * (H + 1) * (W + 1)]
    rows, columns = cells.labels.shape
    top, bottom = _cell_edges(boxes[:, 1], boxes[:, 3], rows, height)  # [N, R]
    left, right = _cell_edges(boxes[:, 0], boxes[:, 2], columns, width)  # [N, C]
    channel = torch.from_numpy(cells.labels).to(boxes.device) * ((height + 1) * (width + 1))  # [R, C]

    def corner(y: Tensor, x: Tensor) -> Tensor:
        return table[channel + y[:, :, None] * (width + 1) + x[:, None, :]]  # [N, R, C]

    total = corner(bottom, right) - corner(bottom, left) - corner(top, right) + corner(top, left)
    area = (bottom - top)[:, :, None] * (right - left)[:, None, :]  # [N, R, C]
    weights = torch.from_numpy(cells.weights).to(boxes.device)
    return (total / area * weights).sum(dim=(1, 2)).to(score_map.dtype)


def _cell_edges(low: Tensor, high: Tensor, count: int, size: int) -> tuple[Tensor, Tensor]:
    """Torch version of :func:`autocrop.geometry.composition.cell_edges`."""
    share = torch.from_numpy(cell_shares(count)).to(low.device)
    low, high = low.double(), high.double()
    edges = torch.round((low[:, None] + (high - low)[:, None] * share) * size).long()  # [N, count + 1]
    start = edges[:, :-1].clamp(max=size - 1)
    return start, torch.maximum(edges[:, 1:], start + 1)


def ranking_loss(predicted: Tensor, target: Tensor, margin: float) -> Tensor:
    """Hinge ranking loss L_rank (eq. 3 and 4), zero without pairs.

    The paper sums over the pairs. The mean makes λ independent of their number.

    Args:
        predicted: ``[N]``.
        target: ``[N]``, MOS.
        margin: δ.
    """
    # MOS are float32 means with few decimals: 4.1 - 3.2 must count as 0.9.
    better = target[:, None] - target[None, :] >= margin - 1e-6  # [N, N]
    loss = (1 + predicted[None, :] - predicted[:, None]).clamp(min=0)  # [N, N]
    return (loss * better).sum() / better.sum().clamp(min=1)


def statistics(score_map: Tensor) -> tuple[Tensor, Tensor]:
    """Compute θ_avg and θ_std (eq. 5 and 6), mean and standard deviation over the partitions.

    Args:
        score_map: ``[L, H, W]``.

    Returns:
        Two maps ``[H, W]``.
    """
    average = score_map.mean(dim=0)
    # The square root has no gradient at zero, which equal channels, or a single one, would cause.
    return average, ((score_map - average).square().mean(dim=0) + 1e-8).sqrt()


def saliency_loss(score_map: Tensor, saliency: Tensor) -> Tensor:
    """Saliency-aware loss L_sal (eq. 7): penalize composition sensitivity (θ_std) where the photo is not salient.

    Args:
        score_map: ``[L, H, W]``.
        saliency: ``[H, W]`` in [0, 1].
    """
    _, deviation = statistics(score_map)
    return ((1 - saliency) * deviation / deviation.mean()).mean()
