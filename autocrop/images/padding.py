"""Enlarge a picture with padding, or mask it with a circle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from autocrop.errors import UsageError
from autocrop.images.pixels import Picture, as_8_bit, mode_of, sixteen_bit_as_array

FILLS = ("pad", "blur")
AUTO = "auto"
"""Padding color: the mean of the edges that the padding touches."""
BLUR_SIDE = 48
"""Longer side in pixels of the reduced picture from which blurred padding is made."""
BLUR_SIGMA = 2.5
"""Standard deviation, in pixels of the reduced picture, of the Gaussian blur."""


@dataclass(frozen=True)
class Fit:
    """How padding is filled.

    Raises:
        UsageError: The fill or the color is unknown.
    """

    fill: str = "pad"
    """One of :data:`FILLS`: a color, or the blurred picture."""
    color: str = AUTO
    """Color for the fill ``pad``: :data:`AUTO`, or a CSS name or code."""

    def __post_init__(self) -> None:
        if self.fill not in FILLS:
            raise UsageError(f"Unknown --fit '{self.fill}'. Use one of: {', '.join(FILLS)}.")
        if self.color != AUTO:
            try:
                ImageColor.getrgb(self.color)
            except ValueError as error:
                raise UsageError(
                    f"'{self.color}' is not a valid --pad-color. Use auto, a color name (white) or a code (#20262b)."
                ) from error


@dataclass(frozen=True)
class Padding:
    """Padding around a crop, in pixels per side."""

    left: int
    top: int
    right: int
    bottom: int
    fit: Fit = Fit()


def padded(picture: Picture, padding: Padding) -> Picture:
    """Return the picture with padding, in the same bit depth and color space. A palette becomes RGB."""
    array, mode = _to_array(picture)
    height, width = array.shape[:2]
    size = padding.left + width + padding.right, padding.top + height + padding.bottom
    if padding.fit.fill == "blur":
        canvas = _blur_to_cover(array, size)
    else:
        is_auto = padding.fit.color == AUTO
        color = _edge_color(array, padding) if is_auto else _parse_color(padding.fit.color, mode, array.dtype)
        canvas = np.empty((size[1], size[0], *array.shape[2:]), array.dtype)
        canvas[:] = color
    canvas[padding.top : padding.top + height, padding.left : padding.left + width] = array
    if isinstance(picture, np.ndarray):
        return canvas
    return Image.frombytes(mode, size, np.ascontiguousarray(canvas).tobytes())


def circular(picture: Picture) -> Picture:
    """Make everything outside a smooth-edged circle transparent in a square picture."""
    picture = sixteen_bit_as_array(picture)
    if isinstance(picture, np.ndarray):
        mask = (_circle_mask(picture.shape[0]) * 65535).round()
        color = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        opacity = mask if color.shape[2] == 3 else color[..., 3] * (mask / 65535)
        return np.dstack([color[..., :3], opacity.round().astype(np.uint16)])
    image = as_8_bit(picture)
    image = image.convert("LA" if image.mode in ("1", "L", "LA") and "transparency" not in image.info else "RGBA")
    opacity = np.asarray(image.getchannel("A")) * _circle_mask(image.height)
    image.putalpha(Image.fromarray(opacity.round().astype(np.uint8)))
    return image


def _circle_mask(side: int) -> NDArray[np.float32]:
    """Return the share of each pixel that lies in the circle, ``[side, side]`` in [0, 1], with an error below 0.01."""
    offset = np.arange(side, dtype=np.float32) - (side - 1) / 2
    distance = np.sqrt(offset[:, None] ** 2 + offset[None] ** 2)
    return np.clip(side / 2 - distance + 0.5, 0, 1)


def _to_array(picture: Picture) -> tuple[NDArray[Any], str]:
    """Return pixels ``[h, w]`` or ``[h, w, c]``, and their Pillow mode."""
    if isinstance(picture, np.ndarray):
        return picture, mode_of(picture)
    # Bits and palette indices cannot be averaged or blurred.
    if picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode in ("P", "PA"):
        has_alpha = picture.mode == "PA" or "transparency" in picture.info
        picture = picture.convert("RGBA" if has_alpha else "RGB")
    return np.asarray(picture), picture.mode


def _edge_color(array: NDArray[Any], padding: Padding) -> NDArray[Any]:
    """Return the mean color of the edges that the padding touches."""
    edges = [
        (padding.left, array[:, 0]),
        (padding.right, array[:, -1]),
        (padding.top, array[0]),
        (padding.bottom, array[-1]),
    ]
    touched = [edge for width, edge in edges if width] or [array[0]]
    mean = np.concatenate(touched).mean(axis=0)
    return (mean if array.dtype.kind == "f" else np.round(mean)).astype(array.dtype)


def _parse_color(name: str, mode: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a CSS color as a pixel of *mode* and *dtype*."""
    rgb = Image.new("RGB", (1, 1), ImageColor.getrgb(name)[:3])
    pillow_mode = mode if mode in ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV") else "L"
    color = np.array(rgb.convert(pillow_mode).getpixel((0, 0)), np.float64)
    return (color * (257 if dtype.itemsize > 1 and dtype.kind in "ui" else 1)).astype(dtype)


def _blur_to_cover(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return a blurred copy of the picture, enlarged until it covers a canvas of *size* (width, height)."""
    height, width = array.shape[:2]
    # OpenCV resizes only some types.
    pixels = array if array.dtype in (np.uint8, np.uint16, np.float32) else array.astype(np.float32)
    scale = max(size[0] / width, size[1] / height)
    visible_width, visible_height = min(width, round(size[0] / scale)), min(height, round(size[1] / scale))
    x, y = (width - visible_width) // 2, (height - visible_height) // 2
    visible = np.ascontiguousarray(pixels[y : y + visible_height, x : x + visible_width])
    reduction = min(1.0, BLUR_SIDE / max(visible_width, visible_height))
    reduced_size = max(2, round(visible_width * reduction)), max(2, round(visible_height * reduction))
    reduced = cv2.resize(visible, reduced_size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(reduced, (0, 0), BLUR_SIGMA)
    return np.asarray(cv2.resize(blurred, size, interpolation=cv2.INTER_CUBIC)).astype(array.dtype)
