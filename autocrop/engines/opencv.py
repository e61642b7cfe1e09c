"""The CPU engine: exported ONNX graphs run by OpenCV's DNN module. No torch."""

from __future__ import annotations

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

    Not for several threads at once: OpenCV keeps a graph's inputs inside it. Load one engine a thread.

    Raises:
        AutocropError: a file is no ONNX graph that OpenCV can read.
    """

    device = "cpu"

    def __init__(self, model: str, encoder: Path, head: Path) -> None:
        self.model = model
        self._encoder, self._head = _read(encoder), _read(head)

    def encode(self, image: NDArray[np.uint8]) -> Features:
        """See :class:`~autocrop.engines.base.Engine`."""
        self._encoder.setInput(preprocess.normalise(preprocess.resize(image)), "image")
        return Features(self._encoder.forward(), image.shape[1] / image.shape[0])

    def score(self, features: Features, boxes: Boxes) -> NDArray[np.float32]:
        """See :class:`~autocrop.engines.base.Engine`."""
        self._head.setInput(features.maps, "features")
        self._head.setInput(np.ascontiguousarray(as_boxes(boxes)), "boxes")
        return np.asarray(self._head.forward(), np.float32).reshape(-1)


def _read(path: Path) -> cv2.dnn.Net:
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise AutocropError(
            f"{path} is no ONNX graph that OpenCV can read. Export it again with: autocrop models export."
        ) from error
