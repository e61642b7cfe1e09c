"""Cache of a frozen backbone's features, so that the backbone runs only once per photo.

A training run on a CPU then takes minutes, which makes it practical to compare many runs. Photos are augmented by
mirroring only: color jitter and trimming would change the input of the backbone.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autocrop.engines import preprocess
from autocrop.engines.base import Features
from autocrop.engines.torch import TorchEngine
from autocrop.models import CroppingModel
from autocrop.models.backbones import Backbone, Pyramid


class FeatureCache:
    """Feature maps of photos in half precision, in memory and optionally on disk.

    Args:
        backbone: backbone whose weights do not change.
        folder: keeps the features for other runs, or None to keep them in memory only. One folder serves any number
            of data sets and backbones: file names are digests of the photo and the backbone.
        device: device that runs the backbone.
    """

    def __init__(self, backbone: Backbone, folder: Path | None = None, device: str = "cpu") -> None:
        self._backbone = backbone.to(device).eval()
        self._folder = folder
        self._device = device
        self._digest = ""
        self._in_memory: dict[str, Pyramid] = {}

    def maps(self, pixels: NDArray[np.uint8], image: Tensor) -> Pyramid:
        """Return the feature maps of a photo in single precision, on the CPU.

        Args:
            pixels: photo ``[H, W, 3]``.
            image: the same photo, normalized, ``[1, 3, H, W]``.
        """
        key = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
        if key not in self._in_memory:
            self._in_memory[key] = self._load_or_compute(key, image)
        return self._in_memory[key].each(Tensor.float)

    def _load_or_compute(self, key: str, image: Tensor) -> Pyramid:
        if self._folder is None:
            return self._compute(image)
        path = self._path(self._folder, key)
        try:
            return Pyramid(*torch.load(path, weights_only=True))
        except FileNotFoundError:
            maps = self._compute(image)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        torch.save(tuple(maps), temporary)
        os.replace(temporary, path)
        return maps

    def _path(self, folder: Path, key: str) -> Path:
        if not self._digest:  # on first use, since a resumed run loads its weights after creating the cache
            self._digest = _digest(self._backbone)
        name = hashlib.sha256(f"{self._digest} {key}".encode()).hexdigest()
        return folder / name[:2] / f"{name[2:34]}.pt"

    @torch.no_grad()
    def _compute(self, image: Tensor) -> Pyramid:
        maps: Pyramid = self._backbone(image.to(self._device))
        return maps.each(lambda part: part.half().cpu())


def _digest(backbone: Backbone) -> str:
    """Digest the weights of a backbone, and which of its blocks are collected."""
    digest = hashlib.sha256(f"{type(backbone).__name__} {backbone.peaks}".encode())
    for name, tensor in backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


class CachedEngine(TorchEngine):
    """Engine for validating a network with a frozen backbone. It takes the features of photos from a cache.

    Args:
        network: network in training.
        cache: features of the network's backbone.
        device: see :class:`~autocrop.engines.torch.TorchEngine`.
    """

    def __init__(self, network: CroppingModel, cache: FeatureCache, device: str) -> None:
        super().__init__(network.NAME, network, device)
        self._cache = cache

    @torch.inference_mode()
    def encode(self, image: NDArray[np.uint8], aspect: float | None = None) -> Features:
        """See :class:`~autocrop.engines.base.Engine`."""
        pixels = self._resized(image)
        maps = self._cache.maps(pixels, torch.from_numpy(preprocess.normalize(pixels)))
        features = self._network.eval().features(maps.each(lambda part: part.to(self.device)))
        return Features(features, aspect or image.shape[1] / image.shape[0])
