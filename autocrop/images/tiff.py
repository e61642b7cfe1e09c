"""Read and write the directories of TIFF files, EXIF and camera raw without decoding the values.

Pillow decodes the values and encodes them again, which loses text in UTF-8 and everything unusual.
The layout is described in TIFF 6.0, section 2.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import numpy as np

EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 0x8769, 0x8825, 0xA005
SUBDIRECTORIES = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)
"""Tags whose value is the offset of another directory."""
BYTE, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED_LONG, IFD = 1, 3, 4, 5, 7, 9, 13
"""Field types."""
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of one value of each field type."""
WORD_SIZES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""Bytes per number in field types that depend on the byte order. Other field types consist of single bytes."""
BIG_TYPES = {16: LONG, 17: SIGNED_LONG, 18: LONG}
"""Field types of 64-bit integers, which only BigTIFF has, and the types as which they are returned."""
HEADERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
"""Byte order of a file that begins with these bytes, and whether it is a BigTIFF."""
SIGNATURES = {"<": b"II*\0", ">": b"MM\0*"}
"""First bytes of a TIFF file, but not a BigTIFF, by its byte order."""
MAX_VALUE_BYTES = 1 << 26
"""Longer values are a sign of damage."""
MAX_FIELDS = 4096
"""Directories with more fields are a sign of damage."""
MAX_READ_RATIO, SPARE_BYTES = 2, 1 << 16
"""Largest total size of all fields and values that are read, relative to the file, and an allowance for tiny files. Two
directories may share a value, so the ratio is more than 1, but programs do not share the same values repeatedly."""
MAX_DEPTH = 2
"""Deeper nesting is a sign of damage: the first directory points to EXIF, and EXIF to interoperability."""


@dataclass
class Value:
    """The value of a field. Its bytes are little-endian, regardless of the file's byte order."""

    type: int
    content: bytes = b""
    directory: Directory = field(default_factory=dict)
    """The directory that the field points to, if its tag is one of :data:`SUBDIRECTORIES`."""

    @property
    def integers(self) -> tuple[int, ...]:
        """The value as unsigned integers; empty if the field has any other type."""
        if self.type not in (BYTE, SHORT, LONG, IFD):
            return ()
        return tuple(np.frombuffer(self.content, f"<u{TYPE_SIZES[self.type]}").tolist())

    @property
    def count(self) -> int:
        """Number of values of :attr:`type` in the field."""
        return len(self.content) // TYPE_SIZES[self.type]


Directory = dict[int, Value]
"""Values by tag."""


class Page(NamedTuple):
    """A picture of a file."""

    offset: int
    """Position of its directory."""
    directory: Directory
    is_exceeded: bool = False
    """True if fields are missing because they exceed the limits of :class:`DirectoryReader`."""


def shorts(*numbers: int) -> Value:
    """Return a value of unsigned 16-bit numbers."""
    return Value(SHORT, struct.pack(f"<{len(numbers)}H", *numbers))


def rational(numerator: int, denominator: int) -> Value:
    """Return a value of one fraction."""
    return Value(RATIONAL, struct.pack("<II", numerator, denominator))


def read(file: BinaryIO) -> tuple[str, Directory]:
    """Return the byte order, ``<`` or ``>``, and the first directory of a file. Damaged values are left out.

    Raises:
        ValueError: The file is not a TIFF.
    """
    reader = DirectoryReader(file)
    return reader.order, reader.directory(reader.first)[0]


class DirectoryReader:
    """Reads the directories of a TIFF or BigTIFF.

    No directory is read twice, and the total size of all fields and values is limited. Otherwise a small crafted file,
    whose directories point at each other or whose values overlap, could take unlimited time and memory.

    Args:
        file: The file, which must stay open.

    Attributes:
        order: Byte order of the file, ``<`` or ``>``.
        first: Position of the first directory.
        is_exceeded: True if anything has been left out because of the limits.

    Raises:
        ValueError: The file is not a TIFF.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)
        header = file.read(16)
        self.order, self._is_big = HEADERS.get(header[:4], ("", False))
        self._offset_code, self._offset_size = ("Q", 8) if self._is_big else ("I", 4)
        start = 8 if self._is_big else 4
        if not self.order or len(header) < start + self._offset_size:
            raise ValueError("no TIFF directory")
        self.first = self._unpack(self._offset_code, header[start:])
        self.is_exceeded = False
        self._visited: set[int] = set()
        self._remaining_bytes = MAX_READ_RATIO * self._size + SPARE_BYTES

    def _unpack(self, code: str, data: bytes) -> int:
        return int(struct.unpack_from(self.order + code, data)[0])

    def pages(self) -> Iterator[Page]:
        """Yield the directories linked to the first one. Each describes one picture."""
        offset = self.first
        while offset and offset not in self._visited:
            page, offset = self._page(offset)
            if page.directory:
                yield page

    def page(self, offset: int) -> Page:
        """Return the picture whose directory is at a position of the file."""
        return self._page(offset)[0]

    def _page(self, offset: int) -> tuple[Page, int]:
        was_exceeded, self.is_exceeded = self.is_exceeded, False
        directory, next_offset = self.directory(offset)
        page = Page(offset, directory, self.is_exceeded)
        self.is_exceeded |= was_exceeded
        return page, next_offset

    def directory(self, offset: int, depth: int = 0) -> tuple[Directory, int]:
        """Return the directory at a position of the file, and the position of the next one, or 0.

        The directory is empty if it is damaged or has been read before.
        """
        count_size, field_size = (8, 20) if self._is_big else (2, 12)
        if offset in self._visited or depth > MAX_DEPTH:
            return {}, 0
        self._visited.add(offset)
        head = self._read(offset, count_size)
        if len(head) < count_size:
            return {}, 0
        count = self._unpack("Q" if self._is_big else "H", head)
        if count > MAX_FIELDS:
            self.is_exceeded = True
            return {}, 0
        table = self._read(offset + count_size, field_size * count + self._offset_size)
        directory: Directory = {}
        for start in range(0, min(len(table) + 1 - field_size, field_size * count), field_size):
            tag = self._unpack("H", table[start:])
            value = self._value(tag, table[start : start + field_size], depth)
            if value is not None:
                directory[tag] = value
        link = table[field_size * count :]
        return directory, self._unpack(self._offset_code, link) if len(link) == self._offset_size else 0

    def _value(self, tag: int, field: bytes, depth: int) -> Value | None:
        """Return the value of a field of a directory, or None if it is damaged or exceeds the limits."""
        kind, count = self._unpack("H", field[2:]), self._unpack(self._offset_code, field[4:])
        inline = field[-self._offset_size :]
        size = (8 if kind in BIG_TYPES else TYPE_SIZES.get(kind, 0)) * count
        if not 0 < size <= MAX_VALUE_BYTES:
            return None
        if tag in SUBDIRECTORIES and count == 1 and kind in (LONG, IFD, *BIG_TYPES):
            subdirectory, _ = self.directory(self._unpack(self._offset_code, inline), depth + 1)
            return Value(LONG, bytes(4), subdirectory) if subdirectory else None
        content = inline[:size] if size <= self._offset_size else self._content(inline, size)
        if len(content) < size:
            return None
        return self._narrow(kind, content) if kind in BIG_TYPES else Value(kind, _swap_bytes(content, kind, self.order))

    def _content(self, inline: bytes, size: int) -> bytes:
        """Return a value that is stored outside its directory, or nothing if it ends outside the file."""
        offset = self._unpack(self._offset_code, inline)
        return self._read(offset, size) if offset + size <= self._size else b""

    def _narrow(self, kind: int, content: bytes) -> Value | None:
        """Convert 64-bit integers to 32-bit ones, or return None if they do not fit."""
        signed = BIG_TYPES[kind] == SIGNED_LONG
        wide = np.frombuffer(content, self.order + ("i8" if signed else "u8"))
        narrow = wide.astype("<i4" if signed else "<u4")
        return Value(BIG_TYPES[kind], narrow.tobytes()) if np.array_equal(wide, narrow) else None

    def _read(self, offset: int, size: int) -> bytes:
        """Read bytes from the file: fewer at its end, and none beyond the limit on all reads together."""
        size = max(0, min(size, self._size - offset))
        if size > self._remaining_bytes:
            self.is_exceeded = True
            return b""
        self._remaining_bytes -= size
        self._file.seek(offset)
        return self._file.read(size)


def _swap_bytes(content: bytes, kind: int, order: str) -> bytes:
    """Convert a value from the byte order *order* to little-endian, or back."""
    width = WORD_SIZES.get(kind, 1)
    if order == "<" or width == 1:
        return content
    return np.frombuffer(content, f"u{width}").byteswap().tobytes()


def serialize(directory: Directory, order: str, offset: int) -> bytes:
    """Return a directory and everything it points to as bytes.

    Args:
        directory: The directory to write.
        order: Byte order, ``<`` or ``>``.
        offset: Position of the result in its file, an even number.
    """
    tags = sorted(directory)
    table_end = offset + 2 + 12 * len(tags) + 4
    table, values = bytearray(struct.pack(order + "H", len(tags))), bytearray()
    for tag in tags:
        value = directory[tag]
        content = _swap_bytes(value.content, value.type, order)
        if value.directory:
            position = table_end + len(values)
            values += serialize(value.directory, order, position)
            content = struct.pack(order + "I", position)
        elif len(content) > 4:
            position = table_end + len(values)
            values += content + b"\0" * (len(content) % 2)
            content = struct.pack(order + "I", position)
        table += struct.pack(order + "HHI4s", tag, value.type, value.count, content.ljust(4, b"\0"))
    return bytes(table + bytes(4) + values)


def serialize_file(directory: Directory, order: str) -> bytes:
    """Return a TIFF file, or EXIF, that consists of one directory."""
    return SIGNATURES[order] + struct.pack(order + "I", 8) + serialize(directory, order, 8)


def update_fields(data: bytes, fields: Directory) -> bytes:
    """Return a TIFF file with fields added to its first directory, or replaced there.

    The new directory is appended to the file; the pixels stay where they are.
    """
    order, directory = read(io.BytesIO(data))
    return replace_directory(data, order, directory | fields)


def replace_directory(data: bytes, order: str, directory: Directory) -> bytes:
    """Return a TIFF file with a new first directory, which is appended. A BigTIFF becomes an ordinary TIFF.

    Args:
        data: Content of a TIFF file in the byte order *order*.
        order: Byte order, ``<`` or ``>``.
        directory: The new directory.
    """
    data += b"\0" * (len(data) % 2)
    header = SIGNATURES[order] + struct.pack(order + "I", len(data))
    return header + data[8:] + serialize(directory, order, len(data))
