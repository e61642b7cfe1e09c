"""Loading the weights of exported ONNX files into torch networks, so that both engines share one set of files."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from autocrop.errors import AutocropError
from autocrop.models import MODELS, CroppingModel
from autocrop.models.batch_norm import fold_batch_norm
from autocrop.weights import ModelCard

PREFIX = "network."
"""Prefix of the network's parameters in exported files."""


def network_from_onnx(card: ModelCard, files: dict[str, Path]) -> CroppingModel:
    """Build the network of *card* from its recipe and load its weights from its exported files.

    Batch normalization is folded, as in the files. Parameters that only training needs keep random values.

    Raises:
        AutocropError: this version does not know the network, or the files do not fit it.
    """
    try:
        network_class = MODELS[card.network]
        network = fold_batch_norm(network_class(network_class.RECIPE(**card.recipe)))
    except (KeyError, TypeError) as error:
        raise AutocropError(
            f"This version of autocrop does not support the network of {card.name} ({error})."
        ) from error
    expected = network.state_dict()
    weights = _initializers(files.values(), expected.keys())
    required = {name for name in expected if not name.startswith(network.TRAINING_ONLY)}
    if not required <= weights.keys() or any(weights[name].shape != expected[name].shape for name in weights):
        paths = " and ".join(map(str, files.values()))
        raise AutocropError(
            f"{paths} do not contain the weights of {card.network} with this recipe. Export the checkpoint again."
        )
    network.load_state_dict(weights, strict=False)
    return network


def _initializers(paths: Iterable[Path], names: Container[str]) -> dict[str, Tensor]:
    """Read the initializers of ONNX files that have one of *names*, as float32."""
    weights = {}
    for path in paths:
        for tensor in onnx.load(str(path)).graph.initializer:
            name = tensor.name.removeprefix(PREFIX)
            if name in names:
                weights[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    return weights
