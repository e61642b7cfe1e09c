"""Conversion of an upright photo to a network's input. Both engines and training share it, so they cannot differ."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SHORT_SIDE = 256
"""Shorter side of a network's input in pixels (GAIC)."""
LONGEST_SIDE = 1024
"""Longest side of a network's input in pixels. It bounds memory: a longer panorama is squeezed."""
MULTIPLE = 32
"""Both sides of a network's input are multiples of this, the largest stride of the backbones."""
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
"""Mean of ImageNet, for RGB in [0, 1]."""
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""Standard deviation of ImageNet, for RGB in [0, 1]."""


def input_size(width: int, height: int, side: int = 0) -> tuple[int, int]:
    """Compute the (width, height) of a network's input, with nearly the aspect of the photo.

    Args:
        width: width of the photo.
        height: height of the photo.
        side: side of the square to which the network warps photos; 0 if it keeps their aspect.
    """
    if side:
        return side, side
    scale = SHORT_SIDE / min(width, height)
    return _input_side(width * scale), _input_side(height * scale)


def _input_side(length: float) -> int:
    return min(max(round(length / MULTIPLE) * MULTIPLE, SHORT_SIDE), LONGEST_SIDE)


def resize(image: NDArray[np.uint8], side: int = 0) -> NDArray[np.uint8]:
    """Resize RGB ``[h, w, 3]`` to a network's input size, see :func:`input_size`."""
    size = input_size(image.shape[1], image.shape[0], side)
    shrinks = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)  # type: ignore[return-value]


def normalize(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert RGB ``[H, W, 3]`` to ImageNet-normalized float32 ``[1, 3, H, W]``."""
    scaled = (image.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])
