"""Limits on the number of pixels, which protect against decompression bombs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from autocrop.errors import PhotoError

MAX_PIXELS = 500_000_000
"""Default limit on the pixels of a photo. The largest camera backs have 150 megapixels and stitched panoramas a few
hundred; 500 megapixels take 1.5 GB as RGB, which most computers have. Decompression bombs claim thousands."""

_lock = threading.Lock()
_active_limits: list[int] = []
_original_limit: list[int | None] = []


@contextmanager
def pillow_limit(pixels: int) -> Iterator[None]:
    """Replace Pillow's limit on pixels inside a ``with`` block.

    The limit is a global variable of Pillow. When the blocks of several threads overlap, the largest of their limits
    applies; after the last block, the original limit is restored.
    """
    with _lock:
        if not _active_limits:
            _original_limit[:] = [Image.MAX_IMAGE_PIXELS]
        _active_limits.append(pixels)
        Image.MAX_IMAGE_PIXELS = max(_active_limits)
    try:
        yield
    finally:
        with _lock:
            _active_limits.remove(pixels)
            Image.MAX_IMAGE_PIXELS = max(_active_limits) if _active_limits else _original_limit[0]


def too_large(name: str, size: tuple[int, int], limit: int) -> PhotoError:
    """Return the error for a photo of *size* (width, height) that has more than *limit* pixels."""
    width, height = size
    return PhotoError(
        f"{name} has {width}x{height} = {width * height:,} pixels, more than the limit of {limit:,}. "
        "If you trust it, raise --max-pixels."
    )
