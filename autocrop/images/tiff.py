"""Directories of TIFF files, EXIF and raw photos, read and written with every value's bytes as they are.

Pillow's own classes decode values and encode them again, which costs names written in UTF-8 and whatever is unusual.
The layout is that of TIFF 6.0, section 2.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 0x8769, 0x8825, 0xA005
DIRECTORIES = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)
"""Tags whose value is the place of another directory."""
BYTE, SHORT, LONG, UNDEFINED = 1, 3, 4, 7
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of one value of each type."""
SWAPPED = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""Bytes of what is stored in the file's byte order, by type; the others are single bytes."""
LARGEST = 1 << 26
"""Bytes of one value: more is damage."""
MOST = 4096
"""Fields of one directory: more is damage."""


@dataclass
class Value:
    """One field's value. The bytes are in little-endian order, whatever the file's is."""

    type: int
    content: bytes = b""
    directory: Directory = field(default_factory=dict)
    """What the field points to, where it is one of :data:`DIRECTORIES`."""

    @property
    def count(self) -> int:
        """How many numbers or characters."""
        return len(self.content) // SIZES[self.type]

    def numbers(self) -> list[int]:
        """Whole numbers without sign; of other types none."""
        code = {BYTE: "B", SHORT: "H", LONG: "I"}.get(self.type)
        return list(struct.unpack(f"<{self.count}{code}", self.content)) if code else []


Directory = dict[int, Value]


def shorts(*numbers: int) -> Value:
    """A value of 16-bit numbers."""
    return Value(SHORT, struct.pack(f"<{len(numbers)}H", *numbers))


def rational(numerator: int, denominator: int) -> Value:
    """A value of one fraction."""
    return Value(5, struct.pack("<II", numerator, denominator))


def read(file: BinaryIO) -> tuple[str, Directory]:
    """The byte order, ``<`` or ``>``, and the first directory of a file; values that are damaged are left out.

    Raises:
        ValueError: it is no TIFF.
    """
    file.seek(0)
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None or len(head) < 8:
        raise ValueError("no TIFF directory")
    return order, _directory(file, order, struct.unpack(order + "I", head[4:])[0], 0)


def _directory(file: BinaryIO, order: str, position: int, depth: int) -> Directory:
    file.seek(position)
    count = file.read(2)
    if len(count) < 2 or depth > 2:
        return {}
    (number,) = struct.unpack(order + "H", count)
    if number > MOST:
        return {}
    table = file.read(12 * number)
    found: Directory = {}
    for start in range(0, len(table) - 11, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", table, start)
        size = SIZES.get(kind, 0) * values
        if not 0 < size <= LARGEST:
            continue
        inline = table[start + 8 : start + 12]
        if tag in DIRECTORIES and values == 1 and kind in (LONG, 13):
            inside = _directory(file, order, struct.unpack(order + "I", inline)[0], depth + 1)
            if inside:
                found[tag] = Value(LONG, bytes(4), inside)
            continue
        if size > 4:
            file.seek(struct.unpack(order + "I", inline)[0])
            content = file.read(size)
        else:
            content = inline[:size]
        if len(content) == size:
            found[tag] = Value(kind, _ordered(content, kind, order))
    return found


def _ordered(content: bytes, kind: int, order: str) -> bytes:
    """Bytes turned from a byte order to little-endian, or back."""
    width = SWAPPED.get(kind, 1)
    if order == "<" or width == 1:
        return content
    return np.frombuffer(content, f"u{width}").byteswap().tobytes()


def written(directory: Directory, order: str, place: int) -> bytes:
    """A directory, and all that it points to, for the place in a file at which it will stand (an even number)."""
    tags = sorted(directory)
    table_end = place + 2 + 12 * len(tags) + 4
    table, behind = bytearray(struct.pack(order + "H", len(tags))), bytearray()
    for tag in tags:
        value = directory[tag]
        content = _ordered(value.content, value.type, order)
        if value.directory:
            here = table_end + len(behind)
            behind += written(value.directory, order, here)
            content = struct.pack(order + "I", here)
        elif len(content) > 4:
            here = table_end + len(behind)
            behind += content + b"\0" * (len(content) % 2)
            content = struct.pack(order + "I", here)
        table += struct.pack(order + "HHI4s", tag, value.type, value.count, content.ljust(4, b"\0"))
    return bytes(table + bytes(4) + behind)


def standalone(directory: Directory, order: str) -> bytes:
    """A file, or EXIF, of nothing but a directory."""
    return {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8) + written(directory, order, 8)


def with_fields(data: bytes, change: Callable[[Directory], None]) -> bytes:
    """A TIFF with its first directory changed. The new one stands at the end; pixels stay where they are."""
    order, directory = read(io.BytesIO(data))
    change(directory)
    data += b"\0" * (len(data) % 2)
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + written(directory, order, len(data))
