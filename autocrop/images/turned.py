"""Show a photo in the orientation that its sidecar specifies, instead of the one in its EXIF."""

from __future__ import annotations

import numpy as np
from PIL import Image

from autocrop.images.decoding import Decoder
from autocrop.images.orientation import SIDEWAYS, stored_pixels, upright_pixels
from autocrop.images.pixels import Picture
from autocrop.images.sidecar import read_orientation


class TurnedDecoder:
    """Decodes a photo with another decoder and turns it.

    Args:
        decoder: The photo's own decoder.
        orientation: EXIF orientation to use instead of the photo's, 1 to 8.
    """

    def __init__(self, decoder: Decoder, orientation: int) -> None:
        self._decoder = decoder
        self.orientation = orientation
        swap = (orientation in SIDEWAYS) != (decoder.orientation in SIDEWAYS)
        self.size = decoder.size[::-1] if swap else decoder.size
        self.format = decoder.format
        self.encoding = decoder.encoding
        self.metadata = decoder.metadata
        self.data = decoder.data

    def decode_preview(self) -> Image.Image:
        """See :class:`autocrop.images.decoding.Decoder`."""
        return self._turn_image(self._decoder.decode_preview())

    def decode(self) -> Picture:
        """See :class:`autocrop.images.decoding.Decoder`."""
        picture = self._decoder.decode()
        if isinstance(picture, Image.Image):
            return self._turn_image(picture)
        stored = stored_pixels(picture, self._decoder.orientation)
        return np.ascontiguousarray(upright_pixels(stored, self.orientation))

    @property
    def notes(self) -> list[str]:
        """See :class:`autocrop.images.decoding.Decoder`."""
        return self._decoder.notes

    def _turn_image(self, image: Image.Image) -> Image.Image:
        before, after = self._decoder.orientation, self.orientation
        for transpose in (*STORING[before], *UPRIGHTING[after]):
            image = image.transpose(transpose)
        return image


def turned_by_sidecar(decoder: Decoder, sidecar: bytes) -> Decoder:
    """Return a decoder that applies the orientation in a photo's sidecar.

    Args:
        decoder: The photo's own decoder. It is returned unchanged if the sidecar has the same orientation, has none, or
            is not valid XMP.
        sidecar: Content of the sidecar.
    """
    orientation = read_orientation(sidecar) or decoder.orientation
    return decoder if orientation == decoder.orientation else TurnedDecoder(decoder, orientation)


_T = Image.Transpose
UPRIGHTING: dict[int, tuple[Image.Transpose, ...]] = {
    1: (),
    2: (_T.FLIP_LEFT_RIGHT,),
    3: (_T.ROTATE_180,),
    4: (_T.FLIP_TOP_BOTTOM,),
    5: (_T.TRANSPOSE,),
    6: (_T.ROTATE_270,),
    7: (_T.TRANSVERSE,),
    8: (_T.ROTATE_90,),
}
"""Transformations from the stored picture to the upright one, for each EXIF orientation."""
STORING = UPRIGHTING | {6: (_T.ROTATE_90,), 8: (_T.ROTATE_270,)}
"""Transformations from the upright picture to the stored one."""
