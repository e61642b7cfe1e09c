"""How a photo file is encoded, so that its crops can be encoded the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image, JpegImagePlugin

from autocrop.images.containers import webp_is_lossless

OPENCV_TIFF_COMPRESSIONS = {"raw": 1, "tiff_lzw": 5, "tiff_adobe_deflate": 8, "tiff_deflate": 8, "packbits": 32773}
"""TIFF compressions that OpenCV writes: Pillow's names and OpenCV's numbers."""
LOSSY_TIFF_COMPRESSIONS = ("jpeg", "tiff_jpeg", "webp")


@dataclass(frozen=True)
class Encoding:
    """The encoding of a photo file."""

    format: str | None = None
    """Pillow's name for the format; None for camera raw and for pictures made in memory."""
    mode: str = ""
    """Pillow's mode of the pixels."""
    lossless: bool = False
    quantization: Any = None
    """Quantization tables of a JPEG."""
    subsampling: int = -1
    """Pillow's number for the chroma subsampling of a JPEG; -1 if it has none."""
    progressive: bool = False
    rgb: bool = False
    """True for a JPEG that stores RGB rather than YCbCr."""
    compression: str = ""
    """Pillow's name for a TIFF's compression."""

    @classmethod
    def of_file(cls, image: Image.Image, data: bytes = b"") -> Encoding:
        """Return the encoding of a file that Pillow has opened.

        Args:
            image: The opened file.
            data: Content of a WebP file, or at least its beginning. Other formats do not need it.
        """
        info = image.info
        if image.format in ("JPEG", "MPO"):
            rgb = image.mode == "RGB" and _stores_rgb(image)
            return cls(
                "JPEG",
                image.mode,
                quantization=getattr(image, "quantization", None),
                subsampling=0 if rgb else _subsampling(image),  # libjpeg writes RGB only without subsampling
                progressive=bool(info.get("progressive")),
                rgb=rgb,
            )
        if image.format == "TIFF":
            compression = str(info.get("compression", ""))
            return cls(
                "TIFF",
                image.mode,
                lossless=compression not in LOSSY_TIFF_COMPRESSIONS,
                compression=compression,
            )
        if image.format == "WEBP":
            return cls("WEBP", image.mode, webp_is_lossless(data))
        return cls(image.format, image.mode, image.format not in ("AVIF", "HEIF", "JPEG2000"))


def _stores_rgb(image: Image.Image) -> bool:
    """Return True if a three-component JPEG stores RGB rather than YCbCr, according to libjpeg's rules.

    A JFIF segment means YCbCr. Without one, Adobe's segment decides; without either, the component names do.
    """
    if "jfif" in image.info:
        return False
    if "adobe_transform" in image.info:
        return bool(image.info["adobe_transform"] == 0)
    return [layer[0] for layer in getattr(image, "layer", [])] == [ord(letter) for letter in "RGB"]


def _subsampling(image: Image.Image) -> int:
    """Return Pillow's number for a JPEG's chroma subsampling: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0.

    Pillow writes only these three. For any other subsampling, return the nearest one that keeps at least as much color.
    """
    subsampling = JpegImagePlugin.get_sampling(image)
    layers = getattr(image, "layer", [])
    if subsampling != -1 or len(layers) != 3:
        return subsampling
    horizontal, vertical = (max(layer[axis] for layer in layers) // max(1, layers[1][axis]) for axis in (1, 2))
    if horizontal == 1:
        return 0
    return 1 if vertical == 1 else 2
