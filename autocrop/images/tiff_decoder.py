"""Decoder for TIFF pages that Pillow would reduce, garble or refuse."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.images import metadata_reader
from autocrop.images.encoding import Encoding
from autocrop.images.metadata import TIFF_ICC, Metadata
from autocrop.images.orientation import ORIENTATION, SIDEWAYS, upright_pixels
from autocrop.images.pixels import FLOAT_PEAK, Picture, as_rgb, reduced_for_preview
from autocrop.images.tiff import RATIONAL, Directory
from autocrop.images.tiff_layout import (
    ASSOCIATED_ALPHA,
    CIE_LAB,
    CMYK,
    COLOR_CHANNELS,
    FLOAT,
    ICC_LAB,
    LOSSLESS_COMPRESSIONS,
    RGB,
    SIGNED,
    UNASSOCIATED_ALPHA,
    WHITE_IS_ZERO,
    Layout,
)
from autocrop.images.tiff_samples import Samples, read_samples

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
INCHES_PER_UNIT = {2: 1.0, 3: 2.54}
"""Factors from the unit of the resolution to dots per inch."""
RANGE_TOLERANCE = 1e-3
"""How far floating-point colors may lie outside the range 0 to 1, because of rounding errors."""


class TiffDecoder:
    """Decodes TIFF pages in their own bit depth.

    Args:
        source: Path or content of the file.
        order: Byte order of the file, ``<`` or ``>``.
        directory: Directory of the page.
        layout: Layout of the page; it must be of a known kind and have no problem.
        notes: Notes for the user about other pages.
    """

    format: str | None = "TIFF"
    data = b""

    def __init__(
        self, source: Path | bytes, order: str, directory: Directory, layout: Layout, notes: tuple[str, ...] = ()
    ) -> None:
        self._page_notes = notes
        self._source = source
        self._order = order
        self._layout = layout
        value = directory[ORIENTATION].integers if ORIENTATION in directory else ()
        self.orientation = value[0] if value and 1 <= value[0] <= 8 else 1
        size = layout.width, layout.height
        self.size = size[::-1] if self.orientation in SIDEWAYS else size
        self.encoding = Encoding(
            "TIFF", _mode(layout), lossless=True, compression=LOSSLESS_COMPRESSIONS[layout.compression]
        )
        self.metadata = _read_metadata(order, directory)

    def decode_preview(self) -> Image.Image:
        """See :class:`autocrop.images.decoding.Decoder`."""
        return as_rgb(reduced_for_preview(self._picture))

    def decode(self) -> Picture:
        """See :class:`autocrop.images.decoding.Decoder`."""
        return self._picture

    @functools.cached_property
    def _picture(self) -> Picture:
        data = self._source if isinstance(self._source, bytes) else self._source.read_bytes()
        samples = read_samples(data, self._layout, self._order)
        return _to_picture(upright_pixels(samples, self.orientation), self._layout)

    @property
    def notes(self) -> list[str]:
        """See :class:`autocrop.images.decoding.Decoder`."""
        layout, notes = self._layout, [*self._page_notes]
        bits = layout.bits[0]
        is_gray = COLOR_CHANNELS[layout.photometric] == 1
        has_alpha = _alpha_channel(layout) is not None
        if layout.sample_format == SIGNED:
            notes.append("signed values are shifted, so that zero is medium gray")
        if layout.sample_format == FLOAT and is_gray and not has_alpha:
            if bits == 64:
                notes.append("64-bit floating-point values are reduced to 32 bits")
        elif layout.sample_format == FLOAT:
            notes.append(f"{bits}-bit floating-point values are reduced to 16 bits per channel")
        elif layout.photometric in (CMYK, CIE_LAB, ICC_LAB) and bits > 8:
            notes.append(f"{bits} bits per channel are read as 8")
        elif bits > 16:
            notes.append(f"{bits} bits per channel are reduced to 16")
        dropped = len(layout.extra_samples) - has_alpha
        if dropped:
            channels = "1 extra channel" if dropped == 1 else f"{dropped} extra channels"
            verb = "is" if dropped == 1 else "are"
            notes.append(f"{channels}, such as a mask or a spot color, {verb} left out")
        return notes


def _alpha_channel(layout: Layout) -> int | None:
    """Return the index of the channel that holds the transparency, if there is one and it can be kept."""
    if layout.photometric in (CMYK, CIE_LAB, ICC_LAB):
        return None
    for index, meaning in enumerate(layout.extra_samples):
        if meaning in (ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA):
            return COLOR_CHANNELS[layout.photometric] + index
    return None


def _mode(layout: Layout) -> str:
    """Return the Pillow mode with the same channels."""
    if layout.photometric in (CMYK, CIE_LAB, ICC_LAB):
        return "CMYK" if layout.photometric == CMYK else "LAB"
    mode = "RGB" if layout.photometric == RGB else "L"
    return mode if _alpha_channel(layout) is None else mode + "A"


def _to_picture(samples: Samples, layout: Layout) -> Picture:
    """Convert upright samples to a picture, in a bit depth that pictures support."""
    alpha = _alpha_channel(layout)
    colors = COLOR_CHANNELS[layout.photometric]
    channels = [*range(colors), *([alpha] if alpha is not None else [])]
    samples = samples[..., channels] if len(channels) < samples.shape[2] else samples
    if layout.sample_format == FLOAT:
        if channels == [0]:
            return _float_gray(samples[..., 0])
        samples = _float_to_16_bit(samples)
    elif layout.photometric in (CIE_LAB, ICC_LAB):
        return _image("LAB", _lab_to_8_bit(samples, layout))
    else:
        samples = _integers_to_pictures_depth(samples, layout)
    if layout.photometric == WHITE_IS_ZERO:
        samples = np.concatenate([~samples[..., :1], samples[..., 1:]], axis=2)
    if alpha is not None and layout.extra_samples[alpha - colors] == ASSOCIATED_ALPHA:
        samples = _without_premultiplication(samples)
    if layout.photometric == CMYK and samples.dtype == np.uint16:
        samples = _to_8_bit(samples)
    if samples.dtype == np.uint8:
        return _image(_mode(layout), samples.astype(np.uint8, copy=False))
    if samples.shape[2] == 2:  # 16-bit pictures do not support gray with alpha
        samples = samples[..., [0, 0, 0, 1]]
    return np.ascontiguousarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _image(mode: str, samples: NDArray[np.uint8]) -> Image.Image:
    return Image.frombytes(mode, (samples.shape[1], samples.shape[0]), np.ascontiguousarray(samples).tobytes())


def _integers_to_pictures_depth(samples: Samples, layout: Layout) -> NDArray[Any]:
    """Return uint8 for 8 bits, and uint16 for more."""
    bits = layout.bits[0]
    if layout.sample_format == SIGNED:
        unsigned = samples.astype(f"u{bits // 8}")
        samples = unsigned ^ unsigned.dtype.type(1 << (bits - 1))
    if bits in (8, 16):
        return samples
    if bits > 16:
        return (samples >> samples.dtype.type(bits - 16)).astype(np.uint16)
    peak = (1 << bits) - 1
    return ((samples.astype(np.uint32) * 65535 + peak // 2) // peak).astype(np.uint16)


def _to_8_bit(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _without_premultiplication(samples: NDArray[Any]) -> NDArray[Any]:
    """Divide the colors by the opacity in the last channel."""
    peak = np.iinfo(samples.dtype).max
    opacity = samples[..., -1].astype(np.float64)
    factor = np.divide(peak, opacity, out=np.ones_like(opacity), where=opacity > 0)
    result = samples.copy()
    for channel in range(samples.shape[2] - 1):
        result[..., channel] = (samples[..., channel] * factor).round().clip(0, peak)
    return result


def _float_gray(gray: NDArray[Any]) -> Image.Image:
    """Return 32-bit floating-point gray, and remember which value is white for a conversion to other formats."""
    gray = gray.astype(np.float32)
    peak = float(np.nan_to_num(gray).max())
    image = Image.fromarray(np.ascontiguousarray(gray))
    image.info[FLOAT_PEAK] = next((limit for limit in (1, 255, 65535) if peak <= limit + RANGE_TOLERANCE), peak)
    return image


def _float_to_16_bit(samples: NDArray[Any]) -> NDArray[np.uint16]:
    """Scale the range 0 to 1 to 16 bits.

    Raises:
        ValueError: Values lie outside the range, as in HDR photos, and would be lost.
    """
    if not (samples.min() >= -RANGE_TOLERANCE and samples.max() <= 1 + RANGE_TOLERANCE):  # NaN fails, too
        raise ValueError("its floating-point colors lie outside the range 0 to 1")
    return (samples.clip(0, 1).astype(np.float64) * 65535).round().astype(np.uint16)


def _lab_to_8_bit(samples: NDArray[Any], layout: Layout) -> NDArray[np.uint8]:
    """Return L from 0 to 255, and a and b as two's complement, the encoding of CIELab in TIFF and Pillow."""
    is_icc = layout.photometric == ICC_LAB
    if samples.dtype == np.uint8:
        if is_icc:  # a and b have an offset of 128
            samples = samples ^ np.array((0, 128, 128), np.uint8)
        return samples
    # Photoshop note on ICCLab, and TIFF 6.0 section 23: a and b are in units of 1/256 in both encodings.
    lightness = samples[..., :1].astype(np.float64) * (255 / 65280 if is_icc else 255 / 65535)
    ab = samples[..., 1:].astype(np.int32) - 0x8000 if is_icc else samples[..., 1:].view(np.int16)
    ab_8_bit = np.round(ab / 256).clip(-128, 127).astype(np.int8).view(np.uint8)
    return np.concatenate([lightness.round().clip(0, 255).astype(np.uint8), ab_8_bit], axis=2)


def _read_metadata(order: str, directory: Directory) -> Metadata:
    metadata = metadata_reader.from_directory(order, directory)
    icc = directory[TIFF_ICC].content if TIFF_ICC in directory else b""
    unit = directory[RESOLUTION_UNIT].integers if RESOLUTION_UNIT in directory else (2,)
    factor = INCHES_PER_UNIT.get(unit[0] if unit else 2)
    values = [directory[tag] for tag in (X_RESOLUTION, Y_RESOLUTION) if tag in directory]
    dpi = None
    if factor and len(values) == 2 and all(value.type == RATIONAL and value.count == 1 for value in values):
        fractions = [np.frombuffer(value.content, "<u4").tolist() for value in values]
        if all(numerator and denominator for numerator, denominator in fractions):
            dpi = (fractions[0][0] / fractions[0][1] * factor, fractions[1][0] / fractions[1][1] * factor)
    return dataclasses.replace(metadata, icc=icc, dpi=dpi)
