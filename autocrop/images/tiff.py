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
    file.seek(0)
    header = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(header[:4])
    if order is None or len(header) < 8:
        raise ValueError("no TIFF directory")
    return order, _read_directory(file, order, struct.unpack(order + "I", header[4:])[0], 0)


def _read_directory(file: BinaryIO, order: str, offset: int, depth: int) -> Directory:
    file.seek(offset)
    head = file.read(2)
    if len(head) < 2 or depth > MAX_DEPTH:
        return {}
    (fields,) = struct.unpack(order + "H", head)
    if fields > MAX_FIELDS:
        return {}
    table = file.read(12 * fields)
    directory: Directory = {}
    for start in range(0, len(table) - 11, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", table, start)
        size = TYPE_SIZES.get(kind, 0) * count
        if not 0 < size <= MAX_VALUE_BYTES:
            continue
        inline = table[start + 8 : start + 12]
        if tag in SUBDIRECTORIES and count == 1 and kind in (LONG, IFD):
            subdirectory = _read_directory(file, order, struct.unpack(order + "I", inline)[0], depth + 1)
            if subdirectory:
                directory[tag] = Value(LONG, bytes(4), subdirectory)
            continue
        if size > 4:
            file.seek(struct.unpack(order + "I", inline)[0])
            content = file.read(size)
        else:
            content = inline[:size]
        if len(content) == size:
            directory[tag] = Value(kind, _swap_bytes(content, kind, order))
    return directory


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
    directory.update(fields)
    data += b"\0" * (len(data) % 2)
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + serialize(directory, order, len(data))
