"""Small JPEGs of photos, for the contact sheet."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE, QUALITY = 400, 72
"""Longer side in pixels, and JPEG quality: thumbnails are 15 to 30 KB."""


def thumbnail(preview: NDArray[np.uint8]) -> bytes:
    """Return a thumbnail of an upright photo as the content of a JPEG file.

    Args:
        preview: The photo as RGB ``[h, w, 3]``.
    """
    image = Image.fromarray(preview)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()
