"""Images as users of the Python API pass them."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.errors import PhotoError, UsageError
from autocrop.images import Photo, open_photo, photo_from_bytes, photo_from_memory

ImageSource = str | PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[np.uint8]
"""A path, the content of a photo file as bytes or as an open binary file, a Pillow image, or an RGB array ``[h, w, 3]``
uint8. A file is read from its beginning, if it has one to return to, and stays open."""
ACCEPTED = "a path, bytes, a binary file, a Pillow image, or an RGB array [h, w, 3] uint8"
"""The same list, for messages."""
DEFAULT_NAME = "the picture"
"""Name in messages of a photo that has no path."""


def to_photo(source: ImageSource) -> Photo:
    """Open a file, or wrap an image that is in memory.

    Raises:
        UsageError: the source is of another type, such as a file that is opened as text.
        PhotoError: the image cannot be read, or is too small to crop.
    """
    if isinstance(source, Image.Image | np.ndarray):
        return photo_from_memory(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return photo_from_bytes(bytes(source))
    if isinstance(source, str | PathLike):
        return open_photo(Path(os.fsdecode(source)))
    if callable(getattr(source, "read", None)):
        return _from_file(source)
    raise UsageError(f"An image must be {ACCEPTED}; got {type(source).__name__}.")


def _from_file(file: BinaryIO) -> Photo:
    name = getattr(file, "name", None)  # the number of a descriptor if the file was opened by it
    name = name if isinstance(name, str) and name else DEFAULT_NAME
    try:
        if getattr(file, "seekable", lambda: False)():
            file.seek(0)  # an earlier call may have read it
        data = file.read()
    except OSError as error:
        raise PhotoError(f"{name} cannot be read ({error.strerror or error}).") from error
    except ValueError as error:  # the file is closed
        raise UsageError(f"{name} cannot be read ({str(error).rstrip('.')}). Pass an open file.") from error
    if not isinstance(data, bytes):
        raise UsageError(f"{name} was opened as text. Open the file in binary mode ('rb').")
    return photo_from_bytes(data, name)
