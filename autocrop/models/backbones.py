"""ImageNet backbones that return feature maps of three strides (GAIC, Zeng et al., CVPR 2019, section 3.3)."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models
from torchvision.ops import SqueezeExcitation

from autocrop.errors import AutocropError, UsageError
from autocrop.models.torch_files import load_tensors

PEAKS_SIZE = 64
"""Side of the peak maps (SAFRC, section 4.2: H = W = 64)."""


@dataclass(frozen=True)
class BackboneSpec:
    """How to divide a torchvision network into stages."""

    weights: str
    """Name of the torchvision weights."""
    stages: tuple[int, int, int]
    """Index of the block that follows each of the three stages (strides 8, 16 and 32)."""
    channels: tuple[int, int, int]
    """Number of channels of the feature maps of stride 8, 16 and 32."""


BACKBONES = {
    "mobilenet_v2": BackboneSpec("MobileNet_V2_Weights.IMAGENET1K_V1", (7, 14, 18), (32, 96, 320)),
    "mobilenet_v3_large": BackboneSpec("MobileNet_V3_Large_Weights.IMAGENET1K_V2", (7, 13, 16), (40, 112, 160)),
    "mobilenet_v3_small": BackboneSpec("MobileNet_V3_Small_Weights.IMAGENET1K_V1", (4, 9, 12), (24, 48, 96)),
    "efficientnet_b3": BackboneSpec("EfficientNet_B3_Weights.IMAGENET1K_V1", (4, 6, 8), (48, 136, 384)),
    "resnet50": BackboneSpec("ResNet50_Weights.IMAGENET1K_V1", (8, 14, 17), (512, 1024, 2048)),
    "vgg16": BackboneSpec("VGG16_Weights.IMAGENET1K_V1", (23, 30, 31), (512, 512, 512)),
}
"""Specification of each supported backbone, by its name in torchvision."""


class Pyramid(NamedTuple):
    """Feature maps of photos ``[B, 3, H, W]`` at three strides."""

    stride8: Tensor
    """``[B, C, H/8, W/8]``."""
    stride16: Tensor
    """``[B, C, H/16, W/16]``."""
    stride32: Tensor
    """``[B, C, H/32, W/32]``."""
    peaks: Tensor | None = None
    """``[B, k, 64, 64]``: channel-wise maximum of each of the k blocks (SAFRC, section 3.2); None if not collected."""

    def each(self, function: Callable[[Tensor], Tensor]) -> Pyramid:
        """Apply *function* to every map."""
        stride8, stride16, stride32 = map(function, self[:3])
        return Pyramid(stride8, stride16, stride32, None if self.peaks is None else function(self.peaks))

    def fused(self) -> Tensor:
        """Resize the three maps to stride 16 and concatenate them: ``[B, sum of C, H/16, W/16]``.

        As in the code of GAIC, the deepest map is halved, so that its larger activations do not dominate.
        """
        size = self.stride16.shape[-2:]
        low, high = (_resize(m, size, align_corners=True) for m in (self.stride8, self.stride32))
        return torch.cat([low, self.stride16, 0.5 * high], dim=1)


class Backbone(nn.Module):
    """A torchvision network without its classifier, divided into stages of stride 8, 16 and 32.

    Batch normalization keeps its ImageNet statistics by default, because a training step sees few photos.

    Args:
        name: a key of :data:`BACKBONES`.
        pretrained: True for torchvision's ImageNet weights (downloaded once), False for random weights, or a file.
        peaks: also collect the peaks of every block, including the last convolution (SAFRC).
        dilated: replace the stride of the last stage by dilation, so that it keeps stride 16 ("DC5"). ResNet only.
        train_norm: train batch normalization, with the statistics of the batch.
        frozen_blocks: number of leading blocks that are never trained.

    Raises:
        AutocropError: the weights cannot be downloaded, or the file does not fit the network.
        UsageError: the network has no dilated variant.
    """

    def __init__(
        self,
        name: str = "mobilenet_v2",
        pretrained: bool | Path = True,
        peaks: bool = False,
        dilated: bool = False,
        train_norm: bool = False,
        frozen_blocks: int = 0,
    ) -> None:
        super().__init__()
        spec = BACKBONES[name]
        if dilated and not name.startswith("resnet"):
            raise UsageError(f"torchvision's {name} has no dilated variant. Use resnet50, or pass --set dilated=false.")
        blocks = _blocks(_network(name, spec, pretrained, dilated))
        self._train_norm = train_norm
        for block in blocks[:frozen_blocks]:
            block.requires_grad_(False)
        first, second, third = spec.stages
        self.stride8, self.stride16, self.stride32 = blocks[:first], blocks[first:second], blocks[second:third]
        self.tail = blocks[third:] if peaks else None
        self.peaks = sum(_has_peak(block) for block in blocks) if peaks else 0
        """k, the number of blocks whose peaks are collected."""
        self.channels = spec.channels

    @property
    def out_channels(self) -> int:
        """Number of channels of the fused map."""
        return sum(self.channels)

    def forward(self, image: Tensor) -> Pyramid:
        """Compute the feature maps of ImageNet-normalized photos ``[B, 3, H, W]``."""
        if self.tail is not None:
            return self._forward_with_peaks(image, self.tail)
        stride8 = self.stride8(image)
        stride16 = self.stride16(stride8)
        return Pyramid(stride8, stride16, self.stride32(stride16))

    def _forward_with_peaks(self, image: Tensor, tail: nn.Sequential) -> Pyramid:
        peaks: list[Tensor] = []
        maps = []
        for stage in (self.stride8, self.stride16, self.stride32, tail):
            for block in stage:
                image = block(image)
                if _has_peak(block):
                    peak = image.amax(dim=1, keepdim=True)  # [B, 1, h, w]
                    peaks.append(_resize(peak, (PEAKS_SIZE, PEAKS_SIZE), align_corners=False))
            maps.append(image)
        return Pyramid(maps[0], maps[1], maps[2], torch.cat(peaks, dim=1))

    def train(self, mode: bool = True) -> Backbone:
        """Set the training mode. Batch normalization stays in evaluation mode unless ``train_norm`` is set."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not self._train_norm:
                module.eval()
        return self


class _HardSigmoid(nn.Module):
    """Hard sigmoid in plain arithmetic: OpenCV 5.0 infers a wrong shape for products with ONNX's HardSigmoid."""

    def forward(self, values: Tensor) -> Tensor:
        return F.relu6(values + 3) / 6


def _resize(maps: Tensor, size: tuple[int, int] | torch.Size, align_corners: bool) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=align_corners)


def _has_peak(block: nn.Module) -> bool:
    """Return True if the peaks of a block are collected: of VGG's layers, ReLU and pooling but not convolution."""
    return not isinstance(block, nn.Conv2d)


def _blocks(network: nn.Module) -> nn.Sequential:
    """Return the blocks of a torchvision network, without its classifier, as one sequence."""
    if isinstance(network, models.ResNet):
        stem = nn.Sequential(
            OrderedDict((name, network.get_submodule(name)) for name in ("conv1", "bn1", "relu", "maxpool"))
        )
        layers = (network.layer1, network.layer2, network.layer3, network.layer4)
        return nn.Sequential(stem, *(block for layer in layers for block in layer))
    for module in network.modules():
        if isinstance(module, SqueezeExcitation) and isinstance(module.scale_activation, nn.Hardsigmoid):
            module.scale_activation = _HardSigmoid()
    return cast(nn.Sequential, network.features)


def _network(name: str, spec: BackboneSpec, pretrained: bool | Path, dilated: bool) -> nn.Module:
    """Build a torchvision network, with the weights that *pretrained* selects (see :class:`Backbone`)."""
    options = {"replace_stride_with_dilation": [False, False, True]} if dilated else {}
    build = functools.partial(getattr(models, name), **options)
    if isinstance(pretrained, Path):
        network: nn.Module = build(weights=None)
        _load_weights(network, name, pretrained)
        return network
    try:
        return cast(nn.Module, build(weights=models.get_weight(spec.weights) if pretrained else None))
    except OSError as error:
        raise AutocropError(
            f"Could not download the ImageNet weights of {name} ({error}). "
            "Connect to the internet once, or pass a file with --backbone-weights FILE."
        ) from error


def _load_weights(network: nn.Module, name: str, path: Path) -> None:
    """Load a torchvision state dict. The tensors of the classifier, which is not used, may be missing."""
    try:
        state = load_tensors(path)
        missing = network.load_state_dict(state, strict=False).missing_keys
        missing = [key for key in missing if not key.startswith(("classifier.", "fc."))]
        if missing:
            raise ValueError(f"{len(missing)} tensors are missing, for example {missing[0]}")
    except FileNotFoundError as error:
        raise AutocropError(f"{path} does not exist. Pass a file of weights to --backbone-weights.") from error
    except Exception as error:
        raise AutocropError(f"{path} is not a state dict of torchvision's {name}: {error}.") from error
