"""The interface of the five models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from autocrop.geometry.boxes import Boxes
from autocrop.geometry.proposals import MIN_PROPOSAL_SIDE, MIN_WEIGHT
from autocrop.models.backbones import Backbone, Pyramid
from autocrop.models.recipe import Recipe
from autocrop.models.views import Views


class CroppingModel(nn.Module, ABC):
    """A network that encodes a photo once and then scores any number of crops of it.

    Args:
        recipe: an instance of :attr:`RECIPE`; None for the paper's recipe.
        pretrained: source of the backbone's weights, see :class:`~autocrop.models.backbones.Backbone`.
    """

    NAME: str
    """Name on the command line and in checkpoints."""
    FEATURES: tuple[str, ...] = ("features",)
    """Names of the tensors that :meth:`features` returns, used as output names of the exported encoder."""
    SUPPORTED_SHAPES: tuple[str, ...] = ("rectangle",)
    """Crop shapes that :meth:`score` accepts."""
    WHOLE_BATCH: bool = False
    """True if :meth:`batch_loss` needs all photos of a step at once, because the loss compares them."""
    HAS_HEAD: bool = True
    """True if :meth:`score` is exported as a graph. Otherwise the engines compute scores from the features directly."""
    TRAINING_ONLY: tuple[str, ...] = ()
    """Prefixes of parameters that only the loss uses. They are not exported."""

    RECIPE: type[Recipe]
    """Recipe class; its defaults are the hyper-parameters of the paper."""
    RECIPES: ClassVar[Mapping[str, Recipe]] = {}
    """Recipes for data sets that the paper did not train on, by data set name."""
    SUPPORTS_UNLABELED: bool = False
    """True if the loss can use :attr:`~autocrop.models.views.Views.unlabeled`."""
    recipe: Any
    """Instance of :attr:`RECIPE`."""
    backbone: Backbone

    def __init__(self, recipe: Recipe | None = None, pretrained: bool | Path = False) -> None:  # noqa: ARG002
        super().__init__()
        self.recipe = recipe or self.RECIPE()

    @property
    def uses_saliency(self) -> bool:
        """True if the loss uses :attr:`~autocrop.models.views.Views.saliency`."""
        return False

    @abstractmethod
    def features(self, maps: Pyramid) -> tuple[Tensor, ...]:
        """Turn the backbone's feature maps into the tensors that :meth:`score` needs, named by :attr:`FEATURES`."""

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """Compute the features of an ImageNet-normalized photo ``[1, 3, H, W]``; H and W are multiples of 32."""
        return self.features(self.backbone(image))

    @abstractmethod
    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Score crops. Higher is better; scores of different photos are not comparable.

        Args:
            features: result of :meth:`features`.
            boxes: ``[N, 4]``, xyxy in [0, 1].

        Returns:
            ``[N]``.
        """

    @abstractmethod
    def loss(self, views: Views) -> dict[str, Tensor]:
        """Compute the weighted terms of the loss of one photo. The training loop sums them."""

    def batch_loss(self, batch: Sequence[Views]) -> dict[str, Tensor]:
        """Compute the weighted terms of the mean loss of several photos (of one photo unless :attr:`WHOLE_BATCH`)."""
        (views,) = batch
        return self.loss(views)

    def prepare(self, best: Boxes) -> None:
        """Compute statistics of the training split before the first epoch.

        Args:
            best: ``[N, 4]``, best crop of each training photo.
        """

    def compatible_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Select the tensors of another network's *state* dict that match a name and shape of this network."""
        own = self.state_dict()
        return {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}

    def begin_epoch(self, epoch: int) -> Sequence[nn.Parameter]:  # noqa: ARG002
        """Prepare for an epoch, counted from 0, and return the parameters that were reinitialized."""
        return ()

    def may_be_best(self, epoch: int) -> bool:  # noqa: ARG002
        """Return True if the weights after this epoch, counted from 0, may be saved as the best ones."""
        return True

    def after_step(self) -> None:
        """Update internal state after an optimizer step."""

    def maps(self, views: Views) -> Pyramid:
        """Return the cached feature maps of a photo, or compute them."""
        return views.maps if views.maps is not None else self.backbone(views.image)

    def train(self, mode: bool = True) -> CroppingModel:
        """Set the training mode. A frozen backbone always stays in evaluation mode."""
        super().train(mode)
        if self.recipe.freeze_backbone:
            self.backbone.eval().requires_grad_(False)
        return self


class Proposer(CroppingModel):
    """A network that proposes crops. It scores other crops by their overlap with the proposals.

    Its first two features are the proposals ``[B, K, 4]`` and their confidence ``[B, K]``.
    """

    FEATURES: tuple[str, ...] = ("boxes", "confidence")
    HAS_HEAD = False
    WHOLE_BATCH = True

    def score(self, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Score crops as :func:`autocrop.geometry.proposals.proposal_scores` does."""
        proposals, weight = features[0][0], features[1][0].square()  # [K, 4], [K]
        return 1 + 4 * (box_iou(boxes, proposals) @ weight) / weight.sum().clamp(min=MIN_WEIGHT)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Compute the loss of a batch of one photo."""
        return self.batch_loss([views])

    def batch_maps(self, batch: Sequence[Views]) -> Pyramid:
        """Return the feature maps of photos of equal size as one batch, from the cache if every photo has them."""
        cached = [views.maps for views in batch if views.maps is not None]
        if len(cached) < len(batch):
            return self.backbone(torch.cat([views.image for views in batch]))
        return Pyramid(*(torch.cat(parts) for parts in zip(*(maps[:3] for maps in cached), strict=True)))


def boxes_from_corners(corners: Tensor) -> Tensor:
    """Build valid boxes from pairs of opposite corners in any order.

    Args:
        corners: ``[..., 4]``, two points (x, y) in [0, 1].

    Returns:
        ``[..., 4]``, xyxy inside the photo, with no side shorter than
        :data:`~autocrop.geometry.proposals.MIN_PROPOSAL_SIDE`.
    """
    low = torch.minimum(corners[..., :2], corners[..., 2:])  # [..., 2]
    high = torch.maximum(corners[..., :2], corners[..., 2:])
    center = (low + high) / 2
    half = ((high - low) / 2).clamp(min=MIN_PROPOSAL_SIDE / 2)
    center = torch.maximum(torch.minimum(center, 1 - half), half)  # move enlarged boxes back into the photo
    return torch.cat([center - half, center + half], dim=-1)
