"""What a crop may need beyond a cut: more canvas than the photo has, and the shape of a circle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from autocrop.errors import UsageError
from autocrop.images import Picture
from autocrop.images.pixels import as_8_bit, mode_of

FILLS = ("pad", "blur")
AUTO = "auto"
"""The color of padding: the mean of the edges that it touches."""
BLURRED_SIDE = 48
"""Longer side, in pixels, of the copy that blurred padding is made of."""
ALPHA_FORMATS = ("PNG", "WEBP", "AVIF", "TIFF")
"""Those in which a circle can be written."""


@dataclass(frozen=True)
class Fit:
    """How to fill what a canvas has beyond the photo."""

    fill: str = "pad"
    """One of :data:`FILLS`."""
    color: str = AUTO
    """:data:`AUTO`, or a name or code as CSS has them; for ``pad``."""

    def __post_init__(self) -> None:
        if self.fill not in FILLS:
            raise UsageError(f"--fit {self.fill}: use one of {', '.join(FILLS)}.")
        if self.color != AUTO:
            try:
                ImageColor.getrgb(self.color)
            except ValueError as error:
                raise UsageError(
                    f"'{self.color}' is no color for --pad-color. Use auto, a name (white) or a code (#20262b)."
                ) from error


@dataclass(frozen=True)
class Padding:
    """Pixels added around a crop, and what they look like."""

    left: int
    top: int
    right: int
    bottom: int
    fit: Fit = Fit()


def padded(picture: Picture, padding: Padding) -> Picture:
    """The picture on a larger canvas; its depth and colors stay, a palette becomes RGB."""
    array, mode = _as_array(picture)
    height, width = array.shape[:2]
    size = padding.left + width + padding.right, padding.top + height + padding.bottom
    if padding.fit.fill == "blur":
        canvas = _blurred(array, size)
    else:
        edge = _edge(array, padding) if padding.fit.color == AUTO else _color(padding.fit.color, mode, array.dtype)
        canvas = np.empty((size[1], size[0], *array.shape[2:]), array.dtype)
        canvas[:] = edge
    canvas[padding.top : padding.top + height, padding.left : padding.left + width] = array
    return _as_picture(canvas, picture, mode)


def circular(picture: Picture) -> Picture:
    """A square picture with everything outside of its circle transparent, the edge smooth."""
    if isinstance(picture, Image.Image) and picture.mode.startswith("I;16"):
        picture = np.asarray(picture).astype(np.uint16)
    if isinstance(picture, np.ndarray):
        mask = (_disc(picture.shape[0]) * 65535).round()
        color = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        opacity = mask if color.shape[2] == 3 else color[..., 3] * (mask / 65535)
        return np.dstack([color[..., :3], opacity.round().astype(np.uint16)])
    image = as_8_bit(picture)
    image = image.convert("LA" if image.mode in ("1", "L", "LA") and "transparency" not in image.info else "RGBA")
    opacity = np.asarray(image.getchannel("A")) * _disc(image.height)
    image.putalpha(Image.fromarray(opacity.round().astype(np.uint8)))
    return image


def _disc(side: int) -> NDArray[np.float32]:
    """How much of each pixel of a square lies in its circle, ``[side, side]`` in [0, 1], right to a hundredth."""
    offset = np.arange(side, dtype=np.float32) - (side - 1) / 2
    distance = np.sqrt(offset[:, None] ** 2 + offset[None] ** 2)
    return np.clip(side / 2 - distance + 0.5, 0, 1)


def _as_array(picture: Picture) -> tuple[NDArray[Any], str]:
    """Pixels ``[h, w]`` or ``[h, w, c]``, and the mode that they are of."""
    if isinstance(picture, np.ndarray):
        return picture, mode_of(picture)
    if picture.mode in ("P", "1", "PA"):  # in which neither blur nor a mean exists
        gray = picture.mode == "1"
        picture = picture.convert(
            "L" if gray else "RGBA" if picture.mode == "PA" or "transparency" in picture.info else "RGB"
        )
    return np.asarray(picture), picture.mode


def _as_picture(array: NDArray[Any], like: Picture, mode: str) -> Picture:
    if isinstance(like, np.ndarray):
        return array
    return Image.frombytes(mode, (array.shape[1], array.shape[0]), np.ascontiguousarray(array).tobytes())


def _edge(array: NDArray[Any], padding: Padding) -> NDArray[Any]:
    """Mean of the pixels that the padding touches."""
    sides = [
        (padding.left, array[:, 0]),
        (padding.right, array[:, -1]),
        (padding.top, array[0]),
        (padding.bottom, array[-1]),
    ]
    touched = [line for width, line in sides if width] or [array[0]]
    mean = np.concatenate(touched).mean(axis=0)
    return (mean if array.dtype.kind == "f" else np.round(mean)).astype(array.dtype)


def _color(name: str, mode: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    rgb = Image.new("RGB", (1, 1), ImageColor.getrgb(name)[:3])
    eight = mode if mode in ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV") else "L"
    color = np.array(rgb.convert(eight).getpixel((0, 0)), np.float64)
    return (color * (257 if dtype.itemsize > 1 and dtype.kind in "ui" else 1)).astype(dtype)


def _blurred(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """The picture enlarged until it covers a canvas of *size* (width, height), out of focus."""
    height, width = array.shape[:2]
    kind = array.dtype
    native = array if kind in (np.uint8, np.uint16, np.float32) else array.astype(np.float32)
    scale = max(size[0] / width, size[1] / height)
    across, down = min(width, round(size[0] / scale)), min(height, round(size[1] / scale))
    x, y = (width - across) // 2, (height - down) // 2
    shrink = min(1.0, BLURRED_SIDE / max(across, down))
    small_size = max(2, round(across * shrink)), max(2, round(down * shrink))
    part = np.ascontiguousarray(native[y : y + down, x : x + across])
    small = cv2.GaussianBlur(cv2.resize(part, small_size, interpolation=cv2.INTER_AREA), (0, 0), 2.5)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)).astype(kind)
