"""Check that an encoded picture is a valid file before it is written: encoders can fail without reporting an error."""

from __future__ import annotations

import io
import struct
import warnings

from PIL import Image

from autocrop.images.containers import without_long_texts
from autocrop.images.limits import pillow_limit

FULLY_DECODED = ("GIF",)
"""Formats whose encoder is known to write damaged data without an error, so that only decoding reveals it."""
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"\0\0\0\0IEND\xae\x42\x60\x82", "GIF": b";"}
"""Last bytes of a complete file."""


def check_encoded(data: bytes, file_format: str, size: tuple[int, int]) -> None:
    """Check that an encoded picture can be opened, and that its structure and dimensions are correct.

    Args:
        data: Content of the file.
        file_format: Pillow's name for the format.
        size: Expected (width, height) in pixels.

    Raises:
        ValueError: The file is not valid.
    """
    if not data.endswith(ENDS.get(file_format, b"")):
        raise ValueError("the encoded file is incomplete")
    if file_format == "WEBP" and struct.unpack_from("<I", data, 4)[0] + 8 != len(data):
        raise ValueError("the encoded file is incomplete")
    if file_format not in Image.OPEN:  # Pillow writes PDF, for example, but does not read it
        return
    if file_format == "PNG":
        data = without_long_texts(data)
    try:
        with pillow_limit(size[0] * size[1]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=(file_format,)) as image:
                actual_size = image.size
                if file_format in FULLY_DECODED:
                    image.load()
    except Exception as error:  # codecs raise all kinds of exceptions for damaged files
        raise ValueError(f"the encoded file cannot be read: {error}") from error
    if actual_size != size:
        raise ValueError(
            f"the encoded file has {actual_size[0]}x{actual_size[1]} pixels instead of {size[0]}x{size[1]}"
        )
