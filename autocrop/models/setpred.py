"""Set prediction: Rethinking Image Cropping, Exploring Diverse Compositions from Global Views (Jia et al., CVPR 2022).

``docs/papers/set-prediction.md`` explains our decisions where the paper is silent or differs from the authors' code.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torchvision.ops import box_convert, box_iou, generalized_box_iou, sigmoid_focal_loss

from autocrop.errors import UsageError
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes
from autocrop.models.all_reduce import mean_over_processes
from autocrop.models.backbones import Backbone, Pyramid
from autocrop.models.base import Proposer, boxes_from_corners
from autocrop.models.conditional_detr import MLP, Linear, Transformer
from autocrop.models.recipe import Recipe, bounded, one_of
from autocrop.models.views import Views, require_targets

SMOOTHING = ("none", "quality", "distillation")
"""Methods of label smoothing for proposals without a match (section 3.2)."""
MAX_CANDIDATES = 600
"""Maximum number of best crops from which the initial proposals are chosen."""
ALPHA, GAMMA = 0.25, 2.0
"""α and γ of the focal loss (Lin et al., ICCV 2017)."""
MIN_SCALE, MAX_SCALE = 0.8, 4 / 3
"""Range of the random scale in multi-scale training: sides of 480 to 800 for ``side=608``."""
DETR_BACKBONE = "backbone.0.body."
"""Prefix of the backbone's parameters in checkpoints of DETR and its variants."""


@dataclass(frozen=True)
class SetPredictionRecipe(Recipe):
    """Hyper-parameters of section 4.3. For self distillation, the paper sets ``epochs=60`` and ``drop_at=50``."""

    epochs: int = 50
    batch: int = 2
    optimizer: str = "adamw"
    weight_decay: float = 1e-4
    views: int = 90
    schedule: str = "step"
    drop_at: int = 40
    backbone: str = "resnet50"
    backbone_lr: float = 0.1
    clip: float = 0.1
    side: int = 608
    dilated: bool = True
    """Feed the transformer the backbone's last stage, dilated to stride 16 (DC5), instead of GAIC's fused map."""
    multiscale: bool = True
    """Resize the photos of each step to a random side between 0.8 and 1.33 times *side*."""
    queries: int = bounded(90, min=1)
    """Number of learnable anchors, and so of proposed crops."""
    width: int = bounded(256, min=1)
    """Channels of the transformer's tokens."""
    heads: int = bounded(8, min=1)
    encoders: int = bounded(6, min=0)
    decoders: int = bounded(6, min=1)
    hidden: int = bounded(2048, min=1)
    """Channels inside the transformer's feed-forward networks."""
    dropout: float = bounded(0.1, min=0, max=1)
    l1: float = bounded(5.0, min=0)
    """Weight of L_reg (eq. 3), the L1 loss of the boxes' centers and sizes."""
    giou: float = bounded(2.0, min=0)
    """Weight of L_iou (eq. 3), the generalized IoU loss."""
    focal: float = bounded(2.0, min=0)
    """Weight of L_focal (eq. 3), the focal loss of the validity."""
    spread: bool = False
    """Initialize the proposals with crops that together cover the best crops of the training split (ours)."""
    match_focal: float = bounded(1.0, min=0, max=1)
    """Share of the focal loss in the matching cost; 1 in the paper.

    With a lower share, a target matches the nearest proposal rather than one with high validity, so that proposals
    remain diverse (ours).
    """
    smoothing: str = one_of("quality", SMOOTHING)
    """``none``, ``quality`` (quality guidance, which needs scored crops) or ``distillation`` (self distillation)."""
    near: float = bounded(0.85, min=0, max=1)
    """ε (section 3.2.1): minimum IoU at which a proposal takes over the quality of a scored crop."""
    low: float = bounded(2.0, min=-100, max=100)
    """s^l (eq. 4): quality at and below which the soft label is 0."""
    high: float = bounded(3.5, min=-100, max=100)
    """s^u (eq. 4): quality at and above which the soft label is *most*."""
    most: float = bounded(0.5, min=0, max=1)
    """μ (eq. 4): largest soft label."""
    distil_from: int = bounded(40, min=0)
    """Epoch, counted from 0, in which self distillation starts."""
    theta: float = bounded(0.5, min=0, max=1)
    """θ (eq. 5): weight of the current model in the momentum average, at each step."""

    def __post_init__(self) -> None:
        """Validate the fields and their combinations."""
        super().__post_init__()
        if not self.side:
            raise UsageError("setpred needs a fixed input size. Pass --set side=256, or another multiple of 32.")
        if self.width % (4 * self.heads):
            raise UsageError(f"width={self.width} must be a multiple of four times heads={self.heads}.")
        if self.low >= self.high:
            raise UsageError(
                f"low={self.low} must be less than high={self.high}: soft labels increase between these two scores."
            )
        if self.smoothing == "quality" and not self.views:
            raise UsageError(
                "smoothing=quality needs scored crops, but views=0 provides none. Pass --set views=64, or choose "
                "another smoothing."
            )
        if self.smoothing == "distillation" and self.distil_from >= self.epochs:
            raise UsageError(
                f"distil_from={self.distil_from} is too late: with epochs={self.epochs}, distillation would never "
                f"start. Pass --set distil_from={self.epochs - 1} or less, or more --epochs."
            )


class SetPrediction(Proposer):
    """Set prediction: a transformer turns each learnable anchor into a crop and the probability that it is valid."""

    NAME = "setpred"
    RECIPE = SetPredictionRecipe
    # A small variant that trains and runs on a CPU.
    RECIPES: ClassVar = {
        "fcdb": SetPredictionRecipe(
            epochs=20,
            batch=8,
            lr=5e-4,
            schedule="cosine",
            average=0.99,
            views=64,
            backbone="mobilenet_v2",
            dilated=False,
            side=224,
            multiscale=False,
            clip=0.1,
            queries=24,
            width=128,
            encoders=1,
            decoders=2,
            hidden=512,
            spread=True,
            match_focal=0.1,
            distil_from=10,
        )
    }
    TRAINING_ONLY = ("teacher.",)
    recipe: SetPredictionRecipe

    def __init__(self, recipe: SetPredictionRecipe | None = None, pretrained: bool | Path = False) -> None:
        super().__init__(recipe, pretrained)
        chosen = self.recipe
        frozen = 4 if chosen.backbone == "resnet50" else 0  # the stem and the first stage, as in DETR
        self.backbone = Backbone(chosen.backbone, pretrained, dilated=chosen.dilated, frozen_blocks=frozen)
        channels = self.backbone.channels[2] if chosen.dilated else self.backbone.out_channels
        self.input_proj = nn.Conv2d(channels, chosen.width, 1)
        self.transformer = Transformer(
            chosen.width, chosen.heads, chosen.encoders, chosen.decoders, chosen.hidden, chosen.dropout
        )
        self.query_embed = nn.Embedding(chosen.queries, chosen.width)
        self.start = nn.Parameter(torch.zeros(chosen.queries, 4)) if chosen.spread else None
        self.class_embed = Linear(chosen.width, 1)
        self.bbox_embed = MLP(chosen.width, chosen.width, 4, 3)
        nn.init.constant_(self.class_embed.bias, -math.log(99))
        for parameter in self.bbox_embed.layers[-1].parameters():
            nn.init.zeros_(parameter)
        self._epoch = 0
        self.teacher: SetPrediction | None = None
        if chosen.smoothing == "distillation":
            self.teacher = copy.deepcopy(self).requires_grad_(False)

    def train(self, mode: bool = True) -> SetPrediction:
        """Set the training mode. The teacher always stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval().requires_grad_(False)
        return self

    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """Predict crops ``[B, K, 4]``, xyxy, and their validity ``[B, K]`` in (0, 1)."""
        boxes, logits = self._decode(maps)[-1]
        return boxes_from_corners(box_convert(boxes, "cxcywh", "xyxy").clamp(0, 1)), logits.sigmoid()

    @torch.no_grad()
    def prepare(self, best: Boxes) -> None:
        """Initialize the proposals if ``spread`` is set and no checkpoint has initialized them."""
        if self.start is not None and not self.start.any():
            boxes = torch.from_numpy(greedy_cover(np.concatenate([best, bx.flip(best)]), self.recipe.queries))
            self.start.copy_(torch.logit(box_convert(boxes, "xyxy", "cxcywh"), eps=0.01))

    def begin_epoch(self, epoch: int) -> Sequence[nn.Parameter]:
        """Copy the model to the teacher in the epoch in which distillation starts."""
        self._epoch = epoch
        if self.teacher is not None and epoch == self.recipe.distil_from:
            self._update_teacher(1.0)
        return ()

    def after_step(self) -> None:
        """Update the momentum-averaged model (eq. 5)."""
        if self.teacher is not None and self._epoch >= self.recipe.distil_from:
            self._update_teacher(self.recipe.theta)

    def batch_loss(self, batch: Sequence[Views]) -> dict[str, Tensor]:
        """Compute eq. 3 under the best match for every decoder layer, and the distillation loss of eq. 6."""
        image = None if batch[0].maps is not None else self._random_resize(torch.cat([views.image for views in batch]))
        maps = self.batch_maps(batch) if image is None else self.backbone(image)
        outputs = self._decode(maps)
        targets = [require_targets(views) for views in batch]
        crops = torch.tensor(float(sum(map(len, targets))), device=outputs[0][1].device)
        count = mean_over_processes(crops).clamp(min=1)
        terms: dict[str, Tensor] = {}
        for number, (boxes, logits) in enumerate(outputs, start=1):
            suffix = "" if number == len(outputs) else f"_{number}"
            for name, value in set_losses(boxes, logits, targets, batch, self.recipe).items():
                terms[name + suffix] = value / count
        if self.teacher is not None and self._epoch >= self.recipe.distil_from:
            with torch.no_grad():
                soft = self.teacher._decode(maps if image is None else self.teacher.backbone(image))[-1][1].sigmoid()
            terms["distillation"] = self.recipe.focal * focal_loss(outputs[-1][1], soft) / count
        return terms

    def compatible_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Select the tensors that fit. Checkpoints of DETR and its variants are loaded without classes and queries."""
        if not any(name.startswith(DETR_BACKBONE) for name in state):
            return super().compatible_state(state)
        renamed = {}
        for name, value in state.items():
            if name.startswith(DETR_BACKBONE):
                renamed[_backbone_name(name.removeprefix(DETR_BACKBONE))] = value
            elif not name.startswith(("class_embed.", "query_embed.")):
                renamed[name] = value
        return super().compatible_state(renamed)

    def _random_resize(self, image: Tensor) -> Tensor:
        """Resize photos ``[B, 3, S, S]`` to a random side, a multiple of 32, if multi-scale training is enabled."""
        if not self.recipe.multiscale:
            return image
        scale = float(torch.empty(()).uniform_(MIN_SCALE, MAX_SCALE))
        side = max(32, round(self.recipe.side * scale / 32) * 32)
        return F.interpolate(image, size=(side, side), mode="bilinear", align_corners=False, antialias=True)

    def _decode(self, maps: Pyramid) -> list[tuple[Tensor, Tensor]]:
        """Predict boxes ``[B, K, 4]``, cxcywh, and validity logits ``[B, K]`` after each decoder layer."""
        features = maps.stride32 if self.recipe.dilated else maps.fused()
        contents, reference = self.transformer(self.input_proj(features), self.query_embed.weight)
        start = F.pad(torch.logit(reference, eps=1e-5), (0, 2)) if self.start is None else self.start  # [(1,) K, 4]
        return [((self.bbox_embed(c) + start).sigmoid(), self.class_embed(c)[..., 0]) for c in contents]

    @torch.no_grad()
    def _update_teacher(self, theta: float) -> None:
        """Set each parameter of the teacher to (1 - θ) times its own value plus θ times the model's."""
        assert self.teacher is not None
        own, parameters = self.state_dict(), dict(self.teacher.named_parameters())
        for name, value in self.teacher.state_dict().items():
            if name in parameters:
                value.mul_(1 - theta).add_(own[name], alpha=theta)
            else:  # a buffer: the statistics of batch normalization are averages already
                value.copy_(own[name])


def set_losses(
    boxes: Tensor, logits: Tensor, targets: Sequence[Tensor], batch: Sequence[Views], recipe: SetPredictionRecipe
) -> dict[str, Tensor]:
    """Compute the three weighted losses of eq. 3 under the best match, summed over the photos.

    Args:
        boxes: ``[B, K, 4]``, proposals, cxcywh.
        logits: ``[B, K]``, validity.
        targets: ground-truth crops of each photo, ``[G, 4]``, xyxy.
        batch: the photos, whose scored crops define the soft labels of quality guidance.
        recipe: weights and label smoothing.
    """
    labels = torch.zeros_like(logits)
    l1, giou = boxes.sum() * 0, boxes.sum() * 0
    for photo, (proposals, target, views) in enumerate(zip(boxes, targets, batch, strict=True)):
        corners = box_convert(proposals, "cxcywh", "xyxy")  # [K, 4]
        matched, columns = bipartite_match(proposals, logits[photo], target, recipe)  # [G] each
        l1 = l1 + (proposals[matched] - box_convert(target, "xyxy", "cxcywh")[columns]).abs().sum()
        giou = giou + (1 - generalized_box_iou(corners[matched], target[columns]).diagonal()).sum()
        if recipe.smoothing == "quality" and len(views.scores):
            labels[photo] = soft_labels(corners.detach(), views.boxes[: len(views.scores)], views.scores, recipe)
        labels[photo, matched] = 1.0
    return {"l1": recipe.l1 * l1, "giou": recipe.giou * giou, "focal": recipe.focal * focal_loss(logits, labels)}


@torch.no_grad()
def bipartite_match(
    proposals: Tensor, logits: Tensor, target: Tensor, recipe: SetPredictionRecipe
) -> tuple[Tensor, Tensor]:
    """Find the bipartite match of proposals and targets with the lowest cost (eq. 2 and 3).

    Args:
        proposals: ``[K, 4]``, cxcywh.
        logits: ``[K]``, validity.
        target: ``[G, 4]``, xyxy.
        recipe: weights of the cost.

    Returns:
        Indices of the matched proposals and of their targets, ``[min(G, K)]`` each.
    """
    probability = logits.float().sigmoid()
    invalid, valid = (-(1 - p + 1e-8).log() * p**GAMMA for p in (probability, 1 - probability))
    cost = (
        recipe.match_focal * recipe.focal * (ALPHA * valid - (1 - ALPHA) * invalid)[:, None]
        + recipe.l1 * torch.cdist(proposals.float(), box_convert(target, "xyxy", "cxcywh"), p=1)
        - recipe.giou * generalized_box_iou(box_convert(proposals.float(), "cxcywh", "xyxy"), target)
    )  # [K, G]
    rows, columns = assign(cost)
    return rows.to(proposals.device), columns.to(proposals.device)


def assign(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Solve the assignment problem with the Hungarian algorithm.

    The paper pads the targets to the number of proposals (eq. 1). That is equivalent to leaving the padding out,
    because the cost of a match is the loss of a valid label minus that of an invalid one.

    Args:
        cost: ``[N, M]``.

    Returns:
        Rows and columns of the cheapest one-to-one assignment.
    """
    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    return torch.from_numpy(rows), torch.from_numpy(columns)


def greedy_cover(boxes: Boxes, count: int) -> Boxes:
    """Choose *count* of the boxes ``[N, 4]`` that together cover all of them well.

    Each step adds the box that increases most the mean, over all boxes, of the largest IoU with a chosen box. If
    there are fewer boxes than *count*, some are repeated.
    """
    candidates = boxes[:: max(1, len(boxes) // MAX_CANDIDATES)]  # [C, 4]
    overlap = bx.iou(boxes, candidates)  # [N, C]
    covered = np.zeros(len(boxes), np.float32)
    chosen = []
    for _ in range(count):
        chosen.append(int(np.maximum(overlap, covered[:, None]).mean(axis=0).argmax()))
        covered = np.maximum(covered, overlap[:, chosen[-1]])
    return candidates[chosen]


def soft_labels(boxes: Tensor, crops: Tensor, scores: Tensor, recipe: SetPredictionRecipe) -> Tensor:
    """Compute the soft labels of unmatched proposals by quality guidance (section 3.2.1, eq. 4).

    A proposal takes over the score of the scored crop with the largest IoU. If that IoU is below ε, its label is 0.

    Args:
        boxes: ``[K, 4]``, proposals, xyxy.
        crops: ``[S, 4]``, scored crops, xyxy.
        scores: ``[S]``, MOS from 1 to 5.
        recipe: ε, s^l, s^u and μ.

    Returns:
        ``[K]``.
    """
    overlap, nearest = box_iou(boxes, crops).max(dim=1)  # [K] each
    soft = recipe.most * ((scores[nearest] - recipe.low) / (recipe.high - recipe.low)).clamp(0, 1)
    return torch.where(overlap >= recipe.near, soft, 0.0)


def focal_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Focal loss with soft labels, summed (Lin et al., ICCV 2017)."""
    return sigmoid_focal_loss(logits, labels, alpha=ALPHA, gamma=GAMMA, reduction="sum")


def _backbone_name(name: str) -> str:
    """Translate a parameter name of torchvision's ResNet-50 to our backbone's."""
    first, _, rest = name.partition(".")
    if not first.startswith("layer"):
        return f"backbone.stride8.0.{name}"
    block, _, rest = rest.partition(".")
    layer = int(first.removeprefix("layer"))
    number = (1, 4, 8, 14)[layer - 1] + int(block)
    stage = ("stride8", "stride8", "stride16", "stride32")[layer - 1]
    return f"backbone.{stage}.{number}.{rest}"
