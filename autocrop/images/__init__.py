"""Photos in and out.

A thing lives in one file:

``photo.py`` the class that everything else uses · ``opening.py`` path → decoder, limits, sentences · ``decoding.py``
Pillow, 16-bit color · ``raw.py`` camera raw · ``pixels.py`` cut, resize, convert · ``saving.py`` encoders ·
``lossless.py`` JPEG blocks · ``metadata.py`` what to keep · ``exif.py``, ``xmp.py`` put right · ``containers.py``
JPEG segments, PNG chunks · ``tiff.py`` directories · ``orientation.py`` stored and upright ·
``files.py`` whole or not at all.
"""

from autocrop.errors import PhotoError
from autocrop.images.exif import EXIF_HEIGHT, EXIF_WIDTH
from autocrop.images.files import remove_leftovers, write_atomically
from autocrop.images.opening import MAX_PIXELS
from autocrop.images.opening import SUFFIXES as PHOTO_SUFFIXES
from autocrop.images.orientation import ORIENTATION
from autocrop.images.photo import Photo, is_picture_name, open_photo, photo_from_bytes, photo_from_memory
from autocrop.images.pixels import Picture, as_image
from autocrop.images.saving import format_of
from autocrop.images.tiff import EXIF_IFD

__all__ = [
    "EXIF_HEIGHT",
    "EXIF_IFD",
    "EXIF_WIDTH",
    "MAX_PIXELS",
    "ORIENTATION",
    "PHOTO_SUFFIXES",
    "Photo",
    "PhotoError",
    "Picture",
    "as_image",
    "format_of",
    "is_picture_name",
    "open_photo",
    "photo_from_bytes",
    "photo_from_memory",
    "remove_leftovers",
    "write_atomically",
]
