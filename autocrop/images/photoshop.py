"""Photoshop image resources: the blocks that hold IPTC in JPEG, PNG and TIFF files.

Source: Adobe Photoshop File Formats Specification, section "Image Resource Blocks".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

SIGNATURE = b"8BIM"
"""First bytes of each resource."""
JPEG_HEADER = b"Photoshop 3.0\0"
"""First bytes of a JPEG segment that holds resources."""
IPTC = 1028
"""Number of the resource that holds IPTC."""
INVALIDATED_RESOURCES = {1032, 1033, 1036, 1050, 1058, 1059, 1060, 1065, 1069, 1072, *range(2000, 3000)}
"""Resources that a crop invalidates (guides, thumbnails, slices, layers, paths) or that repeat EXIF and XMP."""


class Resource(NamedTuple):
    """One image resource."""

    number: int
    name: bytes
    """Pascal string as it is stored: length, characters, padding to an even length."""
    content: bytes


def parse(data: bytes) -> Iterator[Resource]:
    """Yield the resources in *data*. Parsing ends at the first damaged one."""
    position = 0
    while data[position : position + 4] == SIGNATURE and position + 12 <= len(data):
        (number,) = struct.unpack_from(">H", data, position + 4)
        name_end = position + 7 + data[position + 6]
        name_end += (name_end - position - 6) % 2
        if name_end + 4 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, name_end)
        start = name_end + 4
        if start + length > len(data):
            return
        yield Resource(number, data[position + 6 : name_end], data[start : start + length])
        position = start + length + length % 2


def serialize(resources: Iterable[Resource]) -> bytes:
    """Return resources as bytes: the inverse of :func:`parse`."""
    return b"".join(
        SIGNATURE
        + struct.pack(">H", number)
        + name
        + struct.pack(">I", len(content))
        + content
        + b"\0" * (len(content) % 2)
        for number, name, content in resources
    )


def iptc_of(data: bytes) -> bytes:
    """Return the IPTC records in *data*, or nothing if it has none."""
    return next((resource.content for resource in parse(data) if resource.number == IPTC), b"")


def replace_iptc(data: bytes, iptc: bytes) -> bytes:
    """Return the resources in *data* with other IPTC records, or without any if *iptc* is empty."""
    resources = [resource for resource in parse(data) if resource.number != IPTC]
    return serialize([*resources, Resource(IPTC, b"\0\0", iptc)] if iptc else resources)


def update_for_crop(data: bytes) -> bytes:
    """Return the resources in *data* without those that a crop invalidates."""
    return serialize(resource for resource in parse(data) if resource.number not in INVALIDATED_RESOURCES)
