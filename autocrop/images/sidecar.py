"""XMP sidecar files that tell Lightroom and Camera Raw how to crop a photo."""

from __future__ import annotations

from dataclasses import dataclass

from autocrop.geometry.boxes import PixelBox
from autocrop.images import xmp
from autocrop.images.orientation import SIDEWAYS, to_stored

ORIENTATIONS = frozenset("12345678")
"""Values of tiff:Orientation."""
EMPTY_SIDECAR = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{xmp.RDF}">
  <rdf:Description rdf:about="" xmlns:crs="{xmp.CRS}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


@dataclass(frozen=True)
class CropSettings:
    """A crop in Camera Raw's terms: fractions of the photo as it is stored, before its orientation is applied."""

    top: float
    left: float
    bottom: float
    right: float

    @classmethod
    def from_box(cls, box: PixelBox, width: int, height: int, orientation: int) -> CropSettings:
        """Convert a box in pixels of the upright photo.

        Args:
            box: (left, top, right, bottom) in the upright photo.
            width: Width of the upright photo.
            height: Height of the upright photo.
            orientation: EXIF orientation of the stored photo, 1 to 8.
        """
        left, top, right, bottom = to_stored(box, width, height, orientation)
        if orientation in SIDEWAYS:
            width, height = height, width
        return cls(top / height, left / width, bottom / height, right / width)

    def properties(self) -> dict[str, str]:
        """Return the names and values of the properties that Camera Raw reads."""
        edges = {"CropTop": self.top, "CropLeft": self.left, "CropBottom": self.bottom, "CropRight": self.right}
        fractions = {name: f"{edge:.6f}".rstrip("0").rstrip(".") for name, edge in edges.items()}
        return {**fractions, "CropAngle": "0", "CropConstrainToWarp": "0", "HasCrop": "True"}


def read_orientation(sidecar: bytes) -> int | None:
    """Return the EXIF orientation that a sidecar specifies; None if it has none or is not valid XMP."""
    try:
        descriptions = list(xmp.descriptions(xmp.parse(sidecar)))
    except ValueError:
        return None
    texts = [xmp.property_text(description, xmp.TIFF, "Orientation") for description in descriptions]
    return next((int(text) for text in texts if text in ORIENTATIONS), None)


def write_crop(sidecar: bytes | None, crop: CropSettings) -> bytes:
    """Return a sidecar with a crop.

    Args:
        sidecar: Content of an existing sidecar, in which only the crop is replaced; None for a new sidecar.
        crop: The crop to write.

    Raises:
        ValueError: The existing sidecar is not valid XMP.
    """
    document = xmp.parse(EMPTY_SIDECAR.encode() if sidecar is None else sidecar)
    descriptions = list(xmp.descriptions(document))
    if not descriptions:
        raise ValueError("it contains no rdf:Description")
    for description in descriptions:
        for name in xmp.CROP_PROPERTIES:
            xmp.remove_property(description, xmp.CRS, name)
    # Write the crop next to the other settings of Camera Raw.
    home = next((node for node in descriptions if xmp.has_schema(node, xmp.CRS)), descriptions[0])
    prefix = xmp.ensure_prefix(home, xmp.CRS, default="crs")
    for name, text in crop.properties().items():
        home.setAttributeNS(xmp.CRS, f"{prefix}:{name}", text)
    return xmp.serialize(document)
