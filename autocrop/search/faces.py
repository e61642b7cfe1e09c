"""Where the faces of a photo are: YuNet (Wu et al., Machine Intelligence Research 2023) in OpenCV's own detector."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from autocrop import weights
from autocrop.geometry.boxes import Boxes

MOST_PIXELS, LONGEST_SIDE = 576 * 416, 1600
"""Of the copy that is searched: some 15 ms, and enough for faces from 2.5 % of the photo's longer side."""
CONFIDENCE = 0.7
"""Faces that the detector is less sure of are left alone."""

NO_FACES: Boxes = np.empty((0, 4), np.float32)

_detectors = threading.local()
_loading = threading.Lock()


def find_faces(image: NDArray[np.uint8]) -> Boxes:
    """Boxes ``[N, 4]`` of the faces in an upright photo, RGB ``[h, w, 3]``, the largest first.

    A box reaches from the brow to the chin; one of a face at the photo's edge ends there. Threads may call this at
    the same time: each has a detector of its own, loaded at its first call.

    Raises:
        AutocropError: the detector's file is missing.
    """
    height, width = image.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(width, height), (MOST_PIXELS / (width * height)) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    detector = _detector()
    detector.setInputSize(size)
    _, found = detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    if found is None:
        return NO_FACES
    left, top, across, down = found[:, :4].T
    boxes = np.stack([left, top, left + across, top + down], axis=1) / (*size, *size)
    boxes = boxes.clip(0, 1).astype(np.float32)
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
    return boxes[np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")]


def _detector() -> Any:
    """The detector of the thread that asks."""
    if not hasattr(_detectors, "yunet"):
        # As bytes: OpenCV opens no path that has characters beyond the code page on Windows.
        model = np.frombuffer(weights.face_detector().read_bytes(), np.uint8)
        size = 320, 320  # which every call changes
        with _loading:  # it warns of its own default, and the level of warnings is one for all threads
            level = cv2.utils.logging.getLogLevel()
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
            try:
                _detectors.yunet = cv2.FaceDetectorYN.create("onnx", model, np.empty(0, np.uint8), size, CONFIDENCE)
            finally:
                cv2.utils.logging.setLogLevel(level)
    return _detectors.yunet
