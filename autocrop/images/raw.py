"""Decoder for camera raw, through rawpy, which wraps LibRaw. It is installed with the extra ``[raw]``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.images import metadata_reader, tiff
from autocrop.images.encoding import Encoding
from autocrop.images.limits import too_large
from autocrop.images.metadata import Metadata
from autocrop.images.orientation import SIDEWAYS
from autocrop.images.pixels import SixteenBitArray
from autocrop.images.raw_structure import check_complete

ORIENTATION_OF_FLIP = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
"""EXIF orientation for each value of LibRaw's ``flip``: 4 swaps the sides, then 2 and 1 mirror vertically and
horizontally."""
REASONS = {"Input/output error": "its end is missing", "Data corrupted": "its sensor data is damaged"}
"""LibRaw's messages for damaged files, in plain words."""
MAKER_NOTE = 37500
TIFF_SIGNATURES = {b"IIRO": b"II*\0", b"IIRS": b"II*\0", b"IIU\0": b"II*\0"}
"""Raw formats of Olympus and Panasonic, which are TIFF files except for their first four bytes."""


class RawDecoder:
    """Develops a camera raw photo with the camera's white balance, as dcraw does.

    Args:
        source: Path or content of the file.
        name: Name of the photo in error messages.
        max_pixels: Limit on the number of pixels, checked before anything is decoded.

    Raises:
        PhotoError: rawpy is not installed, LibRaw cannot read the file, or it has too many pixels.
    """

    format: str | None = "RAW"
    data = b""

    def __init__(self, source: Path | bytes, name: str, max_pixels: int) -> None:
        try:
            import rawpy
        except ImportError as error:
            raise PhotoError(
                f"{name} is a camera raw photo. To read it, run: pip install 'autocrop-photo[raw]'. "
                "Or export it as JPEG, PNG or TIFF first."
            ) from error
        try:
            self._raw = rawpy.imread(str(source) if isinstance(source, Path) else io.BytesIO(source))
            sizes = self._raw.sizes
        except rawpy.LibRawError as error:
            raise PhotoError(f"{name} is not a raw photo that LibRaw can read ({_reason(error)}).") from error
        size = sizes.width, sizes.height
        if max(sizes.width * sizes.height, sizes.raw_width * sizes.raw_height) > max_pixels:
            raise too_large(name, size, max_pixels)
        self.orientation = ORIENTATION_OF_FLIP.get(sizes.flip, 1)
        self.size = size[::-1] if self.orientation in SIDEWAYS else size
        self.encoding = Encoding(None, "RGB")
        content = source.read_bytes() if isinstance(source, Path) else source
        content = TIFF_SIGNATURES.get(content[:4], content[:4]) + content[4:]
        try:
            check_complete(content)
        except ValueError as error:
            raise PhotoError(f"{name} is damaged or cut short ({error}). Get a new copy from its source.") from error
        self.metadata = _read_metadata(content)

    def decode_preview(self) -> Image.Image:
        """Decode at half the size, which needs no demosaicing; see :class:`autocrop.images.decoding.Decoder`."""
        return Image.fromarray(self._develop(half_size=True, output_bps=8))

    def decode(self) -> SixteenBitArray:
        """Decode to sRGB with 16 bits per channel; see :class:`autocrop.images.decoding.Decoder`."""
        array = self._develop(output_bps=16)
        if (array.shape[1], array.shape[0]) != self.size:
            raise ValueError("its size differs from the size in its header")
        return np.ascontiguousarray(array)

    def _develop(self, **options: Any) -> NDArray[Any]:
        import rawpy

        try:
            return np.asarray(self._raw.postprocess(use_camera_wb=True, **options))
        except rawpy.LibRawError as error:
            raise ValueError(_reason(error)) from error

    @property
    def notes(self) -> list[str]:
        """See :class:`autocrop.images.decoding.Decoder`."""
        return []


def _reason(error: Exception) -> str:
    """Return the message of an exception of rawpy, which may be bytes."""
    message = error.args[0] if error.args else ""
    text = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    return REASONS.get(text, text)


def _read_metadata(content: bytes) -> Metadata:
    """Read EXIF and XMP from raw formats that are built like TIFF, as most are. Other formats yield no metadata."""
    try:
        order, directory = tiff.read(io.BytesIO(content))
    except ValueError:
        return Metadata()
    # The offsets in a maker note are valid only in the raw file, and it may contain a whole preview.
    directory.get(tiff.EXIF_IFD, tiff.Value(tiff.LONG)).directory.pop(MAKER_NOTE, None)
    return metadata_reader.from_directory(order, directory)
