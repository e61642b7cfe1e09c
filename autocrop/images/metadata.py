"""The metadata of a photo, and how it changes for a crop.

EXIF, XMP and Photoshop resources (which hold IPTC) are kept as bytes, so that nothing changes except what a crop
invalidates.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from autocrop.images import exif, photoshop, xmp
from autocrop.images.color import Cicp
from autocrop.images.containers import Chunk

TIFF_XMP, TIFF_IPTC, TIFF_PHOTOSHOP, TIFF_ICC = 700, 33723, 34377, 34675
STRUCTURE_TAGS = {*range(254, 260), 262, 266, 273, 277, 278, 279, 284, *range(317, 326), 330, 338, 339, 347} | {
    *range(512, 522),
    529,
    530,
    531,
    532,
}
"""TIFF tags that describe how the pixels of the input are stored. The output has its own."""
INVALIDATED_TAGS = {37724, 50341, 33550, 33922, 34264, 34735, 34736, 34737, *range(50706, 51200)}
"""TIFF tags that a crop invalidates: Photoshop layers, PrintIM, GeoTIFF, DNG."""
NON_EXIF_TAGS = STRUCTURE_TAGS | INVALIDATED_TAGS | {TIFF_XMP, TIFF_IPTC, TIFF_PHOTOSHOP, TIFF_ICC}
"""Tags of a TIFF directory that are not copied as EXIF."""
RESOLUTION_CHUNK = b"pHYs"
COLOR_CHUNKS = (b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
"""PNG chunks that define the color space."""


@dataclass(frozen=True)
class Metadata:
    """Everything in a photo file apart from its pixels. Fields are empty if the file has no such metadata."""

    exif: bytes = b""
    """EXIF, starting at its byte order mark."""
    xmp: bytes = b""
    photoshop: bytes = b""
    """Photoshop resources, including IPTC."""
    icc: bytes = b""
    comment: bytes = b""
    density: bytes = b""
    """JFIF's unit and resolution: five bytes."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical resolution in dots per inch."""
    cicp: Cicp | None = None
    """Code points of the color of an AVIF, HEIC or PNG; they take precedence over a PNG's profile."""
    chunks: tuple[Chunk, ...] = ()
    """PNG chunks for resolution, color and text that no other field covers."""
    attachments: tuple[str, ...] = ()
    """Notes for the user about additional pictures and videos in the file, which crops do not keep."""
    notes: tuple[str, ...] = ()
    """Notes for the user about metadata that could not be kept."""

    def stripped(self, orientation: int = 1) -> Metadata:
        """Return only what a viewer needs to show the photo correctly: color, resolution and orientation."""
        return Metadata(
            exif=exif.orientation_only(orientation) if orientation != 1 else b"",
            icc=self.icc,
            cicp=self.cicp,
            density=self.density,
            dpi=self.dpi,
            chunks=tuple(chunk for chunk in self.chunks if chunk[0] in (*COLOR_CHUNKS, RESOLUTION_CHUNK)),
        )

    def for_crop(self, size: tuple[int, int], upright: bool) -> Metadata:
        """Return the metadata of a crop, without what the crop invalidates.

        Args:
            size: (width, height) of the crop as it is stored.
            upright: True if the crop is stored upright, False if it keeps the photo's orientation tag.
        """
        new_exif, new_xmp, notes = b"", b"", [*self.notes]
        if self.exif:
            try:
                new_exif, exif_notes = exif.update_for_crop(self.exif, size, upright)
                notes += exif_notes
            except ValueError:
                notes.append("EXIF is left out, because it is damaged")
        if self.xmp:
            try:
                new_xmp, xmp_notes = xmp.update_for_crop(self.xmp, size, upright)
                notes += xmp_notes
            except xmp.TooLargeError:
                notes.append("XMP is left out, because it has too many elements")
            except ValueError:
                notes.append("XMP is left out, because it is damaged")
        if photoshop.is_damaged(self.photoshop):
            notes.append("some of Photoshop's resources, which hold IPTC, are left out, because they are damaged")
        return dataclasses.replace(
            self,
            exif=new_exif,
            xmp=new_xmp,
            photoshop=photoshop.update_for_crop(self.photoshop),
            notes=tuple(notes),
        )

    def without_color_space(self) -> Metadata:
        """Return the metadata without its description of colors, for a picture in another color space."""
        return dataclasses.replace(
            self, icc=b"", cicp=None, chunks=tuple(chunk for chunk in self.chunks if chunk[0] not in COLOR_CHUNKS)
        )

    @property
    def iptc(self) -> bytes:
        """The IPTC records."""
        return photoshop.iptc_of(self.photoshop)
