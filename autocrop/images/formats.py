"""File formats that autocrop reads and writes, and their file extensions."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from autocrop.errors import PhotoError

READABLE_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "DIB", "JPEG2000", "PPM", "TGA", "HEIF")
"""Pillow's names of the formats that are opened. Pillow's other formats run external programs (EPS) or are so rare
that their decoders are an easy target for attacks."""
SIXTEEN_BIT_FORMATS = ("PNG", "TIFF")
"""Formats in which 16 bits per channel are written."""
ALPHA_FORMATS = ("PNG", "WEBP", "AVIF", "TIFF")
"""Formats in which circular crops are written: their corners need an alpha channel."""
LOSSLESS_FORMATS = ("PNG", "TIFF", "WEBP")
"""Formats in which a losslessly encoded photo stays lossless."""
MAX_SIDES = {"JPEG": 65_500, "MPO": 65_500, "WEBP": 16_383, "AVIF": 32_768, "GIF": 65_535, "TGA": 65_535}
"""Longest side in pixels that a file of each format can have: what libjpeg writes, what libavif reads, and what fits
into the size fields of the other formats. Formats that are not listed have no relevant limit."""
HEIF_SUFFIXES = (".heic", ".heif", ".hif")
# fmt: off
RAW_SUFFIXES = frozenset((
    ".3fr", ".ari", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dcs", ".dng", ".erf", ".fff",
    ".gpr", ".iiq", ".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".raf",
    ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))
"""Extensions of the camera raw formats that LibRaw reads."""
# fmt: on
PHOTO_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp")
) | {*HEIF_SUFFIXES, *RAW_SUFFIXES}
"""Extensions of the files in a folder that are treated as photos. A file that you name may have any extension."""


def enable_heif() -> bool:
    """Let Pillow read and write HEIC. Return False if the extra ``[heif]`` is not installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    if "HEIF" not in Image.OPEN:
        Image.init()
        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return True


def installed_readable_formats() -> tuple[str, ...]:
    """Return those of :data:`READABLE_FORMATS` that this installation of Pillow supports."""
    Image.init()
    return tuple(name for name in READABLE_FORMATS if name in Image.OPEN)


def format_of(path: Path) -> str:
    """Return Pillow's name for the output format of the extension of *path*.

    Raises:
        PhotoError: The extension is unknown, or its format cannot be written.
    """
    Image.init()
    suffix = path.suffix.lower()
    if suffix in HEIF_SUFFIXES:
        enable_heif()
    file_format = Image.registered_extensions().get(suffix)
    if file_format is None or file_format not in Image.SAVE:
        raise PhotoError(f"'{path.suffix}' is not a format that autocrop can write. Use .jpg, .png, .webp or .tif.")
    return "JPEG" if file_format == "MPO" else file_format  # an MPO of one picture is a JPEG


def is_picture_name(path: Path) -> bool:
    """Return True if *path* has the extension of a picture format that can be read or written."""
    Image.init()
    suffix = path.suffix.lower()
    return suffix in PHOTO_SUFFIXES or suffix in Image.registered_extensions()


def check_sides(size: tuple[int, int], file_format: str) -> None:
    """Check that a picture of *size* (width, height) fits into a file of *file_format*.

    Raises:
        PhotoError: A side is longer than the format allows.
    """
    longest = MAX_SIDES.get(file_format)
    if longest is not None and max(size) > longest:
        raise PhotoError(
            f"{size[0]}x{size[1]} pixels do not fit into a {file_format} file, which allows {longest} pixels per side. "
            "Choose a smaller --size, or write PNG or TIFF."
        )
