"""Photos in and out: open upright, decode small for analysis, crop, and save without losing what the file carried."""

from __future__ import annotations

import io
import os
import re
import secrets
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from autocrop.errors import AutocropError

SMALLEST_SIDE = 32
"""A photo with a shorter side, in pixels, has nothing to compose."""
PREVIEW_SIDE = 384
"""Short side in pixels to which a JPEG may be decoded for analysis: 1.5 times what the networks see."""

ORIENTATION, EXIF_IFD, EXIF_WIDTH, EXIF_HEIGHT = 0x0112, 0x8769, 0xA002, 0xA003
TIFF_XMP, TIFF_ICC = 700, 34675
STRUCTURE = {
    *range(254, 260),
    262,
    266,
    273,
    277,
    278,
    279,
    284,
    *range(317, 323),
    322,
    323,
    324,
    325,
    330,
    338,
    339,
    347,
}
"""TIFF tags that describe how the input's pixels are stored. They are no metadata, and untrue of the output."""
SIDEWAYS = (5, 6, 7, 8)
"""Values of the EXIF orientation that swap width and height."""


class PhotoError(AutocropError):
    """A photo that cannot be read or written; the message names it."""


class Photo:
    """A photo that has been opened but not decoded. All sizes and boxes are of the upright photo.

    Attributes:
        name: path, or what else to call the photo in messages.
        width: in pixels.
        height: in pixels.
        format: Pillow's name of the file format, ``"JPEG"`` for example; None for a picture made in memory.
    """

    def __init__(self, image: Image.Image, name: str, reopen: Path | None = None) -> None:
        self._image = image
        self._reopen = reopen
        self.name = name
        # An MPO, as phones write them, is a JPEG with further pictures behind the first.
        self.format: str | None = "JPEG" if image.format == "MPO" else image.format
        # Now, since loading a TIFF turns it upright and forgets what else its EXIF said.
        self._exif = _metadata(image.getexif())
        sideways = image.getexif().get(ORIENTATION) in SIDEWAYS and self.format != "TIFF"
        self.width, self.height = image.size[::-1] if sideways else image.size
        if min(image.size) < SMALLEST_SIDE:
            raise PhotoError(
                f"{name} is {self.width}x{self.height} pixels, too small to crop: "
                f"autocrop needs at least {SMALLEST_SIDE} a side."
            )

    def preview(self) -> NDArray[np.uint8]:
        """The upright photo as RGB ``[h, w, 3]`` for analysis; of a large JPEG a reduced one, which is quick to decode.

        Raises:
            PhotoError: the file is damaged.
        """
        image = self._image
        if self._reopen is not None and self.format == "JPEG":
            image = _open(self._reopen)
            scale = PREVIEW_SIDE / min(image.size)
            image.draft(None, (int(image.width * scale), int(image.height * scale)))
        try:
            image.load()
        except Exception as error:
            raise _damaged(self.name, error) from error
        return np.asarray(_as_rgb(_upright(image)))

    def upright(self) -> Image.Image:
        """The whole photo, decoded and turned upright, in its own mode.

        Raises:
            PhotoError: the file is damaged.
        """
        try:
            self._image.load()
        except Exception as error:
            raise _damaged(self.name, error) from error
        return _upright(self._image)

    def save(
        self, image: Image.Image, target: Path | BinaryIO, file_format: str | None = None, quality: int | None = None
    ) -> None:
        """Write a crop of this photo with its EXIF, XMP, ICC profile and modification time.

        The orientation tag is reset, since the pixels are upright, and the pixel dimensions are updated. A JPEG
        keeps its quantisation tables and subsampling unless *quality* is given. A file is written under a
        temporary name and then renamed, so that no half file is ever left.

        Args:
            image: what :meth:`upright` gave, cropped, perhaps resized.
            target: a path, or a stream open for writing bytes.
            file_format: Pillow's name; by default by the extension of *target*, else that of the input.
            quality: 1 to 100, for JPEG and WebP.

        Raises:
            PhotoError: the format is unknown or cannot hold the picture, or the file cannot be written.
        """
        if file_format is None:
            file_format = format_of(target) if isinstance(target, Path) else self.format
        encoded = io.BytesIO()
        file_format = file_format or "PNG"
        try:
            image = _for_format(image, file_format)
            image.save(encoded, file_format, **self._save_options(image, file_format, quality))
        except (OSError, ValueError, KeyError) as error:
            raise PhotoError(f"{self.name} could not be written as {file_format}: {error}.") from error
        if isinstance(target, Path):
            write_atomically(target, encoded.getvalue(), like=self._reopen)
        else:
            target.write(encoded.getvalue())

    def _save_options(self, image: Image.Image, file_format: str, quality: int | None) -> dict[str, Any]:
        options: dict[str, Any] = {}
        profile = self._image.info.get("icc_profile")
        if profile and _same_colours(self._image.mode, image.mode):
            options["icc_profile"] = profile
        xmp = self._xmp()
        if file_format == "PNG":
            if xmp:
                options["pnginfo"] = PngInfo()
                options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        elif xmp and file_format in ("JPEG", "WEBP", "AVIF"):
            options["xmp"] = xmp
        exif = self._exif_of(image.size)
        if xmp and file_format == "TIFF":
            exif[TIFF_XMP] = xmp
        if exif and file_format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
            options["exif"] = exif
        if file_format == "JPEG":
            tables = getattr(self._image, "quantization", None)
            if quality is None and tables and image.mode == self._image.mode:
                options["qtables"] = tables
                options["subsampling"] = JpegImagePlugin.get_sampling(self._image)
            else:
                options["quality"] = quality or 92
            options["optimize"] = True
            dpi = self._image.info.get("dpi")
            if dpi:
                options["dpi"] = dpi
        elif file_format == "WEBP":
            options["quality"] = quality or 90
            options["lossless"] = quality is None and self.format in ("PNG", "TIFF", "GIF", "BMP")
        elif file_format == "TIFF" and (compression := self._image.info.get("compression")) in ("tiff_lzw", "packbits"):
            options["compression"] = compression
        return options

    def _exif_of(self, size: tuple[int, int]) -> Image.Exif:
        """The photo's EXIF with what a crop of *size* makes untrue put right; empty if it has none."""
        exif = Image.Exif()
        exif.load(self._exif)
        if ORIENTATION in exif:
            exif[ORIENTATION] = 1
        details = exif.get_ifd(EXIF_IFD)
        for tag, value in ((EXIF_WIDTH, size[0]), (EXIF_HEIGHT, size[1])):
            if tag in details:
                details[tag] = value
        return exif

    def _xmp(self) -> bytes | None:
        """The photo's XMP packet with an orientation of 1."""
        xmp = self._image.info.get("xmp") or self._image.info.get("XML:com.adobe.xmp")
        if isinstance(xmp, str):
            xmp = xmp.encode()
        if not isinstance(xmp, bytes):
            return None
        # XMP writes a property as an attribute or as an element.
        xmp = re.sub(rb'(tiff:Orientation=["\'])[2-8](["\'])', rb"\g<1>1\g<2>", xmp)
        return re.sub(rb"(<tiff:Orientation>)\s*[2-8]\s*(</)", rb"\g<1>1\g<2>", xmp)


def open_photo(path: Path) -> Photo:
    """Open a photo file without decoding it.

    Raises:
        PhotoError: it does not exist, is empty, is no photo that Pillow knows, is damaged, too large or too small.
    """
    return Photo(_open(path), str(path), reopen=path)


def photo_from_memory(image: Image.Image | NDArray[np.uint8]) -> Photo:
    """Wrap a Pillow image or an RGB array ``[h, w, 3]`` uint8.

    Raises:
        PhotoError: the array has another shape or type, or the picture is too small.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise PhotoError(f"An array must be RGB, uint8 [h, w, 3]; got {image.dtype} {list(image.shape)}.")
        image = Image.fromarray(image)
    return Photo(image, getattr(image, "filename", "") or "the picture")


def format_of(path: Path) -> str:
    """Pillow's name of the format that the extension of *path* stands for.

    Raises:
        PhotoError: there is none that Pillow can write.
    """
    Image.init()
    file_format = Image.registered_extensions().get(path.suffix.lower())
    if file_format is None or file_format not in Image.SAVE:
        raise PhotoError(
            f"'{path.suffix}' is no picture format that autocrop can write. Use .jpg, .png, .webp or .tif."
        )
    return file_format


def write_atomically(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file under a temporary name beside its own and rename it: it is there whole, or not at all.

    Args:
        path: of the file.
        content: of the file.
        like: a file whose modification time it gets: photo libraries sort by it.

    Raises:
        PhotoError: the folder cannot be made or written to.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            if like is not None:
                times = like.stat()
                os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise PhotoError(f"{path} cannot be written ({reason}). Choose a writable folder with -o.") from error


def _open(path: Path) -> Image.Image:
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise PhotoError(f"{path} is empty (0 bytes).")
        with warnings.catch_warnings():
            # Pillow warns of what may be a decompression bomb at half the size at which it refuses.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path)
    except FileNotFoundError as error:
        raise PhotoError(f"{path} does not exist.") from error
    except IsADirectoryError as error:
        raise PhotoError(
            f"{path} is a folder, not a photo. Name the photos in it, for example {path}/*.jpg."
        ) from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{path} is not a photo, or is in a format that autocrop cannot read.") from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{path} is too large to decode safely: {error}.") from error
    except OSError as error:
        raise PhotoError(f"{path} cannot be read ({error.strerror or error}).") from error


def _damaged(name: str, error: Exception) -> PhotoError:
    return PhotoError(f"{name} is damaged or cut short ({error}). Get the file again from its source.")


def _upright(image: Image.Image) -> Image.Image:
    return ImageOps.exif_transpose(image)


def _as_rgb(image: Image.Image) -> Image.Image:
    """For analysis only: 8-bit RGB, 16-bit grey scaled down, transparency over white."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image, np.float32)
        peak = 65535 if grey.max() > 255 else 255
        image = Image.fromarray((grey.clip(0, peak) * (255 / peak)).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    return image.convert("RGB")


def _for_format(image: Image.Image, file_format: str) -> Image.Image:
    """Convert what the format cannot hold: JPEG has neither palette nor alpha, WebP and AVIF no CMYK or grey."""
    if file_format == "JPEG" and image.mode not in ("RGB", "L", "CMYK", "YCbCr"):
        return _as_rgb(image)
    if file_format in ("WEBP", "AVIF") and image.mode not in ("RGB", "RGBA"):
        return image.convert("RGBA" if image.mode in ("LA", "PA") or "transparency" in image.info else "RGB")
    if file_format == "PNG" and image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB")
    return image


def _same_colours(before: str, after: str) -> bool:
    """Whether an ICC profile of one mode still holds in another: not across grey, RGB and CMYK."""
    family = {"L": "grey", "LA": "grey", "I;16": "grey", "1": "grey", "CMYK": "cmyk"}
    return family.get(before, "rgb") == family.get(after, "rgb")


def _metadata(exif: Image.Exif) -> bytes:
    """What of *exif* is metadata, as bytes; without the thumbnail, which would show the uncropped photo."""
    copy = Image.Exif()
    if exif:
        copy.load(exif.tobytes())
    for tag in (STRUCTURE | {TIFF_XMP, TIFF_ICC}) & set(copy):
        del copy[tag]
    return copy.tobytes() if copy else b""
