"""The parts of JPEG, PNG and WebP files that are no pixels, as bytes: taken apart and put together again.

Sources: ITU T.81 annex B (JPEG), the PNG specification (W3C, third edition), the WebP container specification.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

SOI, EOI, SOS, COM, APP0 = 0xD8, 0xD9, 0xDA, 0xFE, 0xE0
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a picture."""
SEQUENTIAL = frozenset((0xC0, 0xC1, 0xC3, 0xC9, 0xCB))
"""Those of pictures whose scans have the pixels as they shall be, and not a further refinement of them."""
Segment = tuple[int, bytes]
"""Marker and content of a part of a JPEG."""
Chunk = tuple[bytes, bytes]
"""Type and content of a part of a PNG."""
LARGEST_SEGMENT = 65_533
"""Bytes of content that a segment of a JPEG has room for."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def jpeg_segments(data: bytes) -> tuple[list[Segment], int]:
    """Segments of a JPEG before the first scan, and where that begins.

    Raises:
        ValueError: it is no JPEG, or has no scan.
    """
    if data[:2] != bytes((0xFF, SOI)):
        raise ValueError("no JPEG")
    segments: list[Segment] = []
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            position += 1  # readers skip what is between segments
            continue
        marker = data[position + 1]
        if marker == SOS:
            return segments, position
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:  # no content
            position += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        segments.append((marker, data[position + 4 : position + 2 + length]))
        position += 2 + max(length, 2)
    raise ValueError("a JPEG without a scan")


def scans_may_follow(data: bytes, components: int) -> bool:
    """Whether a JPEG's decoder goes on behind the first scan: the JPEG is progressive, or the scan lacks components.

    Args:
        data: the file.
        components: of a pixel.
    """
    try:
        segments, scan = jpeg_segments(data)
    except ValueError:
        return True
    frames = [marker for marker, _ in segments if marker in FRAMES]
    return len(frames) != 1 or frames[0] not in SEQUENTIAL or data[scan + 4 : scan + 5] < bytes((components,))


def with_segments(data: bytes, segments: Iterable[Segment]) -> bytes:
    """A JPEG as an encoder wrote it, with segments behind those in which the encoder says what the pixels are."""
    own, scan = jpeg_segments(data)
    kept = [(marker, body) for marker, body in own if marker != COM and not 0xE1 <= marker <= 0xED and marker != 0xEF]
    heads = [part for part in kept if part[0] == APP0]
    rest = [part for part in kept if part[0] != APP0]
    written = [
        bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body for marker, body in (*heads, *segments, *rest)
    ]
    return bytes((0xFF, SOI)) + b"".join(written) + data[scan:]


def png_chunks(data: bytes) -> Iterator[Chunk]:
    """All chunks of a PNG but those of pixels."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        if kind != b"IDAT":
            yield kind, data[position + 8 : position + 8 + length]
        position += 12 + length


def with_chunks(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """A PNG with chunks inserted behind its header."""
    header = len(PNG_SIGNATURE) + 12 + 13
    written = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return data[:header] + b"".join(written) + data[header:]


def webp_is_lossless(data: bytes) -> bool:
    """Whether the first picture of a WebP, of which *data* may be the beginning, is compressed without loss."""
    position = 12
    while position + 8 <= len(data):
        kind = data[position : position + 4]
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        (length,) = struct.unpack_from("<I", data, position + 4)
        # A frame of an animation holds its picture's chunks behind 16 bytes of its own.
        position += 8 + (16 if kind == b"ANMF" else length + length % 2)
    return False
