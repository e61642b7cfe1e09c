"""Feature cache: what a frozen backbone makes of the training photos, computed once and kept in half precision.

With it a run on a CPU takes minutes, which is what comparisons of many runs need. Photos come as they are and
mirrored; color jitter and trimming would need the backbone again.
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
    """Maps of photos by their pixels, in memory and, if a folder is given, on disk for the runs that follow.

    Args:
        backbone: in the state in which it stays.
        folder: may serve any number of data sets and backbones: a file's name has the digest of all it depends on.
        device: that runs the backbone.
    """

    def __init__(self, backbone: Backbone, folder: Path | None = None, device: str = "cpu") -> None:
        self._backbone = backbone.to(device).eval()
        self._folder = folder
        self._device = device
        self._digest = ""
        self._kept: dict[str, Pyramid] = {}

    def maps(self, pixels: NDArray[np.uint8], image: Tensor) -> Pyramid:
        """Maps, on the CPU, of the photo *pixels* ``[H, W, 3]``, normalized to *image* ``[1, 3, H, W]``."""
        name = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
        if name not in self._kept:
            self._kept[name] = self._read(name, image)
        return self._kept[name].each(Tensor.float)

    def _read(self, name: str, image: Tensor) -> Pyramid:
        if self._folder is None:
            return self._computed(image)
        if not self._digest:  # not before: a resumed run loads its weights late
            self._digest = _digest(self._backbone)
        key = hashlib.sha256(f"{self._digest} {name}".encode()).hexdigest()
        path = self._folder / key[:2] / f"{key[2:34]}.pt"
        try:
            return Pyramid(*torch.load(path, weights_only=True))
        except FileNotFoundError:
            maps = self._computed(image)
        self._folder.joinpath(key[:2]).mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        torch.save(tuple(maps), temporary)
        os.replace(temporary, path)
        return maps

    @torch.no_grad()
    def _computed(self, image: Tensor) -> Pyramid:
        maps: Pyramid = self._backbone(image.to(self._device))
        return maps.each(lambda part: part.half().cpu())


def _digest(backbone: Backbone) -> str:
    """Of the weights, and of which blocks are collected."""
    digest = hashlib.sha256(f"{type(backbone).__name__} {backbone.peaks}".encode())
    for name, tensor in backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


class CachedEngine(TorchEngine):
    """Validates a network with a frozen backbone: photos that come again are not encoded again.

    Args:
        network: whose backbone the *cache* has.
        cache: of the training photos, and now of these, too.
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
