"""Edit EXIF in place: update what a crop invalidates and leave every other byte where it is.

Rewriting the directories would move the maker notes, which contain offsets that only the camera's maker understands.
The layout is described in TIFF 6.0 and in EXIF 2.32 (CIPA DC-008), sections 4.5 and 4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from autocrop.images.orientation import ORIENTATION
from autocrop.images.tiff import EXIF_IFD, LONG, SHORT

WIDTH, HEIGHT = 0x0100, 0x0101
EXIF_WIDTH, EXIF_HEIGHT = 0xA002, 0xA003
SUBJECT_TAGS = {0x9214, 0xA214}
"""SubjectArea and SubjectLocation, in pixels of the uncropped photo."""
THUMBNAIL_TAGS = {0x0201: 0x0202, 0x0111: 0x0117}
"""Tags with the offset of a thumbnail, and the tags with its length: JPEG and uncompressed."""
PREFIX = b"Exif\0\0"
"""Bytes that precede EXIF in a JPEG."""


class Entry(NamedTuple):
    """One field of a directory."""

    position: int
    """Position of its twelve bytes in the EXIF data."""
    tag: int
    type: int
    value_count: int


class ExifEditor:
    """EXIF data that can be changed in place.

    Args:
        exif: EXIF data, with or without the prefix that it has in a JPEG.

    Raises:
        ValueError: The data is not EXIF.
    """

    def __init__(self, exif: bytes) -> None:
        self.data = bytearray(exif.removeprefix(PREFIX))
        order = {b"II": "<", b"MM": ">"}.get(bytes(self.data[:2]))
        if order is None:
            raise ValueError("EXIF without a byte order")
        self._order = order
        self.first_directory = self._read_number("I", 4)

    def _read_number(self, code: str, position: int) -> int:
        try:
            return int(struct.unpack_from(self._order + code, self.data, position)[0])
        except struct.error as error:
            raise ValueError("EXIF that ends too early") from error

    def entries(self, directory: int) -> Iterator[Entry]:
        """Yield the fields of the directory at position *directory*."""
        for number in range(self._read_number("H", directory)):
            position = directory + 2 + 12 * number
            yield Entry(
                position,
                self._read_number("H", position),
                self._read_number("H", position + 2),
                self._read_number("I", position + 4),
            )

    def next_link(self, directory: int) -> int:
        """Return the position of the link to the next directory."""
        return directory + 2 + 12 * self._read_number("H", directory)

    def value(self, entry: Entry) -> int:
        """Return the first value of a field of integers, or an offset."""
        return self._read_number("H" if entry.type == SHORT else "I", entry.position + 8)

    def set_value(self, entry: Entry, value: int) -> None:
        """Replace the value of a field by one integer."""
        kind = SHORT if entry.type == SHORT and value < 1 << 16 else LONG
        packed = struct.pack(self._order + ("H" if kind == SHORT else "I"), value).ljust(4, b"\0")
        struct.pack_into(self._order + "HHI4s", self.data, entry.position, entry.tag, kind, 1, packed)

    def remove_fields(self, directory: int, tags: set[int]) -> None:
        """Remove fields from a directory. The other fields move up inside it; the values they point to stay."""
        end = self.next_link(directory) + 4
        entries = list(self.entries(directory))
        remaining = [bytes(self.data[e.position : e.position + 12]) for e in entries if e.tag not in tags]
        body = struct.pack(self._order + "H", len(remaining)) + b"".join(remaining) + bytes(self.data[end - 4 : end])
        self.data[directory:end] = body.ljust(end - directory, b"\0")

    def remove_thumbnail(self) -> None:
        """Unlink the second directory, and overwrite it and the thumbnails that it points to with zeros."""
        link = self.next_link(self.first_directory)
        second = self._read_number("I", link) if link + 4 <= len(self.data) else 0
        self.data[link : link + 4] = bytes(4)[: max(0, len(self.data) - link)]
        if not 0 < second < len(self.data) - 2:
            return
        entries = {entry.tag: entry for entry in self.entries(second)}
        for offset_tag, length_tag in THUMBNAIL_TAGS.items():
            if offset_tag in entries and length_tag in entries and entries[offset_tag].value_count == 1:
                self._erase(self.value(entries[offset_tag]), self.value(entries[length_tag]))
        self._erase(second, self.next_link(second) + 4 - second)

    def _erase(self, start: int, length: int) -> None:
        end = min(start + length, len(self.data))
        if not 8 <= start < end:
            return
        if end == len(self.data):
            del self.data[start:]  # the usual case: cameras write the thumbnail last
        else:
            self.data[start:end] = bytes(end - start)


def update_for_crop(exif: bytes, size: tuple[int, int], upright: bool) -> bytes:
    """Update EXIF for a crop: set size and orientation, remove the thumbnail and the position of the subject.

    Args:
        exif: EXIF data, with or without the prefix that it has in a JPEG.
        size: (width, height) of the crop as it is stored.
        upright: True if the crop is stored upright, False if it keeps the photo's orientation tag.

    Raises:
        ValueError: The EXIF data is damaged.
    """
    editor = ExifEditor(exif)
    editor.remove_thumbnail()
    for entry in list(editor.entries(editor.first_directory)):
        if entry.tag == ORIENTATION and upright:
            editor.set_value(entry, 1)
        elif entry.tag in (WIDTH, HEIGHT):
            editor.set_value(entry, size[entry.tag == HEIGHT])
        elif entry.tag == EXIF_IFD:
            _update_exif_directory(editor, editor.value(entry), size)
    return bytes(editor.data)


def _update_exif_directory(editor: ExifEditor, directory: int, size: tuple[int, int]) -> None:
    for entry in list(editor.entries(directory)):
        if entry.tag in (EXIF_WIDTH, EXIF_HEIGHT):
            editor.set_value(entry, size[entry.tag == EXIF_HEIGHT])
    if any(entry.tag in SUBJECT_TAGS for entry in editor.entries(directory)):
        editor.remove_fields(directory, SUBJECT_TAGS)


def without_orientation(exif: bytes) -> bytes:
    """Return EXIF without its orientation tag.

    Raises:
        ValueError: The EXIF data is damaged.
    """
    editor = ExifEditor(exif)
    editor.remove_fields(editor.first_directory, {ORIENTATION})
    return bytes(editor.data)


def orientation_only(orientation: int) -> bytes:
    """Return the smallest EXIF data that has an orientation."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", ORIENTATION, SHORT, 1, orientation, 0) + bytes(4)
