"""Read the samples of a TIFF page in their own depth, where Pillow would reduce or garble them.

Pillow (libtiff) only decompresses: it sees the strips or tiles of each plane as an 8-bit gray picture whose rows are
the plane's rows of bytes. Predictor, byte order and sample format are applied here.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.images import tiff
from autocrop.images.limits import pillow_limit
from autocrop.images.tiff_layout import (
    BITS_PER_SAMPLE,
    BLACK_IS_ZERO,
    COMPRESSION,
    FILL_ORDER,
    FLOAT,
    HEIGHT,
    PHOTOMETRIC,
    ROWS_PER_STRIP,
    SAMPLES_PER_PIXEL,
    SIGNED,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    TILE_BYTE_COUNTS,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    Layout,
)

Samples = NDArray[Any]
"""``[h, w, samples]`` in the machine's byte order. Samples of 9 to 15 bits are uint16, not scaled."""
UNPACKED_ROWS = 64
"""Number of rows to unpack at a time. Unpacking takes a byte per bit."""


def read_samples(data: bytes, layout: Layout, order: str) -> Samples:
    """Return all samples of a page.

    Args:
        data: Content of the file.
        layout: Layout of the page; it must be of a known kind and have no problem.
        order: Byte order of the file, ``<`` or ``>``.

    Raises:
        ValueError: The page is damaged or incomplete.
        OSError: Pillow cannot decompress the page.
    """
    planes = layout.samples if layout.planar else 1
    across = -(-layout.width // layout.block_width)
    down = -(-layout.height // layout.block_height)
    if len(layout.offsets) < planes * across * down:
        raise ValueError("parts of the picture are missing")
    blocks = across * down
    return np.concatenate(
        [_read_plane(data, layout, order, slice(plane * blocks, (plane + 1) * blocks)) for plane in range(planes)],
        axis=2,
    )


def _read_plane(data: bytes, layout: Layout, order: str, blocks: slice) -> Samples:
    """Return the samples of one plane ``[h, w, samples]``."""
    samples = 1 if layout.planar else layout.samples
    row_bytes = -(-layout.block_width * samples * layout.bits[0] // 8)
    across = -(-layout.width // layout.block_width)
    height = layout.height
    if layout.is_tiled:
        height += -height % layout.block_height
    counts = layout.byte_counts[blocks]
    if layout.compression == 1:  # some writers leave the counts out
        last_rows = layout.block_height if layout.is_tiled else height % layout.block_height or layout.block_height
        counts = (row_bytes * layout.block_height,) * (len(layout.offsets[blocks]) - 1) + (row_bytes * last_rows,)
    offsets = layout.offsets[blocks]
    if len(counts) < len(offsets) or any(o + c > len(data) for o, c in zip(offsets, counts, strict=False)):
        raise ValueError("its end is missing")
    plane = dataclasses.replace(layout, offsets=offsets, byte_counts=counts)
    rows = _decompress(data, plane, (row_bytes * across, height)).reshape(height * across, row_bytes)
    values = _to_values(rows, layout, order, samples)
    values = values.reshape(height, across * layout.block_width, samples)
    return values[: layout.height, : layout.width]


def _decompress(data: bytes, plane: Layout, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the bytes of a plane, ``[height, bytes per row]``."""

    def longs(*numbers: int) -> tiff.Value:
        return tiff.Value(tiff.LONG, struct.pack(f"<{len(numbers)}I", *numbers))

    width, height = size
    directory = {
        WIDTH: longs(width),
        HEIGHT: longs(height),
        BITS_PER_SAMPLE: tiff.shorts(8),
        COMPRESSION: tiff.shorts(plane.compression),
        PHOTOMETRIC: tiff.shorts(BLACK_IS_ZERO),
        FILL_ORDER: tiff.shorts(plane.fill_order),
        SAMPLES_PER_PIXEL: tiff.shorts(1),
    }
    if plane.is_tiled:
        across = -(-plane.width // plane.block_width)
        directory |= {
            TILE_WIDTH: longs(width // across),
            TILE_HEIGHT: longs(plane.block_height),
            TILE_OFFSETS: longs(*plane.offsets),
            TILE_BYTE_COUNTS: longs(*plane.byte_counts),
        }
    else:
        directory |= {
            ROWS_PER_STRIP: longs(plane.block_height),
            STRIP_OFFSETS: longs(*plane.offsets),
            STRIP_BYTE_COUNTS: longs(*plane.byte_counts),
        }
    start = len(data) + len(data) % 2
    header = b"II*\0" + struct.pack("<I", start)
    file = io.BytesIO(b"".join((header, data[8:], bytes(start - len(data)), tiff.serialize(directory, "<", start))))
    with pillow_limit(width * height), Image.open(file, formats=("TIFF",)) as image:
        return np.asarray(image)


def _to_values(rows: NDArray[np.uint8], layout: Layout, order: str, samples: int) -> Samples:
    """Interpret the bytes of rows as samples, ``[rows, block width, samples]``."""
    bits, width = layout.bits[0], layout.block_width
    if bits % 8:
        return _unpack_bits(rows, bits, width * samples).reshape(-1, width, samples)
    kind = {FLOAT: "f", SIGNED: "i"}.get(layout.sample_format, "u")
    size = bits // 8
    if layout.predictor == 3:  # floating-point: differences of bytes, the most significant bytes of a row first
        rows = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8)
        rows = np.ascontiguousarray(rows.reshape(len(rows), size, -1).swapaxes(1, 2))
        order = ">"
    values = np.ascontiguousarray(rows).view(f"{order}{kind}{size}").reshape(len(rows), width, samples)
    values = values.astype(f"{kind}{size}", copy=False)
    if layout.predictor == 2:
        return np.cumsum(values, axis=1, dtype=values.dtype)
    return values


def _unpack_bits(rows: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint16]:
    """Return the numbers of 9 to 15 bits that are packed into rows of bytes, ``[rows, count]``."""
    values = np.empty((len(rows), count), np.uint16)
    weights = (1 << np.arange(bits)[::-1]).astype(np.float32)
    for start in range(0, len(rows), UNPACKED_ROWS):
        digits = np.unpackbits(rows[start : start + UNPACKED_ROWS], axis=1, count=count * bits)
        values[start : start + UNPACKED_ROWS] = digits.reshape(-1, count, bits).astype(np.float32) @ weights
    return values
