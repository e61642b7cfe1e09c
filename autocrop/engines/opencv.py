"""The CPU engine: exported ONNX graphs run by OpenCV's DNN module. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from autocrop.boxes import Boxes, as_boxes
from autocrop.engines import preprocess
from autocrop.engines.base import Features
from autocrop.errors import AutocropError


class OpenCVEngine:
    """A scorer as two graphs: *encoder* (image → features) and *head* (features, boxes → scores).

    Threads may share it: OpenCV keeps a graph's inputs inside it, so there are as many pairs of graphs as threads
    that have used it at one time.

    Raises:
        AutocropError: a file is no ONNX graph that OpenCV can read.
    """

    device = "cpu"

    def __init__(self, model: str, encoder: Path, head: Path) -> None:
        self.model = model
        self._files = encoder, head
        self._idle = [(_read(encoder), _read(head))]

    def encode(self, image: NDArray[np.uint8]) -> Features:
        """See :class:`~autocrop.engines.base.Engine`."""
        tensor = preprocess.normalise(preprocess.resize(image))
        with self._graphs() as (graph, _):
            graph.setInput(tensor, "image")
            maps = graph.forward()
        return Features(maps, image.shape[1] / image.shape[0])

    def score(self, features: Features, boxes: Boxes) -> NDArray[np.float32]:
        """See :class:`~autocrop.engines.base.Engine`."""
        with self._graphs() as (_, graph):
            graph.setInput(features.maps, "features")
            graph.setInput(np.ascontiguousarray(as_boxes(boxes)), "boxes")
            scores = graph.forward()
        return np.asarray(scores, np.float32).reshape(-1)

    @contextmanager
    def _graphs(self) -> Iterator[tuple[cv2.dnn.Net, cv2.dnn.Net]]:
        """Encoder and head, for the caller alone."""
        try:
            pair = self._idle.pop()
        except IndexError:
            pair = _read(self._files[0]), _read(self._files[1])
        try:
            yield pair
        finally:
            self._idle.append(pair)


def _read(path: Path) -> cv2.dnn.Net:
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise AutocropError(
            f"{path} is no ONNX graph that OpenCV can read. Export it again with: autocrop models export."
        ) from error
