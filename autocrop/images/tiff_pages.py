"""Choose the page of a TIFF file that is cropped."""

from __future__ import annotations

import io
import itertools
import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from autocrop.images.tiff import Directory, DirectoryReader, Page, replace_directory
from autocrop.images.tiff_layout import COLOR_CHANNELS, PHOTOMETRIC

NEW_SUBFILE_TYPE, OLD_SUBFILE_TYPE, SUB_DIRECTORIES = 254, 255, 330
"""TIFF tags."""
REDUCED_OR_MASK = 1 | 4
"""Bits of :data:`NEW_SUBFILE_TYPE` of pages that only accompany a full-resolution page."""
OLD_REDUCED = 2
"""Value of :data:`OLD_SUBFILE_TYPE` of a thumbnail."""
PALETTE, YCBCR = 3, 6
"""Values of :data:`PHOTOMETRIC` that only Pillow reads."""
MAX_PAGES = 10_000
"""Maximum number of pages to count. The largest document scans have a few thousand."""


@dataclass(frozen=True)
class SelectedPage:
    """The page of a TIFF file that is cropped."""

    order: str
    """Byte order of the file, ``<`` or ``>``."""
    directory: Directory
    source: Path | bytes
    """Path or content of the file; its first page is the selected one."""
    notes: tuple[str, ...]
    """Notes for the user about the other pages."""
    is_exceeded: bool
    """True if fields are missing because they exceed the limits of :class:`DirectoryReader`. Then *source* is a copy
    without them: decoders read all fields of a page, which may take gigabytes and hours."""


def select_page(source: Path | bytes) -> SelectedPage:
    """Return the first page of a TIFF in full resolution.

    Raises:
        ValueError: The file has no page.
        OSError: The file cannot be read.
    """
    with closing(source.open("rb") if isinstance(source, Path) else io.BytesIO(source)) as file:
        reader = DirectoryReader(file)
        pages = list(itertools.islice(reader.pages(), MAX_PAGES))
        if not pages:
            raise ValueError("it has no page")
        photos = [page for page in pages if not is_thumbnail_or_mask(page.directory)]
        notes = []
        if not is_thumbnail_or_mask(pages[0].directory):
            selected = pages[0]
        else:
            candidates = photos or _subpages(reader, pages[0].directory)
            selected = candidates[0] if candidates else pages[0]
            if candidates:
                notes.append("the first page is a thumbnail, so the full-resolution page is used")
            else:
                notes.append("the file contains only a thumbnail")
    if len(photos) > 1:
        notes.append(f"only the first of {len(photos)} frames is kept")
    if selected.is_exceeded or selected is not pages[0]:
        data = source.read_bytes() if isinstance(source, Path) else source
        if selected.is_exceeded:
            source = replace_directory(data, reader.order, selected.directory)
        else:
            source = _with_first_page(data, reader.order, selected.offset)
    return SelectedPage(reader.order, selected.directory, source, tuple(notes), selected.is_exceeded)


def is_thumbnail_or_mask(directory: Directory) -> bool:
    """Return True for a page that only accompanies a page in full resolution."""

    def integer(tag: int) -> int:
        value = directory[tag].integers if tag in directory else ()
        return value[0] if value else 0

    return bool(integer(NEW_SUBFILE_TYPE) & REDUCED_OR_MASK) or integer(OLD_SUBFILE_TYPE) == OLD_REDUCED


def _subpages(reader: DirectoryReader, directory: Directory) -> list[Page]:
    """Return the full-resolution pages below a page."""
    offsets = directory[SUB_DIRECTORIES].integers if SUB_DIRECTORIES in directory else ()
    pages = [reader.page(offset) for offset in offsets[:MAX_PAGES]]
    return [page for page in pages if page.directory and _is_photo(page.directory)]


def _is_photo(directory: Directory) -> bool:
    """Return True for a page in full resolution that is not the sensor data of a camera."""
    photometric = directory[PHOTOMETRIC].integers if PHOTOMETRIC in directory else ()
    return not is_thumbnail_or_mask(directory) and set(photometric) <= {*COLOR_CHANNELS, PALETTE, YCBCR}


def _with_first_page(data: bytes, order: str, offset: int) -> bytes:
    """Return a TIFF file whose first page is the directory at *offset*."""
    is_big = data[2:4] in (b"+\0", b"\0+")
    start, code = (8, "Q") if is_big else (4, "I")
    link = struct.pack(order + code, offset)
    return data[:start] + link + data[start + len(link) :]
