"""Photoshop image resources: the blocks that hold IPTC in JPEG, PNG and TIFF files.

Source: Adobe Photoshop File Formats Specification, section "Image Resource Blocks".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

SIGNATURE = b"8BIM"
"""First bytes of most resources."""
SIGNATURES = re.compile(rb"[A-Za-z0-9]{4}")
"""Other programs have signatures of their own, such as PHUT, MeSa, AgHg and DCSR; the structure is the same."""
JPEG_HEADERS = (b"Photoshop 3.0\0", b"Adobe_Photoshop2.5:")
"""First bytes of a JPEG segment that holds resources. The first is the one to write."""
IPTC = 1028
"""Number of the resource that holds IPTC."""
IPTC_MARKER = b"\x1c"
"""First byte of each IPTC record."""
MAX_RESOURCES = 10_000
"""Maximum number of resources. Photoshop writes a few dozen."""
INVALIDATED_RESOURCES = {1032, 1033, 1036, 1050, 1058, 1059, 1060, 1065, 1069, 1072, *range(2000, 3000)}
"""Resources that a crop invalidates (guides, thumbnails, slices, layers, paths) or that repeat EXIF and XMP."""


class Resource(NamedTuple):
    """One image resource."""

    number: int
    name: bytes
    """Pascal string as it is stored: length, characters, padding to an even length."""
    content: bytes
    signature: bytes = SIGNATURE


def parse(data: bytes) -> Iterator[Resource]:
    """Yield the resources in *data*. Parsing ends at the first damaged one."""
    for resource, _ in _parse(data):
        yield resource


def is_damaged(data: bytes) -> bool:
    """Return True if :func:`parse` does not reach the end of *data*, apart from zeros."""
    end = max((end for _, end in _parse(data)), default=0)
    return bool(data[end:].strip(b"\0"))


def _parse(data: bytes) -> Iterator[tuple[Resource, int]]:
    """Yield each resource and the position after it."""
    position = count = 0
    while SIGNATURES.match(data, position) and position + 12 <= len(data) and count < MAX_RESOURCES:
        count += 1
        (number,) = struct.unpack_from(">H", data, position + 4)
        name_end = position + 7 + data[position + 6]
        name_end += (name_end - position - 6) % 2
        if name_end + 4 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, name_end)
        start = name_end + 4
        end = start + length
        if end > len(data):
            return
        resource = Resource(number, data[position + 6 : name_end], data[start:end], data[position : position + 4])
        # The padding to an even length is missing in some files.
        is_padded = length % 2 == 1 and not (data[end : end + 4] == SIGNATURE != data[end + 1 : end + 5])
        position = end + is_padded
        yield resource, position


def serialize(resources: Iterable[Resource]) -> bytes:
    """Return resources as bytes: the inverse of :func:`parse`."""
    return b"".join(
        resource.signature
        + struct.pack(">H", resource.number)
        + resource.name
        + struct.pack(">I", len(resource.content))
        + resource.content
        + b"\0" * (len(resource.content) % 2)
        for resource in resources
    )


def from_profile(content: bytes) -> bytes:
    """Convert a profile that a program calls IPTC, either resources or bare IPTC records, to resources."""
    return replace_iptc(b"", content) if content.startswith(IPTC_MARKER) else content


def _is_iptc(resource: Resource) -> bool:
    return resource.number == IPTC and resource.signature == SIGNATURE


def iptc_of(data: bytes) -> bytes:
    """Return the IPTC records in *data*, or nothing if it has none."""
    return next((resource.content for resource in parse(data) if _is_iptc(resource)), b"")


def replace_iptc(data: bytes, iptc: bytes) -> bytes:
    """Return the resources in *data* with the IPTC records replaced, or removed if *iptc* is empty."""
    resources = [resource for resource in parse(data) if not _is_iptc(resource)]
    return serialize([*resources, Resource(IPTC, b"\0\0", iptc)] if iptc else resources)


def update_for_crop(data: bytes) -> bytes:
    """Return the resources in *data* without those that a crop invalidates."""
    return serialize(
        resource
        for resource in parse(data)
        if resource.signature != SIGNATURE or resource.number not in INVALIDATED_RESOURCES
    )
