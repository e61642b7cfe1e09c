"""Photos in and out: open upright, decode small for analysis, crop, and save without losing what the file carried."""

from __future__ import annotations

import io
import os
import re
import secrets
import warnings
from pathlib import Path
from typing import Any

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
UNTRUE = {34377, 37724, 50341, 33550, 33922, 34264, 34735, 34736, 34737}
"""TIFF tags that a crop makes untrue: Photoshop's resources (with a thumbnail) and layers, PrintIM, GeoTIFF."""
TIFF_BITS = 258
TIFF_LOSSLESS = ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits")
LARGEST_EXIF, LARGEST_XMP = 65_533, 65_500
"""Bytes that one segment of a JPEG has room for."""
SIDEWAYS = (5, 6, 7, 8)
"""Values of the EXIF orientation that swap width and height."""


UNREADABLE = dict.fromkeys((".heic", ".heif", ".hif"), "HEIC") | dict.fromkeys(
    (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw"), "camera raw"
)
"""Extensions of photos that Pillow cannot read, and what they are."""


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
        self._deep = _has_16_bit_colour(image)  # before anything loads the pixels and forgets it
        exif = _readable_exif(image)
        # Now, since loading a TIFF turns it upright and forgets what else its EXIF said.
        self._exif = _metadata(exif)
        sideways = exif.get(ORIENTATION) in SIDEWAYS and self.format != "TIFF"
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
        return np.asarray(_as_rgb(self._decoded(image)))

    def upright(self) -> Image.Image:
        """The whole photo, decoded and turned upright, in its own mode.

        Raises:
            PhotoError: the file is damaged.
        """
        return self._decoded(self._image)

    def _decoded(self, image: Image.Image) -> Image.Image:
        try:
            image.load()
            return ImageOps.exif_transpose(image)
        except Exception as error:  # whatever a codec raises, the file is at fault
            raise _damaged(self.name, error) from error

    @property
    def notes(self) -> list[str]:
        """What of the photo no crop of it will have, in words; usually nothing."""
        found = []
        frames = getattr(self._image, "n_frames", 1)
        if frames > 1 and self._image.format != "MPO":
            found.append(f"only the first of {frames} frames is kept")
        if self._deep:
            found.append("16-bit colour is written with 8 bits")
        return found

    def save(self, image: Image.Image, target: Path, quality: int | None = None) -> list[str]:
        """Write a crop of this photo with its EXIF, XMP, ICC profile and modification time.

        The orientation tag is reset, since the pixels are upright, and the pixel dimensions are updated. A JPEG
        keeps its quantisation tables and subsampling unless *quality* is given. A file is written under a
        temporary name and then renamed, so that no half file is ever left.

        Args:
            image: what :meth:`upright` gave, cropped, perhaps resized.
            target: its extension chooses the format.
            quality: 1 to 100, for JPEG, WebP and AVIF.

        Returns:
            What could not be kept, in words; usually nothing.

        Raises:
            PhotoError: the format is unknown or cannot hold the picture, or the file cannot be written.
        """
        file_format = format_of(target)
        encoded = io.BytesIO()
        lost: list[str] = []
        try:
            if file_format == "JPEG" and _has_transparency(image):
                lost.append("transparency is filled with white")
            image = _for_format(image, file_format)
            image.save(encoded, file_format, **self._save_options(image, file_format, quality, lost))
        except Exception as error:  # whatever an encoder raises
            raise PhotoError(f"{self.name} could not be written as {file_format}: {error}.") from error
        write_atomically(target, encoded.getvalue(), like=self._reopen)
        return lost

    def _save_options(
        self, image: Image.Image, file_format: str, quality: int | None, lost: list[str]
    ) -> dict[str, Any]:
        options: dict[str, Any] = {}
        profile = self._image.info.get("icc_profile")
        # Pillow's writers would take it from here, whatever the mode is now.
        image.info.pop("icc_profile", None)
        if profile and _colours(self._image.mode) == _colours(image.mode):
            options["icc_profile"] = profile
        dpi = self._image.info.get("dpi")
        if dpi and file_format in ("JPEG", "PNG", "TIFF"):
            options["dpi"] = dpi
        xmp = self._xmp()
        if xmp and file_format == "JPEG" and len(xmp) > LARGEST_XMP:
            xmp = None
            lost.append("XMP is left out, too long for a JPEG")
        if file_format == "PNG":
            if xmp:
                options["pnginfo"] = PngInfo()
                options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        elif xmp and file_format in ("JPEG", "WEBP", "AVIF"):
            options["xmp"] = xmp
        exif = self._exif_of(image.size)
        if xmp and file_format == "TIFF":
            exif[TIFF_XMP] = xmp
        if exif and file_format == "JPEG" and len(exif.tobytes()) > LARGEST_EXIF:
            lost.append("EXIF is left out, too long for a JPEG")
        elif exif and file_format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
            options["exif"] = exif
        if file_format == "JPEG":
            tables = getattr(self._image, "quantization", None)
            if quality is None and tables and image.mode == self._image.mode:
                options["qtables"] = tables
                options["subsampling"] = JpegImagePlugin.get_sampling(self._image)
            else:
                options["quality"] = quality or 92
            options["progressive"] = bool(self._image.info.get("progressive"))
        elif file_format == "WEBP":
            options["quality"] = quality or 90
            options["lossless"] = quality is None and self.format in ("PNG", "TIFF", "GIF", "BMP")
        elif file_format == "AVIF":
            options["quality"] = quality or 90
        elif file_format == "TIFF":
            compression = self._image.info.get("compression")
            options["compression"] = compression if compression in TIFF_LOSSLESS else "tiff_adobe_deflate"
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
        """The photo's XMP packet without what a crop makes untrue: orientation, thumbnail, crop settings."""
        xmp = self._image.info.get("xmp") or self._image.info.get("XML:com.adobe.xmp")
        if isinstance(xmp, str):
            xmp = xmp.encode()
        if not isinstance(xmp, bytes):
            return None
        # XMP writes a property as an attribute or as an element.
        xmp = re.sub(rb"(tiff:Orientation=[\"'])[2-8]", rb"\g<1>1", xmp)
        xmp = re.sub(rb"(<tiff:Orientation>)\s*[2-8]\s*(</)", rb"\g<1>1\g<2>", xmp)
        xmp = re.sub(rb"<(xmp|xap):Thumbnails>.*?</\1:Thumbnails>", b"", xmp, flags=re.DOTALL)
        xmp = re.sub(rb"\s(crs:(HasCrop|Crop\w+)|exif:Pixel[XY]Dimension)=(\"[^\"]*\"|'[^']*')", b"", xmp)
        return re.sub(rb"<(crs:HasCrop|crs:Crop\w+|exif:Pixel[XY]Dimension)>[^<]*</\1>", b"", xmp)


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


def is_picture_name(path: Path) -> bool:
    """Whether the extension of *path* stands for a picture format, also for one that can be read only."""
    Image.init()
    return path.suffix.lower() in Image.registered_extensions()


def write_atomically(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file under a temporary name beside its own and rename it: it is there whole, or not at all.

    Args:
        path: of the file.
        content: of the file.
        like: a file whose modification time it gets: photo libraries sort by it.

    Raises:
        PhotoError: the folder cannot be made or written to.
    """
    temporary = path.with_name(f".autocrop-{secrets.token_hex(4)}.tmp")  # short: names have a limit
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
        raise PhotoError(_missing(path)) from error
    except IsADirectoryError as error:
        raise PhotoError(
            f"{path} is a folder, not a photo. Name the photos in it, for example {path}/*.jpg."
        ) from error
    except UnidentifiedImageError as error:
        kind = UNREADABLE.get(path.suffix.lower())
        if kind:
            message = f"{path} is a {kind} photo, which autocrop cannot read. Export it as JPEG, PNG or TIFF first."
        else:
            message = f"{path} is not a photo in a format that autocrop can read (JPEG, PNG, WebP, AVIF, TIFF, GIF)."
        raise PhotoError(message) from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{path} has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, too many.") from error
    except PermissionError as error:
        raise PhotoError(f"{path} cannot be read ({error.strerror}).") from error
    except Exception as error:  # PhotoError, or whatever a codec raises
        raise error if isinstance(error, PhotoError) else _damaged(str(path), error) from error


def _missing(path: Path) -> str:
    """Why a path that does not exist may have been given."""
    if str(path).startswith(("http:/", "https:/")):
        return f"{path} is an address. Download the photo first."
    if any(sign in path.name for sign in "*?["):
        return f"{path} matches no file. Upper and lower case differ: *.JPG is not *.jpg."
    return f"{path} does not exist."


def _damaged(name: str, error: Exception) -> PhotoError:
    return PhotoError(f"{name} is damaged or cut short ({error}). Get the file again from its source.")


def _has_16_bit_colour(image: Image.Image) -> bool:
    """Whether the file has 16 bits a channel of colour; Pillow reads those with 8."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    bits = getattr(image, "tag_v2", {}).get(TIFF_BITS, (8,))
    return max(bits) > 8 or any("16" in str(tile[3]) for tile in getattr(image, "tile", []))


def _readable_exif(image: Image.Image) -> Image.Exif:
    """The EXIF, empty where it is too damaged to be read: that is no reason not to crop the photo."""
    try:
        exif = image.getexif()
        exif.get(ORIENTATION)
        return exif
    except Exception:
        return Image.Exif()


def _as_rgb(image: Image.Image) -> Image.Image:
    """For analysis only: 8-bit RGB, 16-bit grey scaled down, transparency over white."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image, np.float32)
        peak = next((peak for peak in (1, 255) if grey.max() <= peak), 65535)
        image = Image.fromarray((grey.clip(0, peak) * (255 / peak)).astype(np.uint8))
    if _has_transparency(image):
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    return image.convert("RGB")


def _has_transparency(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _for_format(image: Image.Image, file_format: str) -> Image.Image:
    """Convert what the format cannot hold: JPEG has neither palette nor alpha, WebP and AVIF no CMYK or grey."""
    if file_format == "JPEG" and image.mode not in ("RGB", "L", "CMYK", "YCbCr"):
        return _as_rgb(image)
    if file_format in ("WEBP", "AVIF") and image.mode not in ("RGB", "RGBA"):
        if image.mode.startswith("I") or image.mode == "F":
            return _as_rgb(image)
        return image.convert("RGBA" if _has_transparency(image) else "RGB")
    if file_format == "PNG" and image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB")
    return image


def _colours(mode: str) -> str:
    """The kind of ICC profile that a mode needs: grey, CMYK, Lab or RGB."""
    if mode in ("1", "L", "LA", "F") or mode.startswith("I"):
        return "grey"
    return {"CMYK": "cmyk", "LAB": "lab"}.get(mode, "rgb")


def _metadata(exif: Image.Exif) -> bytes:
    """What of *exif* is metadata, as bytes; without the thumbnail, which would show the uncropped photo."""
    try:
        copy = Image.Exif()
        if exif:
            copy.load(exif.tobytes())
        for tag in (STRUCTURE | UNTRUE | {TIFF_XMP, TIFF_ICC}) & set(copy):
            del copy[tag]
        return copy.tobytes() if copy else b""
    except Exception:  # damaged tags that Pillow reads and cannot write again
        return b""
