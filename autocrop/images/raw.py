"""Camera raw through rawpy, which wraps LibRaw: the extra ``[raw]``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.images import metadata as md
from autocrop.images import tiff
from autocrop.images.metadata import Metadata
from autocrop.images.pixels import Deep
from autocrop.images.saving import Coding

# fmt: off
SUFFIXES = frozenset((
    ".3fr", ".ari", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dcs", ".dng", ".erf", ".fff",
    ".gpr", ".iiq", ".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".raf",
    ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))
"""Extensions of the raw formats that LibRaw reads."""
# fmt: on
ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
"""LibRaw's ``flip`` as EXIF's orientation."""
MAKER_NOTE = 37500
SIGNATURES = {b"IIRO": b"II*\0", b"IIRS": b"II*\0", b"IIU\0": b"II*\0"}
"""Raw formats that are TIFF but for their first bytes: Olympus and Panasonic."""


class RawDecoder:
    """A camera raw photo, developed with the camera's white balance, as dcraw would.

    Args:
        source: path or content.
        name: for messages.
        max_pixels: more are refused before anything is decoded.

    Raises:
        PhotoError: rawpy is not installed, LibRaw cannot read it, or it is too large.
    """

    format: str | None = "RAW"
    data = b""

    def __init__(self, source: Path | bytes, name: str, max_pixels: int) -> None:
        try:
            import rawpy
        except ImportError as error:
            raise PhotoError(
                f"{name} is a camera raw photo. To read it: pip install 'autocrop-photo[raw]'. "
                "Or export it as JPEG, PNG or TIFF first."
            ) from error
        try:
            self._raw = rawpy.imread(str(source) if isinstance(source, Path) else io.BytesIO(source))
            sizes = self._raw.sizes
        except rawpy.LibRawError as error:
            reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else error
            raise PhotoError(f"{name} is no raw photo that LibRaw can read ({reason}).") from error
        width, height = sizes.width, sizes.height
        if max(width * height, sizes.raw_width * sizes.raw_height) > max_pixels:
            raise PhotoError(too_large(name, width, height, max_pixels))
        self.orientation = ORIENTATIONS.get(sizes.flip, 1)
        self.size = (height, width) if self.orientation >= 5 else (width, height)
        self.coding = Coding(None, "RGB")
        self.metadata = _metadata(source)

    def small(self) -> Image.Image:
        """See :class:`autocrop.images.decoding.Decoder`: half the size, which needs no interpolation of colors."""
        return Image.fromarray(self._raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8))

    def full(self) -> Deep:
        """See :class:`autocrop.images.decoding.Decoder`: 16 bits a channel, sRGB."""
        array = self._raw.postprocess(use_camera_wb=True, output_bps=16)
        if (array.shape[1], array.shape[0]) != self.size:
            raise ValueError("its size is not what its header says")
        return np.ascontiguousarray(array)

    @property
    def notes(self) -> list[str]:
        """See :class:`autocrop.images.decoding.Decoder`."""
        return []


def _metadata(source: Path | bytes) -> Metadata:
    """EXIF and XMP of the raw formats that are built like TIFF, most of them; else nothing."""
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
        order, directory = tiff.read(io.BytesIO(SIGNATURES.get(data[:4], data[:4]) + data[4:]))
        # Its offsets are true in the raw file only, and it may hold the whole picture.
        directory.get(tiff.EXIF_IFD, tiff.Value(tiff.LONG)).directory.pop(MAKER_NOTE, None)
        return Metadata(**md.of_directory(order, directory))
    except (ValueError, OSError):
        return Metadata()


def too_large(name: str, width: int, height: int, limit: int) -> str:
    """The sentence for a photo with more pixels than are allowed."""
    return (
        f"{name} has {width}x{height} = {width * height:,} pixels, more than the limit of {limit:,}. "
        "If you trust it, raise --max-pixels."
    )
