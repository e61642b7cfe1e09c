"""The CPU engine: exported ONNX graphs run by OpenCV's DNN module. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from autocrop.engines import preprocess
from autocrop.engines.base import Features, Proposals
from autocrop.errors import AutocropError
from autocrop.geometry.boxes import Boxes, as_boxes
from autocrop.geometry.composition import CROP_SHAPES, Cells, pattern, pooled_scores, summed_area_table
from autocrop.geometry.proposals import proposal_scores, ranked
from autocrop.weights import ModelCard

PROPOSALS = {"boxes", "confidence"}
"""Outputs of a model that proposes crops; its encoder is all there is of it."""


class OpenCVEngine:
    """A scorer as one or two graphs: *encoder* (image → features) and *head* (features, boxes → scores).

    Threads may share it: OpenCV keeps a graph's inputs inside it, so there are as many pairs of graphs as threads
    that have used it at one time.

    Args:
        card: of the model.
        files: its parts.

    Raises:
        AutocropError: a file is no ONNX graph that OpenCV can read.
    """

    device = "cpu"

    def __init__(self, card: ModelCard, files: dict[str, Path]) -> None:
        self.model = card.name
        self.network = card.network
        self._pattern = card.recipe.get("pattern", "")
        self._side = card.recipe.get("side", 0)
        self._files = files
        self._idle = [self._load()]
        encoder, head = self._idle[0]
        self._names = tuple(encoder.getUnconnectedOutLayersNames())
        self.shapes = head.shapes

    def encode(self, image: NDArray[np.uint8], aspect: float | None = None) -> Features:
        """See :class:`~autocrop.engines.base.Engine`."""
        tensor = preprocess.normalize(preprocess.resize(image, self._side))
        with self._graphs() as (encoder, head):
            encoder.setInput(tensor, "image")
            outputs = encoder.forward(self._names)
            # Copies: OpenCV may hand out its own memory, which the next photo would overwrite.
            maps = {name: np.array(output, np.float32) for name, output in zip(self._names, outputs, strict=True)}
            return Features(_Encoded(maps, head.prepared(maps)), aspect or image.shape[1] / image.shape[0])

    def score(self, features: Features, boxes: Boxes, shape: str = "rectangle") -> NDArray[np.float32]:
        """See :class:`~autocrop.engines.base.Engine`."""
        with self._graphs() as (_, head):
            return head.score(features.maps.prepared, np.ascontiguousarray(as_boxes(boxes)), shape)

    def propose(self, features: Features) -> Proposals | None:
        """See :class:`~autocrop.engines.base.Engine`."""
        maps = self.maps(features)
        return Proposals(*ranked(maps["boxes"], maps["confidence"])) if maps.keys() >= PROPOSALS else None

    def maps(self, features: Features) -> dict[str, NDArray[np.float32]]:
        """See :class:`~autocrop.engines.base.Engine`."""
        return {name: m[0] for name, m in features.maps.named.items()}

    def _load(self) -> tuple[cv2.dnn.Net, _Head]:
        encoder = _read(self._files["encoder"])
        if "head" in self._files:
            return encoder, _GraphHead(self._files["head"])
        proposes = set(encoder.getUnconnectedOutLayersNames()) >= PROPOSALS
        return encoder, _ProposalHead() if proposes else _PoolingHead(self._pattern)

    @contextmanager
    def _graphs(self) -> Iterator[tuple[cv2.dnn.Net, _Head]]:
        """Encoder and head, for the caller alone."""
        try:
            pair = self._idle.pop()
        except IndexError:
            pair = self._load()
        try:
            yield pair
        finally:
            self._idle.append(pair)


@dataclass(frozen=True)
class _Encoded:
    """One photo's features, and what the head made of them to score crops from."""

    named: dict[str, NDArray[np.float32]]
    prepared: Any


class _Head(Protocol):
    """From features to scores."""

    shapes: tuple[str, ...]

    def prepared(self, maps: dict[str, NDArray[np.float32]]) -> Any: ...

    def score(self, prepared: Any, boxes: Boxes, shape: str) -> NDArray[np.float32]: ...


class _GraphHead:
    """An exported graph."""

    shapes: tuple[str, ...] = ("rectangle",)

    def __init__(self, path: Path) -> None:
        self._graph = _read(path)

    def prepared(self, maps: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        return maps

    def score(self, prepared: dict[str, NDArray[np.float32]], boxes: Boxes, shape: str) -> NDArray[np.float32]:  # noqa: ARG002
        for name, values in prepared.items():
            self._graph.setInput(values, name)
        self._graph.setInput(boxes, "boxes")
        return np.asarray(self._graph.forward(), np.float32).reshape(-1)


class _PoolingHead:
    """Composition-aware pooling of a score map (ASM-Net)."""

    shapes: tuple[str, ...] = CROP_SHAPES

    def __init__(self, pattern_name: str) -> None:
        self._cells = {shape: Cells.of(pattern(pattern_name), shape) for shape in CROP_SHAPES}

    def prepared(self, maps: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        return summed_area_table(maps["scores"][0])

    def score(self, prepared: NDArray[np.float64], boxes: Boxes, shape: str) -> NDArray[np.float32]:
        return pooled_scores(prepared, boxes, self._cells[shape])


class _ProposalHead:
    """How well a crop matches what the model proposed (CBLNet, set prediction)."""

    shapes: tuple[str, ...] = ("rectangle",)

    def prepared(self, maps: dict[str, NDArray[np.float32]]) -> tuple[Boxes, NDArray[np.float32]]:
        return maps["boxes"][0], maps["confidence"][0]

    def score(self, prepared: tuple[Boxes, NDArray[np.float32]], boxes: Boxes, shape: str) -> NDArray[np.float32]:  # noqa: ARG002
        return proposal_scores(*prepared, boxes)


def _read(path: Path) -> cv2.dnn.Net:
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise AutocropError(
            f"{path} is no ONNX graph that OpenCV can read. Export it again with: autocrop models export."
        ) from error
