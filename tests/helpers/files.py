"""Photos as cameras store them: orientations, EXIF, XMP and profiles."""

from __future__ import annotations

from PIL import Image, ImageCms

from autocrop.images import EXIF_HEIGHT, EXIF_IFD, EXIF_WIDTH, ORIENTATION

TRANSPOSES = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}
"""How the pixels of an upright picture are stored under each orientation."""


def xmp_of(fields):
    """A packet with those properties, as attributes or as elements."""
    spaces = {
        "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
        "dc": "http://purl.org/dc/elements/1.1/",
        "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
        "tiff": "http://ns.adobe.com/tiff/1.0/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
    }
    declared = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    elements = " ".join(field for field in fields if field.startswith("<"))
    attributes = " ".join(field for field in fields if not field.startswith("<"))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {declared} {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


XMP = xmp_of(['tiff:Orientation="6"', 'dc:title="Coffee"'])


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def stored(image, orientation):
    """*image* as a camera held that way would store it, and its EXIF."""
    for transpose in TRANSPOSES[orientation]:
        image = image.transpose(transpose)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010F] = "Maker of cameras"
    exif.get_ifd(EXIF_IFD).update({0x829A: 0.005, EXIF_WIDTH: image.width, EXIF_HEIGHT: image.height})
    exif[EXIF_IFD] = 0  # an offset that Pillow fills in; without it a TIFF would be written without this directory
    return image, exif
