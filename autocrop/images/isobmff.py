"""Boxes of AVIF and HEIC files that describe the picture.

Sources: ISO/IEC 14496-12 (boxes), 23008-12 (items and their properties).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from autocrop.images.color import Cicp

MAX_BOXES = 4096
"""Maximum number of boxes or associations to read from a container. Files of 48 tiles have a few hundred."""


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and content of each box in *data*, which may end in the middle of a box."""
    position = 0
    for _ in range(MAX_BOXES):
        if position + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        end = len(data) if size == 0 else position + size
        if end < position + header:
            return
        yield kind, data[position + header : end]
        position = end


def cicp_of(data: bytes) -> Cicp | None:
    """Return the code points of the primary picture's color; None if the file has none.

    Args:
        data: Content of the file, or at least its beginning.
    """
    meta = dict(boxes(data)).get(b"meta", b"")[4:]
    children = dict(boxes(meta))
    properties = dict(boxes(children.get(b"iprp", b"")))
    contents = list(boxes(properties.get(b"ipco", b"")))
    try:
        indices = _property_indices(properties.get(b"ipma", b""), _primary_item(children.get(b"pitm", b"")))
    except (struct.error, IndexError):
        indices = []
    chosen = [contents[index - 1] for index in indices if 0 < index <= len(contents)]
    for kind, content in chosen or contents:
        if kind == b"colr" and content.startswith(b"nclx") and len(content) >= 8:
            return Cicp(*struct.unpack_from(">HH", content, 4))
    return None


def with_cicp(data: bytes, cicp: Cicp) -> bytes:
    """Return a file that contains one picture, with its code points replaced."""
    position = data.find(b"colrnclx")
    if position < 0:
        return data
    return data[: position + 8] + struct.pack(">HH", *cicp) + data[position + 12 :]


def _primary_item(pitm: bytes) -> int:
    return int(struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)[0])


def _property_indices(ipma: bytes, item: int) -> list[int]:
    """Return the numbers of an item's properties, counted from 1."""
    wide_item, wide_index = ipma[0] > 0, bool(ipma[3] & 1)
    (entries,) = struct.unpack_from(">I", ipma, 4)
    position = 8
    for _ in range(min(entries, MAX_BOXES)):
        (number,) = struct.unpack_from(">I" if wide_item else ">H", ipma, position)
        position += 4 if wide_item else 2
        count = ipma[position]
        indices = struct.unpack_from(f">{count}{'H' if wide_index else 'B'}", ipma, position + 1)
        position += 1 + count * (2 if wide_index else 1)
        if number == item:
            return [index & (0x7FFF if wide_index else 0x7F) for index in indices]
    return []
