"""A photo: open it, analyze a small preview, decode it once, crop it, and save crops with its metadata."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.geometry.boxes import PixelBox
from autocrop.images import lossless, pixels
from autocrop.images.decoding import ArrayDecoder, Decoder, MemoryDecoder
from autocrop.images.files import write_atomically
from autocrop.images.formats import LOSSLESS_FORMATS, check_sides, format_of
from autocrop.images.limits import MAX_PIXELS, pillow_limit
from autocrop.images.metadata_reader import orientation_of
from autocrop.images.metadata_writer import add_to_jpeg
from autocrop.images.opening import damaged, open_decoder
from autocrop.images.orientation import to_stored
from autocrop.images.pixels import Picture
from autocrop.images.saving import EncodeRequest, encode
from autocrop.images.sidecar import CropSettings, write_crop
from autocrop.images.turned import turned_by_sidecar
from autocrop.images.verification import check_encoded

MIN_SIDE = 32
"""Shortest side in pixels of a photo that can be cropped. Smaller pictures leave no room for composition."""


class Photo:
    """A photo that has been opened but not decoded. All sizes and boxes refer to the upright photo.

    Attributes:
        name: Path of the photo, or another name for it in messages.
        width: Width in pixels.
        height: Height in pixels.
        format: Pillow's name for the file format, such as ``"JPEG"``, or ``"RAW"``; None for a picture made in memory.
    """

    def __init__(self, decoder: Decoder, name: str, path: Path | None = None) -> None:
        self._decoder = decoder
        self._path = path
        self.name = name
        self.format = decoder.format
        self.width, self.height = decoder.size
        if min(decoder.size) < MIN_SIDE:
            raise PhotoError(
                f"{name} is {self.width}x{self.height} pixels, too small to crop: "
                f"both sides need at least {MIN_SIDE} pixels."
            )

    def preview(self) -> NDArray[np.uint8]:
        """Decode the upright photo as RGB ``[h, w, 3]`` for analysis. Large JPEGs and large images are reduced.

        Raises:
            PhotoError: The file is damaged.
        """
        try:
            with pillow_limit(self.width * self.height):
                return np.asarray(self._decoder.decode_preview())
        except Exception as error:  # codecs raise all kinds of exceptions for damaged files
            raise damaged(self.name, error) from error

    @functools.cached_property
    def pixels(self) -> Picture:
        """The whole upright photo, decoded once: a Pillow image, or an array if it has 16 bits per channel.

        Raises:
            PhotoError: The file is damaged.
        """
        try:
            with pillow_limit(self.width * self.height):
                return self._decoder.decode()
        except Exception as error:  # codecs raise all kinds of exceptions for damaged files
            raise damaged(self.name, error) from error

    @property
    def notes(self) -> list[str]:
        """Notes for the user about data that no crop of this photo can keep; usually empty."""
        return self._decoder.notes

    def crop(self, box: PixelBox, size: tuple[int, int] | None = None) -> Picture:
        """Return the part of the photo inside *box*, resized to *size* (width, height) if given, in its bit depth.

        Raises:
            PhotoError: The file is damaged.
        """
        return pixels.crop_and_resize(self.pixels, box, size)

    def save(self, picture: Picture, target: Path, quality: int | None = None, strip: bool = False) -> list[str]:
        """Write a crop of this photo with the photo's metadata and modification time.

        The orientation tag is reset, since the pixels are upright, and the pixel dimensions are updated. A JPEG
        keeps its quantization tables and subsampling unless *quality* is given; a TIFF keeps its compression. The file
        is written under a temporary name and then renamed, so that no incomplete file is left behind.

        Args:
            picture: A result of :meth:`crop`, or any other picture made from this photo.
            target: Path of the output. Its extension determines the format.
            quality: 1 to 100, for JPEG, WebP, AVIF and HEIC.
            strip: Leave out EXIF, XMP, IPTC, comments and texts. The color profile and the resolution stay.

        Returns:
            Notes for the user about what could not be kept; usually empty.

        Raises:
            PhotoError: The format is unknown or cannot hold the picture, or the file cannot be written.
        """
        size = pixels.size_of(picture)
        self.check_size(size, target)
        file_format = format_of(target)
        metadata = self._decoder.metadata
        metadata = metadata.stripped() if strip else metadata.for_crop(size, upright=True)
        try:
            encoded = encode(EncodeRequest(picture, file_format, metadata, self._decoder.encoding, quality))
            check_encoded(encoded.data, file_format, size)
        except Exception as error:  # encoders raise all kinds of exceptions
            raise PhotoError(
                f"{self.name} cannot be written as {file_format} ({error}). Try another format."
            ) from error
        write_atomically(target, encoded.data, like=self._path)
        return list(encoded.notes)

    def check_size(self, size: tuple[int, int], target: Path) -> None:
        """Check that *target* can hold a picture of *size* (width, height), before a large picture is made.

        Raises:
            PhotoError: The format is unknown or cannot hold the picture.
        """
        file_format = format_of(target)
        try:
            check_sides(size, file_format)
        except PhotoError as error:
            raise PhotoError(f"{self.name}: {error}") from error

    @functools.cached_property
    def grid(self) -> lossless.Grid:
        """(width, height) in pixels of the blocks in which a JPEG is stored; lossless crops begin on this grid."""
        file = io.BytesIO(self._decoder.data)
        with pillow_limit(self.width * self.height), Image.open(file, formats=("JPEG",)) as image:
            return lossless.grid_of(image)

    def snap_to_grid(self, box: PixelBox, keep_size: bool) -> PixelBox:
        """Return the box nearest to *box* that :meth:`save_lossless` can crop. Only JPEGs restrict it.

        Args:
            box: (left, top, right, bottom) in pixels.
            keep_size: True to move the box, so that its aspect ratio stays exact; False to extend it by less than a
                block.
        """
        if self.format != "JPEG":
            return box
        size = self.width, self.height
        return lossless.snap_to_grid(box, size, self._decoder.orientation, self.grid, keep_size)

    def save_lossless(self, box: PixelBox, target: Path, strip: bool = False) -> list[str]:
        """Write a lossless crop. Blocks of a JPEG are copied without decoding, so its orientation tag stays.

        Args:
            box: The area to crop; for a JPEG, a result of :meth:`snap_to_grid`.
            target: Path of the output: in the photo's own format, or, unless it is a JPEG, in any lossless format.
            strip: Leave out EXIF, XMP, IPTC, comments and texts, as in :meth:`save`.

        Returns:
            Notes for the user about what could not be kept; usually empty.

        Raises:
            PhotoError: The format of the photo or of *target* does not support lossless crops, libjpeg-turbo is
                missing, the photo is damaged, or the file cannot be written.
        """
        self.check_lossless(target)
        if self.format != "JPEG":
            return self.save(self.crop(box), target, strip=strip)
        orientation = self._decoder.orientation
        stored = to_stored(box, self.width, self.height, orientation)
        size = stored[2] - stored[0], stored[3] - stored[1]
        metadata = self._decoder.metadata
        metadata = metadata.stripped(orientation) if strip else metadata.for_crop(size, upright=False)
        try:
            data = lossless.crop_jpeg(self._decoder.data, stored, self._decoder.encoding.progressive)
            data, notes = add_to_jpeg(data, metadata)
            check_encoded(data, "JPEG", size)
        except ValueError as error:
            raise PhotoError(f"{self.name} cannot be cropped losslessly ({error}). Leave out --lossless.") from error
        write_atomically(target, data, like=self._path)
        return [*metadata.notes, *notes]

    def check_lossless(self, target: Path) -> None:
        """Check that :meth:`save_lossless` can write *target*.

        Raises:
            PhotoError: The format of the photo or of *target* does not support lossless crops.
        """
        file_format = format_of(target)
        if self.format == "JPEG":
            if not self._decoder.data:
                raise PhotoError(f"{self.name} is not a file, and only JPEG files can be cropped losslessly.")
            if file_format != "JPEG":
                raise PhotoError(f"A lossless crop of {self.name} must be a JPEG: name the output .jpg.")
            return
        if not self._decoder.encoding.lossless:
            content = f"its {self.format} data" if self.format else "the picture"
            raise PhotoError(
                f"{self.name} cannot be cropped losslessly: {content} would have to be compressed again. "
                "Leave out --lossless."
            )
        if file_format not in (*LOSSLESS_FORMATS, self.format):
            raise PhotoError(f"{target.name} would be lossy. With --lossless, name the output .png, .tif or .webp.")

    def turned_by_sidecar(self, sidecar: bytes) -> Photo:
        """Return the photo as Lightroom shows it: with the orientation from its sidecar, if it has one."""
        return Photo(turned_by_sidecar(self._decoder, sidecar), self.name, self._path)

    def sidecar(self, box: PixelBox, existing: bytes | None = None) -> bytes:
        """Return an XMP sidecar that tells Lightroom and Camera Raw to crop the photo to *box*.

        Args:
            box: (left, top, right, bottom) in pixels.
            existing: Content of an existing sidecar; everything in it except the crop is kept.

        Raises:
            PhotoError: The existing sidecar is not valid XMP.
        """
        crop = CropSettings.from_box(box, self.width, self.height, self._decoder.orientation)
        try:
            return write_crop(existing, crop)
        except ValueError as error:
            raise PhotoError(f"The sidecar of {self.name} is not valid XMP ({error}). It was not changed.") from error


def open_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Photo:
    """Open a photo file without decoding it.

    Raises:
        PhotoError: The file does not exist, is empty, is not a photo in a supported format, is damaged, has more than
            *max_pixels* pixels, or is too small.
    """
    return Photo(open_decoder(path, str(path), max_pixels), str(path), path)


def photo_from_bytes(data: bytes, name: str = "the picture", max_pixels: int = MAX_PIXELS) -> Photo:
    """Open the content of a photo file. *name* identifies the photo in messages.

    Raises:
        PhotoError: See :func:`open_photo`.
    """
    return Photo(open_decoder(data, name, max_pixels), name)


def photo_from_memory(image: Image.Image | NDArray[np.uint8]) -> Photo:
    """Wrap a Pillow image or an RGB array ``[h, w, 3]`` uint8.

    Raises:
        PhotoError: The array has another shape or type, or the picture is too small.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise PhotoError(f"An array must be RGB, uint8 [h, w, 3]; got {image.dtype} {list(image.shape)}.")
        return Photo(ArrayDecoder(image), "the picture")
    if orientation_of(image) != 1:
        image = image.copy()  # the decoder turns it upright
    return Photo(MemoryDecoder(image), getattr(image, "filename", "") or "the picture")
