"""Parse XMP packets, and update what a crop invalidates.

The names and meanings of properties are those of Adobe's XMP specification (ISO 16684-1) and of the Camera Raw,
Metadata Working Group and Google camera schemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.dom import minidom
from xml.parsers import expat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CRS = "http://ns.adobe.com/camera-raw-settings/1.0/"
TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
XMP = "http://ns.adobe.com/xap/1.0/"
XMLNS = "http://www.w3.org/2000/xmlns/"
CROP_PROPERTIES = frozenset(
    ("HasCrop", "CropTop", "CropLeft", "CropBottom", "CropRight", "CropAngle", "CropWidth", "CropHeight")
) | {"CropUnit", "CropUnits", "CropConstrainToWarp", "CropConstrainAspectRatio"}
"""Properties of :data:`CRS` that describe a crop."""
REMOVED_PROPERTIES = {
    **dict.fromkeys(((CRS, name) for name in sorted(CROP_PROPERTIES)), ""),
    (XMP, "Thumbnails"): "",
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"): "extended XMP (depth maps and the like) is left out",
    ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions"): "face regions in XMP are left out",
    ("http://ns.microsoft.com/photo/1.2/", "RegionInfo"): "face regions in XMP are left out",
    ("http://ns.google.com/photos/1.0/container/", "Directory"): "",
}
"""Schema and name of the properties that a crop invalidates, and the note for the user when one is removed."""
REMOVED_SCHEMAS = {
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/panorama/",
}
"""Schemas that describe other pictures in the file, or the position of the uncropped photo in a panorama."""
MOTION_PREFIXES = ("MotionPhoto", "MicroVideo")
"""Prefixes of Google's properties for the video that is stored after the photo."""


def update_for_crop(packet: bytes, size: tuple[int, int], upright: bool) -> tuple[bytes, list[str]]:
    """Update an XMP packet for a crop: set size and orientation, remove what describes the uncropped photo.

    Args:
        packet: The photo's XMP packet.
        size: (width, height) of the crop as it is stored.
        upright: True if the crop is stored upright, False if it keeps the photo's orientation tag.

    Returns:
        The packet, and notes for the user about what was removed.

    Raises:
        ValueError: The packet is not valid XMP.
    """
    document = parse(packet)
    before = document.toxml()
    notes: set[str] = set()
    for description in descriptions(document):
        for (schema, name), note in REMOVED_PROPERTIES.items():
            if remove_property(description, schema, name) and note:
                notes.add(note)
        for schema, name in list(_properties(description)):
            if schema in REMOVED_SCHEMAS or name.startswith(MOTION_PREFIXES):
                remove_property(description, schema, name)
        if upright:
            _replace_property(description, TIFF, "Orientation", "1")
        for schema, name, value in (
            (EXIF, "PixelXDimension", size[0]),
            (EXIF, "PixelYDimension", size[1]),
            (TIFF, "ImageWidth", size[0]),
            (TIFF, "ImageLength", size[1]),
        ):
            _replace_property(description, schema, name, str(value))
    return (packet if document.toxml() == before else serialize(document)), sorted(notes)


def parse(packet: bytes) -> Any:
    """Parse a packet into a DOM document. Entities are rejected: they let a small file expand to gigabytes.

    Raises:
        ValueError: The packet is not well-formed XML, or it declares entities.
    """

    def reject(*_: Any) -> None:
        raise ValueError("it declares entities")

    try:
        checker = expat.ParserCreate()
        checker.StartDoctypeDeclHandler = reject
        packet = packet.strip(b"\0 \t\r\n")
        checker.Parse(packet, True)
        return minidom.parseString(packet)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(str(error)) from error


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
