"""Visual saliency without learning, from the spectrum of a photo."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SHORT_SIDE = 64
"""Short side that photos are resized to: the method is tuned to the scale of whole objects (Hou & Zhang, section 2)."""
BLUR = 2.5
"""Standard deviation of the final smoothing, in pixels of the resized photo."""
WHITE_QUANTILE = 0.95
"""Quantile of the saliency that is mapped to 1, so that a few very salient spots do not darken the rest."""
EPSILON = 1e-8
"""Added to amplitudes so that their logarithm is finite."""


def spectral_residual(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the spectral residual saliency (Hou & Zhang, CVPR 2007) that ASM-Net's loss uses.

    The residual is the difference between the log spectrum of a photo and its local mean. It is large where the photo
    has unusual structure.

    Args:
        image: RGB ``[H, W, 3]``.

    Returns:
        Saliency ``[H, W]`` in [0, 1].
    """
    height, width = image.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32))
    log_amplitude = np.log(np.abs(spectrum) + EPSILON)
    residual = log_amplitude - cv2.blur(log_amplitude, (3, 3))
    energy = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    energy = cv2.GaussianBlur(energy, (9, 9), BLUR)
    low, white = energy.min(), np.quantile(energy, WHITE_QUANTILE)
    relative = np.clip((energy - low) / max(white - low, 1e-12), 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(relative, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
