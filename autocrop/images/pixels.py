"""Decoded pictures.

Pictures with 8 bits per channel are Pillow images. Color with 16 bits per channel is kept in numpy arrays, because
Pillow does not support it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.geometry.boxes import PixelBox
from autocrop.images.limits import pillow_limit

SixteenBitArray = NDArray[np.uint16]
"""16 bits per channel: gray ``[h, w]``, RGB ``[h, w, 3]`` or RGBA ``[h, w, 4]``."""
Picture = Image.Image | SixteenBitArray
MAX_PREVIEW_PIXELS = 50_000_000
"""Pixels of a decoded picture that analysis copies: more than most cameras have, and 150 MB as RGB."""
REDUCIBLE_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "F")
"""Modes that Pillow reduces by averaging."""
FLOAT_PEAK = "autocrop_peak"
"""Key of ``Image.info`` for the value that stands for white in floating-point gray."""


def size_of(picture: Picture | NDArray[np.uint8]) -> tuple[int, int]:
    """Return (width, height) in pixels."""
    return picture.size if isinstance(picture, Image.Image) else (picture.shape[1], picture.shape[0])


def mode_of(picture: Picture) -> str:
    """Return Pillow's name for the channels; for an array, the mode of a Pillow image with the same channels."""
    if isinstance(picture, Image.Image):
        return picture.mode
    return "L" if picture.ndim == 2 else {3: "RGB", 4: "RGBA"}[picture.shape[2]]


def crop_and_resize(picture: Picture, box: PixelBox, size: tuple[int, int] | None = None) -> Picture:
    """Return the part of a picture inside *box*, resized to *size* (width, height) if given, in the same bit depth."""
    if isinstance(picture, Image.Image):
        with pillow_limit(max(picture.width * picture.height, Image.MAX_IMAGE_PIXELS or 0)):
            cropped = picture.crop(box)
        return cropped if size in (None, cropped.size) else _resize(cropped, size)
    left, top, right, bottom = box
    array = picture[top:bottom, left:right]
    return array if size in (None, size_of(array)) else _resize_sixteen_bit(array, size)


def _resize(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    # Bits and palette indices cannot be interpolated, and a transparent color would blend with its neighbors.
    picture = with_alpha_channel(picture)
    if picture.mode in ("P", "PA", "1"):
        picture = picture.convert({"P": "RGB", "PA": "RGBA", "1": "L"}[picture.mode])
    if picture.mode in ("LA", "RGBA") and picture.getextrema()[-1] != (255, 255):
        # Pillow also weights colors by their opacity, but in 8 bits, which leaves fringes of slightly wrong color.
        resized = _resize_channels(np.asarray(picture), size, 255).astype(np.uint8)
        return Image.frombytes(picture.mode, size, resized.tobytes())
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _resize_sixteen_bit(array: SixteenBitArray, size: tuple[int, int]) -> SixteenBitArray:
    result = _resize_channels(np.atleast_3d(array), size, 65535).astype(np.uint16)
    return result[..., 0] if array.ndim == 2 else result


def _resize_channels(array: NDArray[Any], size: tuple[int, int], peak: int) -> NDArray[np.float32]:
    """Resize each channel in float32, which holds 16 bits exactly. Colors are weighted by their opacity.

    Args:
        array: Pixels ``[h, w, c]``; with two or four channels, the last one is the opacity.
        size: (width, height) of the result.
        peak: Value of white.
    """

    def resize(channel: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))

    channels = [channel.astype(np.float32) for channel in array.transpose(2, 0, 1)]
    if len(channels) in (2, 4):
        *colors, opacity = channels
        resized_opacity = resize(opacity)
        weight = np.where(resized_opacity > 0.5, resized_opacity, np.inf)
        channels = [*(resize(color * opacity) / weight for color in colors), resized_opacity]
    else:
        channels = [resize(channel) for channel in channels]
    return np.asarray(np.stack(channels, axis=2).round().clip(0, peak))


def as_8_bit(picture: Picture) -> Image.Image:
    """Return a Pillow image; an array is reduced to 8 bits per channel."""
    if isinstance(picture, Image.Image):
        return picture
    # 65535 / 255 = 257
    return Image.fromarray(((picture.astype(np.uint32) + 128) // 257).astype(np.uint8))


def as_image(picture: Picture) -> Image.Image:
    """Return a Pillow image; 16-bit gray keeps its depth, 16-bit color is reduced to 8 bits per channel."""
    if isinstance(picture, Image.Image) or picture.ndim == 3:
        return as_8_bit(picture)
    return Image.fromarray(picture)


def as_rgb(picture: Picture) -> Image.Image:
    """Return an 8-bit RGB image: deeper gray is scaled down, transparent areas become white."""
    image = as_8_bit(picture)
    if image.mode.startswith("I") or image.mode == "F":
        image = as_8_bit(scaled_to_16_bit(image))
    if has_transparency(image):
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(with_alpha_channel(image).convert("RGBA"))
        image = opaque
    return image.convert("RGB")


def scaled_to_16_bit(image: Image.Image) -> SixteenBitArray:
    """Return gray of 32-bit integers or floating-point values as 16 bits.

    White is the value that the decoder has set, or else the usual one (1, 255 or 65,535) that no value exceeds.
    """
    gray = np.nan_to_num(np.asarray(image, np.float32))
    peak = image.info.get(FLOAT_PEAK) or next((limit for limit in (1, 255, 65535) if gray.max() <= limit), gray.max())
    return (gray.clip(0, peak) * (65535 / peak)).round().astype(np.uint16)


def reduced_for_preview(picture: Picture) -> Picture:
    """Return a picture of more than :data:`MAX_PREVIEW_PIXELS` reduced by a whole factor, and any other unchanged.

    Analysis would otherwise copy hundreds of megapixels, although it reduces them to a few hundred pixels anyway.
    """
    width, height = size_of(picture)
    factor = math.ceil(math.sqrt(width * height / MAX_PREVIEW_PIXELS))
    if factor <= 1:
        return picture
    if isinstance(picture, Image.Image):
        return picture.reduce(factor) if picture.mode in REDUCIBLE_MODES else picture
    return np.ascontiguousarray(picture[factor // 2 :: factor, factor // 2 :: factor])


def averaged(image: Image.Image, factor: int) -> Image.Image:
    """Return a picture reduced by a whole factor for analysis: each pixel is the mean of ``factor x factor`` pixels.

    Pixels that have no mean, such as palette indices, are converted to RGB first.
    """
    has_mean = image.mode in ("RGBA", "LA") or (image.mode in REDUCIBLE_MODES[:-1] and not has_transparency(image))
    return (image if has_mean else as_rgb(image)).reduce(factor)


def with_alpha_channel(image: Image.Image) -> Image.Image:
    """Return a picture whose transparent colors, if it has any, are an alpha channel. *image* does not change."""
    if "transparency" not in image.info or image.mode not in ("1", "L", "P", "RGB"):
        return image
    if image.mode == "P":
        image = image.copy()  # Pillow's conversion changes the palette of the picture that it converts
    return image.convert("LA" if image.mode in ("1", "L") else "RGBA")


def sixteen_bit_as_array(picture: Picture) -> Picture:
    """Return the array for a Pillow image of 16-bit gray; return any other picture unchanged.

    If the image has a transparent value, as a PNG may have, the array is RGBA. Pillow also reads 16-bit gray as 32-bit
    integers.
    """
    if not isinstance(picture, Image.Image) or not picture.mode.startswith("I"):
        return picture
    array = np.asarray(picture)
    if array.itemsize > 2 and (array.min() < 0 or array.max() > 65535):
        return picture
    array = array.astype(np.uint16)
    key = picture.info.get("transparency")
    if not isinstance(key, int):
        return array
    return np.dstack([array, array, array, np.where(array == key, 0, 65535).astype(np.uint16)])


def has_transparency(picture: Picture) -> bool:
    """Return True if the picture has an alpha channel or a transparent color."""
    if isinstance(picture, Image.Image):
        return picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info
    return mode_of(picture) == "RGBA"


def color_space(mode: str) -> str:
    """Return the kind of ICC profile that a Pillow mode needs: ``gray``, ``cmyk``, ``lab`` or ``rgb``."""
    if mode in ("1", "L", "LA", "F") or mode.startswith("I"):
        return "gray"
    return {"CMYK": "cmyk", "LAB": "lab"}.get(mode, "rgb")
