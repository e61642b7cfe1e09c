"""From upright pixels to what the networks see. Shared by both engines and by training, so that they cannot differ."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SHORT_SIDE = 256
LONGEST_SIDE = 1024
"""A photo more than four times as long as wide is squeezed: its memory must stay bounded."""
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
"""Of ImageNet, for RGB in [0, 1]."""
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet, for RGB in [0, 1]."""


def input_size(width: int, height: int, side: int = 0) -> tuple[int, int]:
    """(width, height) of the network's input: short side 256, both multiples of 32, aspect nearly kept (GAIC).

    Args:
        width: of the photo.
        height: of the photo.
        side: of the square that the photo is warped to instead; 0 for none.
    """
    if side:
        return side, side
    scale = SHORT_SIDE / min(width, height)
    w, h = (min(max(round(side * scale / 32) * 32, SHORT_SIDE), LONGEST_SIDE) for side in (width, height))
    return w, h


def resize(image: NDArray[np.uint8], side: int = 0) -> NDArray[np.uint8]:
    """RGB ``[h, w, 3]`` at the network's input size, see :func:`input_size`."""
    size = input_size(image.shape[1], image.shape[0], side)
    shrinks = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)  # type: ignore[return-value]


def normalize(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """RGB ``[H, W, 3]`` as ImageNet-normalized float32 ``[1, 3, H, W]``."""
    scaled = (image.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])
