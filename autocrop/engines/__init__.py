"""Engines run the networks. :func:`load_model` picks one; nobody else needs to know which."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from autocrop.engines.base import Engine, Features, Proposals
from autocrop.errors import AutocropError, UsageError
from autocrop.weights import card as find_card
from autocrop.weights import default_model, from_folder, locate

__all__ = ["Engine", "Features", "Proposals", "load_model", "pick_device", "require_torch"]

DEVICES = ("auto", "cpu", "cuda")
ENGINES = ("auto", "opencv", "torch")


def load_model(
    model: str | None = None, device: str = "auto", weights: Path | None = None, engine: str = "auto"
) -> Engine:
    """Load a model into the engine that suits the device.

    Args:
        model: a name of the manifest; None for the default model.
        device: ``auto``, ``cpu`` or ``cuda``.
        weights: instead of the manifest's files: a folder that ``autocrop models export`` wrote, or a checkpoint
            (``.pt``) of ``autocrop train``, which needs torch.
        engine: ``opencv``, ``torch``, or ``auto``: torch on CUDA and for checkpoints, else OpenCV.

    Raises:
        UsageError: the model, device or engine does not exist, or they do not go together.
        AutocropError: files are missing or damaged, or torch or CUDA is not there.
    """
    if engine not in ENGINES:
        raise UsageError(f"There is no engine '{engine}'. Use one of: {', '.join(ENGINES)}.")
    if engine == "opencv" and device == "cuda":
        raise UsageError("The opencv engine runs on the CPU. Use --device cpu, or --engine torch.")
    device = "cpu" if engine == "opencv" else pick_device(device)
    if weights is not None and model is not None:
        raise UsageError("--weights says which model to use. Leave out --model.")
    if weights is not None and weights.suffix == ".pt":
        return _from_checkpoint(weights, device, engine)
    if weights is not None:
        card, files = from_folder(weights if weights.is_dir() or not weights.exists() else weights.parent)
    else:
        card = find_card(model or default_model())
        files = locate(card.name)
    if engine == "torch" or device == "cuda":
        require_torch("The torch engine")
        from autocrop.engines.torch import TorchEngine

        return TorchEngine.from_onnx(card, files, device)
    from autocrop.engines.opencv import OpenCVEngine

    return OpenCVEngine(card, files)


def _from_checkpoint(path: Path, device: str, engine: str) -> Engine:
    if engine == "opencv":
        raise UsageError(f"{path} is a checkpoint. Export it first: autocrop models export {path} -o FOLDER")
    require_torch("A checkpoint")
    from autocrop.engines.torch import TorchEngine
    from autocrop.models.checkpoint import network_from_checkpoint

    network = network_from_checkpoint(path)
    return TorchEngine(network.NAME, network, device)


def require_torch(what: str) -> None:
    """Check that torch is installed, and what else the extra of that name has.

    Raises:
        AutocropError: it is not; the message says how to install it.
    """
    if not _torch_installed():
        raise AutocropError(f'{what} needs torch. Install it with: pip install "autocrop-photo[torch]"')


def pick_device(device: str) -> str:
    """``auto`` → ``cuda`` where torch is installed and sees a GPU, else ``cpu``.

    Raises:
        UsageError: there is no such device.
        AutocropError: CUDA is asked for and is not there.
    """
    if device not in DEVICES:
        raise UsageError(f"There is no device '{device}'. Use one of: {', '.join(DEVICES)}.")
    if device == "cpu":
        return device
    if device == "cuda":
        require_torch("Running on CUDA")
    if not _may_have_cuda():
        found = False
    else:
        import torch

        found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise AutocropError("torch finds no CUDA device here. Use --device cpu.")
    return "cuda" if found else "cpu"


def _may_have_cuda() -> bool:
    """Whether asking torch is worth the seconds that its import takes: it is installed, and a driver may be there."""
    if sys.platform == "darwin" or not _torch_installed():
        return False
    # NVIDIA's driver on Linux, and the same under Windows' Linux; elsewhere torch has to say.
    return sys.platform != "linux" or any(Path(node).exists() for node in ("/dev/nvidiactl", "/dev/dxg"))


def _torch_installed() -> bool:
    """Whether all is there that the torch engine imports; onnx, since the weights are ONNX files."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "torchvision", "onnx"))
