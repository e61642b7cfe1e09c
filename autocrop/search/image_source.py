"""Images as users of the Python API pass them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.images import Photo, open_photo, photo_from_memory

ImageSource = str | PathLike[str] | Image.Image | NDArray[np.uint8]
"""A path, a Pillow image, or an RGB array ``[h, w, 3]`` uint8."""


def to_photo(source: ImageSource) -> Photo:
    """Open a file, or wrap an image that is in memory.

    Raises:
        PhotoError: the image cannot be read, or is too small to crop.
    """
    if isinstance(source, Image.Image | np.ndarray):
        return photo_from_memory(source)
    return open_photo(Path(source))
