"""Decoders for Pillow's formats and for 16-bit PNG and PPM. TIFF and camera raw have modules of their own."""

from __future__ import annotations

import functools
import io
import math
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from autocrop.images import metadata_reader
from autocrop.images.encoding import Encoding
from autocrop.images.limits import pillow_limit
from autocrop.images.metadata import Metadata
from autocrop.images.netpbm import read_ppm
from autocrop.images.orientation import SIDEWAYS, upright_pixels
from autocrop.images.pixels import (
    Picture,
    SixteenBitArray,
    as_rgb,
    averaged,
    reduced_for_preview,
    sixteen_bit_as_array,
    size_of,
)
from autocrop.images.tiff_layout import BITS_PER_SAMPLE

PREVIEW_SIDE = 360
"""Minimum short side in pixels of a JPEG that is reduced for analysis: 1.4 times the input of the networks, and small
enough that 12 megapixels are decoded at an eighth (375 pixels)."""
JPEG_SCALES = (8, 4, 2)
"""Whole factors by which libjpeg reduces a photo while decoding it."""


class Decoder(Protocol):
    """A photo file that has been opened but not decoded."""

    size: tuple[int, int]
    """(width, height) of the upright photo."""
    orientation: int
    """EXIF orientation of the stored photo, 1 to 8."""
    format: str | None
    """Pillow's name for the format, or ``"RAW"``; None for a picture made in memory."""
    encoding: Encoding
    metadata: Metadata
    data: bytes
    """Content of a JPEG file. Other formats may leave it empty."""

    def decode_preview(self) -> Image.Image:
        """Decode the upright photo as 8-bit RGB for analysis, reduced if that is faster."""

    def decode(self) -> Picture:
        """Decode the whole upright photo."""

    @property
    def notes(self) -> list[str]:
        """Notes for the user about data that no crop of this photo can keep."""


class PillowDecoder:
    """Decodes everything that Pillow reads.

    Args:
        image: The photo, opened but not loaded.
        data: Content of the file, if its format needs it for metadata or encoding.
        source: Content or path of the file; None for a picture made in memory.
        notes: Notes for the user about the file, such as the other pages of a TIFF.
    """

    def __init__(
        self,
        image: Image.Image,
        data: bytes = b"",
        source: Path | bytes | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._image = image
        self._source = source
        self._file_notes = notes
        self.data = data
        # Phones write MPO: a JPEG followed by more pictures.
        self.format: str | None = "JPEG" if image.format == "MPO" else image.format
        self.encoding = Encoding.of_file(image, data)
        self.metadata = metadata_reader.read(image, data)
        self.orientation = metadata_reader.settle_orientation(image, self.metadata, data)
        # Pillow rotates a TIFF while loading it, and reports its upright size.
        swap = self.orientation in SIDEWAYS and image.format != "TIFF"
        self.size = image.size[::-1] if swap else image.size
        self._bit_depth = _bit_depth(image, data)

    def decode_preview(self) -> Image.Image:
        """See :class:`Decoder`."""
        if self.format == "JPEG" and self.data:
            with Image.open(io.BytesIO(self.data), formats=("JPEG",)) as image:
                scale = PREVIEW_SIDE / min(image.size)
                image.draft(None, (int(image.width * scale), int(image.height * scale)))
                metadata_reader.pin_orientation(image, self.orientation)
                return as_rgb(_load_upright(image))
        return as_rgb(reduced_for_preview(self.decode()))

    def decode(self) -> Picture:
        """See :class:`Decoder`."""
        return sixteen_bit_as_array(_load_upright(self._image))

    @property
    def notes(self) -> list[str]:
        """See :class:`Decoder`."""
        notes = [*self._file_notes, *self.metadata.attachments]
        frames = 1 if self._image.format == "MPO" else self._count_frames()
        if frames > 1:
            notes.append(f"only the first of {frames} frames is kept")
        if self._bit_depth > 8:
            notes.append(f"{self._bit_depth} bits per channel are read as 8")
        return notes

    def _count_frames(self) -> int:
        """Return the number of frames, or 1 if the file is damaged after the first frame."""
        if self._image.format == "TIFF":  # its pages have been counted
            return 1
        try:
            if self._image.format == "GIF" and self._source is not None:
                # Counting moves Pillow's reader to other frames, so it must not be the one that decodes the photo.
                file = io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source
                with pillow_limit(math.prod(self.size)), Image.open(file, formats=("GIF",)) as image:
                    return int(getattr(image, "n_frames", 1))
            return int(getattr(self._image, "n_frames", 1))
        except Exception:  # codecs raise all kinds of exceptions for damaged files
            return 1


class MemoryDecoder(PillowDecoder):
    """Turns a picture that a caller passes upright, and reduces it as the preview of a JPEG of its size is reduced.

    Analysis then finds the same crops in the picture as in the file, and copies no large picture.

    Args:
        image: The picture, opened by Pillow or made in memory.
    """

    def __init__(self, image: Image.Image) -> None:
        super().__init__(image)

    def decode_preview(self) -> Image.Image:
        """See :class:`Decoder`."""
        factor = _jpeg_scale(self.size)
        if factor == 1:
            return super().decode_preview()
        self._image.load()
        orientation = metadata_reader.orientation_of(self._image)  # 1 if the picture has been turned upright since
        reduced = averaged(self._image, factor)
        metadata_reader.pin_orientation(reduced, orientation)
        return as_rgb(_load_upright(reduced))


class ArrayDecoder:
    """Reduces an array as :class:`MemoryDecoder` reduces an image. It copies the whole array only for a crop.

    Args:
        array: RGB ``[h, w, 3]``.
    """

    orientation = 1
    format: str | None = None
    data = b""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self._array = array
        self.size = size_of(array)
        self.encoding = Encoding(None, "RGB", lossless=True)
        self.metadata = Metadata()
        self.notes: list[str] = []

    def decode_preview(self) -> Image.Image:
        """See :class:`Decoder`."""
        factor = _jpeg_scale(self.size)
        if factor == 1:
            return as_rgb(reduced_for_preview(self.decode()))
        import cv2

        width, height = (math.ceil(side / factor) for side in self.size)
        array = np.ascontiguousarray(self._array)
        return Image.fromarray(cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA))

    def decode(self) -> Image.Image:
        """See :class:`Decoder`."""
        return Image.fromarray(self._array)


class SixteenBitDecoder(PillowDecoder):
    """Decodes PNG and PPM files of 16-bit color, which Pillow would reduce to 8 bits.

    Args:
        image: The photo, opened by Pillow, which reads the metadata and checks that the file is complete.
        data: Content of the file.
    """

    def __init__(self, image: Image.Image, data: bytes) -> None:
        super().__init__(image, data, data)
        self._bit_depth = 8

    def decode_preview(self) -> Image.Image:
        """See :class:`Decoder`."""
        return as_rgb(reduced_for_preview(self._array))

    def decode(self) -> SixteenBitArray:
        """See :class:`Decoder`."""
        return self._array

    @functools.cached_property
    def _array(self) -> SixteenBitArray:
        picture = upright_pixels(read_ppm(self.data) if self.format == "PPM" else self._read_png(), self.orientation)
        if size_of(picture) != self.size:
            raise ValueError("its size differs from the size in its header")
        return np.ascontiguousarray(picture)

    def _read_png(self) -> SixteenBitArray:
        import cv2

        self._image.load()  # Pillow reports a truncated file, while OpenCV may return half a picture
        log_level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            array = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_UNCHANGED)
        finally:
            cv2.utils.logging.setLogLevel(log_level)
        if array is None or array.dtype != np.uint16 or array.ndim != 3:
            raise ValueError("its 16-bit colors cannot be decoded")
        channels = [2, 1, 0, 3][: array.shape[2]]  # OpenCV returns BGR
        picture: SixteenBitArray = array.astype(np.uint16, copy=False)[..., channels]
        return picture


def has_sixteen_bit_color(image: Image.Image) -> bool:
    """Return True if an opened PNG or PPM has color with 16 bits per channel."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    arguments = [tile[3] for tile in getattr(image, "tile", [])]
    if image.format == "PPM":  # the mode and the value of white, unless that is 255
        return any(isinstance(argument, tuple) and argument[-1] > 255 for argument in arguments)
    return image.format == "PNG" and any("16" in str(argument) for argument in arguments)


def _bit_depth(image: Image.Image, data: bytes) -> int:
    """Return the bits per channel of a file that Pillow reduces to 8 bits; 8 for all other files."""
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA", "CMYK", "LAB", "L", "LA", "RGBX"):
        bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
        return max((value for value in bits if isinstance(value, int)), default=8)
    if image.format == "AVIF":
        # The "pixi" box (ISO 23008-12, 6.5.6): version and flags, number of channels, bits of each channel.
        position = data.find(b"pixi", 0, 1 << 16)
        return data[position + 9] if position > 0 and position + 9 < len(data) else 8
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    return 8


def _jpeg_scale(size: tuple[int, int]) -> int:
    """Return the factor by which the preview of a JPEG of *size* (width, height) is reduced."""
    return next((factor for factor in JPEG_SCALES if min(size) // PREVIEW_SIDE >= factor), 1)


def _load_upright(image: Image.Image) -> Image.Image:
    image.load()
    ImageOps.exif_transpose(image, in_place=True)  # the returned copy would take as much memory again
    return image
