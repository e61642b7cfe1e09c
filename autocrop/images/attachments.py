"""Describe the additional pictures and videos in a photo file, which its crops do not keep.

Sources: CIPA DC-007 (multi-picture format), Android's Ultra HDR and Motion Photo formats 1.0, Google's Dynamic Depth
1.0, ISO 21496-1 (gain maps), ISO/IEC 23008-12 (auxiliary images of HEIC and AVIF).
"""

from __future__ import annotations

import re
import struct

from autocrop.images.containers import APP2, END_MARKER, jpeg_segments
from autocrop.images.isobmff import boxes

MPF_HEADER = b"MPF\0"
"""First bytes of the JPEG segment that lists additional pictures."""
NUMBER_OF_PICTURES = 0xB001
"""Tag of the list with the number of pictures, including the main one."""
GAIN_MAP = "the HDR gain map is left out"
DEPTH_MAP = "the depth map is left out"
FILM = "the video of the motion photo is left out"
PICTURES = "other pictures in the file, such as an HDR gain map, are left out"
SCHEMAS = {
    b"http://ns.adobe.com/hdr-gain-map/1.0/": GAIN_MAP,
    b"http://ns.apple.com/HDRGainMap/1.0/": GAIN_MAP,
    b"http://ns.google.com/photos/1.0/depthmap/": DEPTH_MAP,
    b"http://ns.google.com/photos/dd/1.0/device/": DEPTH_MAP,
}
"""Schemas of XMP properties that describe an attachment."""
DECLARATION = re.compile(rb"""xmlns:([\w.-]+)\s*=\s*["']([^"']*)["']""")
XMP_SIGNS = (
    (re.compile(rb"""["'>]GainMap["'<]|hdrgainmap"""), GAIN_MAP),
    (re.compile(rb"""["'>]Depth["'<]"""), DEPTH_MAP),
    (re.compile(rb"""(?:MotionPhoto|MicroVideo)(?:\s*=\s*["']|\b[^<>]*>)\s*1|["'>]MotionPhoto["'<]"""), FILM),
)
"""Other XMP patterns that reveal an attachment."""
GAIN_MAP_SEGMENTS = (b"urn:iso:std:iso:ts:21496:-1",)
"""First bytes of JPEG segments of photos with gain maps."""
TRAILER_SIGNS = ((re.compile(rb"MotionPhoto_Data|\0\0\0.ftyp(?!avif|avis|heic|heix|mif1)", re.DOTALL), FILM),)
"""Bytes after a JPEG's picture, where Samsung and Google phones store a video."""
TRAILER_SIZE = 1 << 16
"""Number of bytes to search right after a JPEG's picture, and at the end of the file."""
BOX_SIGNS = (
    (re.compile(rb"aux:hdrgainmap|\0tmap\0"), GAIN_MAP),
    (re.compile(rb"auxid:2\b|auxiliary:depth|aux:(?:depth|disparity)"), DEPTH_MAP),
    (re.compile(rb"aux:\w*matte"), PICTURES),
)
"""Types of auxiliary and derived pictures in the boxes of HEIC and AVIF files."""
Signs = tuple[tuple[re.Pattern[bytes], str], ...]


def describe_jpeg(data: bytes, xmp: bytes) -> tuple[str, ...]:
    """Return notes for the user about the additional pictures and videos in a JPEG.

    Args:
        data: Content of the file.
        xmp: The XMP packet of its main picture.
    """
    segments, scan = jpeg_segments(data)
    lists = [body[len(MPF_HEADER) :] for marker, body in segments if marker == APP2 and body.startswith(MPF_HEADER)]
    pictures = max(map(_number_of_pictures, lists), default=1)
    # Finding the end of the picture takes a millisecond or two, and most files have nothing after it.
    trailer = _trailer(data, scan) if pictures > 1 or not data.endswith(END_MARKER) else b""
    notes = _search_xmp(xmp) + _search(trailer, TRAILER_SIGNS)
    if any(marker == APP2 and body.startswith(GAIN_MAP_SEGMENTS) for marker, body in segments):
        notes.append(GAIN_MAP)
    if pictures > 1 and GAIN_MAP not in notes and DEPTH_MAP not in notes:
        notes += _search_xmp(trailer) or [PICTURES]
    return tuple(dict.fromkeys(notes))


def _trailer(data: bytes, scan: int) -> bytes:
    """Return the first and last bytes of the data after the picture whose first scan is at position *scan*."""
    end = data.find(END_MARKER, scan)  # these bytes do not occur inside a scan
    if end < 0:
        return b""
    end += len(END_MARKER)
    return data[end : end + TRAILER_SIZE] + data[max(end + TRAILER_SIZE, len(data) - TRAILER_SIZE) :]


def describe_boxes(data: bytes, xmp: bytes) -> tuple[str, ...]:
    """Return notes for the user about the additional pictures and videos in a HEIC or AVIF file.

    Args:
        data: Beginning of the file, with its boxes.
        xmp: The XMP packet.
    """
    top = dict(boxes(data))
    notes = _search_xmp(xmp) + _search(top.get(b"meta", b""), BOX_SIGNS)
    return tuple(dict.fromkeys([*notes, FILM] if b"mpvd" in top else notes))


def _search_xmp(xmp: bytes) -> list[str]:
    """Search for properties that describe an attachment. A schema may be declared without being used."""
    notes = [
        SCHEMAS[schema]
        for prefix, schema in DECLARATION.findall(xmp)
        if schema in SCHEMAS and re.search(rb"[<\s]" + re.escape(prefix) + rb":\w", xmp)
    ]
    return notes + _search(xmp, XMP_SIGNS)


def _search(data: bytes, signs: Signs) -> list[str]:
    return [note for sign, note in signs if sign.search(data)]


def _number_of_pictures(directory: bytes) -> int:
    """Return the number of pictures in an MPF directory (CIPA DC-007, 5.2.2)."""
    order = "<" if directory.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(order + "I", directory, 4)
        (count,) = struct.unpack_from(order + "H", directory, start)
        for number in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHII", directory, start + 2 + 12 * number)
            if tag == NUMBER_OF_PICTURES:
                return int(value)
    except struct.error:
        pass
    return 1
