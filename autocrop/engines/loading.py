"""Loading of a model into the engine that suits the device."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from autocrop.engines.base import Engine
from autocrop.errors import AutocropError, UsageError
from autocrop.weights import card as find_card
from autocrop.weights import default_model, from_folder, locate

DEVICES = ("auto", "cpu", "cuda")
ENGINES = ("auto", "opencv", "torch")
TORCH_MODULES = ("torch", "torchvision", "onnx")
"""Modules that the torch engine imports. It needs onnx because the weights are ONNX files."""
NVIDIA_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
"""Device files of NVIDIA's driver on Linux and on Windows Subsystem for Linux."""


def load_model(
    model: str | None = None, device: str = "auto", weights: Path | None = None, engine: str = "auto"
) -> Engine:
    """Load a model into the engine that suits the device.

    Args:
        model: name of a model in the manifest; None for the default model.
        device: ``auto``, ``cpu`` or ``cuda``.
        weights: a folder written by ``autocrop models export``, or a checkpoint (``.pt``) of ``autocrop train``, which
            needs torch. It replaces *model*.
        engine: ``opencv``, ``torch``, or ``auto``: torch for CUDA and for checkpoints, otherwise OpenCV.

    Raises:
        UsageError: the model, device or engine is unknown, or the arguments conflict.
        AutocropError: files are missing or damaged, or torch or CUDA is not available.
    """
    if engine not in ENGINES:
        raise UsageError(f"Unknown engine '{engine}'. Use one of: {', '.join(ENGINES)}.")
    if engine == "opencv" and device == "cuda":
        raise UsageError("The opencv engine runs on the CPU only. Use --device cpu or --engine torch.")
    if weights is not None and model is not None:
        raise UsageError("--weights and --model both choose a model. Use only one of them.")
    device = "cpu" if engine == "opencv" else pick_device(device)
    if weights is not None and weights.suffix == ".pt":
        return _load_checkpoint(weights, device, engine)
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


def _load_checkpoint(path: Path, device: str, engine: str) -> Engine:
    if engine == "opencv":
        raise UsageError(
            f"The opencv engine cannot read the checkpoint {path}. Export it first: "
            f"autocrop models export {path} -o FOLDER"
        )
    require_torch("A checkpoint")
    from autocrop.engines.torch import TorchEngine
    from autocrop.models.checkpoint import network_from_checkpoint

    network = network_from_checkpoint(path)
    return TorchEngine(network.NAME, network, device)


def require_torch(feature: str) -> None:
    """Check that torch and the other modules of the extra ``torch`` are installed.

    Args:
        feature: what needs torch; the subject of the message.

    Raises:
        AutocropError: a module is missing. The message says how to install it.
    """
    if not _torch_is_installed():
        raise AutocropError(f'{feature} needs torch. Install it with: pip install "autocrop-photo[torch]"')


def pick_device(device: str) -> str:
    """Resolve ``auto`` to ``cuda`` if torch is installed and finds a GPU, otherwise to ``cpu``.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: the device is unknown.
        AutocropError: CUDA was requested and is not available.
    """
    if device not in DEVICES:
        raise UsageError(f"Unknown device '{device}'. Use one of: {', '.join(DEVICES)}.")
    if device == "cpu":
        return device
    if device == "cuda":
        require_torch("Running on CUDA")
    available = _cuda_is_available()
    if device == "cuda" and not available:
        raise AutocropError("torch finds no CUDA device on this machine. Use --device cpu.")
    return "cuda" if available else "cpu"


def _cuda_is_available() -> bool:
    if not _may_have_cuda():
        return False
    import torch

    return torch.cuda.is_available()


def _may_have_cuda() -> bool:
    """Check whether torch is installed and a driver may be present, without the seconds that importing torch takes."""
    if sys.platform == "darwin" or not _torch_is_installed():
        return False
    return sys.platform != "linux" or any(Path(device).exists() for device in NVIDIA_DEVICES)


def _torch_is_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in TORCH_MODULES)
