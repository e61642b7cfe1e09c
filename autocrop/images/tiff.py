"""Read and write the directories of TIFF files, EXIF and camera raw without decoding the values.

Pillow decodes the values and encodes them again, which loses text in UTF-8 and everything unusual.
The layout is described in TIFF 6.0, section 2.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 0x8769, 0x8825, 0xA005
SUBDIRECTORIES = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)
"""Tags whose value is the offset of another directory."""
BYTE, SHORT, LONG, RATIONAL, UNDEFINED, IFD = 1, 3, 4, 5, 7, 13
"""Field types."""
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of one value of each field type."""
WORD_SIZES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""Bytes of the numbers that make up a value and depend on the byte order. The other field types are single bytes."""
MAX_VALUE_BYTES = 1 << 26
"""Longer values are a sign of damage."""
MAX_FIELDS = 4096
"""Directories with more fields are a sign of damage."""
MAX_DEPTH = 2
"""Deeper nesting is a sign of damage: the first directory points to EXIF, and EXIF to interoperability."""
SPARE_BYTES = 1 << 16
"""Added to the limits on what is read, for the smallest files."""


@dataclass
class Value:
    """The value of a field. Its bytes are little-endian, regardless of the file's byte order."""

    type: int
    content: bytes = b""
    directory: Directory = field(default_factory=dict)
    """The directory that the field points to, if its tag is one of :data:`SUBDIRECTORIES`."""

    @property
    def count(self) -> int:
        """Number of values of :attr:`type` in the field."""
        return len(self.content) // TYPE_SIZES[self.type]


Directory = dict[int, Value]
"""Values by tag."""


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
    reader = _Reader(file)
    return reader.order, reader.read()


def read_bounded(file: BinaryIO) -> tuple[str, Directory, bool]:
    """Return the results of :func:`read`, and True if fields were left out because of :class:`_Reader`'s limits."""
    reader = _Reader(file)
    directory = reader.read()
    return reader.order, directory, reader.is_exceeded


def without_excess(file: BinaryIO) -> bytes | None:
    """Return a copy of a TIFF without the fields that exceed the limits; None if there are no such fields.

    Decoders read every field of the file's directories, which takes gigabytes and hours for crafted files.

    Raises:
        ValueError: The file is not a TIFF.
    """
    if not _Reader(file, reads_values=False).exceeds():
        return None
    order, directory = read(file)
    file.seek(0)
    return _replace_directory(file.read(), order, directory)


class _Reader:
    """Reads directories, with limits on entries and bytes that are proportional to the size of the file.

    Directories that point to each other, and fields whose values overlap, would otherwise let a small file take any
    amount of time and memory.

    Args:
        file: The file.
        reads_values: False to look only for excess.

    Raises:
        ValueError: The file is not a TIFF.
    """

    def __init__(self, file: BinaryIO, reads_values: bool = True) -> None:
        self._file, self._reads_values = file, reads_values
        self._size = file.seek(0, io.SEEK_END)
        # Each byte may be part of two values or tables: programs share values, but do not repeat that.
        self._bytes_left = 2 * self._size + SPARE_BYTES
        self._visited: set[int] = set()
        self.is_exceeded = False
        file.seek(0)
        header = file.read(8)
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(header[:4])
        if order is None or len(header) < 8:
            raise ValueError("no TIFF directory")
        self.order = order
        (self._first,) = struct.unpack(order + "I", header[4:])

    def read(self) -> Directory:
        """Return the first directory."""
        return self._read_directory(self._first, 0)

    def exceeds(self) -> bool:
        """Return True if the directories exceed the limits."""
        self.read()
        return self.is_exceeded

    def _read_directory(self, offset: int, depth: int) -> Directory:
        if offset in self._visited or depth > MAX_DEPTH:
            return {}
        self._visited.add(offset)
        self._file.seek(offset)
        head = self._file.read(2)
        if len(head) < 2:
            return {}
        (fields,) = struct.unpack(self.order + "H", head)
        if not self._take(12 * fields if fields <= MAX_FIELDS else self._bytes_left + 1):
            return {}
        table = self._file.read(12 * fields)
        directory: Directory = {}
        for tag, kind, count, inline in struct.iter_unpack(self.order + "HHI4s", table[: len(table) // 12 * 12]):
            if tag in SUBDIRECTORIES and count == 1 and kind in (LONG, IFD):
                subdirectory = self._read_directory(struct.unpack(self.order + "I", inline)[0], depth + 1)
                if subdirectory:
                    directory[tag] = Value(LONG, bytes(4), subdirectory)
                continue
            content = self._read_value(TYPE_SIZES.get(kind, 0) * count, inline)
            if content:
                directory[tag] = Value(kind, _swap_bytes(content, kind, self.order))
        return directory

    def _read_value(self, size: int, inline: bytes) -> bytes:
        """Return a value; nothing if it is damaged or exceeds the limits."""
        if not 0 < size <= MAX_VALUE_BYTES:
            return b""
        if size <= 4:
            return inline[:size]
        (offset,) = struct.unpack(self.order + "I", inline)
        if offset + size > self._size or not self._take(size) or not self._reads_values:
            return b""
        self._file.seek(offset)
        content = self._file.read(size)
        return content if len(content) == size else b""

    def _take(self, size: int) -> bool:
        """Return True if that many more bytes may be read."""
        if size > self._bytes_left:
            self.is_exceeded = True
            return False
        self._bytes_left -= size
        return True


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
    return {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8) + serialize(directory, order, 8)


def update_fields(data: bytes, fields: Directory) -> bytes:
    """Return a TIFF file with fields added to its first directory, or replaced there.

    The new directory is appended to the file; the pixels stay where they are.
    """
    order, directory = read(io.BytesIO(data))
    return _replace_directory(data, order, directory | fields)


def _replace_directory(data: bytes, order: str, directory: Directory) -> bytes:
    """Append a directory to a TIFF file and make it the first one."""
    data += b"\0" * (len(data) % 2)
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + serialize(directory, order, len(data))
