"""Set prediction: rethinking image cropping, exploring diverse compositions from global views (Jia et al., CVPR 2022).

Where the paper is silent or differs from its authors' code, ``docs/models.md`` says what was decided and why.
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
from autocrop.models.backbones import Backbone, Pyramid
from autocrop.models.base import Proposer, Recipe, Views, ordered, require_targets
from autocrop.models.cdetr import MLP, Linear, Transformer
from autocrop.models.losses import mean_over_processes

SMOOTHING = ("none", "quality", "distillation")
"""How the labels of crops that match no good one are softened (section 3.2)."""
MOST_CANDIDATES = 600
"""Best crops among which the first proposals are chosen."""
ALPHA, GAMMA = 0.25, 2.0
"""Of the focal loss."""
SMALLEST_SCALE, LARGEST_SCALE = 0.8, 4 / 3
"""Of the photos in multi-scale training: 480 to 800 for a side of 608."""


@dataclass(frozen=True)
class SetPredictionRecipe(Recipe):
    """Section 4.3 of the paper, which has ``epochs=60`` and ``drop_at=50`` with ``smoothing=distillation``."""

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
    """The transformer sees the backbone's last stage, kept at stride 16 (DC5); otherwise the fused map of GAIC."""
    multiscale: bool = True
    """Photos of a step are resized to a random side between 0.8 and 1.33 times *side*."""
    queries: int = 90
    """Learnable anchors: as many crops are proposed."""
    width: int = 256
    """Of the transformer's vectors."""
    heads: int = 8
    encoders: int = 6
    decoders: int = 6
    hidden: int = 2048
    dropout: float = 0.1
    l1: float = 5.0
    """Weight of the L1 loss of the boxes' centers and sizes."""
    giou: float = 2.0
    """Weight of the generalized IoU loss."""
    focal: float = 2.0
    """Weight of the focal loss of the validity."""
    spread: bool = False
    """Proposals begin as crops that together cover the training split's best ones, instead of all alike (ours)."""
    match_focal: float = 1.0
    """Share of the focal loss that counts in the assignment, too (the paper: 1). With less, a crop goes to the proposal
    nearest to it rather than to one that is often right, and proposals stay different (ours)."""
    smoothing: str = "quality"
    """``none``, ``quality`` (guidance, needs scored crops) or ``distillation``."""
    near: float = 0.85
    """ε: a proposal has the quality of a scored crop that it overlaps by this IoU."""
    low: float = 2.0
    """s^l: quality up to which the soft label is 0."""
    high: float = 3.5
    """s^u: quality from which on the soft label is *most*."""
    most: float = 0.5
    """μ: the largest soft label."""
    distil_from: int = 40
    """Epoch, counted from 0, from which on the model learns from its own average, too."""
    theta: float = 0.5
    """θ: share of the model in the new average, at each step."""

    def __post_init__(self) -> None:
        """Check the names, the sizes and what only fits together, too."""
        super().__post_init__()
        if self.smoothing not in SMOOTHING:
            raise UsageError(f"There is no smoothing '{self.smoothing}'. Use one of: {', '.join(SMOOTHING)}.")
        if not self.side:
            raise UsageError("setpred needs photos of one size: give --set side=256, or another multiple of 32.")
        if self.width % (4 * self.heads):
            raise UsageError(f"width={self.width} must be a multiple of four times heads={self.heads}.")
        if self.low >= self.high:
            raise UsageError(f"low={self.low} must be less than high={self.high}: soft labels rise between the two.")
        if self.smoothing == "quality" and not self.views:
            raise UsageError(
                "smoothing=quality learns from scored crops and views=0 gives none: give --set views=64, or another "
                "smoothing."
            )
        if self.smoothing == "distillation" and self.distil_from >= self.epochs:
            raise UsageError(
                f"distil_from={self.distil_from}: with epochs={self.epochs} distillation would never begin. "
                f"Give --set distil_from={self.epochs - 1} at most, or more --epochs."
            )


class SetPrediction(Proposer):
    """Photo → transformer with learnable anchors → as many crops, each with the chance that it is a good one."""

    NAME = "setpred"
    RECIPE = SetPredictionRecipe
    # The small variant: it trains, and runs, on a CPU.
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
        frozen = 4 if chosen.backbone == "resnet50" else 0  # the stem and the first stage, as detectors do
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
        """Switch to training, except for the teacher."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval().requires_grad_(False)
        return self

    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """Crops ``[B, K, 4]`` and their validity ``[B, K]`` in (0, 1)."""
        boxes, logits = self._decoded(maps)[-1]
        return ordered(box_convert(boxes, "cxcywh", "xyxy").clamp(0, 1)), logits.sigmoid()

    @torch.no_grad()
    def prepare(self, best: Boxes) -> None:
        """Place the proposals, unless a checkpoint has done so."""
        if self.start is not None and not self.start.any():
            boxes = torch.from_numpy(covering(np.concatenate([best, bx.flip(best)]), self.recipe.queries))
            self.start.copy_(torch.logit(box_convert(boxes, "xyxy", "cxcywh"), eps=0.01))

    def begin_epoch(self, epoch: int) -> Sequence[nn.Parameter]:
        """Distillation begins with a copy of the student as the teacher."""
        self._epoch = epoch
        if self.teacher is not None and epoch == self.recipe.distil_from:
            self._teach(1.0)
        return ()

    def after_step(self) -> None:
        """The teacher moves towards the student, eq. 5."""
        if self.teacher is not None and self._epoch >= self.recipe.distil_from:
            self._teach(self.recipe.theta)

    def batch_loss(self, batch: Sequence[Views]) -> dict[str, Tensor]:
        """Eq. 3 under the best assignment, for the output of every decoder layer, and eq. 6 for the last one."""
        image = None if batch[0].maps is not None else self._resized(torch.cat([views.image for views in batch]))
        maps = self.batch_maps(batch) if image is None else self.backbone(image)
        outputs = self._decoded(maps)
        good = [require_targets(views) for views in batch]
        crops = torch.tensor(float(sum(map(len, good))), device=outputs[0][1].device)
        count = mean_over_processes(crops).clamp(min=1)
        terms: dict[str, Tensor] = {}
        for number, (boxes, logits) in enumerate(outputs, start=1):
            suffix = "" if number == len(outputs) else f"_{number}"
            for name, value in self._set_loss(boxes, logits, good, batch).items():
                terms[name + suffix] = value / count
        if self.teacher is not None and self._epoch >= self.recipe.distil_from:
            with torch.no_grad():
                soft = self.teacher._decoded(maps if image is None else self.teacher.backbone(image))[-1][1].sigmoid()
            terms["distillation"] = self.recipe.focal * focal_loss(outputs[-1][1], soft) / count
        return terms

    def compatible(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See the base class; knows the names in checkpoints of DETR's family, whose classes are not ours."""
        if not any(name.startswith("backbone.0.body.") for name in state):  # one of ours
            return super().compatible(state)
        renamed = {}
        for name, value in state.items():
            if name.startswith("backbone.0.body."):
                renamed[_backbone_name(name.removeprefix("backbone.0.body."))] = value
            elif not name.startswith(("class_embed.", "query_embed.")):
                renamed[name] = value
        return super().compatible(renamed)

    def _resized(self, image: Tensor) -> Tensor:
        """Photos ``[B, 3, S, S]`` at a random scale, in multi-scale training."""
        if not self.recipe.multiscale:
            return image
        share = float(torch.empty(()).uniform_(SMALLEST_SCALE, LARGEST_SCALE))
        side = max(32, round(self.recipe.side * share / 32) * 32)
        return F.interpolate(image, size=(side, side), mode="bilinear", align_corners=False, antialias=True)

    def _decoded(self, maps: Pyramid) -> list[tuple[Tensor, Tensor]]:
        """Boxes ``[B, K, 4]`` (center and size) and logits of validity ``[B, K]``, of each decoder layer."""
        features = maps.stride32 if self.recipe.dilated else maps.fused()
        contents, reference = self.transformer(self.input_proj(features), self.query_embed.weight)
        start = F.pad(torch.logit(reference, eps=1e-5), (0, 2)) if self.start is None else self.start
        return [((self.bbox_embed(c) + start).sigmoid(), self.class_embed(c)[..., 0]) for c in contents]

    def _set_loss(
        self, boxes: Tensor, logits: Tensor, good: Sequence[Tensor], batch: Sequence[Views]
    ) -> dict[str, Tensor]:
        """Sums over the photos of the three losses of eq. 3, under the best assignment."""
        recipe = self.recipe
        labels = torch.zeros_like(logits)
        l1, giou = boxes.sum() * 0, boxes.sum() * 0
        for photo, (found, wanted, views) in enumerate(zip(boxes, good, batch, strict=True)):
            target = box_convert(wanted, "xyxy", "cxcywh")
            corners = box_convert(found, "cxcywh", "xyxy")
            rows, columns = self._assignment(found, logits[photo], wanted)
            l1 = l1 + (found[rows] - target[columns]).abs().sum()
            giou = giou + (1 - generalized_box_iou(corners[rows], wanted[columns]).diagonal()).sum()
            if recipe.smoothing == "quality" and len(views.scores):
                labels[photo] = soft_labels(corners.detach(), views.boxes[: len(views.scores)], views.scores, recipe)
            labels[photo, rows] = 1.0
        return {
            "l1": recipe.l1 * l1,
            "giou": recipe.giou * giou,
            "focal": recipe.focal * focal_loss(logits, labels),
        }

    @torch.no_grad()
    def _assignment(self, found: Tensor, logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """The best assignment of good crops to proposals: indices of both, as many as there are good crops."""
        recipe, chance = self.recipe, logits.float().sigmoid()
        no, yes = (-(1 - p + 1e-8).log() * p**GAMMA for p in (chance, 1 - chance))
        cost = (
            recipe.match_focal * recipe.focal * (ALPHA * yes - (1 - ALPHA) * no)[:, None]
            + recipe.l1 * torch.cdist(found.float(), box_convert(wanted, "xyxy", "cxcywh"), p=1)
            - recipe.giou * generalized_box_iou(box_convert(found.float(), "cxcywh", "xyxy"), wanted)
        )
        rows, columns = assign(cost)
        return rows.to(found.device), columns.to(found.device)

    @torch.no_grad()
    def _teach(self, theta: float) -> None:
        """Let the teacher take *theta* from the student and keep the rest of itself."""
        assert self.teacher is not None
        own, learnt = self.state_dict(), dict(self.teacher.named_parameters())
        for name, value in self.teacher.state_dict().items():
            if name in learnt:
                value.mul_(1 - theta).add_(own[name], alpha=theta)
            else:  # a buffer: BatchNorm's statistics are averages already
                value.copy_(own[name])


def assign(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the cheapest one-to-one assignment in a matrix of costs ``[N, M]`` (Hungarian algorithm).

    The paper pads the good crops to as many as there are proposals. Since a cost of validity is that of being good
    minus that of not being good, leaving the padding out gives the same assignment.
    """
    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    return torch.from_numpy(rows), torch.from_numpy(columns)


def covering(boxes: Boxes, count: int) -> Boxes:
    """*count* of the *boxes* ``[N, 4]`` that together cover all of them best, found greedily.

    Each next one is that which raises the mean, over all boxes, of the largest IoU with one chosen the most. Where
    there are fewer boxes than *count*, they are repeated.
    """
    candidates = boxes[:: max(1, len(boxes) // MOST_CANDIDATES)]
    overlap = bx.iou(boxes, candidates)
    covered = np.zeros(len(boxes), np.float32)
    chosen = []
    for _ in range(count):
        chosen.append(int(np.maximum(overlap, covered[:, None]).mean(axis=0).argmax()))
        covered = np.maximum(covered, overlap[:, chosen[-1]])
    return candidates[chosen]


def soft_labels(boxes: Tensor, crops: Tensor, scores: Tensor, recipe: SetPredictionRecipe) -> Tensor:
    """Labels ``[K]`` of proposals that match no good crop, by quality guidance (eq. 4).

    A proposal is as good as the scored crop that it overlaps most, if that is by ε or more; otherwise its label is 0.

    Args:
        boxes: ``[K, 4]``, xyxy.
        crops: ``[S, 4]``, xyxy.
        scores: ``[S]``, raw, from 1 to 5.
        recipe: has ε, s^l, s^u and μ.
    """
    overlap, nearest = box_iou(boxes, crops).max(dim=1)
    soft = recipe.most * ((scores[nearest] - recipe.low) / (recipe.high - recipe.low)).clamp(0, 1)
    return torch.where(overlap >= recipe.near, soft, 0.0)


def focal_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Focal loss with soft labels, a sum (Lin et al., ICCV 2017)."""
    return sigmoid_focal_loss(logits, labels, alpha=ALPHA, gamma=GAMMA, reduction="sum")


def _backbone_name(name: str) -> str:
    """Name in our backbone of a parameter of torchvision's ResNet-50."""
    first, _, rest = name.partition(".")
    if not first.startswith("layer"):
        return f"backbone.stride8.0.{name}"
    block, _, rest = rest.partition(".")
    layer = int(first.removeprefix("layer"))
    number = (1, 4, 8, 14)[layer - 1] + int(block)
    stage = ("stride8", "stride8", "stride16", "stride32")[layer - 1]
    return f"backbone.{stage}.{number}.{rest}"
