"""Read the metadata of photo files."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import zlib
from typing import Any

from PIL import Image

from autocrop.images import attachments, exif, isobmff, photoshop, tiff, xmp
from autocrop.images.color import Cicp
from autocrop.images.containers import APP0, APP11, APP13, COM, Chunk, jpeg_segments, png_chunks
from autocrop.images.metadata import (
    COLOR_CHUNKS,
    NON_EXIF_TAGS,
    RESOLUTION_CHUNK,
    TIFF_IPTC,
    TIFF_PHOTOSHOP,
    TIFF_XMP,
    Metadata,
)
from autocrop.images.orientation import ORIENTATION

XMP_KEYWORD = b"XML:com.adobe.xmp"
"""Keyword of the PNG text chunk that holds XMP."""
PILLOW_XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
"""Keys of ``Image.info`` that hold XMP."""
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
RAW_PROFILE = re.compile(rb"Raw profile type (\w+)\0")
"""Keyword of the PNG text chunks in which ImageMagick writes IPTC, and used to write EXIF and XMP."""
RAW_PROFILES = frozenset((b"iptc", b"8bim", b"icc", b"icm", b"xmp", b"exif", b"app1"))
"""Names of profiles that are read; only the first one of each name, since each may be large."""
MAX_TEXT_BYTES = 1 << 24
"""Texts in PNG chunks that decompress to more than 16 MB are cut there: they are decompression bombs."""
EXCESS_NOTE = "some tags are left out, because together they claim to be much larger than the file"
CONTENT_CREDENTIALS_NOTE = "content credentials (C2PA) are left out: they sign the uncropped photo"


def read(image: Image.Image, data: bytes = b"") -> Metadata:
    """Read the metadata of a file that Pillow has opened but not loaded. Pillow drops some of it on loading.

    Args:
        image: The opened file.
        data: Content of a JPEG or PNG file, or the beginning of an AVIF or HEIC. Other formats do not need it.
    """
    info = image.info
    metadata = Metadata(
        exif=_without_prefix(_as_bytes(info.get("exif"))),
        xmp=_as_bytes(info.get("xmp") or info.get("XML:com.adobe.xmp")),
        icc=_as_bytes(info.get("icc_profile")),
        comment=_as_bytes(info.get("comment")),
        dpi=_resolution(info.get("dpi")),
    )
    if image.format in ("JPEG", "MPO") and data:
        return _add_jpeg_metadata(metadata, data)
    if image.format == "PNG":
        return _add_png_metadata(metadata, data)
    if image.format in ("AVIF", "HEIF"):
        return _add_boxes(metadata, image, data)
    if image.format == "TIFF":
        return _add_tiff_metadata(metadata, image)
    return metadata


def settle_orientation(image: Image.Image, metadata: Metadata, data: bytes = b"") -> int:
    """Return the EXIF orientation of an opened file, 1 to 8, and make Pillow apply the same one.

    Args:
        image: The opened file, or a picture made in memory.
        metadata: The metadata of the file.
        data: Content of the file, if it is known.
    """
    if not data:
        return orientation_of(image)
    tag = getattr(image, "tag_v2", {}).get(ORIENTATION) if image.format == "TIFF" else None
    # Pillow has made the EXIF of an AVIF agree with its rotation.
    block = _as_bytes(image.info.get("exif")) if image.format == "AVIF" else metadata.exif
    orientation = _checked(tag or (exif.orientation_of(block) if block else 1))
    pin_orientation(image, orientation)
    return orientation


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened picture, 1 to 8.

    It is 1 if EXIF has none or cannot be read, which must not prevent a crop. An orientation in XMP, which Pillow uses
    if EXIF has none, does not count: viewers ignore it, as do libvips and ImageMagick.
    """
    packets: dict[Any, Any] = {key: image.info.pop(key) for key in PILLOW_XMP_KEYS if key in image.info}
    try:
        return _checked(image.getexif().get(ORIENTATION))
    except Exception:  # Pillow raises all kinds of exceptions for damaged EXIF
        return 1
    finally:
        image.info.update(packets)


def pin_orientation(image: Image.Image, orientation: int) -> None:
    """Make Pillow apply this orientation to an opened file, instead of the one in its EXIF."""
    image._exif = Image.Exif()
    image._exif._loaded = True
    image._exif[ORIENTATION] = orientation


def _checked(orientation: Any) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def from_directory(order: str, directory: tiff.Directory) -> Metadata:
    """Return the EXIF, XMP and IPTC of a TIFF, or of a raw photo that is built like one.

    Args:
        order: Byte order of the file, ``<`` or ``>``.
        directory: The first directory of the file.
    """

    def content(tag: int) -> bytes:
        return directory[tag].content if tag in directory else b""

    iptc, resources = content(TIFF_IPTC), content(TIFF_PHOTOSHOP)
    fields = {tag: value for tag, value in directory.items() if tag not in NON_EXIF_TAGS}
    return Metadata(
        xmp=content(TIFF_XMP).strip(b"\0"),
        photoshop=photoshop.replace_iptc(resources, iptc) if iptc else resources,
        exif=tiff.serialize_file(fields, order) if fields else b"",
    )


def _add_boxes(metadata: Metadata, image: Image.Image, data: bytes) -> Metadata:
    """Add the metadata of an AVIF or HEIC that Pillow does not know.

    Args:
        metadata: Metadata that Pillow knows.
        image: The opened file.
        data: Content of the file, or its beginning.
    """
    cicp, block = isobmff.cicp_of(data), metadata.exif
    profile = image.info.get("nclx_profile")
    if profile:  # found by pillow_heif, which knows every way to store it
        cicp = Cicp(int(profile["color_primaries"]), int(profile["transfer_characteristics"]))
    if image.format == "AVIF":
        # Pillow rewrites EXIF, which moves the maker note, if its orientation differs from that of the picture.
        with contextlib.suppress(AttributeError, IndexError):
            block = _without_prefix(image._decoder.get_info()[4] or b"")  # type: ignore[attr-defined]
    notes = attachments.describe_boxes(data, metadata.xmp)
    return dataclasses.replace(metadata, exif=block, cicp=cicp, attachments=notes)


def _add_tiff_metadata(metadata: Metadata, image: Image.Image) -> Metadata:
    file = getattr(image, "fp", None)
    if file is None:
        return metadata
    try:
        position = file.tell()
        reader = tiff.DirectoryReader(file)
        fields = from_directory(reader.order, reader.directory(reader.first)[0])
        file.seek(position)
    except (ValueError, OSError):
        return dataclasses.replace(metadata, notes=("EXIF is left out, because it cannot be read",))
    notes = (EXCESS_NOTE,) if reader.is_exceeded else ()
    return dataclasses.replace(metadata, exif=fields.exif, xmp=fields.xmp, photoshop=fields.photoshop, notes=notes)


def _add_jpeg_metadata(metadata: Metadata, data: bytes) -> Metadata:
    segments, _ = jpeg_segments(data)
    resources = [
        body.removeprefix(header)
        for marker, body in segments
        for header in photoshop.JPEG_HEADERS
        if marker == APP13 and body.startswith(header)
    ]
    jfif = [body for marker, body in segments if marker == APP0 and body.startswith(b"JFIF\0")]
    is_signed = any(marker == APP11 and b"c2pa" in body for marker, body in segments)
    return dataclasses.replace(
        metadata,
        photoshop=b"".join(resources),
        comment=b"\n".join(body for marker, body in segments if marker == COM),
        density=jfif[-1][7:12] if jfif else b"",
        attachments=attachments.describe_jpeg(data, metadata.xmp),
        notes=(CONTENT_CREDENTIALS_NOTE,) if is_signed else (),
    )


def _add_png_metadata(metadata: Metadata, data: bytes) -> Metadata:
    chunks: list[Chunk] = []
    notes: list[str] = []
    profiles: dict[str, bytes] = {}
    seen: set[bytes] = set()
    fields: dict[str, Any] = {"comment": b"", "xmp": metadata.xmp}
    for kind, body in png_chunks(data):
        profile = RAW_PROFILE.match(body) if kind in TEXT_CHUNKS else None
        if kind == b"iTXt" and body.startswith(XMP_KEYWORD + b"\0"):
            fields["xmp"] = fields["xmp"] or _itxt_text(body)
        elif kind == b"eXIf":  # Pillow misses it after the pixels
            fields["exif"] = metadata.exif or _without_prefix(body)
        elif profile and profile[1].lower() in RAW_PROFILES:
            if profile[1] not in seen:
                content = _decode_raw_profile(kind, body[profile.end() :])
                if not content:
                    notes.append(f"a text that holds {profile[1].decode().upper()} is left out, because it is damaged")
                profiles.update(_classify(profile[1], content))
            seen.add(profile[1])
        elif kind == b"caBX":
            notes.append(CONTENT_CREDENTIALS_NOTE)
        elif kind in (*COLOR_CHUNKS, RESOLUTION_CHUNK, *TEXT_CHUNKS):
            chunks.append((kind, body))
            if kind == b"cICP" and len(body) >= 2:
                fields["cicp"] = Cicp(body[0], body[1])
    for name, content in profiles.items():
        fields[name] = fields.get(name) or getattr(metadata, name) or content
    return dataclasses.replace(metadata, **fields, chunks=tuple(chunks), notes=tuple(notes))


def _classify(name: bytes, content: bytes) -> dict[str, bytes]:
    """Return the field of :class:`Metadata` that a raw profile is for, and its content.

    ImageMagick names EXIF and XMP ``APP1``, as their JPEG segment, and writes EXIF with or without its prefix.
    """
    name = name.lower()
    if name in (b"iptc", b"8bim"):
        return {"photoshop": photoshop.from_profile(content)}
    if name in (b"icc", b"icm"):
        return {"icc": content}
    if name == b"xmp" or (name == b"app1" and content.startswith((xmp.JPEG_HEADER, b"<"))):
        return {"xmp": content.removeprefix(xmp.JPEG_HEADER)}
    return {"exif": _without_prefix(content)} if name in (b"exif", b"app1") else {}


def _without_prefix(content: bytes) -> bytes:
    """Return EXIF without its prefix, which some programs repeat."""
    while content.startswith(exif.PREFIX):
        content = content.removeprefix(exif.PREFIX)
    return content


def _itxt_text(body: bytes) -> bytes:
    """Return the text of an iTXt chunk."""
    _, _, rest = body.partition(b"\0")
    is_compressed, rest = rest[:1] == b"\1", rest[2:]
    text = rest.split(b"\0", 2)[-1]
    return _decompress(text) if is_compressed else text


def _decode_raw_profile(kind: bytes, rest: bytes) -> bytes:
    """Return the bytes that ImageMagick wrote as hexadecimal text after the keyword, or nothing if they are damaged."""
    if kind == b"zTXt":
        text = _decompress(rest[1:])
    elif kind == b"iTXt":
        text = _itxt_text(b"\0" + rest)
    else:
        text = rest
    try:
        return bytes.fromhex(text.split(b"\n", 3)[3].decode("ascii"))
    except (IndexError, ValueError):
        return b""


def _decompress(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_TEXT_BYTES)
    except zlib.error:
        return b""


def _resolution(dpi: Any) -> tuple[float, float] | None:
    try:
        horizontal, vertical = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (horizontal, vertical) if 0 < horizontal < 1e6 and 0 < vertical < 1e6 else None


def _as_bytes(value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else bytes(value or b"")
