"""ImageNet backbones, tapped at three strides (GAIC, Zeng et al., CVPR 2019, section 3.3)."""

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

PEAKS_SIZE = 64
"""Side of the maps of peaks (SAFRC, section 4.2: H = W = 64)."""


@dataclass(frozen=True)
class BackboneSpec:
    """Where a torchvision network is tapped."""

    weights: str
    """Name of torchvision's weights."""
    stages: tuple[int, int, int]
    """Ends of the three slices of its blocks: strides 8, 16 and 32."""
    channels: tuple[int, int, int]
    """Channels at those three ends."""


BACKBONES = {
    "mobilenet_v2": BackboneSpec("MobileNet_V2_Weights.IMAGENET1K_V1", (7, 14, 18), (32, 96, 320)),
    "mobilenet_v3_large": BackboneSpec("MobileNet_V3_Large_Weights.IMAGENET1K_V2", (7, 13, 16), (40, 112, 160)),
    "mobilenet_v3_small": BackboneSpec("MobileNet_V3_Small_Weights.IMAGENET1K_V1", (4, 9, 12), (24, 48, 96)),
    "efficientnet_b3": BackboneSpec("EfficientNet_B3_Weights.IMAGENET1K_V1", (4, 6, 8), (48, 136, 384)),
    "resnet50": BackboneSpec("ResNet50_Weights.IMAGENET1K_V1", (8, 14, 17), (512, 1024, 2048)),
    "vgg16": BackboneSpec("VGG16_Weights.IMAGENET1K_V1", (23, 30, 31), (512, 512, 512)),
}
"""Name, as torchvision has it → where it is tapped."""


class Pyramid(NamedTuple):
    """What a backbone makes of photos ``[B, 3, H, W]``."""

    stride8: Tensor
    """``[B, C, H/8, W/8]``."""
    stride16: Tensor
    """``[B, C, H/16, W/16]``."""
    stride32: Tensor
    """``[B, C, H/32, W/32]``."""
    peaks: Tensor | None = None
    """``[B, k, 64, 64]``: the largest value over the channels of each of the k blocks, if the backbone collects it."""

    def each(self, change: Callable[[Tensor], Tensor]) -> Pyramid:
        """The same with every map changed."""
        stride8, stride16, stride32 = map(change, self[:3])
        return Pyramid(stride8, stride16, stride32, None if self.peaks is None else change(self.peaks))

    def fused(self) -> Tensor:
        """The three maps at stride 16, concatenated: ``[B, sum of C, H/16, W/16]``.

        The deepest one is halved, as in GAIC's own code, so that its larger activations do not drown the others.
        """
        size = self.stride16.shape[-2:]
        low, high = (_resized(m, size, align_corners=True) for m in (self.stride8, self.stride32))
        return torch.cat([low, self.stride16, 0.5 * high], dim=1)


class Backbone(nn.Module):
    """A torchvision network without its classifier, cut at strides 8, 16 and 32.

    Batch normalization keeps its ImageNet statistics, as a training step usually sees few photos.

    Args:
        name: a key of :data:`BACKBONES`.
        pretrained: True for torchvision's ImageNet weights (downloaded once), False for none, or a file.
        peaks: collect the peaks of every block, too, the last convolution included (SAFRC).
        dilated: the last stage keeps stride 16 by dilated convolutions ("DC5"); a ResNet only.
        train_norm: batch normalization learns, too, and follows the photos' statistics in training.
        frozen_blocks: how many of the first blocks never learn.

    Raises:
        AutocropError: the weights cannot be downloaded, or the file does not fit the network.
        UsageError: the network cannot be dilated.
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
            raise UsageError(f"torchvision's {name} has no dilated variant. Use resnet50, or --set dilated=false.")
        blocks = _blocks(_network(name, spec, pretrained, dilated))
        self._train_norm = train_norm
        for block in blocks[:frozen_blocks]:
            block.requires_grad_(False)
        first, second, third = spec.stages
        self.stride8, self.stride16, self.stride32 = blocks[:first], blocks[first:second], blocks[second:third]
        self.tail = blocks[third:] if peaks else None
        self.peaks = sum(_has_peak(block) for block in blocks) if peaks else 0
        """Blocks whose peaks are collected."""
        self.channels = spec.channels

    @property
    def out_channels(self) -> int:
        """Channels of the fused map."""
        return sum(self.channels)

    def forward(self, image: Tensor) -> Pyramid:
        """Map ``[B, 3, H, W]``, ImageNet-normalized, to its pyramid."""
        if self.tail is None:
            stride8 = self.stride8(image)
            stride16 = self.stride16(stride8)
            return Pyramid(stride8, stride16, self.stride32(stride16))
        peaks: list[Tensor] = []
        maps = []
        for blocks in (self.stride8, self.stride16, self.stride32, self.tail):
            for block in blocks:
                image = block(image)
                if _has_peak(block):
                    largest = image.amax(dim=1, keepdim=True)
                    peaks.append(_resized(largest, (PEAKS_SIZE, PEAKS_SIZE), align_corners=False))
            maps.append(image)
        return Pyramid(maps[0], maps[1], maps[2], torch.cat(peaks, dim=1))

    def train(self, mode: bool = True) -> Backbone:
        """Switch to training, except for batch normalization that stays as ImageNet left it."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not self._train_norm:
                module.eval()
        return self


class _HardSigmoid(nn.Module):
    """Hard sigmoid in plain arithmetic: OpenCV 5.0 gives ONNX's own operator's product with a map a wrong shape."""

    def forward(self, values: Tensor) -> Tensor:
        return F.relu6(values + 3) / 6


def _resized(maps: Tensor, size: tuple[int, int] | torch.Size, align_corners: bool) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=align_corners)


def _has_peak(block: nn.Module) -> bool:
    """Whether the peaks of a block count: VGG's bare convolutions do not, but the rectifiers behind them."""
    return not isinstance(block, nn.Conv2d)


def _blocks(network: nn.Module) -> nn.Sequential:
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
    options = {"replace_stride_with_dilation": [False, False, True]} if dilated else {}
    build = functools.partial(getattr(models, name), **options)
    if isinstance(pretrained, Path):
        network: nn.Module = build(weights=None)
        try:
            # A file may hold the features alone; the classifier is not used.
            state = torch.load(pretrained, map_location="cpu", weights_only=True)
            missing = network.load_state_dict(state, strict=False).missing_keys
            missing = [key for key in missing if not key.startswith(("classifier.", "fc."))]
            if missing:
                raise ValueError(f"it lacks {len(missing)} tensors, such as {missing[0]}")
        except FileNotFoundError as error:
            raise AutocropError(f"{pretrained} does not exist. Give --backbone-weights a file of weights.") from error
        except Exception as error:
            raise AutocropError(f"{pretrained} is no state dict of torchvision's {name}: {error}.") from error
        return network
    try:
        return cast(nn.Module, build(weights=models.get_weight(spec.weights) if pretrained else None))
    except OSError as error:
        raise AutocropError(
            f"The ImageNet weights of {name} could not be downloaded ({error}). "
            "Go online once, or give a file with --backbone-weights FILE."
        ) from error
