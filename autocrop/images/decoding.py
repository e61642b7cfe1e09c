"""Decoders: one for what Pillow reads, one for 16-bit color. ``raw.py`` has the one for camera raw."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageOps

from autocrop.images import metadata_reader
from autocrop.images.encoding import OPENCV_TIFF_COMPRESSIONS, Encoding
from autocrop.images.metadata import Metadata
from autocrop.images.orientation import SIDEWAYS, upright_pixels
from autocrop.images.pixels import Picture, SixteenBitArray, as_rgb, sixteen_bit_as_array, size_of

PREVIEW_SIDE = 360
"""Short side in pixels down to which a JPEG may be reduced for analysis: 1.4 times the input of the networks, and small
enough that 12 megapixels are decoded at an eighth (375 pixels)."""
BITS_PER_SAMPLE, PHOTOMETRIC, PLANAR_CONFIGURATION, SAMPLE_FORMAT = 258, 262, 284, 339
"""TIFF tags."""


class Decoder(Protocol):
    """A photo file that has been opened but not decoded."""

    size: tuple[int, int]
    """(width, height) of the upright photo."""
    orientation: int
    """EXIF orientation of the stored photo, 1 to 8."""
    format: str | None
    """Pillow's name of the format, or ``"RAW"``; None for a picture made in memory."""
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
        """Notes for the user about what every crop of this photo loses."""


class PillowDecoder:
    """Decodes everything that Pillow reads.

    Args:
        image: The photo, opened but not loaded.
        data: Content of the file, if its format needs it for metadata or encoding.
    """

    def __init__(self, image: Image.Image, data: bytes = b"") -> None:
        self._image = image
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
        return as_rgb(self.decode())

    def decode(self) -> Picture:
        """See :class:`Decoder`."""
        return sixteen_bit_as_array(_load_upright(self._image))

    @property
    def notes(self) -> list[str]:
        """See :class:`Decoder`."""
        notes = [*self.metadata.attachments]
        try:
            frames = int(getattr(self._image, "n_frames", 1))
        except Exception:  # the file is damaged after the first frame
            frames = 1
        if self._image.format != "MPO" and frames > 1:
            notes.append(f"only the first of {frames} frames is kept")
        if self._bit_depth > 8:
            notes.append(f"{self._bit_depth} bits per channel are read as 8")
        return notes


class SixteenBitDecoder(PillowDecoder):
    """Decodes PNG and TIFF files of 16-bit color, which Pillow would reduce to 8 bits.

    Args:
        image: The photo, opened by Pillow, which reads the metadata and checks that the file is complete.
        data: Content of the file if it has been read already.
        source: Content or path of the file.
    """

    def __init__(self, image: Image.Image, data: bytes, source: Path | bytes) -> None:
        super().__init__(image, data)
        self._source = source
        self._bit_depth = 8

    def decode_preview(self) -> Image.Image:
        """See :class:`Decoder`."""
        return as_rgb(_load_upright(self._image))

    def decode(self) -> SixteenBitArray:
        """See :class:`Decoder`."""
        import cv2

        self._image.load()  # Pillow reports a truncated file, while OpenCV may return half a picture
        data = self._source if isinstance(self._source, bytes) else self._source.read_bytes()
        log_level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        finally:
            cv2.utils.logging.setLogLevel(log_level)
        if array is None or array.dtype != np.uint16 or array.ndim != 3:
            raise ValueError("its 16-bit colors cannot be decoded")
        channels = [2, 1, 0, 3][: array.shape[2]]  # OpenCV returns BGR
        picture: SixteenBitArray = array.astype(np.uint16, copy=False)[..., channels]
        if self.format == "PNG":  # OpenCV has already turned a TIFF upright
            picture = upright_pixels(picture, self.orientation)
        if size_of(picture) != self.size:
            raise ValueError("its size differs from the size in its header")
        return np.ascontiguousarray(picture)


def has_sixteen_bit_color(image: Image.Image) -> bool:
    """Return True if an opened file has color with 16 bits per channel that OpenCV decodes correctly."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    if image.format == "PNG":
        return any("16" in str(tile[3]) for tile in getattr(image, "tile", []))
    if image.format != "TIFF":
        return False
    tags: Any = getattr(image, "tag_v2", {})
    return (
        set(tags.get(BITS_PER_SAMPLE, ())) == {16}
        and tags.get(PHOTOMETRIC) == 2
        and tags.get(PLANAR_CONFIGURATION, 1) == 1  # OpenCV garbles channels that are stored separately
        and set(tags.get(SAMPLE_FORMAT, (1,))) == {1}
        and image.info.get("compression") in OPENCV_TIFF_COMPRESSIONS
    )


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


def _load_upright(image: Image.Image) -> Image.Image:
    image.load()
    ImageOps.exif_transpose(image, in_place=True)  # the returned copy would take as much memory again
    return image
