"""Photo files as cameras and other programs write them: orientations, metadata, 16 bits per channel, camera raw."""

from __future__ import annotations

import struct

import cv2
import numpy as np
from PIL import Image, ImageCms

from autocrop.images import tiff
from autocrop.images.exif import EXIF_HEIGHT, EXIF_WIDTH
from autocrop.images.orientation import ORIENTATION
from autocrop.images.tiff import EXIF_IFD

MAKE = 0x010F
"""EXIF tag."""
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
"""Transformations from the upright picture to the stored one, for each EXIF orientation."""
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
BGR_CHANNELS = {3: [2, 1, 0], 4: [2, 1, 0, 3]}
"""Channel order of OpenCV, by the number of channels."""


def xmp_packet(properties):
    """Return an XMP packet with these properties, each written as an attribute or as an element."""
    namespaces = {
        "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
        "dc": "http://purl.org/dc/elements/1.1/",
        "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
        "tiff": "http://ns.adobe.com/tiff/1.0/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
    }
    declarations = " ".join(f'xmlns:{prefix}="{namespace}"' for prefix, namespace in namespaces.items())
    elements = " ".join(text for text in properties if text.startswith("<"))
    attributes = " ".join(text for text in properties if not text.startswith("<"))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {declarations} {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


XMP = xmp_packet(['tiff:Orientation="6"', 'dc:title="Coffee"'])


def stored(image, orientation):
    """Return *image* as a camera held in that orientation stores it, and its EXIF."""
    for transpose in TRANSPOSES[orientation]:
        image = image.transpose(transpose)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[MAKE] = "Maker of cameras"
    exif.get_ifd(EXIF_IFD).update({0x829A: 0.005, EXIF_WIDTH: image.width, EXIF_HEIGHT: image.height})
    exif[EXIF_IFD] = 0  # placeholder for an offset; without it, Pillow leaves the directory out of a TIFF
    return image, exif


def sixteen_bit_picture(photo, channels):
    """Return a photo as an array with 16 bits per channel, whose lower 8 bits are noise."""
    color = np.asarray(Image.open(photo).convert("RGBA")).astype(np.uint16)
    noise = np.random.default_rng(0).integers(0, 256, color.shape, np.uint16)
    picture = (color << 8) | noise
    return picture[..., 0] if channels == 1 else np.ascontiguousarray(picture[..., :channels])


def write_sixteen_bit(path, array, **options):
    """Write an array to a PNG or TIFF; the option ``compression`` is OpenCV's number for a TIFF."""
    parameters = [cv2.IMWRITE_TIFF_COMPRESSION, options["compression"]] if options else []
    cv2.imwrite(str(path), array if array.ndim == 2 else array[..., BGR_CHANNELS[array.shape[2]]], parameters)


def read_sixteen_bit(path):
    """Read a PNG or TIFF in its full bit depth."""
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return array if array.ndim == 2 else array[..., BGR_CHANNELS[array.shape[2]]]


def write_dng(path, orientation):
    """Write a raw photo of 400x300 sensor pixels (RGGB) that gets brighter from left to right."""
    width, height = 400, 300
    sensor = np.tile(np.linspace(2000, 60000, width).astype("<u2"), (height, 1))
    start = 8
    directory = {
        254: tiff.Value(tiff.LONG, bytes(4)),
        256: tiff.shorts(width),
        257: tiff.shorts(height),
        258: tiff.shorts(16),
        259: tiff.shorts(1),
        262: tiff.shorts(32803),
        271: tiff.Value(2, b"Maker of cameras\0"),
        272: tiff.Value(2, b"Model\0"),
        273: tiff.Value(tiff.LONG, struct.pack("<I", start)),
        274: tiff.shorts(orientation),
        277: tiff.shorts(1),
        278: tiff.shorts(height),
        279: tiff.Value(tiff.LONG, struct.pack("<I", sensor.nbytes)),
        33421: tiff.shorts(2, 2),
        33422: tiff.Value(tiff.BYTE, bytes((0, 1, 1, 2))),
        50706: tiff.Value(tiff.BYTE, bytes((1, 4, 0, 0))),
        50708: tiff.Value(2, b"Model\0"),
        50717: tiff.Value(tiff.LONG, struct.pack("<I", 65535)),
        50721: tiff.Value(10, struct.pack("<18i", *[n for i in range(9) for n in (int(i % 4 == 0), 1)])),
        50728: tiff.Value(5, struct.pack("<6I", *[1] * 6)),
        50778: tiff.shorts(21),
    }
    end = start + sensor.nbytes
    path.write_bytes(b"II*\0" + struct.pack("<I", end) + sensor.tobytes() + tiff.serialize(directory, "<", end))
