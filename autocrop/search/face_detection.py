"""Face detection with YuNet (Wu et al., Machine Intelligence Research 2023), run by OpenCV."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from autocrop import weights
from autocrop.geometry.boxes import Boxes

MAX_PIXELS = 576 * 416
"""Largest number of pixels searched. This takes about 15 ms, and finds faces down to 2.5 % of the photo's longer
side."""
MAX_SIDE = 1600
"""Longest side of the image that is searched. Only panoramas reach it."""
MIN_CONFIDENCE = 0.7
"""Detections with a lower confidence are ignored."""

NO_FACES: Boxes = np.empty((0, 4), np.float32)
"""Empty array ``[0, 4]``: the photo has no faces, or face detection is off."""

_detectors = threading.local()
_loading = threading.Lock()


def find_faces(image: NDArray[np.uint8]) -> Boxes:
    """Find the faces in an upright photo.

    Several threads may call this function at the same time. Each thread loads its own detector on its first call.

    Args:
        image: RGB ``[h, w, 3]``.

    Returns:
        Boxes ``[N, 4]`` in [0, 1], largest first, from the brow to the chin. They end at the photo's edge.

    Raises:
        AutocropError: the detector's file is missing.
    """
    height, width = image.shape[:2]
    scale = min(1.0, MAX_SIDE / max(width, height), (MAX_PIXELS / (width * height)) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    detector = _detector()
    detector.setInputSize(size)
    _, detections = detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    if detections is None:
        return NO_FACES
    left, top, face_width, face_height = detections[:, :4].T
    boxes = np.stack([left, top, left + face_width, top + face_height], axis=1) / (*size, *size)
    boxes = boxes.clip(0, 1).astype(np.float32)
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
    return boxes[np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")]


def _detector() -> Any:
    """Return the detector of the current thread, loading it on the first call."""
    if not hasattr(_detectors, "yunet"):
        # Bytes, because OpenCV cannot open paths with characters outside the code page on Windows.
        model = np.frombuffer(weights.face_detector().read_bytes(), np.uint8)
        size = 320, 320  # a placeholder: every call sets the size
        with _loading:  # OpenCV warns about its own defaults, and all threads share one log level
            level = cv2.utils.logging.getLogLevel()
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
            try:
                _detectors.yunet = cv2.FaceDetectorYN.create("onnx", model, np.empty(0, np.uint8), size, MIN_CONFIDENCE)
            finally:
                cv2.utils.logging.setLogLevel(level)
    return _detectors.yunet
