"""ImageNet backbones, tapped at three strides and fused into one map (GAIC, Zeng et al., CVPR 2019, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from autocrop.errors import AutocropError


@dataclass(frozen=True)
class BackboneSpec:
    """Where a torchvision network is tapped."""

    build: str
    """Name of torchvision's builder."""
    weights: str
    """Name of torchvision's weights."""
    stages: tuple[int, int, int]
    """Ends of the three slices of ``features``: strides 8, 16 and 32."""
    channels: tuple[int, int, int]
    """Channels at those three ends."""


BACKBONES = {
    "mobilenet_v2": BackboneSpec("mobilenet_v2", "MobileNet_V2_Weights.IMAGENET1K_V1", (7, 14, 18), (32, 96, 320)),
    "vgg16": BackboneSpec("vgg16", "VGG16_Weights.IMAGENET1K_V1", (23, 30, 31), (512, 512, 512)),
}


class FusedBackbone(nn.Module):
    """Backbone whose stride-8, -16 and -32 maps are brought to stride 16 and concatenated.

    The deepest map is halved, as in GAIC's own code, so that its larger activations do not drown the others.
    Batch normalisation keeps its ImageNet statistics: a training step sees few photos.

    Args:
        name: a key of :data:`BACKBONES`.
        pretrained: True for torchvision's ImageNet weights (downloaded once), False for none, or a file.

    Raises:
        AutocropError: the weights cannot be downloaded, or the file does not fit the network.
    """

    def __init__(self, name: str = "mobilenet_v2", pretrained: bool | Path = True) -> None:
        super().__init__()
        spec = BACKBONES[name]
        layers = cast(nn.Sequential, _network(name, spec, pretrained).features)
        first, second, third = spec.stages
        self.stride8, self.stride16, self.stride32 = layers[:first], layers[first:second], layers[second:third]
        self.out_channels = sum(spec.channels)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``[B, 3, H, W]``, ImageNet-normalised, to ``[B, out_channels, H/16, W/16]``."""
        f3 = self.stride8(image)
        f4 = self.stride16(f3)
        f5 = self.stride32(f4)
        size = f4.shape[-2:]
        f3, f5 = (F.interpolate(f, size=size, mode="bilinear", align_corners=True) for f in (f3, f5))
        return torch.cat([f3, f4, 0.5 * f5], dim=1)

    def train(self, mode: bool = True) -> FusedBackbone:
        """Switch to training, except for batch normalisation, which stays as ImageNet left it."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def _network(name: str, spec: BackboneSpec, pretrained: bool | Path) -> nn.Module:
    build = getattr(models, spec.build)
    if isinstance(pretrained, Path):
        network = build(weights=None)
        try:
            # A file may hold the features alone; the classifier is not used.
            state = torch.load(pretrained, map_location="cpu", weights_only=True)
            missing = network.load_state_dict(state, strict=False).missing_keys
            if any(key.startswith("features.") for key in missing):
                raise ValueError(f"it lacks {len(missing)} tensors, such as {missing[0]}")
        except Exception as error:
            raise AutocropError(f"{pretrained} is no state dict of torchvision's {name}: {error}.") from error
        return network
    try:
        return build(weights=models.get_weight(spec.weights) if pretrained else None)
    except OSError as error:
        raise AutocropError(
            f"The ImageNet weights of {name} could not be downloaded ({error}). "
            "Go online once, or give a file with --backbone-weights FILE."
        ) from error
