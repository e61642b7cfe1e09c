"""Checkpoints of training runs, read back as networks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autocrop.errors import AutocropError
from autocrop.models import MODELS, CroppingModel

LAST, BEST = "last.pt", "best.pt"


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of :func:`fit`: ``model`` (state dict), ``name``, ``recipe``, ``epoch``, ``data``, ``metrics``.

    Raises:
        AutocropError: it does not exist or is no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not {"model", "name", "recipe", "epoch", "data", "metrics"} <= state.keys():
            raise ValueError("it lacks what a run writes")
    except FileNotFoundError as error:
        raise AutocropError(
            f"{path} does not exist. A run writes {LAST} when it begins, and {BEST} after an epoch."
        ) from error
    except Exception as error:
        raise AutocropError(f"{path} is no checkpoint of autocrop ({error}).") from error
    return state


def network_from_checkpoint(path: Path) -> CroppingModel:
    """The network that a checkpoint holds, in evaluation mode.

    Raises:
        AutocropError: as :func:`load_checkpoint`, or the checkpoint is of a model that this version does not know.
    """
    state = load_checkpoint(path)
    if state["name"] not in MODELS:
        raise AutocropError(f"{path} holds the model '{state['name']}', which this version of autocrop does not know.")
    network_class = MODELS[state["name"]]
    try:
        network = network_class(network_class.RECIPE(**state["recipe"]))
        network.load_state_dict(state["model"])
    except (TypeError, RuntimeError) as error:
        raise AutocropError(f"{path} was written by another version of autocrop: {error}.") from error
    return network.eval()


def initialize(network: CroppingModel, path: Path) -> int:
    """Fill *network* with what fits of a checkpoint: of autocrop, or any whose names the network knows.

    Returns:
        How many tensors it took.

    Raises:
        AutocropError: the file does not exist, is no checkpoint, or nothing of it fits.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # DETR's keep their command line
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("model", state)
        found = network.compatible({name: value for name, value in state.items() if isinstance(value, Tensor)})
    except Exception as error:
        raise AutocropError(f"{path} is no checkpoint that can be read ({error}).") from error
    if not found:
        raise AutocropError(f"Nothing in {path} has the name and shape of anything in {network.NAME}.")
    network.load_state_dict(found, strict=False)
    return len(found)
