"""XMP: the packet inside a photo, and the sidecar file in which Lightroom and Camera Raw look for a crop.

Names and meanings are those of Adobe's XMP specification (ISO 16684-1) and of the Camera Raw, Metadata Working Group
and Google camera schemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.dom import minidom
from xml.parsers import expat

from autocrop.geometry.boxes import PixelBox
from autocrop.images.orientation import to_stored

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CRS = "http://ns.adobe.com/camera-raw-settings/1.0/"
TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
XMP = "http://ns.adobe.com/xap/1.0/"
XMLNS = "http://www.w3.org/2000/xmlns/"
CROP = [f"Crop{side}" for side in ("Top", "Left", "Bottom", "Right")]
"""Camera Raw's fields of a crop: fractions of the photo as it is stored."""
CROP_FIELDS = {"HasCrop", *CROP, "CropAngle", "CropWidth", "CropHeight", "CropUnit", "CropUnits"} | {
    "CropConstrainToWarp",
    "CropConstrainAspectRatio",
}
DROPPED = {
    **dict.fromkeys(((CRS, name) for name in CROP_FIELDS), ""),
    (XMP, "Thumbnails"): "",
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"): "extended XMP (depth maps and the like) is left out",
    ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions"): "face regions in XMP are left out",
    ("http://ns.microsoft.com/photo/1.2/", "RegionInfo"): "face regions in XMP are left out",
    ("http://ns.google.com/photos/1.0/container/", "Directory"): "",
}
"""What a crop makes untrue, and what to tell about it."""
DROPPED_SCHEMAS = {
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/panorama/",
}
"""Schemas that describe further pictures in the file, or where in a sphere the whole one lies."""
MOTION = ("MotionPhoto", "MicroVideo")
"""How the names of Google's fields begin that speak of a film behind the photo."""


@dataclass(frozen=True)
class CropFields:
    """A crop as Camera Raw writes it: fractions of the photo as it is stored, before its orientation is applied."""

    top: float
    left: float
    bottom: float
    right: float

    @classmethod
    def of(cls, box: PixelBox, width: int, height: int, orientation: int) -> CropFields:
        """The fields for a box in pixels of the upright photo, whose size that is."""
        left, top, right, bottom = to_stored(box, width, height, orientation)
        across, down = (height, width) if orientation >= 5 else (width, height)
        return cls(top / down, left / across, bottom / down, right / across)

    def texts(self) -> dict[str, str]:
        """Field names and values."""
        edges = (self.top, self.left, self.bottom, self.right)
        values = {name: f"{edge:.6f}".rstrip("0").rstrip(".") for name, edge in zip(CROP, edges, strict=True)}
        return {**values, "CropAngle": "0", "CropConstrainToWarp": "0", "HasCrop": "True"}


EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about="" xmlns:crs="{CRS}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def with_crop(sidecar: bytes | None, crop: CropFields) -> bytes:
    """A sidecar with a crop in it.

    Args:
        sidecar: one that exists, of which everything but the crop is kept; None to begin a new one.
        crop: the fields to set.

    Raises:
        ValueError: the sidecar is no XMP.
    """
    document = _parse(EMPTY.encode() if sidecar is None else sidecar)
    descriptions = list(_descriptions(document))
    if not descriptions:
        raise ValueError("no rdf:Description in it")
    for description in descriptions:
        for name in CROP_FIELDS:
            _drop(description, CRS, name)
    # The other settings of Camera Raw are where the crop belongs.
    home = next((node for node in descriptions if _has_schema(node, CRS)), descriptions[0])
    prefix = _prefix(home)
    for name, text in crop.texts().items():
        home.setAttributeNS(CRS, f"{prefix}:{name}", text)
    return _serialized(document)


def adapted(packet: bytes, size: tuple[int, int], turned: bool) -> tuple[bytes, list[str]]:
    """A packet that is true of a crop, and what to tell about what was dropped.

    Args:
        packet: as the photo has it.
        size: (width, height) of the crop as it is stored.
        turned: the crop is stored upright.

    Raises:
        ValueError: it cannot be parsed.
    """
    document = _parse(packet)
    before = document.toxml()
    told = []
    for description in _descriptions(document):
        for (schema, name), telling in DROPPED.items():
            if _drop(description, schema, name) and telling:
                told.append(telling)
        for schema, name in list(_fields(description)):
            if schema in DROPPED_SCHEMAS or name.startswith(MOTION):
                _drop(description, schema, name)
        if turned:
            _set(description, TIFF, "Orientation", "1")
        for schema, name, value in (
            (EXIF, "PixelXDimension", size[0]),
            (EXIF, "PixelYDimension", size[1]),
            (TIFF, "ImageWidth", size[0]),
            (TIFF, "ImageLength", size[1]),
        ):
            _set(description, schema, name, str(value))
    return (packet if document.toxml() == before else _serialized(document)), sorted(set(told))


def _parse(packet: bytes) -> Any:
    """The packet as a document. Entities, by which small files grow large, are refused."""

    def refuse(*_: Any) -> None:
        raise ValueError("it declares entities")

    try:
        check = expat.ParserCreate()
        check.StartDoctypeDeclHandler = refuse
        packet = packet.strip(b"\0 \t\r\n")
        check.Parse(packet, True)
        return minidom.parseString(packet)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(str(error)) from error


def _serialized(document: Any) -> bytes:
    # As the nodes are, one after another: an XMP packet has no XML declaration.
    return "".join(node.toxml() + "\n" for node in document.childNodes).encode()


def _descriptions(document: Any) -> Iterator[Any]:
    """The top-level descriptions: those further down belong to presets and snapshots."""
    for root in document.getElementsByTagNameNS(RDF, "RDF"):
        for node in root.childNodes:
            if node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (RDF, "Description"):
                yield node


def _fields(description: Any) -> Iterator[tuple[str, str]]:
    """Schema and name of each property, which XMP writes as an attribute or as an element."""
    for attribute in list((description.attributes or {}).values()):
        if attribute.namespaceURI not in (None, XMLNS):
            yield attribute.namespaceURI, attribute.localName
    for node in description.childNodes:
        if node.nodeType == node.ELEMENT_NODE:
            yield node.namespaceURI, node.localName


def _drop(description: Any, schema: str, name: str) -> bool:
    """Take a property out; whether it was there."""
    found = description.hasAttributeNS(schema, name)
    if found:
        description.removeAttributeNS(schema, name)
    for node in list(description.childNodes):
        if node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (schema, name):
            description.removeChild(node).unlink()
            found = True
    return found


def _set(description: Any, schema: str, name: str, text: str) -> None:
    """Change a property that is there."""
    if description.hasAttributeNS(schema, name):
        description.getAttributeNodeNS(schema, name).value = text
    for node in description.childNodes:
        if node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (schema, name):
            for child in list(node.childNodes):
                node.removeChild(child)
            node.appendChild(node.ownerDocument.createTextNode(text))


def _has_schema(description: Any, schema: str) -> bool:
    return any(found == schema for found, _ in _fields(description))


def _prefix(description: Any) -> str:
    """The prefix of Camera Raw's schema, declared where it is not yet."""
    node = description
    while node is not None and node.nodeType == node.ELEMENT_NODE:
        for attribute in list(node.attributes.values()):
            if attribute.namespaceURI == XMLNS and attribute.value == CRS:
                return str(attribute.localName)
        node = node.parentNode
    description.setAttributeNS(XMLNS, "xmlns:crs", CRS)
    return "crs"
