"""The layout of an EXIF block: its directories, and which bytes they and their values occupy.

Edits in place need this map, since many programs write unusual layouts: a directory without the link to the next one,
links into other directories, and thumbnail offsets from before the block was rewritten.
The layout is described in TIFF 6.0 and in EXIF 2.32 (CIPA DC-008), sections 4.5 and 4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from typing import NamedTuple

from autocrop.images.tiff import BYTE, EXIF_IFD, GPS_IFD, IFD, INTEROPERABILITY_IFD, LONG, SHORT, TYPE_SIZES

PREFIX = b"Exif\0\0"
"""Bytes that precede EXIF in a JPEG."""
SUB_IFDS = 0x014A
"""Tag with the offsets of additional pictures' directories."""
POINTERS = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD, SUB_IFDS)
"""Tags whose value is the offset of another directory."""
HEADER_SIZE = 8
SPARE_BYTES = 1024
"""Allowance added to the limits on fields and value bytes, for very small blocks."""
MAX_ENTRIES = 20_000
"""Maximum number of fields in a block. Cameras write about a hundred."""


class Entry(NamedTuple):
    """One field of a directory."""

    position: int
    """Position of the field, which has 12 bytes, in the EXIF data."""
    tag: int
    type: int
    value_count: int
    inline: bytes
    """Last four bytes of the field: the value, or the offset of the value."""

    @property
    def size(self) -> int:
        """Bytes of the value; 0 if the type is unknown."""
        return TYPE_SIZES.get(self.type, 0) * self.value_count


class Directory(NamedTuple):
    """A directory of an EXIF block."""

    tag: int
    """Tag of the field that points to the directory; 0 for the first one."""
    position: int
    entries: tuple[Entry, ...]
    is_whole: bool
    """False if the block ends before the last field."""

    @property
    def end(self) -> int:
        """Position after the last field: that of the link to the next directory, if there is one."""
        return self.position + 2 + 12 * len(self.entries)


class ExifBlock:
    """An EXIF block and its directories.

    Args:
        exif: EXIF data, with or without the prefix that it has in a JPEG.

    Attributes:
        data: The block without the prefix, which may be changed in place.
        directories: The first directory, and those that it leads to through fields (not through links).
        spans: (start, end) of the header, of each directory and of each value that is stored outside of its field.

    Raises:
        ValueError: The data is not EXIF, or its directories overlap so often that they were crafted to take forever.
    """

    def __init__(self, exif: bytes) -> None:
        while exif.startswith(PREFIX):
            exif = exif.removeprefix(PREFIX)
        self.data = bytearray(exif)
        order = {b"II": "<", b"MM": ">"}.get(bytes(self.data[:2]))
        if order is None or len(self.data) < HEADER_SIZE:
            raise ValueError("EXIF has no byte order")
        self._order = order
        # Twice what fits into a block without overlaps, because two fields may share a value.
        self._entries_left = min(len(self.data) // 6, MAX_ENTRIES) + SPARE_BYTES
        self._bytes_left = 2 * len(self.data) + SPARE_BYTES
        self.spans: list[tuple[int, int]] = [(0, HEADER_SIZE)]
        self.directories: list[Directory] = []
        self._follow(self.number("I", 4))

    def number(self, code: str, position: int) -> int:
        """Return the integer with a :mod:`struct` code at a position.

        Raises:
            ValueError: The block ends there.
        """
        try:
            return int(struct.unpack_from(self._order + code, self.data, position)[0])
        except struct.error as error:
            raise ValueError("EXIF is cut short") from error

    def pack(self, code: str, *numbers: int) -> bytes:
        """Return integers as bytes in the block's byte order."""
        return struct.pack(self._order + code, *numbers)

    def _follow(self, first: int) -> None:
        """Read the first directory and all that it leads to."""
        waiting, seen = [(0, first)], {first}
        while waiting:
            tag, position = waiting.pop(0)
            directory = self.directory(position, tag)
            if directory is None:
                if not self.directories:
                    raise ValueError("EXIF has no directory")
                continue
            self.directories.append(directory)
            self.spans += self.spans_of(directory)
            for entry in directory.entries:
                if entry.tag in POINTERS and entry.type in (LONG, IFD):
                    for target in self._targets(entry):
                        if target not in seen:
                            seen.add(target)
                            waiting.append((entry.tag, target))

    def _targets(self, entry: Entry) -> list[int]:
        if entry.value_count == 1:
            return [self.value(entry)]
        start = self._offset(entry)
        if entry.tag != SUB_IFDS or start is None:
            return []
        return list(struct.unpack_from(f"{self._order}{entry.value_count}I", self.data, start))

    def directory(self, position: int, tag: int = 0) -> Directory | None:
        """Return the directory at a position; None if the block ends before its first field."""
        start = position + 2
        if position < HEADER_SIZE or start > len(self.data):
            return None
        count = self.number("H", position)
        complete = min(count, (len(self.data) - start) // 12)
        self._entries_left -= complete
        if self._entries_left < 0:
            raise ValueError("EXIF directories overlap too often")
        fields = struct.iter_unpack(self._order + "HHI4s", bytes(self.data[start : start + 12 * complete]))
        entries = tuple(Entry(start + 12 * number, *field) for number, field in enumerate(fields))
        return Directory(tag, position, entries, complete == count) if entries or not count else None

    def spans_of(self, directory: Directory) -> list[tuple[int, int]]:
        """Return (start, end) of a directory and of its values. Values that do not fit into the block have none."""
        spans = [(directory.position, directory.end)]
        for entry in directory.entries:
            if entry.size > 4:
                start = self._offset(entry)
                if start is not None:
                    spans.append((start, start + entry.size))
                    self._bytes_left -= entry.size
        if self._bytes_left < 0:
            raise ValueError("EXIF values overlap too often")
        return spans

    def value(self, entry: Entry) -> int:
        """Return the first integer in a field, which may be an offset."""
        code = {SHORT: "H", BYTE: "B"}.get(entry.type, "I")
        return int(struct.unpack_from(self._order + code, entry.inline)[0])

    def is_used(self, start: int, end: int) -> bool:
        """Return True if a directory or value lies between two positions."""
        return any(start < span_end and span_start < end for span_start, span_end in self.spans)

    def link(self) -> int | None:
        """Return the position of the link to the thumbnail's directory; None if the first directory has no link.

        Some programs, such as piexif, write the values directly after the last field.
        """
        first = self.directories[0]
        has_link = first.is_whole and first.end + 4 <= len(self.data) and not self.is_used(first.end, first.end + 4)
        return first.end if has_link else None

    def content(self, ignored: Container[int]) -> list[tuple[int, ...] | tuple[int, int, int, bytes]]:
        """Return all directories, and the tag, type, count and value of each field except the *ignored* tags."""
        content: list[tuple[int, ...] | tuple[int, int, int, bytes]] = []
        for directory in self.directories:
            content.append((directory.tag, directory.position))
            for entry in directory.entries:
                if entry.tag not in ignored:
                    content.append((entry.tag, entry.type, entry.value_count, self._bytes_of(entry)))
        return content

    def _offset(self, entry: Entry) -> int | None:
        """Return the position of a value that is stored outside of its field; None if it does not fit there."""
        start = int(struct.unpack(self._order + "I", entry.inline)[0])
        return start if start >= HEADER_SIZE and start + entry.size <= len(self.data) else None

    def _bytes_of(self, entry: Entry) -> bytes:
        start = self._offset(entry) if entry.size > 4 else None
        return entry.inline if start is None else bytes(self.data[start : start + entry.size])
