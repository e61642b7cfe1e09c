"""Parse XMP packets, and update what a crop invalidates.

The names and meanings of properties are those of Adobe's XMP specification (ISO 16684-1) and of the Camera Raw,
Metadata Working Group and Google camera schemas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.dom import minidom
from xml.parsers import expat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CRS = "http://ns.adobe.com/camera-raw-settings/1.0/"
TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
XMP = "http://ns.adobe.com/xap/1.0/"
JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""First bytes of the JPEG segment that holds XMP."""
XMLNS = "http://www.w3.org/2000/xmlns/"
SCHEMAS = {
    "x": "adobe:ns:meta/",
    "rdf": RDF,
    "crs": CRS,
    "tiff": TIFF,
    "exif": EXIF,
    "xmp": XMP,
    "xap": XMP,
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "Container": "http://ns.google.com/photos/1.0/container/",
}
"""Usual prefixes of schemas, for packets that do not declare them."""
MAX_DEPTH, MAX_ELEMENTS = 100, 50_000
"""Maximum nesting depth, and maximum number of elements and attributes, of a packet. Lightroom writes packets of a few
hundred elements, ten levels deep, and a few thousand with many masks. A DOM of 50,000 takes 0.4 seconds and 60 MB."""
MAX_UNDECLARED = 100
PADDING = b"\0 \t\r\n"
"""Bytes around a packet that mean nothing."""
ENCODED_STARTS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"<\0\0\0": "utf-32-le",
    b"\0\0\0<": "utf-32-be",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
"""First bytes of XML in encodings other than UTF-8, longest first."""
ROOT = re.compile(rb"<((?:[\w.-]+:)?(?:xmpmeta|xapmeta|RDF))\b")
"""Start of the outermost element of a packet."""
DECLARATION = re.compile(rb"\bxmlns:([\w.-]+)\s*=")
PREFIX = re.compile(rb"[<\s/]([A-Za-z_][\w.-]*):[\w.-]+(?=[\s=>/])")
"""Prefixes in the names of elements and attributes. Matches inside text are harmless."""
INVALID_CHARACTERS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
"""Characters that XML does not allow, in UTF-8."""
CROP_PROPERTIES = frozenset(
    ("HasCrop", "CropTop", "CropLeft", "CropBottom", "CropRight", "CropAngle", "CropWidth", "CropHeight")
) | {"CropUnit", "CropUnits", "CropConstrainToWarp", "CropConstrainAspectRatio"}
"""Properties of :data:`CRS` that describe a crop."""
REGIONS_NOTE = "face regions in XMP are left out"
SUBJECT_NOTE = "the position of the subject in XMP is left out"
REMOVED_PROPERTIES = {
    **dict.fromkeys(((CRS, name) for name in sorted(CROP_PROPERTIES)), ""),
    (XMP, "Thumbnails"): "",
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"): "extended XMP (depth maps and the like) is left out",
    ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions"): REGIONS_NOTE,
    ("http://ns.microsoft.com/photo/1.2/", "RegionInfo"): REGIONS_NOTE,
    ("http://ns.apple.com/faceinfo/1.0/", "Regions"): REGIONS_NOTE,
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"): "IPTC image regions in XMP are left out",
    (EXIF, "SubjectArea"): SUBJECT_NOTE,
    (EXIF, "SubjectLocation"): SUBJECT_NOTE,
}
"""Schema and name of the properties that a crop invalidates, and the note for the user when one is removed."""
REMOVED_SCHEMAS = {
    "http://ns.acdsee.com/regions/": "ACDSee regions in XMP are left out",
    "http://ns.google.com/photos/1.0/panorama/": "the position in a panorama (GPano) is left out of XMP",
    "http://ns.google.com/photos/1.0/focus/": "the focus point (GFocus) is left out of XMP",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "",
    "http://ns.google.com/photos/1.0/depthmap/": "",
    "http://ns.google.com/photos/1.0/image/": "",
    "http://ns.google.com/photos/1.0/audio/": "",
    "http://ns.google.com/photos/1.0/container/": "",
    "http://ns.google.com/photos/1.0/container/item/": "",
    "http://ns.apple.com/HDRGainMap/1.0/": "",
    "http://ns.apple.com/pixeldatainfo/1.0/": "",
}
"""Schemas that describe regions, other pictures in the file, or the position of the uncropped photo in a panorama, and
the note for the user when a property is removed. Notes about the pictures are written where those are left out."""
DYNAMIC_DEPTH = "http://ns.google.com/photos/dd/1.0/"
"""First part of the schemas of Dynamic Depth: cameras, depth maps and planes in coordinates of the uncropped photo."""
MOTION_PREFIXES = ("MotionPhoto", "MicroVideo")
"""Prefixes of Google's properties for the video that is stored after the photo."""


class TooLargeError(ValueError):
    """The packet has more elements than any program writes."""


def update_for_crop(packet: bytes, size: tuple[int, int], upright: bool) -> tuple[bytes, list[str]]:
    """Update an XMP packet for a crop: set size and orientation, and remove what describes only the uncropped photo.

    Args:
        packet: The photo's XMP packet.
        size: (width, height) of the crop as it is stored.
        upright: True if the crop is stored upright, False if it keeps the photo's orientation tag.

    Returns:
        The packet, and notes for the user about what was removed.

    Raises:
        ValueError: The packet is not valid XMP.
    """
    document, sound_packet = _parse_or_repair(packet)
    before = document.toxml()
    notes: set[str] = set()
    for description in descriptions(document):
        for (schema, name), note in REMOVED_PROPERTIES.items():
            if remove_property(description, schema, name) and note:
                notes.add(note)
        for schema, name in list(_properties(description)):
            if schema in REMOVED_SCHEMAS or schema.startswith(DYNAMIC_DEPTH) or name.startswith(MOTION_PREFIXES):
                remove_property(description, schema, name)
                notes.add(REMOVED_SCHEMAS.get(schema, ""))
        if upright:
            _replace_property(description, TIFF, "Orientation", "1")
        for schema, name, value in (
            (EXIF, "PixelXDimension", size[0]),
            (EXIF, "PixelYDimension", size[1]),
            (TIFF, "ImageWidth", size[0]),
            (TIFF, "ImageLength", size[1]),
        ):
            _replace_property(description, schema, name, str(value))
    return (sound_packet if document.toxml() == before else serialize(document)), sorted(notes - {""})


def parse(packet: bytes) -> Any:
    """Parse a packet into a DOM document. Entities are rejected: they let a small file expand to gigabytes.

    Bytes around the XML, undeclared prefixes and invalid characters are repaired.

    Raises:
        ValueError: The packet is not XMP, it declares entities, or it has too many elements.
    """
    return _parse_or_repair(packet)[0]


def _parse_or_repair(packet: bytes) -> tuple[Any, bytes]:
    """Return a packet's DOM document, and the packet itself, which is changed only if it needed repair."""
    stripped = _as_utf8(packet)
    try:
        return _parse(stripped), packet
    except (expat.ExpatError, LookupError):
        repaired = _repair(stripped)
    try:
        return _parse(repaired), repaired
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(str(error)) from error


def _parse(packet: bytes) -> Any:
    """Parse a packet, once its size is known to be harmless.

    Raises:
        ExpatError: The packet is not well-formed XML.
    """
    depth = elements = 0

    def reject(*_: Any) -> None:
        raise ValueError("it declares entities")

    def count(_: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1 + len(attributes)
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
            raise TooLargeError("it has too many elements")

    def leave(_: str) -> None:
        nonlocal depth
        depth -= 1

    checker = expat.ParserCreate()
    checker.StartDoctypeDeclHandler = reject
    checker.StartElementHandler = count
    checker.EndElementHandler = leave
    checker.Parse(packet, True)
    return minidom.parseString(packet)


def _as_utf8(packet: bytes) -> bytes:
    """Return a packet in UTF-8, without the bytes around it. XMP may also be in UTF-16 and UTF-32."""
    for start, encoding in ENCODED_STARTS.items():
        if packet.startswith(start):
            return packet.decode(encoding, "replace").encode("utf-8", "replace").strip(PADDING)
    return packet.strip(PADDING)


def _repair(packet: bytes) -> bytes:
    """Cut a packet out of the bytes around it, declare its undeclared prefixes and remove invalid characters."""
    packet = INVALID_CHARACTERS.sub(b"", packet.decode("utf-8", "replace").encode())
    root = ROOT.search(packet)
    if root is None:
        return packet
    packet = packet[root.start() :]
    end = packet.rfind(b"</" + root[1] + b">")
    packet = packet[: end + len(root[1]) + 3] if end >= 0 else packet
    declared = {match[1] for match in DECLARATION.finditer(packet)}
    used = dict.fromkeys(match[1] for match in PREFIX.finditer(packet))
    missing = [prefix for prefix in used if prefix not in declared and prefix not in (b"xml", b"xmlns")]
    declarations = b"".join(
        b' xmlns:%s="%s"' % (prefix, SCHEMAS.get(prefix.decode(), f"urn:undeclared:{prefix.decode()}").encode())
        for prefix in missing[:MAX_UNDECLARED]
    )
    return packet[: len(root[0])] + declarations + packet[len(root[0]) :]


def serialize(document: Any) -> bytes:
    """Return a document as an XMP packet."""
    # Document.toxml() would add an XML declaration, which an XMP packet does not have.
    return "".join(node.toxml() + "\n" for node in document.childNodes).encode()


def descriptions(document: Any) -> Iterator[Any]:
    """Yield the top-level ``rdf:Description`` elements. Nested ones belong to presets and snapshots."""
    for root in document.getElementsByTagNameNS(RDF, "RDF"):
        for node in root.childNodes:
            if _is_element(node, RDF, "Description"):
                yield node


def remove_property(description: Any, schema: str, name: str) -> bool:
    """Remove a property; return True if it existed."""
    existed = bool(description.hasAttributeNS(schema, name))
    if existed:
        description.removeAttributeNS(schema, name)
    for node in list(description.childNodes):
        if _is_element(node, schema, name):
            description.removeChild(node).unlink()
            existed = True
    return existed


def property_text(description: Any, schema: str, name: str) -> str:
    """Return the text of a simple property; an empty string if it is missing."""
    if description.hasAttributeNS(schema, name):
        return str(description.getAttributeNS(schema, name)).strip()
    for node in description.childNodes:
        if _is_element(node, schema, name):
            return "".join(child.data for child in node.childNodes if child.nodeType == node.TEXT_NODE).strip()
    return ""


def has_schema(description: Any, schema: str) -> bool:
    """Return True if the description has a property of *schema*."""
    return any(namespace == schema for namespace, _ in _properties(description))


def ensure_prefix(description: Any, schema: str, default: str) -> str:
    """Return the prefix of *schema* in a description. If it has none, declare *default* there."""
    node = description
    while node is not None and node.nodeType == node.ELEMENT_NODE:
        for attribute in list(node.attributes.values()):
            if attribute.namespaceURI == XMLNS and attribute.value == schema:
                return str(attribute.localName)
        node = node.parentNode
    description.setAttributeNS(XMLNS, f"xmlns:{default}", schema)
    return default


def _properties(description: Any) -> Iterator[tuple[str, str]]:
    """Yield schema and name of each property. XMP stores a property as an attribute or as an element."""
    for attribute in list((description.attributes or {}).values()):
        if attribute.namespaceURI not in (None, XMLNS):
            yield attribute.namespaceURI, attribute.localName
    for node in description.childNodes:
        if node.nodeType == node.ELEMENT_NODE:
            yield node.namespaceURI, node.localName


def _replace_property(description: Any, schema: str, name: str, text: str) -> None:
    """Change the value of a property if it exists."""
    if description.hasAttributeNS(schema, name):
        description.getAttributeNodeNS(schema, name).value = text
    for node in description.childNodes:
        if _is_element(node, schema, name):
            for child in list(node.childNodes):
                node.removeChild(child)
            node.appendChild(node.ownerDocument.createTextNode(text))


def _is_element(node: Any, schema: str, name: str) -> bool:
    return node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (schema, name)
