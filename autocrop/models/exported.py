"""Networks as they are exported: batch normalization folded, weights read back from the ONNX files."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from autocrop.errors import AutocropError
from autocrop.models import MODELS, CroppingModel
from autocrop.weights import ModelCard


def load_exported(card: ModelCard, files: dict[str, Path]) -> CroppingModel:
    """Build the (folded) network of *card* by its recipe and fill it from its exported files.

    Raises:
        AutocropError: the network is unknown, or the files are no export of it.
    """
    try:
        network_class = MODELS[card.network]
        network = fold_batch_norm(network_class(network_class.RECIPE(**card.recipe)))
    except (KeyError, TypeError) as error:
        raise AutocropError(f"This version of autocrop does not know the network of {card.name} ({error}).") from error
    wanted = network.state_dict()
    found: dict[str, Tensor] = {}
    for path in files.values():
        for tensor in onnx.load(str(path)).graph.initializer:
            name = tensor.name.removeprefix("network.")
            if name in wanted:
                found[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    used = {name for name in wanted if not name.startswith(network.TRAINING_ONLY)}
    missing = sorted(used - found.keys())
    if missing or any(found[name].shape != wanted[name].shape for name in found):
        places = " and ".join(map(str, files.values()))
        raise AutocropError(f"{places} are no export of {card.network} with this recipe. Export the checkpoint again.")
    network.load_state_dict(found, strict=False)
    return network


def fold_batch_norm(network: CroppingModel) -> CroppingModel:
    """A copy of *network* with every batch normalization that follows a convolution folded into it."""
    network = copy.deepcopy(network).eval()
    for parent in network.modules():
        children = list(parent.named_children())
        for (name, first), (next_name, second) in itertools.pairwise(children):
            # In torchvision's networks a batch normalization is defined right behind the convolution it belongs to.
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                setattr(parent, next_name, nn.Identity())
    return network
