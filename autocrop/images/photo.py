"""A photo: opened, analyzed small, decoded once, cropped and saved without losing what the file carried."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.geometry.boxes import PixelBox
from autocrop.images import lossless, pixels, xmp
from autocrop.images.decoding import Decoder, PillowDecoder
from autocrop.images.files import write_atomically
from autocrop.images.opening import MAX_PIXELS, SUFFIXES, damaged, open_decoder
from autocrop.images.orientation import to_stored
from autocrop.images.pixels import Picture, as_image, pillow_limit
from autocrop.images.saving import check_side, encoded, format_of, jpeg_with

MIN_SIDE = 32
"""A photo with a shorter side, in pixels, has nothing to compose."""


class Photo:
    """A photo that has been opened but not decoded. All sizes and boxes are of the upright photo.

    Attributes:
        name: path, or what else to call the photo in messages.
        width: in pixels.
        height: in pixels.
        format: Pillow's name of the file format, ``"JPEG"`` for example, or ``"RAW"``; None for a picture made in
            memory.
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
                f"autocrop needs at least {MIN_SIDE} a side."
            )

    def preview(self) -> NDArray[np.uint8]:
        """The upright photo as RGB ``[h, w, 3]`` for analysis; of a large JPEG a reduced one, which is quick to decode.

        Raises:
            PhotoError: the file is damaged.
        """
        try:
            with pillow_limit(self.width * self.height):
                return np.asarray(self._decoder.small())
        except Exception as error:  # whatever a codec raises, the file is at fault
            raise damaged(self.name, error) from error

    @functools.cached_property
    def pixels(self) -> Picture:
        """The whole photo, decoded once and upright: a Pillow image, or an array where it has 16 bits a channel.

        Raises:
            PhotoError: the file is damaged.
        """
        try:
            with pillow_limit(self.width * self.height):
                return self._decoder.full()
        except Exception as error:
            raise damaged(self.name, error) from error

    def upright(self) -> Image.Image:
        """The whole photo as a Pillow image, in its own mode; of 16 bits of color there are 8.

        Raises:
            PhotoError: the file is damaged.
        """
        return as_image(self.pixels)

    def crop(self, box: PixelBox, size: tuple[int, int] | None = None) -> Picture:
        """The part of the photo inside *box*, resized to *size* (width, height) if that is given, in the photo's depth.

        Raises:
            PhotoError: the file is damaged.
        """
        return pixels.crop_and_resize(self.pixels, box, size)

    @property
    def notes(self) -> list[str]:
        """What of the photo no crop of it will have, in words; usually nothing."""
        return self._decoder.notes

    def save(self, picture: Picture, target: Path, quality: int | None = None, strip: bool = False) -> list[str]:
        """Write a crop of this photo with its metadata and modification time.

        The orientation tag is reset, since the pixels are upright, and the pixel dimensions are updated. A JPEG
        keeps its quantization tables and subsampling, a TIFF its compression, unless *quality* is given. A file is
        written under a temporary name and then renamed, so that no half file is ever left.

        Args:
            picture: what :meth:`crop` gave, or any other picture made of this photo.
            target: its extension chooses the format.
            quality: 1 to 100, for JPEG, WebP, AVIF and HEIC.
            strip: leave out EXIF, XMP, IPTC, comments and texts. Color profile and resolution stay.

        Returns:
            What could not be kept, in words; usually nothing.

        Raises:
            PhotoError: the format is unknown or cannot hold the picture, or the file cannot be written.
        """
        self.check_size(pixels.size_of(picture), target)
        file_format = format_of(target)
        metadata = self._decoder.metadata
        metadata = metadata.stripped() if strip else metadata.adapted(pixels.size_of(picture), turned=True)
        try:
            content, lost = encoded(picture, file_format, metadata, self._decoder.coding, quality)
        except Exception as error:  # whatever an encoder raises
            raise PhotoError(f"{self.name} could not be written as {file_format}: {error}.") from error
        write_atomically(target, content, like=self._path)
        return lost

    def check_size(self, size: tuple[int, int], target: Path) -> None:
        """Whether :meth:`save` can write a picture of *size* (width, height), which may be large, before it is made.

        Raises:
            PhotoError: it cannot.
        """
        file_format = format_of(target)
        try:
            check_side(size, file_format)
        except PhotoError as error:
            raise PhotoError(f"{self.name}: {error}") from error

    def snapped(self, box: PixelBox, keep_size: bool) -> PixelBox:
        """The box nearest to *box* that :meth:`save_lossless` can cut: of a JPEG one on its grid of blocks.

        Args:
            box: wanted.
            keep_size: move it, so that its ratio stays exact; otherwise extend it by less than a block.
        """
        if self.format != "JPEG":
            return box
        return lossless.snapped(box, (self.width, self.height), self._decoder.orientation, self.grid, keep_size)

    @functools.cached_property
    def grid(self) -> tuple[int, int]:
        """(width, height) in pixels of a JPEG's blocks as they are stored."""
        with Image.open(io.BytesIO(self._decoder.data), formats=("JPEG",)) as image:
            return lossless.grid_of(image)

    def save_lossless(self, box: PixelBox, target: Path, strip: bool = False) -> list[str]:
        """Write a crop without any loss: a JPEG's blocks are copied and not decoded; its orientation tag stays.

        Args:
            box: of a JPEG one that :meth:`snapped` gave.
            target: in the photo's own format, or for one that is not a JPEG in any that is lossless.
            strip: as for :meth:`save`.

        Returns:
            What could not be kept, in words; usually nothing.

        Raises:
            PhotoError: the photo's format or the target's has no lossless crops, libjpeg-turbo is missing, or as
                :meth:`save`.
        """
        self.check_lossless(target)
        if self.format != "JPEG":
            return self.save(self.crop(box), target, strip=strip)
        orientation = self._decoder.orientation
        stored = to_stored(box, self.width, self.height, orientation)
        size = stored[2] - stored[0], stored[3] - stored[1]
        metadata = self._decoder.metadata
        metadata = metadata.stripped(orientation) if strip else metadata.adapted(size, turned=False)
        lost = [*metadata.lost]
        try:
            content = lossless.crop_jpeg(self._decoder.data, stored, self._decoder.coding.progressive)
            content = jpeg_with(content, metadata, lost)
        except ValueError as error:
            raise PhotoError(f"{self.name} cannot be cut losslessly ({error}). Try it without --lossless.") from error
        write_atomically(target, content, like=self._path)
        return lost

    def check_lossless(self, target: Path) -> None:
        """Whether :meth:`save_lossless` can write that file.

        Raises:
            PhotoError: it cannot, and why.
        """
        file_format = format_of(target)
        if self.format == "JPEG" and self._path is None and not self._decoder.data:
            raise PhotoError(f"{self.name} is no file, of which alone a JPEG can be cut losslessly.")
        if self.format == "JPEG" and file_format != "JPEG":
            raise PhotoError(f"A lossless crop of {self.name} is a JPEG, too: name the output .jpg.")
        if self.format != "JPEG" and not self._decoder.coding.lossless:
            raise PhotoError(
                f"{self.name} is {self.format or 'a picture'} compressed with loss, "
                "which cannot be cut without compressing it again. Leave --lossless out."
            )
        if self.format != "JPEG" and file_format not in ("PNG", "TIFF", "WEBP", self.format):
            raise PhotoError(f"{target.name} would be lossy: with --lossless name the output .png, .tif or .webp.")

    def sidecar(self, box: PixelBox, existing: bytes | None = None) -> bytes:
        """A sidecar for Lightroom and Camera Raw with that crop; what else is in *existing* is kept.

        Raises:
            PhotoError: *existing* is no XMP.
        """
        fields = xmp.CropFields.of(box, self.width, self.height, self._decoder.orientation)
        try:
            return xmp.with_crop(existing, fields)
        except ValueError as error:
            raise PhotoError(f"The sidecar of {self.name} is no XMP ({error}), and is left as it is.") from error


def open_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Photo:
    """Open a photo file without decoding it.

    Raises:
        PhotoError: it does not exist, is empty, is no photo in a format that can be read, is damaged, has more than
            *max_pixels* pixels or is too small.
    """
    return Photo(open_decoder(path, str(path), max_pixels), str(path), path)


def photo_from_bytes(data: bytes, name: str = "the picture", max_pixels: int = MAX_PIXELS) -> Photo:
    """Open the content of a photo file, as :func:`open_photo` does a path; *name* is for messages.

    Raises:
        PhotoError: as :func:`open_photo`.
    """
    return Photo(open_decoder(data, name, max_pixels), name)


def photo_from_memory(image: Image.Image | NDArray[np.uint8]) -> Photo:
    """Wrap a Pillow image or an RGB array ``[h, w, 3]`` uint8.

    Raises:
        PhotoError: the array has another shape or type, or the picture is too small.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise PhotoError(f"An array must be RGB, uint8 [h, w, 3]; got {image.dtype} {list(image.shape)}.")
        image = Image.fromarray(image)
    return Photo(PillowDecoder(image), getattr(image, "filename", "") or "the picture")


def is_picture_name(path: Path) -> bool:
    """Whether the extension of *path* stands for a picture format, also for one that can be read only."""
    Image.init()
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or suffix in Image.registered_extensions()
