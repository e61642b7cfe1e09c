"""Check that the sensor data of a camera raw photo is complete. LibRaw fills missing data with black or noise.

Most raw formats are built like TIFF; Canon's CR3 consists of ISO base media boxes (ISO 14496-12, section 4.2).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from autocrop.images.containers import END_MARKER
from autocrop.images.tiff import DirectoryReader
from autocrop.images.tiff_layout import Layout
from autocrop.images.tiff_pages import SUB_DIRECTORIES, is_thumbnail_or_mask

MISSING_END = "its end is missing"
JPEG_COMPRESSION = 7
BLOCK_SIZE = 4096
"""Bytes in a file system block, the least that an interrupted copy loses."""
MAX_ZERO_TAIL = 1 << 16
"""Trailing zeros that mean a file of unknown structure is incomplete. Cameras pad files by up to a few blocks."""
MAX_SUB_DIRECTORIES = 64
"""Maximum number of subdirectories. Cameras write up to five; more than the maximum are a sign of damage."""


def check_complete(data: bytes) -> None:
    """Check that a raw photo contains all of its sensor data.

    Args:
        data: Content of the file. Formats that differ from TIFF only in their signature must have TIFF's here.

    Raises:
        ValueError: Sensor data is missing.
    """
    try:
        layouts = list(_layouts(data))
    except ValueError:  # not built like TIFF
        layouts = []
        if data[4:8] == b"ftyp":
            _check_boxes(data)
    for layout in layouts:
        for offset, count in zip(layout.offsets, layout.byte_counts, strict=False):
            _check_block(data, offset, count, layout.compression)
    if not layouts and data.endswith(bytes(MAX_ZERO_TAIL)):
        raise ValueError(MISSING_END)


def _layouts(data: bytes) -> Iterator[Layout]:
    """Yield the layouts of the full-resolution pictures."""
    reader = DirectoryReader(io.BytesIO(data))
    for page in reader.pages():
        offsets = page.directory[SUB_DIRECTORIES].integers if SUB_DIRECTORIES in page.directory else ()
        directories = [reader.directory(offset)[0] for offset in offsets[:MAX_SUB_DIRECTORIES]]
        for directory in (page.directory, *directories):
            try:
                layout = Layout.of_page(directory)
            except ValueError:  # not a picture
                continue
            if not is_thumbnail_or_mask(directory):
                yield layout


def _check_block(data: bytes, offset: int, count: int, compression: int) -> None:
    """Check that a strip or tile lies inside the file, and that its end has been written."""
    if offset + count > len(data):
        raise ValueError(MISSING_END)
    tail = data[max(offset, offset + count - BLOCK_SIZE) : offset + count]
    has_no_end = compression == JPEG_COMPRESSION and END_MARKER not in tail
    if count and (has_no_end or not any(tail)):
        raise ValueError(MISSING_END)


def _check_boxes(data: bytes) -> None:
    """Check that all boxes of a file are complete."""
    position = 0
    while position + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, position)
        if size == 1:
            (size,) = struct.unpack(">Q", data[position + 8 : position + 16].rjust(8, b"\xff"))
        if size == 0:  # the box extends to the end of the file
            return
        if size < 8 or position + size > len(data):
            raise ValueError(MISSING_END)
        position += size
    if any(data[position:]):  # less than the header of a box
        raise ValueError(MISSING_END)
