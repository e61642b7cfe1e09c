"""Write metadata in the form that each file format needs."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

from PIL import ImageCms

from autocrop.images import exif, photoshop, tiff, xmp
from autocrop.images.containers import APP1, APP2, APP13, COM, MAX_SEGMENT, Chunk, Segment, insert_segments
from autocrop.images.metadata import (
    NON_EXIF_TAGS,
    RESOLUTION_CHUNK,
    TIFF_ICC,
    TIFF_IPTC,
    TIFF_PHOTOSHOP,
    TIFF_XMP,
    Metadata,
)

ICC_HEADER = b"ICC_PROFILE\0"
"""First bytes of the JPEG segments that hold parts of an ICC profile."""
MAX_ICC_PARTS = 255
"""JPEG segments that one ICC profile may fill: they are numbered with one byte."""
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
"""TIFF tags."""
INCH = 2
"""Value of :data:`RESOLUTION_UNIT`."""
METERS_PER_INCH = 0.0254


def add_to_jpeg(data: bytes, metadata: Metadata) -> tuple[bytes, list[str]]:
    """Add metadata to a JPEG.

    Args:
        data: The JPEG as an encoder wrote it.
        metadata: The metadata to add.

    Returns:
        The JPEG, and notes for the user about metadata that does not fit into it.
    """
    segments: list[Segment] = []
    notes: list[str] = []
    for name, header, body in (("EXIF", exif.PREFIX, metadata.exif), ("XMP", xmp.JPEG_HEADER, metadata.xmp)):
        if len(header) + len(body) > MAX_SEGMENT:
            notes.append(f"{name} is left out, because it is too long for a JPEG")
        elif body:
            segments.append((APP1, header + body))
    parts = _split(metadata.icc, MAX_SEGMENT - len(ICC_HEADER) - 2)
    if len(parts) <= MAX_ICC_PARTS:
        segments += [(APP2, ICC_HEADER + bytes((n, len(parts))) + part) for n, part in enumerate(parts, 1)]
    parts = _split(metadata.photoshop, MAX_SEGMENT - len(photoshop.JPEG_HEADERS[0]))
    segments += [(APP13, photoshop.JPEG_HEADERS[0] + part) for part in parts]
    if metadata.comment:
        segments.append((COM, metadata.comment[:MAX_SEGMENT]))
    data = insert_segments(data, segments)
    if metadata.density and data[6:11] == b"JFIF\0":  # encoders write the JFIF segment first
        data = data[:13] + metadata.density + data[18:]
    return data, notes


def _split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def to_png_chunks(metadata: Metadata) -> list[Chunk]:
    """Return the chunks that hold the metadata in a PNG."""
    chunks = list(metadata.chunks)
    kinds = {kind for kind, _ in chunks}
    if metadata.icc:
        # A file must not have both chunks, and the profile takes precedence.
        chunks = [(kind, body) for kind, body in chunks if kind != b"sRGB"]
        if b"iCCP" not in kinds:
            profile = _profile_name(metadata.icc) + b"\0\0" + zlib.compress(metadata.icc, 9)
            chunks.insert(0, (b"iCCP", profile))
    if metadata.cicp and b"cICP" not in kinds and not metadata.cicp.is_srgb and max(metadata.cicp) < 256:
        chunks.append((b"cICP", bytes((*metadata.cicp, 0, 1))))  # RGB rather than YCbCr, full range
    if metadata.dpi and RESOLUTION_CHUNK not in kinds:
        per_meter = [round(value / METERS_PER_INCH) for value in metadata.dpi]
        chunks.append((RESOLUTION_CHUNK, struct.pack(">IIB", *per_meter, 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    if metadata.iptc:
        text = b"\niptc\n%8d\n%s\n" % (len(metadata.photoshop), metadata.photoshop.hex().encode())
        chunks.append((b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text, 9)))
    if metadata.comment and not any(body.startswith(b"Comment\0") for _, body in chunks):
        text = metadata.comment.decode("utf-8", "replace").encode()
        chunks.append((b"iTXt", b"Comment\0\0\0\0\0" + text))
    return chunks


def _profile_name(icc: bytes) -> bytes:
    """Return a name for an iCCP chunk: 1 to 79 printable characters without leading, trailing or double spaces."""
    try:
        name = ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(icc)))
    except Exception:
        name = ""
    name = re.sub(r"[^ -~]+|^ +| +$|(?<= ) +", "", name.strip())[:79].strip()
    return (name or "ICC profile").encode("latin-1")


def to_tiff_fields(metadata: Metadata) -> tiff.Directory:
    """Return the fields that hold the metadata in the first directory of a TIFF."""
    fields: tiff.Directory = {}
    if metadata.dpi:
        for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), metadata.dpi, strict=True):
            fields[tag] = tiff.rational(round(value * 1000), 1000)
        fields[RESOLUTION_UNIT] = tiff.shorts(INCH)
    if metadata.exif:
        _, directory = tiff.read(io.BytesIO(metadata.exif))
        fields.update({tag: value for tag, value in directory.items() if tag not in NON_EXIF_TAGS})
    for tag, kind, content in (
        (TIFF_XMP, tiff.BYTE, metadata.xmp),
        (TIFF_IPTC, tiff.UNDEFINED, metadata.iptc),
        (TIFF_PHOTOSHOP, tiff.BYTE, photoshop.replace_iptc(metadata.photoshop, b"")),
        (TIFF_ICC, tiff.UNDEFINED, metadata.icc),
    ):
        if content:
            fields[tag] = tiff.Value(kind, content)
    return fields


def to_pillow_options(metadata: Metadata, file_format: str) -> dict[str, Any]:
    """Return the options with which Pillow writes the metadata into a WebP, AVIF or HEIC file.

    Raises:
        ValueError: EXIF is damaged.
    """
    exif_data = metadata.exif
    if file_format == "AVIF" and exif_data:
        exif_data = exif.without_orientation(exif_data)  # Pillow would rewrite all of EXIF to remove the tag
    options: dict[str, Any] = {"exif": exif_data, "xmp": metadata.xmp, "icc_profile": metadata.icc}
    if file_format == "HEIF" and metadata.cicp and not metadata.icc:
        options |= {"color_primaries": metadata.cicp.primaries, "transfer_characteristics": metadata.cicp.transfer}
    return {name: value for name, value in options.items() if value}
