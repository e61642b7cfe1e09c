"""The parts of JPEG, PNG and WebP files that are not pixels: split files into them and insert new ones.

Sources: ITU-T T.81 annex B (JPEG), the PNG specification (W3C, third edition), the WebP container specification.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

SOI, SOS, COM, APP0 = 0xD8, 0xDA, 0xFE, 0xE0
"""JPEG markers: start of image, start of scan, comment, application data of JFIF."""
APP1, APP2, APP11, APP13, APP15 = 0xE1, 0xE2, 0xEB, 0xED, 0xEF
"""JPEG markers of EXIF and XMP, ICC profiles, content credentials, Photoshop resources, and other application data."""
END_MARKER = b"\xff\xd9"
"""Marker that ends a JPEG's picture (EOI)."""
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers of a frame, which is the picture itself."""
SEQUENTIAL_FRAMES = frozenset((0xC0, 0xC1, 0xC3, 0xC9, 0xCB))
"""Markers of frames whose scans are final. In other frames, later scans refine earlier ones."""
Segment = tuple[int, bytes]
"""Marker and content of a segment of a JPEG."""
Chunk = tuple[bytes, bytes]
"""Type and content of a chunk of a PNG."""
MAX_SEGMENT = 65_533
"""Maximum number of content bytes in a JPEG segment."""
COMPRESSED_TEXTS = (b"zTXt", b"iTXt")
"""Types of PNG chunks with texts that may be compressed."""
MAX_PILLOW_TEXT = 1 << 20
"""Maximum size in bytes of a decompressed text. Pillow refuses PNGs with longer texts."""
MAX_DEFLATE_RATIO = 1032
"""Highest ratio of decompressed to compressed size (RFC 1951)."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def jpeg_segments(data: bytes) -> tuple[list[Segment], int]:
    """Return the segments of a JPEG before its first scan, and the position of that scan.

    Raises:
        ValueError: The data is not a JPEG, or it has no scan.
    """
    if data[:2] != bytes((0xFF, SOI)):
        raise ValueError("not a JPEG")
    segments: list[Segment] = []
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            position = data.find(b"\xff", position)  # decoders ignore bytes between segments
            if position < 0:
                break
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


def may_have_more_scans(data: bytes, components: int) -> bool:
    """Return True if a JPEG is progressive or its first scan lacks components, so that a decoder reads further scans.

    Args:
        data: Content of the file.
        components: Components of a pixel.
    """
    try:
        segments, scan = jpeg_segments(data)
    except ValueError:
        return True
    frames = [marker for marker, _ in segments if marker in START_OF_FRAME]
    return len(frames) != 1 or frames[0] not in SEQUENTIAL_FRAMES or data[scan + 4 : scan + 5] < bytes((components,))


def insert_segments(data: bytes, segments: Iterable[Segment]) -> bytes:
    """Replace the metadata segments of a JPEG, keeping those in which the encoder describes the pixels.

    Args:
        data: A JPEG as an encoder wrote it.
        segments: New segments, which are inserted directly after the JFIF segment.
    """
    existing, scan = jpeg_segments(data)
    pixel_segments = [
        (marker, body) for marker, body in existing if marker != COM and not APP1 <= marker <= APP13 and marker != APP15
    ]
    jfif = [segment for segment in pixel_segments if segment[0] == APP0]
    others = [segment for segment in pixel_segments if segment[0] != APP0]
    encoded = [
        bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body for marker, body in (*jfif, *segments, *others)
    ]
    return bytes((0xFF, SOI)) + b"".join(encoded) + data[scan:]


def png_chunks(data: bytes) -> Iterator[Chunk]:
    """Yield all chunks of a PNG except its pixels."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        if kind != b"IDAT":
            yield kind, data[position + 8 : position + 8 + length]
        position += 12 + length


def without_long_texts(data: bytes) -> bytes:
    """Return a PNG without compressed texts that are so long that Pillow refuses the file."""
    position, parts, start = len(PNG_SIGNATURE), [], 0
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 12 + length
        kind = data[position + 4 : position + 8]
        if kind in COMPRESSED_TEXTS and _is_long_text(kind, data[position + 8 : end - 4]):
            parts.append(data[start:position])
            start = end
        position = end
    return b"".join((*parts, data[start:])) if parts else data


def _is_long_text(kind: bytes, body: bytes) -> bool:
    """Return True if a text chunk decompresses to more than Pillow allows."""
    _, _, rest = body.partition(b"\0")
    compressed = rest[1:]  # after the compression method
    if kind == b"iTXt":
        if not rest.startswith(b"\1"):
            return False
        compressed = rest[2:].split(b"\0", 2)[-1]
    if len(compressed) * MAX_DEFLATE_RATIO < MAX_PILLOW_TEXT:
        return False
    try:
        return len(zlib.decompressobj().decompress(compressed, MAX_PILLOW_TEXT + 1)) > MAX_PILLOW_TEXT
    except zlib.error:
        return False


def insert_chunks(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """Insert chunks into a PNG, directly after its header."""
    header_end = len(PNG_SIGNATURE) + 12 + 13
    encoded = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return data[:header_end] + b"".join(encoded) + data[header_end:]


def webp_is_lossless(data: bytes) -> bool:
    """Return True if the first picture of a WebP is losslessly compressed.

    Args:
        data: Content of the file, or at least its beginning.
    """
    position = 12
    while position + 8 <= len(data):
        kind = data[position : position + 4]
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        (length,) = struct.unpack_from("<I", data, position + 4)
        # In an animation, each frame starts with 16 bytes of its own, followed by the chunks of its picture.
        position += 8 + (16 if kind == b"ANMF" else length + length % 2)
    return False
