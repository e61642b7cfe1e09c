"""Decoded pictures: 8 bits a channel as Pillow images, 16 bits as numpy arrays, since Pillow has no 16-bit color."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.geometry.boxes import PixelBox

Deep = NDArray[np.uint16]
"""16 bits a channel: gray ``[h, w]``, RGB ``[h, w, 3]`` or RGBA ``[h, w, 4]``."""
Picture = Image.Image | Deep


_lock = threading.Lock()
_limits: list[int] = []
_former: list[int | None] = []


@contextmanager
def pillow_limit(pixels: int) -> Iterator[None]:
    """Pillow's guard against decompression bombs set to our limit, and back to what it was; threads may overlap."""
    with _lock:
        if not _limits:
            _former[:] = [Image.MAX_IMAGE_PIXELS]
        _limits.append(pixels)
        Image.MAX_IMAGE_PIXELS = max(_limits)
    try:
        yield
    finally:
        with _lock:
            _limits.remove(pixels)
            Image.MAX_IMAGE_PIXELS = max(_limits) if _limits else _former[0]


def size_of(picture: Picture) -> tuple[int, int]:
    """(width, height)."""
    return picture.size if isinstance(picture, Image.Image) else (picture.shape[1], picture.shape[0])


def mode_of(picture: Picture) -> str:
    """Pillow's name of the kind of pixels, whatever their depth."""
    if isinstance(picture, Image.Image):
        return picture.mode
    return "L" if picture.ndim == 2 else {3: "RGB", 4: "RGBA"}[picture.shape[2]]


def crop_and_resize(picture: Picture, box: PixelBox, size: tuple[int, int] | None = None) -> Picture:
    """The part of a picture inside *box*, resized to *size* (width, height) if that is given. The depth stays."""
    if isinstance(picture, Image.Image):
        with pillow_limit(max(picture.width * picture.height, Image.MAX_IMAGE_PIXELS or 0)):
            cropped = picture.crop(box)
        return cropped if size in (None, cropped.size) else _resized(cropped, size)
    left, top, right, bottom = box
    array = picture[top:bottom, left:right]
    return array if size in (None, size_of(array)) else _resized_deep(array, size)


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.mode in ("P", "1"):  # neither can be interpolated
        picture = picture.convert("RGBA" if "transparency" in picture.info else "L" if picture.mode == "1" else "RGB")
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _resized_deep(array: Deep, size: tuple[int, int]) -> Deep:
    """One channel after the other in float32, which holds 16 bits exactly; colors weighted by their opacity."""

    def resized(channel: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))

    channels = [channel.astype(np.float32) for channel in np.atleast_3d(array).transpose(2, 0, 1)]
    if len(channels) == 4:
        *colors, opacity = channels
        small = resized(opacity)
        weight = np.where(small > 0.5, small, np.inf)
        channels = [*(resized(color * opacity) / weight for color in colors), small]
    else:
        channels = [resized(channel) for channel in channels]
    result = np.stack(channels, axis=2).round().clip(0, 65535).astype(np.uint16)
    return result[..., 0] if array.ndim == 2 else result


def as_8_bit(picture: Picture) -> Image.Image:
    """The picture as a Pillow image, with 8 bits a channel if it has 16."""
    if isinstance(picture, Image.Image):
        return picture
    # 257 is the factor between the two white points.
    return Image.fromarray(((picture.astype(np.uint32) + 128) // 257).astype(np.uint8))


def as_image(picture: Picture) -> Image.Image:
    """The picture as a Pillow image: 16 bits of gray stay, of color there are 8."""
    if isinstance(picture, Image.Image) or picture.ndim == 3:
        return as_8_bit(picture)
    return Image.fromarray(picture)


def as_rgb(picture: Picture) -> Image.Image:
    """For analysis and JPEG: 8-bit RGB, deeper gray scaled down, transparency over white."""
    image = as_8_bit(picture)
    if image.mode.startswith("I") or image.mode == "F":
        gray = np.nan_to_num(np.asarray(image, np.float32))
        peak = next((peak for peak in (1, 255) if gray.max() <= peak), 65535)
        image = Image.fromarray((gray.clip(0, peak) * (255 / peak)).astype(np.uint8))
    if has_transparency(image):
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    return image.convert("RGB")


def has_transparency(picture: Picture) -> bool:
    """Whether the picture may be seen through."""
    if isinstance(picture, Image.Image):
        return picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info
    return mode_of(picture) == "RGBA"


def colors(mode: str) -> str:
    """The kind of ICC profile that a mode needs: gray, CMYK, Lab or RGB."""
    if mode in ("1", "L", "LA", "F") or mode.startswith("I"):
        return "gray"
    return {"CMYK": "cmyk", "LAB": "lab"}.get(mode, "rgb")
