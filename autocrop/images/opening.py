"""From a path or bytes to the decoder that reads it, or to a sentence that says why there is none."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from autocrop.errors import PhotoError
from autocrop.images import raw
from autocrop.images.decoding import Decoder, DeepDecoder, PillowDecoder, check_is_whole, is_deep
from autocrop.images.pixels import pillow_limit
from autocrop.images.raw import too_large
from autocrop.images.saving import HEIF_SUFFIXES

MAX_PIXELS = 500_000_000
"""By default. The largest backs for cameras have 150 megapixels, stitched panoramas a few hundred; 500 take 1.5 GB of
memory as RGB, which most computers have. Bombs claim thousands."""
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "DIB", "JPEG2000", "PPM", "TGA", "HEIF")
"""Pillow's formats that are photos. Of its others some start programs (EPS) or are exotic, and more open to attack."""
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp")
) | {*HEIF_SUFFIXES, *raw.SUFFIXES}
"""Extensions of the files in a folder that are taken for photos. A file that is named may have any."""
BLOCK = 4096
"""Bytes: the least that file systems lose. EXIF at the end of a file may have some zeros of its own."""
READ_WHOLE = (b"\xff\xd8", b"\x89PNG", b"RIFF")
"""How files begin whose metadata and coding lie between other parts: JPEG, PNG, WebP."""
BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
"""Of ISO base media files that are HEIF; AVIF, too, has the last two, and is asked first."""


def open_decoder(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> Decoder:
    """Open a photo without decoding it.

    Raises:
        PhotoError: it does not exist, is empty, is no photo in a format that can be read, is damaged or too large.
    """
    head = _head(source, name)
    if not head:
        raise PhotoError(f"{name} is empty (0 bytes).")
    suffix = Path(name).suffix.lower()
    if suffix in raw.SUFFIXES and not head.startswith(READ_WHOLE):
        return raw.RawDecoder(source, name, max_pixels)
    try:
        return _open(source, head, name, max_pixels)
    except UnidentifiedImageError as error:
        if (head[4:8] == b"ftyp" and head[8:12] in BRANDS) or suffix in HEIF_SUFFIXES:
            if not enable_heif():
                raise PhotoError(
                    f"{name} is a HEIC photo. To read it: pip install 'autocrop-photo[heif]'. "
                    "Or export it as JPEG, PNG or TIFF first."
                ) from error
            try:
                return _open(source, head, name, max_pixels)
            except UnidentifiedImageError as again:
                raise damaged(name, "no HEIC picture in it") from again
        raise PhotoError(
            f"{name} is not a photo in a format that autocrop can read (JPEG, PNG, WebP, AVIF, TIFF, GIF, HEIC, raw)."
        ) from error


def _open(source: Path | bytes, head: bytes, name: str, max_pixels: int) -> Decoder:
    try:
        if isinstance(source, Path) and head.startswith(READ_WHOLE):
            data = source.read_bytes()
        else:
            data = b"" if isinstance(source, Path) else source
        with pillow_limit(max_pixels), warnings.catch_warnings():
            # Pillow warns of what may be a bomb, and of damaged EXIF.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data) if data else source, formats=_formats())
            if image.width * image.height > max_pixels:
                raise PhotoError(too_large(name, image.width, image.height, max_pixels))
            if image.format in ("JPEG", "MPO"):
                check_is_whole(data, len(image.getbands()))
            if image.format in ("WEBP", "AVIF", "HEIF") and _ends_in_zeros(source):
                raise PhotoError("its end is missing")
            if image.format == "AVIF" and isinstance(source, Path):
                data = head
            if is_deep(image):
                return DeepDecoder(image, data, data or source)
            return PillowDecoder(image, data)
    except UnidentifiedImageError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(
            f"{name} has more pixels than the limit of {max_pixels:,}. If you trust it, raise --max-pixels."
        ) from error
    except PhotoError as error:
        raise error if name in str(error) else damaged(name, error) from error
    except Exception as error:  # whatever a codec raises, the file is at fault
        raise damaged(name, error) from error


def _ends_in_zeros(source: Path | bytes) -> bool:
    """Whether a file ends in a block of zeros, as a copy does that broke off; compressed pictures never do."""
    if isinstance(source, bytes):
        return source.endswith(bytes(BLOCK))
    with source.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - BLOCK))
        return size > BLOCK and not any(file.read())


def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def enable_heif() -> bool:
    """Let Pillow read and write HEIC, if the extra ``[heif]`` is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    if "HEIF" not in Image.OPEN:
        Image.init()
        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return True


def _head(source: Path | bytes, name: str) -> bytes:
    """The first bytes of a file."""
    if isinstance(source, bytes):
        return source[: 1 << 16]
    try:
        with source.open("rb") as file:
            return file.read(1 << 16)
    except FileNotFoundError as error:
        raise PhotoError(_missing(source)) from error
    except IsADirectoryError as error:
        raise PhotoError(
            f"{name} is a folder, not a photo. Name the photos in it, for example {name}/*.jpg."
        ) from error
    except OSError as error:
        raise PhotoError(f"{name} cannot be read ({error.strerror or error}).") from error


def _missing(path: Path) -> str:
    """Why a path that does not exist may have been given."""
    if str(path).startswith(("http:/", "https:/")):
        return f"{path} is an address. Download the photo first."
    if any(sign in path.name for sign in "*?["):
        return f"{path} matches no file. Upper and lower case differ: *.JPG is not *.jpg."
    return f"{path} does not exist."


def damaged(name: str, error: object) -> PhotoError:
    """The sentence for a file that its decoder cannot make sense of."""
    reason = " ".join(str(error).split()).rstrip(".")  # some decoders' reasons are of several lines
    return PhotoError(f"{name} is damaged or cut short ({reason}). Get the file again from its source.")
