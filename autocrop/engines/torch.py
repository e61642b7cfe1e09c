"""The torch engine, for CUDA and for comparison on the CPU. It reads the same ONNX files as the CPU engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from autocrop.engines import preprocess
from autocrop.engines.base import Features, Proposals
from autocrop.geometry.boxes import Boxes, as_boxes
from autocrop.geometry.proposals import ranked
from autocrop.models import CroppingModel
from autocrop.models.base import Proposer
from autocrop.models.onnx_weights import network_from_onnx
from autocrop.weights import ModelCard


class TorchEngine:
    """A network on a device.

    Args:
        model: name of the model.
        network: network in any mode. The engine switches it to evaluation mode before each use.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(self, model: str, network: CroppingModel, device: str = "cpu") -> None:
        self.model = model
        self.network = network.NAME
        self.device = device
        self.shapes = network.SUPPORTED_SHAPES
        self._network = network.to(device)

    @classmethod
    def from_onnx(cls, card: ModelCard, files: dict[str, Path], device: str) -> TorchEngine:
        """Load a network with the weights of exported ONNX files.

        Args:
            card: card of the model.
            files: ONNX files of the model by part.
            device: ``cpu``, ``cuda`` or ``cuda:N``.
        """
        return cls(card.name, network_from_onnx(card, files), device)

    @torch.inference_mode()
    def encode(self, image: NDArray[np.uint8], aspect: float | None = None) -> Features:
        """See :class:`~autocrop.engines.base.Engine`."""
        tensor = torch.from_numpy(preprocess.normalize(self._resized(image))).to(self.device)
        return Features(self._network.eval().encode(tensor), aspect or image.shape[1] / image.shape[0])

    @torch.inference_mode()
    def score(self, features: Features, boxes: Boxes, shape: str = "rectangle") -> NDArray[np.float32]:
        """See :class:`~autocrop.engines.base.Engine`."""
        tensor = torch.tensor(as_boxes(boxes), device=self.device)  # a copy: the boxes may be read-only
        shape_argument = {} if shape == "rectangle" else {"shape": shape}
        return self._network.eval().score(features.maps, tensor, **shape_argument).float().cpu().numpy()

    def propose(self, features: Features) -> Proposals | None:
        """See :class:`~autocrop.engines.base.Engine`."""
        if not isinstance(self._network, Proposer):
            return None
        maps = self.maps(features)
        return Proposals(*ranked(maps["boxes"], maps["confidence"]))

    def maps(self, features: Features) -> dict[str, NDArray[np.float32]]:
        """See :class:`~autocrop.engines.base.Engine`."""
        named = zip(self._network.FEATURES, features.maps, strict=True)
        return {name: batch[0].float().cpu().numpy() for name, batch in named}

    def _resized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize an image to the network's input size."""
        return preprocess.resize(image, self._network.recipe.side)
