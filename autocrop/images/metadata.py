"""What a file says about its photo: read whole, put right for a crop, ready for any format.

EXIF, XMP and Photoshop's resources (in which IPTC lies) are kept as the bytes that they are, so that nothing changes
but what a crop makes untrue.
"""

from __future__ import annotations

import dataclasses
import io
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageCms

from autocrop.images import exif as ex
from autocrop.images import tiff
from autocrop.images import xmp as xp
from autocrop.images.containers import APP0, COM, Chunk, jpeg_segments, png_chunks
from autocrop.images.orientation import ORIENTATION

TIFF_XMP, TIFF_IPTC, TIFF_PHOTOSHOP, TIFF_ICC = 700, 33723, 34377, 34675
STRUCTURE = {*range(254, 260), 262, 266, 273, 277, 278, 279, 284, *range(317, 324), 324, 325, 330, 338, 339, 347, 512}
STRUCTURE |= {*range(513, 522), 529, 530, 531, 532, 700}
"""TIFF tags that describe how the input's pixels are stored. They are no metadata, and untrue of the output."""
UNTRUE = {37724, 50341, 33550, 33922, 34264, 34735, 34736, 34737, *range(50706, 51200)}
"""TIFF tags that a crop makes untrue: Photoshop's layers, PrintIM, GeoTIFF, DNG."""
NO_EXIF = STRUCTURE | UNTRUE | {TIFF_XMP, TIFF_ICC, TIFF_IPTC, TIFF_PHOTOSHOP}
PHOTOSHOP = b"Photoshop 3.0\0"
IPTC = 1028
"""The resource of Photoshop that holds IPTC."""
UNTRUE_RESOURCES = {1032, 1033, 1036, 1050, 1058, 1059, 1060, 1065, 1069, 1072, *range(2000, 3000)}
"""Photoshop's resources that a crop makes untrue (guides, thumbnails, slices, layers, paths) or that repeat EXIF and
XMP."""
EXIF_CHUNK, ICC_CHUNK, RESOLUTION_CHUNK, XMP_KEY = b"eXIf", b"iCCP", b"pHYs", b"XML:com.adobe.xmp"
COLOR_CHUNKS = (b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
"""Chunks of a PNG without which its colors would be others."""
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
RAW_PROFILE = re.compile(rb"Raw profile type (\w+)\0")
"""How ImageMagick writes IPTC, and once wrote EXIF and XMP, into a PNG."""


@dataclass(frozen=True)
class Metadata:
    """Everything about a photo that is no pixel. Empty where the file has none."""

    exif: bytes = b""
    """From the byte order on."""
    xmp: bytes = b""
    photoshop: bytes = b""
    """Photoshop's resources, IPTC among them."""
    icc: bytes = b""
    comment: bytes = b""
    density: bytes = b""
    """JFIF's unit and resolution, five bytes."""
    dpi: tuple[float, float] | None = None
    chunks: tuple[Chunk, ...] = ()
    """Of a PNG: resolution, color, texts that are not one of the above."""
    lost: tuple[str, ...] = ()
    """What could not be kept, in words."""

    def stripped(self, orientation: int = 1) -> Metadata:
        """Only what a viewer needs to show the photo as it is: color, resolution, and how to turn it."""
        chunks = tuple(chunk for chunk in self.chunks if chunk[0] in (*COLOR_CHUNKS, RESOLUTION_CHUNK))
        turn = ex.orientation_only(orientation) if orientation != 1 else b""
        return Metadata(exif=turn, icc=self.icc, density=self.density, dpi=self.dpi, chunks=chunks)

    def adapted(self, size: tuple[int, int], turned: bool) -> Metadata:
        """The metadata of a crop.

        Args:
            size: (width, height) of the crop as it is stored.
            turned: the crop is stored upright.
        """
        exif, xmp, lost = self.exif, self.xmp, [*self.lost]
        try:
            exif = ex.adapted(exif, size, turned) if exif else b""
        except ValueError:
            exif = b""
            lost.append("EXIF is left out, it is damaged")
        try:
            if xmp:
                xmp, told = xp.adapted(xmp, size, turned)
                lost += told
        except ValueError:
            xmp = b""
            lost.append("XMP is left out, it is damaged")
        photoshop = _join(resource for resource in _resources(self.photoshop) if resource[0] not in UNTRUE_RESOURCES)
        return dataclasses.replace(self, exif=exif, xmp=xmp, photoshop=photoshop, lost=tuple(lost))

    @property
    def iptc(self) -> bytes:
        """The IPTC records alone."""
        return next((body for number, _, body in _resources(self.photoshop) if number == IPTC), b"")


def read(image: Image.Image, data: bytes = b"") -> Metadata:
    """The metadata of a file that Pillow has opened and not yet loaded: loading makes it forget some.

    Args:
        image: the opened file.
        data: of the file, for JPEG and PNG.
    """
    info = image.info
    exif = info.get("exif") or b""
    found = Metadata(
        exif=_bytes(exif).removeprefix(ex.PREFIX),
        xmp=_bytes(info.get("xmp") or info.get("XML:com.adobe.xmp") or b""),
        icc=_bytes(info.get("icc_profile") or b""),
        comment=_bytes(info.get("comment") or b""),
        dpi=_resolution(info.get("dpi")),
    )
    if image.format in ("JPEG", "MPO") and data:
        return dataclasses.replace(found, **_of_jpeg(data))
    if image.format == "PNG":
        return dataclasses.replace(found, **_of_png(data, found))
    if image.format == "TIFF":
        return dataclasses.replace(found, **_of_tiff(image))
    return found


def of_directory(order: str, directory: tiff.Directory) -> dict[str, Any]:
    """Metadata's fields from the directory of a TIFF, or of a raw photo that is built like one."""

    def content(tag: int) -> bytes:
        return directory[tag].content if tag in directory else b""

    # Old programs say that IPTC is a list of long integers, and fill up the last.
    iptc = content(TIFF_IPTC)
    resources = [resource for resource in _resources(content(TIFF_PHOTOSHOP)) if resource[0] != IPTC or not iptc]
    if iptc:
        resources.append((IPTC, b"\0\0", iptc))
    kept = {tag: value for tag, value in directory.items() if tag not in NO_EXIF}
    return {
        "xmp": content(TIFF_XMP).strip(b"\0"),
        "photoshop": _join(resources),
        "exif": tiff.standalone(kept, order) if kept else b"",
    }


def png_texts(metadata: Metadata) -> list[Chunk]:
    """The chunks by which a PNG has this metadata."""
    chunks = list(metadata.chunks)
    have = {kind for kind, _ in chunks}
    if metadata.icc:
        # The color space is said once: a profile overrules the other chunks.
        chunks = [(kind, body) for kind, body in chunks if kind != b"sRGB"]
        if ICC_CHUNK not in have:
            chunks.insert(0, (ICC_CHUNK, _profile_name(metadata.icc) + b"\0\0" + zlib.compress(metadata.icc, 9)))
    if RESOLUTION_CHUNK not in have and metadata.dpi:
        per_meter = [round(value / 0.0254) for value in metadata.dpi]
        chunks.append((RESOLUTION_CHUNK, struct.pack(">IIB", *per_meter, 1)))
    if metadata.exif:
        chunks.append((EXIF_CHUNK, metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", XMP_KEY + b"\0\0\0\0\0" + metadata.xmp))
    if metadata.iptc:
        text = b"\niptc\n%8d\n%s\n" % (len(metadata.photoshop), metadata.photoshop.hex().encode())
        chunks.append((b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text, 9)))
    if metadata.comment and not any(body.startswith(b"Comment\0") for _, body in chunks):
        text = metadata.comment.decode("utf-8", "replace").encode()
        chunks.append((b"iTXt", b"Comment\0\0\0\0\0" + text))
    return chunks


def _profile_name(icc: bytes) -> bytes:
    """A name for an iCCP chunk: up to 79 printable Latin-1 characters."""
    try:
        name = ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(icc)))
    except Exception:
        name = ""
    name = re.sub(r"[^ -~]+|^ +| +$|(?<= ) +", "", name.strip())[:79].strip()
    return (name or "ICC profile").encode("latin-1")


def _of_jpeg(data: bytes) -> dict[str, Any]:
    segments, _ = jpeg_segments(data)
    fields: dict[str, Any] = {"lost": ()}
    photoshop = b"".join(body.removeprefix(PHOTOSHOP) for m, body in segments if m == 0xED and body[:14] == PHOTOSHOP)
    fields["photoshop"] = photoshop
    fields["comment"] = b"\n".join(body for marker, body in segments if marker == COM)
    for marker, body in segments:
        if marker == APP0 and body[:5] == b"JFIF\0":
            fields["density"] = body[7:12]
        if marker == 0xEB and b"c2pa" in body:
            fields["lost"] = ("content credentials (C2PA) are left out: they sign the uncropped photo",)
    return fields


def _of_png(data: bytes, found: Metadata) -> dict[str, Any]:
    chunks: list[Chunk] = []
    fields: dict[str, Any] = {"comment": b"", "xmp": found.xmp}
    for kind, body in png_chunks(data):
        profile = RAW_PROFILE.match(body) if kind in TEXT_CHUNKS else None
        if kind == b"iTXt" and body.startswith(XMP_KEY + b"\0"):
            fields["xmp"] = fields["xmp"] or _itxt(body)
        elif profile:
            content = _raw_profile(kind, body[profile.end() :])
            if profile[1] in (b"iptc", b"8bim"):
                fields["photoshop"] = content
            elif profile[1] in (b"exif", b"APP1") and content.startswith(ex.PREFIX) and not found.exif:
                fields["exif"] = content.removeprefix(ex.PREFIX)
            elif profile[1] == b"xmp":
                fields["xmp"] = fields["xmp"] or content
        elif kind == b"caBX":
            fields["lost"] = ("content credentials (C2PA) are left out: they sign the uncropped photo",)
        elif kind in (*COLOR_CHUNKS, RESOLUTION_CHUNK, *TEXT_CHUNKS):
            chunks.append((kind, body))
    return fields | {"chunks": tuple(chunks)}


def _itxt(body: bytes) -> bytes:
    """The text of an iTXt chunk."""
    _, _, rest = body.partition(b"\0")
    compressed, rest = rest[:1] == b"\1", rest[2:]
    text = rest.split(b"\0", 2)[-1]
    return _inflated(text) if compressed else text


def _raw_profile(kind: bytes, rest: bytes) -> bytes:
    """The bytes that ImageMagick wrote as hexadecimal text; empty if they are damaged."""
    text = {b"zTXt": lambda: _inflated(rest[1:]), b"iTXt": lambda: _itxt(b"\0" + rest)}.get(kind, lambda: rest)()
    try:
        return bytes.fromhex(text.split(b"\n", 3)[3].decode("ascii"))
    except (IndexError, ValueError):
        return b""


def _inflated(data: bytes, limit: int = 1 << 24) -> bytes:
    """Decompressed, up to 16 MB: a text that is longer is a bomb."""
    try:
        return zlib.decompressobj().decompress(data, limit)
    except zlib.error:
        return b""


def _of_tiff(image: Image.Image) -> dict[str, Any]:
    file = getattr(image, "fp", None)
    try:
        place = file.tell() if file else 0
        fields = of_directory(*tiff.read(file)) if file else {}
        if file:
            file.seek(place)
        return fields
    except (ValueError, OSError):
        return {"lost": ("EXIF is left out, it cannot be read",)}


def _resources(photoshop: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, name and content of each of Photoshop's resources; what is behind a damaged one is not found."""
    position = 0
    while photoshop[position : position + 4] == b"8BIM" and position + 12 <= len(photoshop):
        (number,) = struct.unpack_from(">H", photoshop, position + 4)
        name_end = position + 7 + photoshop[position + 6]
        name_end += (name_end - position - 6) % 2
        name = photoshop[position + 6 : name_end]
        if name_end + 4 > len(photoshop):
            return
        (length,) = struct.unpack_from(">I", photoshop, name_end)
        start = name_end + 4
        if start + length > len(photoshop):
            return
        yield number, name, photoshop[start : start + length]
        position = start + length + length % 2


def _join(resources: Iterable[tuple[int, bytes, bytes]]) -> bytes:
    return b"".join(
        b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(body)) + body + b"\0" * (len(body) % 2)
        for number, name, body in resources
    )


def without_iptc(photoshop: bytes) -> bytes:
    """Photoshop's resources but for IPTC, which has a tag of its own in a TIFF."""
    return _join(resource for resource in _resources(photoshop) if resource[0] != IPTC)


def orientation_of(image: Image.Image) -> int:
    """1 to 8; 1 where EXIF says nothing, or is too damaged to be read: that is no reason not to crop the photo."""
    try:
        value = image.getexif().get(ORIENTATION)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _resolution(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _bytes(value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else bytes(value)
