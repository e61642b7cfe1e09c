"""Read PPM files with 16 bits per channel, which Pillow reduces to 8. The format is described in ppm(5) of Netpbm."""

from __future__ import annotations

import re

import numpy as np

from autocrop.images.pixels import SixteenBitArray

HEADER = re.compile(rb"P6" + 3 * rb"(?:\s|#[^\n]*\n)+(\d+)" + rb"\s")
"""Signature, width, height and the value of white. Comments may appear between them."""


def read_ppm(data: bytes) -> SixteenBitArray:
    """Return the pixels ``[h, w, 3]`` of a PPM whose white is above 255, scaled to 16 bits.

    Raises:
        ValueError: The file is damaged or cut short.
    """
    header = HEADER.match(data)
    if header is None:
        raise ValueError("its header is damaged")
    width, height, peak = (int(number) for number in header.groups())
    if len(data) < header.end() + 6 * width * height or not 255 < peak < 65536:
        raise ValueError("its end is missing")
    array = np.frombuffer(data, ">u2", 3 * width * height, header.end()).reshape(height, width, 3)
    if peak == 65535:
        return array.astype(np.uint16)
    return ((np.minimum(array, peak).astype(np.uint32) * 65535 + peak // 2) // peak).astype(np.uint16)
