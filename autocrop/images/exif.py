"""Edit EXIF in place: update what a crop invalidates and leave every other byte where it is.

Rewriting the directories would move the maker notes, which contain offsets in undocumented formats.
Every edit is checked: if any other tag were to change, less is edited.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from autocrop.images.exif_block import PREFIX, Directory, Entry, ExifBlock
from autocrop.images.orientation import ORIENTATION
from autocrop.images.tiff import EXIF_IFD, LONG, SHORT, TYPE_SIZES

__all__ = ["PREFIX", "orientation_of", "orientation_only", "update_for_crop", "without_orientation"]

WIDTH, HEIGHT = 0x0100, 0x0101
EXIF_WIDTH, EXIF_HEIGHT = 0xA002, 0xA003
SUBJECT_TAGS = {0x9214, 0xA214}
"""SubjectArea and SubjectLocation, in pixels of the uncropped photo."""
EDITED_TAGS = {ORIENTATION, WIDTH, HEIGHT, EXIF_WIDTH, EXIF_HEIGHT, *SUBJECT_TAGS}
"""Tags that an update may change or remove."""
JPEG_THUMBNAIL = (0x0201, 0x0202)
RAW_THUMBNAIL = (0x0111, 0x0117)
"""Tags with the offset and the length of a thumbnail: JPEG and uncompressed."""
JPEG_START = b"\xff\xd8"
BYTES_PER_PIXEL = (1, 2, 3)
"""Bytes per pixel of an uncompressed thumbnail: gray, YCbCr with half the colors, and RGB or YCbCr."""
SUBJECT_NOTE = "the position of the subject in EXIF is left out"
KEPT_NOTE = (
    "the layout of EXIF is unusual: its thumbnail and the position of the subject still show the uncropped photo"
)


def update_for_crop(exif: bytes, size: tuple[int, int], upright: bool) -> tuple[bytes, list[str]]:
    """Update EXIF for a crop: set size and orientation, remove the thumbnail and the position of the subject.

    Args:
        exif: EXIF data, with or without the prefix that it has in a JPEG.
        size: (width, height) of the crop as it is stored.
        upright: True if the crop is stored upright, False if it keeps the photo's orientation tag.

    Returns:
        The updated EXIF, and notes for the user about what was removed or could not be updated.

    Raises:
        ValueError: The EXIF data is damaged.
    """
    original = ExifBlock(exif)

    def update_everything(block: ExifBlock) -> None:
        _remove_thumbnail(block)
        _update_values(block, size, upright)
        for directory in block.directories:
            if any(entry.tag in SUBJECT_TAGS for entry in directory.entries):
                _remove_fields(block, directory, SUBJECT_TAGS)

    def update_values(block: ExifBlock) -> None:
        _update_values(block, size, upright)

    has_subject = any(entry.tag in SUBJECT_TAGS for directory in original.directories for entry in directory.entries)
    edited = _edit(original, update_everything)
    if edited is not None:
        return edited, [SUBJECT_NOTE] if has_subject else []
    edited = _edit(original, update_values)
    if edited is not None:
        return edited, [KEPT_NOTE]
    raise ValueError("EXIF that cannot be edited in place")


def _edit(original: ExifBlock, change: Callable[[ExifBlock], None]) -> bytes | None:
    """Return a copy of a block with a change; None if the change affects a tag that it must not affect."""
    try:
        block = ExifBlock(bytes(original.data))
        change(block)
        edited = bytes(block.data)
        if ExifBlock(edited).content(EDITED_TAGS) == original.content(EDITED_TAGS):
            return edited
    except ValueError:  # the edited block can no longer be read
        pass
    return None


def _update_values(block: ExifBlock, size: tuple[int, int], upright: bool) -> None:
    for directory in block.directories:
        for entry in directory.entries:
            if directory.tag == 0 and entry.tag == ORIENTATION and upright:
                _set_value(block, entry, 1)
            elif directory.tag == 0 and entry.tag in (WIDTH, HEIGHT):
                _set_value(block, entry, size[entry.tag == HEIGHT])
            elif directory.tag == EXIF_IFD and entry.tag in (EXIF_WIDTH, EXIF_HEIGHT):
                _set_value(block, entry, size[entry.tag == EXIF_HEIGHT])


def _set_value(block: ExifBlock, entry: Entry, value: int) -> None:
    """Replace the value of a field by one integer."""
    kind = SHORT if entry.type == SHORT and value < 1 << 16 else LONG
    packed = block.pack("H" if kind == SHORT else "I", value).ljust(4, b"\0")
    block.data[entry.position : entry.position + 12] = block.pack("HHI", entry.tag, kind, 1) + packed


def _remove_fields(block: ExifBlock, directory: Directory, tags: set[int]) -> None:
    """Remove fields from a directory. The other fields move up inside it; the values they point to stay."""
    end = directory.end
    if directory.is_whole and end + 4 <= len(block.data) and not block.is_used(end, end + 4):
        link, end = bytes(block.data[end : end + 4]), end + 4
    else:  # the directory ends with its fields
        link = bytes(4)
    remaining = [
        bytes(block.data[entry.position : entry.position + 12]) for entry in directory.entries if entry.tag not in tags
    ]
    body = block.pack("H", len(remaining)) + b"".join(remaining) + link
    size = end - directory.position
    block.data[directory.position : end] = body[:size].ljust(size, b"\0")


def _remove_thumbnail(block: ExifBlock) -> None:
    """Clear the link to the thumbnail's directory, and overwrite that directory and the thumbnail with zeros.

    Bytes that belong to another directory or value are not touched.
    """
    link = block.link()
    if link is None:
        return
    position = block.number("I", link)
    second = None if block.is_used(position, position + 2) else _thumbnail_directory(block, position)
    if second is None and not block.is_used(position, position + 2):
        return  # the bytes after the fields are not a link
    block.data[link : link + 4] = bytes(4)
    if second is None:
        return
    spans = [(second.position, second.end + 4), *_thumbnails(block, second)]
    for start, end in sorted(spans, reverse=True):
        _erase(block, start, end)


def _thumbnail_directory(block: ExifBlock, position: int) -> Directory | None:
    """Return the directory at a position if its fields look like those of a thumbnail."""
    directory = block.directory(position)
    if directory is None or not directory.entries:
        return None
    if all(entry.type in TYPE_SIZES for entry in directory.entries):
        return directory
    return directory if JPEG_THUMBNAIL[0] in {entry.tag for entry in directory.entries} else None


def _thumbnails(block: ExifBlock, directory: Directory) -> list[tuple[int, int]]:
    """Return (start, end) of each thumbnail. An offset may be stale and point to something else."""
    values = {entry.tag: block.value(entry) for entry in directory.entries if entry.value_count == 1}
    thumbnails = []
    start, length = (values.get(tag, 0) for tag in JPEG_THUMBNAIL)
    if block.data[start : start + 2] == JPEG_START:
        thumbnails.append((start, start + length))
    start, length = (values.get(tag, 0) for tag in RAW_THUMBNAIL)
    area = values.get(WIDTH, 0) * values.get(HEIGHT, 0)
    if length and length in [area * size for size in BYTES_PER_PIXEL]:
        thumbnails.append((start, start + length))
    return thumbnails


def _erase(block: ExifBlock, start: int, end: int) -> None:
    """Overwrite bytes with zeros up to the next directory or value; cut them off at the end of the block."""
    if block.is_used(start, start + 1):
        return
    end = min([end, len(block.data), *(span_start for span_start, _ in block.spans if span_start > start)])
    if end == len(block.data):
        del block.data[start:]  # the usual case: cameras write the thumbnail last
    elif start < end:
        block.data[start:end] = bytes(end - start)


def orientation_of(exif: bytes) -> int:
    """Return the orientation in EXIF, 1 to 8. It is 1 if EXIF has none or cannot be read."""
    try:
        block = ExifBlock(exif)
    except ValueError:
        return 1
    values = [block.value(entry) for entry in block.directories[0].entries if entry.tag == ORIENTATION]
    return values[-1] if values and 1 <= values[-1] <= 8 else 1


def without_orientation(exif: bytes) -> bytes:
    """Return EXIF without its orientation tag.

    Raises:
        ValueError: The EXIF data is damaged.
    """
    block = ExifBlock(exif)
    if any(entry.tag == ORIENTATION for entry in block.directories[0].entries):
        _remove_fields(block, block.directories[0], {ORIENTATION})
    return bytes(block.data)


def orientation_only(orientation: int) -> bytes:
    """Return the smallest EXIF data that has an orientation."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", ORIENTATION, SHORT, 1, orientation, 0) + bytes(4)
