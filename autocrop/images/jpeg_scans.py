"""Find out whether the picture of a JPEG is complete, regardless of what follows it in the file.

Phones append videos and gain maps, and old cameras padded their files with arbitrary bytes. This module therefore
follows the scans of the picture itself, from marker to marker (ITU-T T.81, annex B).
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.images.containers import END_MARKER, SEQUENTIAL_FRAMES, SOS, START_OF_FRAME

EOI = 0xD9
INSIDE_DATA = np.isin(np.arange(256), [0x00, *range(0xD0, 0xD8), 0xFF])
"""For each byte that may follow ``FF``, True if compressed data continues after it: ``FF 00`` is a data byte, restart
markers are part of the data, and repeated ``FF`` bytes are fill bytes."""
WITHOUT_CONTENT = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers that have no length: TEM, restart markers, SOI."""
MIN_ZERO_TAIL = 64
"""Trailing zeros that cannot be compressed data: the end of the file was never written."""
COEFFICIENTS = 64
"""Number of coefficients in a block."""
NOISE_BYTES = 4096
"""Number of noise bytes: enough to change the first blocks of a decoder that reads into them."""


@dataclass
class JpegScans:
    """The scans of the picture in a JPEG."""

    end: int | None = None
    """Position after the end marker; None if it is missing."""
    count: int = 0
    is_sequential: bool = True
    missing_bits: dict[int, NDArray[np.int8]] = field(default_factory=dict)
    """For each component and coefficient, the number of low bits that no scan has supplied."""

    @property
    def has_all_coefficients(self) -> bool:
        """True if the scans supply the whole picture, assuming that each scan is complete."""
        return bool(self.missing_bits) and not any(bits.any() for bits in self.missing_bits.values())

    def add_frame(self, marker: int, body: bytes) -> None:
        """Add the header of a frame, which lists its components."""
        self.is_sequential = marker in SEQUENTIAL_FRAMES
        for position in range(6, len(body) - 2, 3):
            self.missing_bits[body[position]] = np.full(COEFFICIENTS, 127, np.int8)

    def add_scan(self, body: bytes) -> None:
        """Add the header of a scan, which says what it supplies."""
        self.count += 1
        components = body[1 : 1 + 2 * body[0] : 2] if body else b""
        first, last, low_bits = 0, COEFFICIENTS - 1, 0
        if not self.is_sequential and len(body) >= 4:
            first, last, low_bits = body[-3], body[-2], body[-1] & 15
        for component in components:
            if component in self.missing_bits:
                self.missing_bits[component][first : last + 1] = low_bits


def read_scans(data: bytes) -> JpegScans:
    """Follow the segments and scans of a JPEG up to the end of its picture."""
    scans = JpegScans()
    position = 2
    markers = _marker_positions(data)
    while True:
        index = np.searchsorted(markers, position)  # decoders ignore bytes between segments
        if index == len(markers):
            break
        marker, position = data[markers[index] + 1], int(markers[index]) + 2
        if marker == EOI:
            scans.end = position
            break
        if marker in WITHOUT_CONTENT:
            continue
        if position + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, position)
        body = data[position + 2 : position + length]
        if marker in START_OF_FRAME:
            scans.add_frame(marker, body)
        elif marker == SOS:
            scans.add_scan(body)
        position += max(length, 2)
    return scans


def _marker_positions(data: bytes) -> NDArray[np.intp]:
    """Return the positions of all markers that end compressed data, in ascending order."""
    array = np.frombuffer(data, np.uint8)
    positions = np.flatnonzero(array[:-1] == 0xFF)
    return positions[~INSIDE_DATA[array[positions + 1]]]


def with_end_marker(data: bytes, scans: JpegScans) -> bytes:
    """Add the missing end marker to a JPEG if its picture is complete.

    Args:
        data: Content of the file.
        scans: Its scans, without an end marker.

    Raises:
        ValueError: Part of the picture is missing.
    """
    if data.endswith(bytes(MIN_ZERO_TAIL)):
        data = data.rstrip(b"\0")
        if data.endswith(b"\xff"):
            data += b"\0"
    else:
        data = data.removesuffix(b"\xff")
    if not (scans.has_all_coefficients and _is_complete(data)):
        raise ValueError("its end is missing")
    return data + END_MARKER


def _is_complete(data: bytes) -> bool:
    """Return True if decoding does not depend on what follows the compressed data."""
    noise = np.random.default_rng(0).integers(0, 255, NOISE_BYTES, np.uint8).tobytes()  # without FF
    return np.array_equal(_decode(data + END_MARKER), _decode(data + noise + END_MARKER))


def _decode(data: bytes) -> NDArray[np.uint8]:
    with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        warnings.simplefilter("ignore")
        return np.asarray(image)
