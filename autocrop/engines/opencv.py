"""The CPU engine: exported ONNX graphs run by OpenCV's DNN module. No torch."""

from __future__ import annotations

import threading
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

    Threads may share it; they wait for each other, since OpenCV keeps a graph's inputs inside it.

    Raises:
        AutocropError: a file is no ONNX graph that OpenCV can read.
    """

    device = "cpu"

    def __init__(self, model: str, encoder: Path, head: Path) -> None:
        self.model = model
        self._encoder, self._head = _read(encoder), _read(head)
        self._lock = threading.Lock()

    def encode(self, image: NDArray[np.uint8]) -> Features:
        """See :class:`~autocrop.engines.base.Engine`."""
        tensor = preprocess.normalise(preprocess.resize(image))
        with self._lock:
            self._encoder.setInput(tensor, "image")
            maps = self._encoder.forward()
        return Features(maps, image.shape[1] / image.shape[0])

    def score(self, features: Features, boxes: Boxes) -> NDArray[np.float32]:
        """See :class:`~autocrop.engines.base.Engine`."""
        with self._lock:
            self._head.setInput(features.maps, "features")
            self._head.setInput(np.ascontiguousarray(as_boxes(boxes)), "boxes")
            scores = self._head.forward()
        return np.asarray(scores, np.float32).reshape(-1)


def _read(path: Path) -> cv2.dnn.Net:
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise AutocropError(
            f"{path} is no ONNX graph that OpenCV can read. Export it again with: autocrop models export."
        ) from error
