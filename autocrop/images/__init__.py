"""Photo files: open, decode, crop and save them.

Reading goes ``photo`` → ``opening`` → ``decoding``, ``tiff_decoder`` or ``raw`` → ``metadata_reader`` → ``metadata``
and ``pixels``. ``jpeg_scans`` and ``raw_structure`` check that a file is complete, ``tiff_pages`` selects the page of a
TIFF, and ``unsupported`` names the formats that cannot be read.
Writing goes ``photo`` → ``saving`` or ``lossless`` → ``metadata_writer`` → ``metadata`` → ``exif``, ``xmp``,
``photoshop``, ``tiff`` and ``containers``. ``color_of_output`` and ``color`` preserve the colors in each format, and
``attachments`` and ``isobmff`` describe what else a file contains. ``verification`` checks the result, ``files`` writes
it to disk, ``sidecar`` makes XMP sidecars, and ``turned`` applies the orientation in a sidecar.

Both directions share ``formats`` (names and extensions of formats), ``encoding`` (how a photo is compressed),
``limits`` (numbers of pixels) and ``orientation``. ``padding`` and ``thumbnail`` make new pictures from decoded ones.
"""

from autocrop.images.files import remove_leftovers, write_atomically
from autocrop.images.formats import PHOTO_SUFFIXES, format_of, is_picture_name
from autocrop.images.limits import MAX_PIXELS
from autocrop.images.photo import Photo, open_photo, photo_from_bytes, photo_from_memory
from autocrop.images.pixels import Picture, as_image

__all__ = [
    "MAX_PIXELS",
    "PHOTO_SUFFIXES",
    "Photo",
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
