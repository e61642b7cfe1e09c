"""Open a photo: choose the decoder for a path or bytes, or explain why the photo cannot be read."""

from __future__ import annotations

import dataclasses
import io
import re
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from autocrop.errors import PhotoError
from autocrop.images import metadata_reader, tiff
from autocrop.images.containers import END_MARKER, PNG_SIGNATURE, may_have_more_scans, without_long_texts
from autocrop.images.decoding import Decoder, PillowDecoder, SixteenBitDecoder, has_sixteen_bit_color
from autocrop.images.formats import HEIF_SUFFIXES, RAW_SUFFIXES, enable_heif, installed_readable_formats
from autocrop.images.jpeg_scans import read_scans, with_end_marker
from autocrop.images.limits import MAX_PIXELS, pillow_limit, too_large
from autocrop.images.raw import RawDecoder
from autocrop.images.tiff_decoder import TiffDecoder
from autocrop.images.tiff_layout import Layout
from autocrop.images.tiff_pages import SelectedPage, select_page
from autocrop.images.unsupported import describe

READ_WHOLE = (b"\xff\xd8", b"\x89PNG", b"RIFF")
"""First bytes of JPEG, PNG and WebP files. They are read whole, since their metadata may be anywhere in the file."""
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
"""Brands of HEIF files (ISO base media). AVIF files may have the last two as well; Pillow recognizes those first."""
BIG_TIFF = (b"II+\0", b"MM\0+")
"""First bytes of BigTIFF files. Pillow does not read the big-endian ones."""
HEAD_SIZE = 1 << 16
"""Bytes at the beginning of a file that are enough to recognize its format and to find the boxes of an AVIF or HEIC."""
BLOCK_SIZE = 4096
"""Bytes in a file system block, the least that an interrupted copy loses. Fewer zeros may belong to EXIF."""
MAX_BYTES_PER_PIXEL = 8
"""Maximum bytes per pixel when decoding a TIFF, for the limit on pixels: RGBA with 16 bits per channel."""
MAX_SCANS = 1000
"""Maximum number of scans in a progressive JPEG. Encoders write about ten; decoding thousands takes hours."""
SCAN_MARKER = b"\xff\xda"
SCAN_HEADER = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
"""A scan marker with the length and the number of components that belong to it. Videos contain markers by chance."""
MISSING_MARKER_NOTE = "the end marker of the file is missing, but the picture is complete"


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
    if head[:4] in tiff.HEADERS:
        return _open_tiff(source, head, name, max_pixels)
    try:
        return _open_with_pillow(source, head, name, max_pixels)
    except UnidentifiedImageError as error:
        if (head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS) or suffix in HEIF_SUFFIXES:
            return _open_heif(source, head, name, max_pixels)
        kind = describe(head)
        if kind:
            raise PhotoError(
                f"{name} is {kind}, which autocrop cannot read. Convert it to JPEG, PNG or TIFF first."
            ) from error
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


def _open_tiff(source: Path | bytes, head: bytes, name: str, max_pixels: int) -> Decoder:
    """Open the page of a TIFF that is cropped."""
    try:
        page = select_page(source)
        layout = Layout.of_page(page.directory)
    except (ValueError, OSError) as error:
        raise damaged(name, error) from error
    decoder = _open_page(page, layout, head, name, max_pixels)
    if page.is_exceeded:
        notes = (*decoder.metadata.notes, metadata_reader.EXCESS_NOTE)
        decoder.metadata = dataclasses.replace(decoder.metadata, notes=notes)
    return decoder


def _open_page(page: SelectedPage, layout: Layout, head: bytes, name: str, max_pixels: int) -> Decoder:
    """Open a page of a TIFF with Pillow if it is of a common kind, or else with our own decoder."""
    if layout.is_known and (not layout.is_plain or head[:4] in BIG_TIFF):
        if layout.problem:
            raise _unsupported_tiff(name, layout.problem)
        size = layout.width, layout.height
        if layout.width * layout.height > max_pixels or layout.decoded_bytes > max_pixels * MAX_BYTES_PER_PIXEL:
            raise too_large(name, size, max_pixels)
        return TiffDecoder(page.source, page.order, page.directory, layout, page.notes)
    try:
        return _open_with_pillow(page.source, head, name, max_pixels, page.notes)
    except UnidentifiedImageError as error:
        raise _unsupported_tiff(name, layout.description) from error


def _unsupported_tiff(name: str, reason: str) -> PhotoError:
    return PhotoError(
        f"{name} is a TIFF of a kind that autocrop cannot read ({reason}). "
        "Convert it to RGB or gray with 8 or 16 bits per channel first."
    )


def _open_with_pillow(
    source: Path | bytes, head: bytes, name: str, max_pixels: int, notes: tuple[str, ...] = ()
) -> Decoder:
    """Open a photo with Pillow. *notes* are about the other pages of a TIFF."""
    try:
        if isinstance(source, Path) and head.startswith(READ_WHOLE):
            data = source.read_bytes()
        else:
            data = b"" if isinstance(source, Path) else source
        with pillow_limit(max_pixels), warnings.catch_warnings():
            # Pillow warns about possible decompression bombs and about damaged EXIF.
            warnings.simplefilter("ignore")
            if data.startswith(PNG_SIGNATURE):
                data_without_texts = without_long_texts(data)
                image = Image.open(io.BytesIO(data_without_texts), formats=("PNG",))
            else:
                image = Image.open(io.BytesIO(data) if data else source, formats=installed_readable_formats())
            if image.width * image.height > max_pixels:
                raise too_large(name, image.size, max_pixels)
            if image.format in ("JPEG", "MPO"):
                checked = _check_jpeg(data, len(image.getbands()))
                if checked is not data:
                    data, notes = checked, (MISSING_MARKER_NOTE,)
                    image = Image.open(io.BytesIO(data), formats=("JPEG",))
            if image.format in ("WEBP", "AVIF", "HEIF") and _ends_in_zeros(source):
                raise PhotoError("its end is missing")
            if image.format in ("AVIF", "HEIF") and isinstance(source, Path):
                data = head
            if has_sixteen_bit_color(image):
                if not data and isinstance(source, Path):
                    data = source.read_bytes()
                return SixteenBitDecoder(image, data)
            return PillowDecoder(image, data, source, notes)
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


def _check_jpeg(data: bytes, components: int) -> bytes:
    """Reject JPEGs that Pillow would decode to a half-gray picture, or only after hours.

    Args:
        data: Content of the file.
        components: Components of a pixel. A decoder stops after a scan that has all of them.

    Returns:
        The content, with an end marker if only that was missing.

    Raises:
        ValueError: The end of the picture is missing, or there are more scans than any encoder writes.
    """
    # Searching megabytes is slow, so the quick checks come first.
    has_many_markers = may_have_more_scans(data, components) and data.count(SCAN_MARKER) > MAX_SCANS
    if has_many_markers and len(SCAN_HEADER.findall(data)) > MAX_SCANS:
        raise ValueError(f"it has more than {MAX_SCANS} scans")
    if data.endswith(END_MARKER):
        return data
    scans = read_scans(data)
    return data if scans.end is not None else with_end_marker(data, scans)


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
