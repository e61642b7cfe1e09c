"""Decoders: one for what Pillow reads, one for 16-bit color. ``raw.py`` has the one for camera raw."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageOps

from autocrop.errors import PhotoError
from autocrop.images import metadata as md
from autocrop.images.containers import scans_may_follow
from autocrop.images.metadata import Metadata
from autocrop.images.orientation import upright_pixels
from autocrop.images.pixels import Deep, Picture, as_rgb, size_of
from autocrop.images.saving import OPENCV_TIFF, Coding

PREVIEW_SIDE = 360
"""Short side in pixels to which a JPEG may be decoded for analysis: 1.4 times what the networks see, and so little that
an eighth of 12 megapixels (375) is enough."""
MOST_SCANS = 1000
"""Of a progressive JPEG. Programs write about ten."""
BITS, PHOTOMETRIC, PLANAR, SAMPLE_FORMAT = 258, 262, 284, 339
"""TIFF tags."""


class Decoder(Protocol):
    """A photo file that has been opened and not yet decoded."""

    size: tuple[int, int]
    """(width, height) of the upright photo."""
    orientation: int
    """EXIF's, of the stored photo."""
    format: str | None
    """Pillow's name, or ``"RAW"``; None for a picture made in memory."""
    coding: Coding
    metadata: Metadata
    data: bytes
    """Of a JPEG: the file."""

    def small(self) -> Image.Image:
        """The upright photo as 8-bit RGB for analysis, reduced where that is quicker to decode."""

    def full(self) -> Picture:
        """The whole upright photo."""

    @property
    def notes(self) -> list[str]:
        """What of the photo no crop of it will have, in words."""


class PillowDecoder:
    """What Pillow reads.

    Args:
        image: opened, not loaded.
        data: the file's bytes, where its format is one of which they are needed.
    """

    def __init__(self, image: Image.Image, data: bytes = b"") -> None:
        self._image = image
        self.data = data
        self.orientation = md.orientation_of(image)
        # An MPO, as phones write them, is a JPEG with further pictures behind the first.
        self.format: str | None = "JPEG" if image.format == "MPO" else image.format
        self.coding = Coding.of(image, data)
        self.metadata = md.read(image, data)
        # Pillow gives the upright size of a TIFF, and turns it when it loads it.
        sideways = self.orientation >= 5 and image.format != "TIFF"
        self.size = image.size[::-1] if sideways else image.size
        self._depth = _other_depth(image, data)

    def small(self) -> Image.Image:
        """See :class:`Decoder`."""
        if self.format == "JPEG" and self.data:
            with Image.open(io.BytesIO(self.data), formats=("JPEG",)) as image:
                scale = PREVIEW_SIDE / min(image.size)
                image.draft(None, (int(image.width * scale), int(image.height * scale)))
                return as_rgb(_upright(image))
        return as_rgb(self.full())

    def full(self) -> Picture:
        """See :class:`Decoder`."""
        image = _upright(self._image)
        if image.mode.startswith("I;16"):
            return np.asarray(image).astype(np.uint16)
        return image

    @property
    def notes(self) -> list[str]:
        """See :class:`Decoder`."""
        found = []
        try:
            frames = int(getattr(self._image, "n_frames", 1))
        except Exception:  # damaged behind the first
            frames = 1
        if self._image.format == "MPO" and frames > 1:
            found.append("the further pictures in the file, an HDR gain map for example, are left out")
        elif frames > 1:
            found.append(f"only the first of {frames} frames is kept")
        if self._depth > 8:
            found.append(f"{self._depth} bits a channel are read as 8")
        return found


class DeepDecoder(PillowDecoder):
    """PNG and TIFF with 16 bits a channel of color, which Pillow would read with 8.

    Args:
        image: opened by Pillow, which reads the metadata, and checks that the file is whole.
        data: the file's bytes.
        source: the file's path, where *data* is left to be read later.
    """

    def __init__(self, image: Image.Image, data: bytes, source: Path | bytes) -> None:
        super().__init__(image, data)
        self._source = source
        self._depth = 8

    def small(self) -> Image.Image:
        """See :class:`Decoder`."""
        return as_rgb(_upright(self._image))

    def full(self) -> Deep:
        """See :class:`Decoder`."""
        import cv2

        self._image.load()  # OpenCV may give half a picture where Pillow says that the file is cut short
        data = self._source if isinstance(self._source, bytes) else self._source.read_bytes()
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        finally:
            cv2.utils.logging.setLogLevel(level)
        if array is None or array.dtype != np.uint16 or array.ndim != 3:
            raise ValueError("its 16-bit colors cannot be decoded")
        channels = [2, 1, 0, 3][: array.shape[2]]  # OpenCV's are BGR
        picture: Deep = array.astype(np.uint16, copy=False)[..., channels]
        if self.format == "PNG":  # OpenCV turns a TIFF itself
            picture = upright_pixels(picture, self.orientation)
        if size_of(picture) != self.size:
            raise ValueError("its size is not what its header says")
        return np.ascontiguousarray(picture)


def is_deep(image: Image.Image) -> bool:
    """Whether an opened file has 16 bits a channel of color that OpenCV reads as they are."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    if image.format == "PNG":
        return any("16" in str(tile[3]) for tile in getattr(image, "tile", []))
    if image.format != "TIFF":
        return False
    tags: Any = getattr(image, "tag_v2", {})
    return (
        set(tags.get(BITS, ())) == {16}
        and tags.get(PHOTOMETRIC) == 2
        and tags.get(PLANAR, 1) == 1  # of channels that are stored apart OpenCV makes a wrong picture
        and set(tags.get(SAMPLE_FORMAT, (1,))) == {1}
        and image.info.get("compression") in OPENCV_TIFF
    )


def _other_depth(image: Image.Image, data: bytes) -> int:
    """Bits a channel of a file that Pillow reads with 8, if they are more; else 8."""
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA", "CMYK", "LAB", "L", "LA", "RGBX"):
        bits = getattr(image, "tag_v2", {}).get(BITS, (8,))
        return max((value for value in bits if isinstance(value, int)), default=8)
    if image.format == "AVIF":
        # The box "pixi" of ISO 23008-12, 6.5.6: version and flags, number of channels, bits of each.
        position = data.find(b"pixi", 0, 1 << 16)
        return data[position + 9] if position > 0 and position + 9 < len(data) else 8
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    return 8


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    ImageOps.exif_transpose(image, in_place=True)  # the copy of it would be a whole picture, too
    return image


def check_is_whole(data: bytes, components: int) -> None:
    """Refuse JPEGs of which Pillow would make a picture that is half gray, or only after hours.

    Args:
        data: the file.
        components: of a pixel. A decoder stops behind a scan that has all of them.

    Raises:
        PhotoError: the end is missing and filled with zeros, as of a copy that broke off, or there are more passes
            than any camera or program writes.
    """
    # Searching megabytes takes longer than all else here: only where the quick signs do not settle it.
    if data.endswith(bytes(64)) and data.find(b"\xff\xd9", data.rfind(b"\xff\xda")) < 0:
        raise PhotoError("its end is missing")
    if scans_may_follow(data, components) and data.count(b"\xff\xda") > MOST_SCANS:
        raise PhotoError(f"it has more than {MOST_SCANS} passes")
