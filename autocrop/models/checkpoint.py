"""Reading the checkpoints of training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from autocrop.errors import AutocropError
from autocrop.models import MODELS, CroppingModel
from autocrop.models.torch_files import load_tensors

LAST, BEST = "last.pt", "best.pt"
"""File names of the checkpoints that a run writes: after each epoch, and after the epoch with the best metric."""
CONTENT = {"model", "name", "recipe", "epoch", "data", "metrics"}
"""Keys of a checkpoint that reading it requires."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a training run.

    Returns:
        At least ``model`` (state dict), ``name``, ``recipe``, ``epoch``, ``data`` and ``metrics``.

    Raises:
        AutocropError: the file does not exist or is not a checkpoint.
    """
    try:
        state = load_tensors(path)
        if missing := CONTENT - state.keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    except FileNotFoundError as error:
        raise AutocropError(
            f"{path} does not exist. A run writes {LAST} when it starts and {BEST} after its first epoch."
        ) from error
    except Exception as error:
        raise AutocropError(f"{path} is not a checkpoint of autocrop ({error}).") from error
    return state


def network_from_checkpoint(path: Path) -> CroppingModel:
    """Build the network of a checkpoint, in evaluation mode.

    Raises:
        AutocropError: the file does not exist, is not a checkpoint, or was written by an incompatible version.
    """
    state = load_checkpoint(path)
    if state["name"] not in MODELS:
        raise AutocropError(f"{path} contains the model '{state['name']}', which this version does not support.")
    network_class = MODELS[state["name"]]
    try:
        network = network_class(network_class.RECIPE(**state["recipe"]))
        network.load_state_dict(state["model"])
    except (TypeError, RuntimeError) as error:
        raise AutocropError(f"{path} was written by an incompatible version of autocrop: {error}.") from error
    return network.eval()


def initialize(network: CroppingModel, path: Path) -> int:
    """Load the tensors of a checkpoint that fit *network*; the checkpoint may come from another model or project.

    Returns:
        Number of tensors loaded.

    Raises:
        AutocropError: the file does not exist, is not a checkpoint, or contains no tensor that fits.
    """
    try:
        state = load_tensors(path)
        state = state.get("model", state)
        fitting = network.compatible_state({name: value for name, value in state.items() if isinstance(value, Tensor)})
    except Exception as error:
        raise AutocropError(f"{path} is not a readable checkpoint ({error}).") from error
    if not fitting:
        raise AutocropError(f"No tensor in {path} matches the name and shape of one in {network.NAME}.")
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
