"""Visual saliency without learning: where a photo differs from what its spectrum leads one to expect."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SHORT_SIDE = 64
"""The photo is shrunk to this: the method is tuned to the scale of whole objects (Hou & Zhang, section 2)."""
BLUR = 2.5
"""Standard deviation, in pixels of the small photo, of the last smoothing."""
BRIGHTEST = 0.95
"""Quantile that is shown as 1: a few spots must not leave the rest dark."""


def spectral_residual(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Saliency by the spectral residual (Hou & Zhang, CVPR 2007), which ASM-Net's loss uses.

    Args:
        image: RGB ``[H, W, 3]``.

    Returns:
        ``[H, W]`` in [0, 1].
    """
    height, width = image.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32))
    log_amplitude = np.log(np.abs(spectrum) + 1e-8)
    residual = log_amplitude - cv2.blur(log_amplitude, (3, 3))
    energy = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    energy = cv2.GaussianBlur(energy, (9, 9), BLUR)
    top = np.quantile(energy, BRIGHTEST)
    low = energy.min()
    relative = np.clip((energy - low) / max(top - low, 1e-12), 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(relative, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
