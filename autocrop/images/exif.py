"""EXIF put right in place: what a crop makes untrue is changed, every other byte stays where it was.

Rewriting the directories would move the maker's notes, whose offsets only the camera's maker knows.
The layout is that of TIFF 6.0 and of EXIF 2.32 (CIPA DC-008), sections 4.5 and 4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from autocrop.images.orientation import ORIENTATION
from autocrop.images.tiff import EXIF_IFD, LONG, SHORT

WIDTH, HEIGHT = 0x0100, 0x0101
EXIF_WIDTH, EXIF_HEIGHT = 0xA002, 0xA003
SUBJECT = {0x9214, 0xA214}
"""SubjectArea and SubjectLocation, in pixels of the uncropped photo."""
PICTURES = {0x0201: 0x0202, 0x0111: 0x0117}
"""Tags with the offset of a thumbnail's data, and those with its length."""
PREFIX = b"Exif\0\0"


class Entry(NamedTuple):
    """One field of a directory."""

    position: int
    """Of its twelve bytes."""
    tag: int
    type: int
    values: int
    """How many."""


class Directories:
    """EXIF as bytes that can be changed in place.

    Args:
        exif: from the byte order on, with or without JPEG's prefix.

    Raises:
        ValueError: it is no EXIF.
    """

    def __init__(self, exif: bytes) -> None:
        self.data = bytearray(exif.removeprefix(PREFIX))
        order = {b"II": "<", b"MM": ">"}.get(bytes(self.data[:2]))
        if order is None:
            raise ValueError("EXIF without a byte order")
        self._order = order
        self.first = self._number("I", 4)

    def _number(self, code: str, position: int) -> int:
        try:
            return int(struct.unpack_from(self._order + code, self.data, position)[0])
        except struct.error as error:
            raise ValueError("EXIF that ends too early") from error

    def entries(self, directory: int) -> Iterator[Entry]:
        """The fields of the directory at that position."""
        for number in range(self._number("H", directory)):
            position = directory + 2 + 12 * number
            yield Entry(
                position, self._number("H", position), self._number("H", position + 2), self._number("I", position + 4)
            )

    def next_pointer(self, directory: int) -> int:
        """Position of the link to the following directory."""
        return directory + 2 + 12 * self._number("H", directory)

    def value(self, entry: Entry) -> int:
        """The first value of a field of whole numbers, or an offset."""
        return self._number("H" if entry.type == SHORT else "I", entry.position + 8)

    def put(self, entry: Entry, value: int) -> None:
        """Make one whole number the value of a field."""
        kind = SHORT if entry.type == SHORT and value < 1 << 16 else LONG
        packed = struct.pack(self._order + ("H" if kind == SHORT else "I"), value).ljust(4, b"\0")
        struct.pack_into(self._order + "HHI4s", self.data, entry.position, entry.tag, kind, 1, packed)

    def find(self, directory: int, tag: int) -> Entry | None:
        """The field of that tag."""
        return next((entry for entry in self.entries(directory) if entry.tag == tag), None)

    def drop(self, directory: int, tags: set[int]) -> None:
        """Take fields out of a directory. The others move up inside it; what they point to stays."""
        end = self.next_pointer(directory) + 4
        entries = list(self.entries(directory))
        kept = [bytes(self.data[e.position : e.position + 12]) for e in entries if e.tag not in tags]
        body = struct.pack(self._order + "H", len(kept)) + b"".join(kept) + bytes(self.data[end - 4 : end])
        self.data[directory:end] = body.ljust(end - directory, b"\0")

    def unlink_thumbnail(self) -> None:
        """Drop the second directory and blank the pictures that it points to."""
        link = self.next_pointer(self.first)
        second = self._number("I", link) if link + 4 <= len(self.data) else 0
        self.data[link : link + 4] = bytes(4)[: max(0, len(self.data) - link)]
        if not 0 < second < len(self.data) - 2:
            return
        entries = {entry.tag: entry for entry in self.entries(second)}
        for start_tag, length_tag in PICTURES.items():
            if start_tag in entries and length_tag in entries and entries[start_tag].values == 1:
                start, length = self.value(entries[start_tag]), self.value(entries[length_tag])
                self._blank(start, length)
        self._blank(second, self.next_pointer(second) + 4 - second)

    def _blank(self, start: int, length: int) -> None:
        end = min(start + length, len(self.data))
        if not 8 <= start < end:
            return
        if end == len(self.data):
            del self.data[start:]  # usually: cameras write the thumbnail last
        else:
            self.data[start:end] = bytes(end - start)


def adapted(exif: bytes, size: tuple[int, int], turned: bool) -> bytes:
    """EXIF that is true of a crop: size, orientation; no thumbnail, no positions of subjects.

    Args:
        exif: from the byte order on, with or without JPEG's prefix.
        size: (width, height) of the crop as it is stored.
        turned: the crop is stored upright.

    Raises:
        ValueError: it is damaged.
    """
    found = Directories(exif)
    found.unlink_thumbnail()
    for entry in list(found.entries(found.first)):
        if entry.tag == ORIENTATION and turned:
            found.put(entry, 1)
        elif entry.tag in (WIDTH, HEIGHT):
            found.put(entry, size[entry.tag == HEIGHT])
        elif entry.tag == EXIF_IFD:
            details = found.value(entry)
            for detail in list(found.entries(details)):
                if detail.tag in (EXIF_WIDTH, EXIF_HEIGHT):
                    found.put(detail, size[detail.tag == EXIF_HEIGHT])
            if any(detail.tag in SUBJECT for detail in found.entries(details)):
                found.drop(details, SUBJECT)
    return bytes(found.data)


def without_orientation(exif: bytes) -> bytes:
    """EXIF without the orientation tag.

    Raises:
        ValueError: it is damaged.
    """
    found = Directories(exif)
    found.drop(found.first, {ORIENTATION})
    return bytes(found.data)


def orientation_only(orientation: int) -> bytes:
    """The smallest EXIF that says how a photo is to be turned."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", ORIENTATION, SHORT, 1, orientation, 0) + bytes(4)
