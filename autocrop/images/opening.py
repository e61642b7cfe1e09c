"""Open a photo: choose the decoder for a path or bytes, or explain why the photo cannot be read."""

from __future__ import annotations

import dataclasses
import io
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from autocrop.errors import PhotoError
from autocrop.images import metadata_reader, tiff
from autocrop.images.containers import may_have_more_scans
from autocrop.images.decoding import Decoder, PillowDecoder, SixteenBitDecoder, has_sixteen_bit_color
from autocrop.images.formats import HEIF_SUFFIXES, RAW_SUFFIXES, enable_heif, installed_readable_formats
from autocrop.images.limits import MAX_PIXELS, pillow_limit, too_large
from autocrop.images.raw import RawDecoder

READ_WHOLE = (b"\xff\xd8", b"\x89PNG", b"RIFF")
"""First bytes of JPEG, PNG and WebP files. They are read whole, since their metadata may be anywhere in the file."""
TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
"""First bytes of TIFF files; those of BigTIFF differ."""
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
"""Brands of HEIF files (ISO base media). AVIF files may have the last two as well; Pillow recognizes those first."""
HEAD_SIZE = 1 << 16
"""Bytes at the beginning of a file that are enough to recognize its format and to find the boxes of an AVIF or HEIC."""
BLOCK_SIZE = 4096
"""Bytes in a block of a file system, the least that an interrupted copy loses. Fewer zeros may belong to EXIF."""
MAX_SCANS = 1000
"""Scans of a progressive JPEG. Encoders write about ten; decoding thousands takes hours."""
SCAN_MARKER, END_MARKER = b"\xff\xda", b"\xff\xd9"


def open_decoder(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> Decoder:
    """Open a photo without decoding it.

    Args:
        source: Path or content of the file.
        name: Name of the photo in error messages.
        max_pixels: Limit on the number of pixels.

    Raises:
        PhotoError: The file does not exist, is empty, is not a photo in a supported format, is damaged, or has too
            many pixels.
    """
    head = _read_head(source, name)
    if not head:
        raise PhotoError(f"{name} is empty (0 bytes).")
    suffix = Path(name).suffix.lower()
    if suffix in RAW_SUFFIXES and not head.startswith(READ_WHOLE):
        return RawDecoder(source, name, max_pixels)
    try:
        return _open_with_pillow(source, head, name, max_pixels)
    except UnidentifiedImageError as error:
        if (head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS) or suffix in HEIF_SUFFIXES:
            return _open_heif(source, head, name, max_pixels)
        raise PhotoError(
            f"{name} is not a photo in a format that autocrop can read (JPEG, PNG, WebP, AVIF, TIFF, GIF, HEIC, raw)."
        ) from error


def _open_heif(source: Path | bytes, head: bytes, name: str, max_pixels: int) -> Decoder:
    """Open a file that Pillow could not identify before HEIF was enabled."""
    if not enable_heif():
        raise PhotoError(
            f"{name} is a HEIC photo. To read it, run: pip install 'autocrop-photo[heif]'. "
            "Or export it as JPEG, PNG or TIFF first."
        )
    try:
        return _open_with_pillow(source, head, name, max_pixels)
    except UnidentifiedImageError as error:
        raise damaged(name, "it contains no HEIC picture") from error


def _open_with_pillow(source: Path | bytes, head: bytes, name: str, max_pixels: int) -> Decoder:
    try:
        if isinstance(source, Path) and head.startswith(READ_WHOLE):
            data = source.read_bytes()
        else:
            data = b"" if isinstance(source, Path) else source
        repaired = _without_excess(source) if head.startswith(TIFF_SIGNATURES) else None
        data = repaired or data
        with pillow_limit(max_pixels), warnings.catch_warnings():
            # Pillow warns about possible decompression bombs and about damaged EXIF.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data) if data else source, formats=installed_readable_formats())
            if image.width * image.height > max_pixels:
                raise too_large(name, image.size, max_pixels)
            if image.format in ("JPEG", "MPO"):
                _check_jpeg(data, len(image.getbands()))
            if image.format in ("WEBP", "AVIF", "HEIF") and _ends_in_zeros(source):
                raise PhotoError("its end is missing")
            if image.format in ("AVIF", "HEIF") and isinstance(source, Path):
                data = head
            is_deep = has_sixteen_bit_color(image)
            decoder = SixteenBitDecoder(image, data, data or source) if is_deep else PillowDecoder(image, data)
            if repaired:
                notes = (*decoder.metadata.notes, metadata_reader.EXCESS_NOTE)
                decoder.metadata = dataclasses.replace(decoder.metadata, notes=notes)
            return decoder
    except UnidentifiedImageError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(
            f"{name} has more pixels than the limit of {max_pixels:,}. If you trust it, raise --max-pixels."
        ) from error
    except PhotoError as error:
        raise error if name in str(error) else damaged(name, error) from error
    except Exception as error:  # codecs raise all kinds of exceptions for damaged files
        raise damaged(name, error) from error


def _without_excess(source: Path | bytes) -> bytes | None:
    """Return the content of a TIFF without the tags that would take Pillow hours; None if there are none."""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        return tiff.without_excess(file)


def _check_jpeg(data: bytes, components: int) -> None:
    """Reject JPEGs that Pillow would decode to a half-gray picture, or only after hours.

    Args:
        data: Content of the file.
        components: Components of a pixel. A decoder stops after a scan that has all of them.

    Raises:
        PhotoError: The end is missing and filled with zeros, as in an interrupted copy, or there are more scans than
            any encoder writes.
    """
    # Searching megabytes is slow, so the quick checks come first.
    if data.endswith(bytes(64)) and data.find(END_MARKER, data.rfind(SCAN_MARKER)) < 0:
        raise PhotoError("its end is missing")
    if may_have_more_scans(data, components) and data.count(SCAN_MARKER) > MAX_SCANS:
        raise PhotoError(f"it has more than {MAX_SCANS} scans")


def _ends_in_zeros(source: Path | bytes) -> bool:
    """Return True if a file ends in a block of zeros, as after an interrupted copy. Compressed pictures never do."""
    if isinstance(source, bytes):
        return source.endswith(bytes(BLOCK_SIZE))
    with source.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - BLOCK_SIZE))
        return size > BLOCK_SIZE and not any(file.read())


def _read_head(source: Path | bytes, name: str) -> bytes:
    """Read the beginning of a file."""
    if isinstance(source, bytes):
        return source[:HEAD_SIZE]
    try:
        with source.open("rb") as file:
            return file.read(HEAD_SIZE)
    except FileNotFoundError as error:
        raise _not_found(source) from error
    except IsADirectoryError as error:
        raise PhotoError(
            f"{name} is a folder, not a photo. Name the photos in it, for example {name}/*.jpg."
        ) from error
    except OSError as error:
        raise PhotoError(f"{name} cannot be read ({error.strerror or error}).") from error


def _not_found(path: Path) -> PhotoError:
    """Return the error for a path that does not exist, with advice for common mistakes."""
    if str(path).startswith(("http:/", "https:/")):
        return PhotoError(f"{path} is a web address. Download the photo first.")
    if any(sign in path.name for sign in "*?["):
        return PhotoError(f"{path} matches no file. Upper and lower case matter: *.JPG does not match *.jpg.")
    return PhotoError(f"{path} does not exist.")


def damaged(name: str, reason: object) -> PhotoError:
    """Return the error for a file that its decoder cannot read.

    Args:
        name: Name of the photo.
        reason: The decoder's exception, or a description.
    """
    text = " ".join(str(reason).split()).rstrip(".")  # some decoders' messages have several lines
    return PhotoError(f"{name} is damaged or cut short ({text}). Get a new copy from its source.")
