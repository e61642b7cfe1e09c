"""Thumbnails of photos."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE, QUALITY = 400, 72
"""Longer side in pixels and JPEG quality of the thumbnails: 15 to 30 KB each."""


def thumbnail(preview: NDArray[np.uint8]) -> bytes:
    """A small JPEG of an upright photo, RGB ``[h, w, 3]``."""
    image = Image.fromarray(preview)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=QUALITY, optimize=True)
    return encoded.getvalue()
