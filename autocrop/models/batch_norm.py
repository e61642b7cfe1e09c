"""Folding batch normalization into convolutions, which exported networks do."""

from __future__ import annotations

import copy
import itertools

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from autocrop.models.base import CroppingModel


def fold_batch_norm(network: CroppingModel) -> CroppingModel:
    """Return a copy of *network* in evaluation mode, with batch normalization folded into the convolutions."""
    network = copy.deepcopy(network).eval()
    for parent in network.modules():
        children = list(parent.named_children())
        for (name, first), (next_name, second) in itertools.pairwise(children):
            # torchvision defines each batch normalization right after the convolution that it follows.
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                setattr(parent, next_name, nn.Identity())
    return network
