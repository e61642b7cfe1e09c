"""The CPU engine: exported ONNX graphs, run by OpenCV's DNN module. It does not need torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from autocrop.concurrency import Pool
from autocrop.engines import preprocess
from autocrop.engines.base import Features, Proposals
from autocrop.engines.opencv_heads import GraphHead, Head, Maps, PoolingHead, ProposalHead, read_graph
from autocrop.geometry.boxes import Boxes, as_boxes
from autocrop.geometry.proposals import ranked
from autocrop.weights import ModelCard

PROPOSAL_OUTPUTS = {"boxes", "confidence"}
"""Outputs of the encoder of a model that proposes crops. Such a model has no head graph."""


class OpenCVEngine:
    """A model as an encoder graph (image → feature maps) and a head (feature maps, boxes → scores).

    Threads may share an engine. OpenCV keeps the inputs of a graph inside the graph, so each thread borrows a pair of
    encoder and head. Up to one pair per core is loaded, at most 8, and further threads wait for one.

    Args:
        card: card of the model.
        files: ONNX files of the model by part, ``encoder`` and perhaps ``head``.

    Raises:
        AutocropError: OpenCV cannot read a file.
    """

    device = "cpu"

    def __init__(self, card: ModelCard, files: dict[str, Path]) -> None:
        self.model = card.name
        self.network = card.network
        self._pattern = card.recipe.get("pattern", "")
        self._side = card.recipe.get("side", 0)
        self._files = files
        self._graphs = Pool(self._load)
        with self._graphs.borrow() as (encoder, head):
            self._output_names = tuple(encoder.getUnconnectedOutLayersNames())
            self.shapes = head.shapes

    def encode(self, image: NDArray[np.uint8], aspect: float | None = None) -> Features:
        """See :class:`~autocrop.engines.base.Engine`."""
        tensor = preprocess.normalize(preprocess.resize(image, self._side))
        with self._graphs.borrow() as (encoder, head):
            encoder.setInput(tensor, "image")
            outputs = encoder.forward(self._output_names)
            # Copies, because OpenCV may return its own memory, which the next photo would overwrite.
            maps = {
                name: np.array(output, np.float32) for name, output in zip(self._output_names, outputs, strict=True)
            }
            return Features(_Encoded(maps, head.prepare(maps)), aspect or image.shape[1] / image.shape[0])

    def score(self, features: Features, boxes: Boxes, shape: str = "rectangle") -> NDArray[np.float32]:
        """See :class:`~autocrop.engines.base.Engine`."""
        with self._graphs.borrow() as (_, head):
            return head.score(features.maps.prepared, np.ascontiguousarray(as_boxes(boxes)), shape)

    def propose(self, features: Features) -> Proposals | None:
        """See :class:`~autocrop.engines.base.Engine`."""
        maps = self.maps(features)
        return Proposals(*ranked(maps["boxes"], maps["confidence"])) if maps.keys() >= PROPOSAL_OUTPUTS else None

    def maps(self, features: Features) -> Maps:
        """See :class:`~autocrop.engines.base.Engine`."""
        return {name: batch[0] for name, batch in features.maps.named.items()}

    def _load(self) -> tuple[cv2.dnn.Net, Head]:
        encoder = read_graph(self._files["encoder"])
        if "head" in self._files:
            return encoder, GraphHead(self._files["head"])
        proposes = set(encoder.getUnconnectedOutLayersNames()) >= PROPOSAL_OUTPUTS
        return encoder, ProposalHead() if proposes else PoolingHead(self._pattern)


@dataclass(frozen=True)
class _Encoded:
    """Contents of :class:`Features` in this engine."""

    named: Maps
    """Feature maps by name, each ``[1, C, h, w]``."""
    prepared: Any
    """Output of :meth:`~autocrop.engines.opencv_heads.Head.prepare`."""
