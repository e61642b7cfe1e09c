"""Encode pictures with their metadata, in the same way as the photo that they come from."""

from __future__ import annotations

import dataclasses
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.images import color_of_output, isobmff, metadata_writer, tiff
from autocrop.images.containers import insert_chunks
from autocrop.images.encoding import OPENCV_TIFF_COMPRESSIONS, Encoding
from autocrop.images.formats import SIXTEEN_BIT_FORMATS
from autocrop.images.metadata import Metadata
from autocrop.images.pixels import (
    Picture,
    as_8_bit,
    as_rgb,
    has_transparency,
    mode_of,
    scaled_to_16_bit,
    sixteen_bit_as_array,
    size_of,
    with_alpha_channel,
)
from autocrop.images.tiff_layout import EXTRA_SAMPLES, UNASSOCIATED_ALPHA

JPEG_QUALITY, MODERN_QUALITY = 92, 90
"""Quality of JPEG, and of WebP, AVIF and HEIC, if neither the user nor the photo determines it."""
PILLOW_METADATA = ("icc_profile", "exif", "xmp", "comment", "dpi", "photoshop")
"""Keys of ``Image.info`` that Pillow's encoders write unless they are given other values."""
BILEVEL_COMPRESSIONS = ("group3", "group4", "tiff_ccitt")
"""TIFF compressions for black and white."""
LOSSLESS_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "lzma", "zstd")
"""TIFF compressions for all pictures."""
DEFLATE = 8
"""OpenCV's number of the TIFF compression that is used if OpenCV cannot write the photo's."""
HEVC_PRESET = "ultrafast"
"""Preset of x265 for HEIC. For 7.5 megapixels at quality 90, it takes 1.8 s of CPU time, while libheif's default takes
14.6 s. The file is 2 % smaller, and its PSNR is 49.1 dB instead of 49.3 dB."""
MAX_HEVC_PIXELS, HEVC_TILE_SIDE = 142_606_336, 4096
"""Pixels that fit into one HEVC picture (level 7.2), and the side of the tiles into which larger ones are divided."""
OPAQUE_FORMATS = ("JPEG", "MPO", "BMP", "DIB", "PPM")
"""Formats without transparency, or whose readers ignore it."""
HALF_OPAQUE = 128
"""Minimum opacity of a pixel that becomes opaque in a GIF. A GIF has no partial transparency."""
MAX_GIF_COMMENT = 255
"""Bytes that fit into one block of a GIF."""


@dataclass(frozen=True)
class EncodeRequest:
    """A picture to encode."""

    picture: Picture
    file_format: str
    """Pillow's name for the format."""
    metadata: Metadata
    """Metadata that describes :attr:`picture`."""
    source: Encoding
    """Encoding of the photo that the picture comes from."""
    quality: int | None = None
    """1 to 100, for JPEG, WebP, AVIF and HEIC. None means the quality of the photo, or a default if it is unknown."""


@dataclass(frozen=True)
class EncodedFile:
    """The content of a picture file."""

    data: bytes
    notes: tuple[str, ...] = ()
    """Notes for the user about what could not be kept."""


def encode(request: EncodeRequest) -> EncodedFile:
    """Encode a picture with its metadata.

    Raises:
        Exception: Encoders raise all kinds of exceptions.
    """
    picture, metadata, notes = color_of_output.convert_pixels(request.picture, request.metadata, request.file_format)
    picture, mode_notes = _convert(dataclasses.replace(request, picture=picture))
    metadata, color_notes = color_of_output.describe_pixels(
        metadata, mode_of(picture), request.source.mode, request.file_format
    )
    notes += [*mode_notes, *color_notes]
    encoder = ENCODERS.get(request.file_format, _encode_other)
    with _without_pillow_metadata(picture):
        encoded = encoder(dataclasses.replace(request, picture=picture, metadata=metadata))
    return EncodedFile(encoded.data, (*metadata.notes, *notes, *encoded.notes))


def _convert(request: EncodeRequest) -> tuple[Picture, list[str]]:
    """Convert a picture to a mode that the format supports. Also return notes for the user about what is lost."""
    picture, file_format, notes = sixteen_bit_as_array(request.picture), request.file_format, []
    if isinstance(picture, Image.Image) and picture.mode in ("I", "F") and file_format != "TIFF":
        picture = scaled_to_16_bit(picture)
    if file_format in OPAQUE_FORMATS and has_transparency(picture):
        notes.append("transparency is filled with white")
    if not isinstance(picture, Image.Image) and file_format not in SIXTEEN_BIT_FORMATS:
        picture = as_8_bit(picture)
        if request.source.format is not None:  # camera raw is always reduced
            notes.append("16 bits per channel are reduced to 8; PNG and TIFF keep 16")
    if isinstance(picture, Image.Image):
        picture = _convert_mode(picture, file_format)
        if file_format == "GIF":
            picture, gif_notes = _convert_for_gif(picture)
            notes += gif_notes
    return picture, notes


def _convert_mode(image: Image.Image, file_format: str) -> Image.Image:
    """Convert modes that the format does not support: JPEG has no palette or alpha, WebP and AVIF no CMYK or gray."""
    if file_format in OPAQUE_FORMATS and has_transparency(image):
        return as_rgb(image)
    if file_format not in ("PNG", "GIF"):  # these two store transparent colors without an alpha channel
        image = with_alpha_channel(image)
    if image.mode == "PA":
        image = image.convert("RGBA")
    if file_format == "JPEG" and image.mode not in ("RGB", "L", "CMYK", "YCbCr"):
        return image.convert("L") if image.mode == "1" else as_rgb(image)
    if file_format in ("WEBP", "AVIF", "HEIF") and image.mode not in ("RGB", "RGBA"):
        return image.convert("RGBA" if has_transparency(image) else "RGB")
    if file_format in ("PPM", "JPEG2000") and image.mode == "P":
        return image.convert("RGB")
    if file_format not in ("JPEG", "TIFF") and image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB")
    return image


def _convert_for_gif(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Make each pixel of a picture either opaque or transparent. Also return notes for the user about what is lost."""
    notes = []
    if image.mode != "P" or isinstance(image.info.get("transparency"), bytes):
        image = with_alpha_channel(image)
    if image.mode in ("LA", "RGBA"):
        array = np.array(image.convert("RGBA"))
        opacity = array[..., 3]
        if ((opacity > 0) & (opacity < 255)).any():
            notes.append("partly transparent pixels become opaque or fully transparent")
        array[..., 3] = np.where(opacity < HALF_OPAQUE, 0, 255)
        array[opacity < HALF_OPAQUE] = 0  # they need a single entry of the palette
        image = Image.fromarray(array)
    if image.mode not in ("P", "L", "1"):
        notes.append("colors are reduced to 256")
    return image, notes


@contextmanager
def _without_pillow_metadata(picture: Picture) -> Iterator[None]:
    """Hide metadata from Pillow's encoders inside a ``with`` block, since it may not match the picture."""
    if not isinstance(picture, Image.Image):
        yield
        return
    info = picture.info
    picture.info = {key: value for key, value in info.items() if key not in PILLOW_METADATA}
    try:
        yield
    finally:
        picture.info = info


def _encode_jpeg(request: EncodeRequest) -> EncodedFile:
    image, metadata, source = request.picture, request.metadata, request.source
    assert isinstance(image, Image.Image)
    options: dict[str, Any] = {"progressive": source.progressive}
    if source.rgb and image.mode == "RGB":
        options["keep_rgb"] = True
    if request.quality is None and source.quantization and image.mode == source.mode:
        options |= {"qtables": source.quantization, "subsampling": source.subsampling}
    else:
        options["quality"] = request.quality or JPEG_QUALITY
    if metadata.dpi and not metadata.density:
        options["dpi"] = metadata.dpi
    with _temporary_file() as file:
        image.save(file, "JPEG", **options)
        file.seek(0)
        data, notes = metadata_writer.add_to_jpeg(file.read(), metadata)
    return EncodedFile(data, tuple(notes))


def _temporary_file() -> IO[bytes]:
    """Return an anonymous file, in memory if possible.

    While Pillow writes to a real file, it releases the GIL, so that threads can work on other photos.
    """
    try:
        if hasattr(os, "memfd_create"):
            return os.fdopen(os.memfd_create("autocrop"), "w+b")
        return tempfile.TemporaryFile()
    except OSError:  # there is no folder for temporary files
        return io.BytesIO()


def _encode_png(request: EncodeRequest) -> EncodedFile:
    picture = request.picture
    if not isinstance(picture, Image.Image):
        data = _encode_with_opencv(".png", picture)
    elif picture.mode in ("L", "RGB", "RGBA") and "transparency" not in picture.info:
        import cv2

        # Within 1 % of Pillow's file size, and OpenCV releases the GIL, so that threads can work on other photos.
        strategy = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]
        data = _encode_with_opencv(".png", np.asarray(picture), strategy)
    else:
        data = _encode_with_pillow(picture, "PNG")
    return EncodedFile(insert_chunks(data, metadata_writer.to_png_chunks(request.metadata)))


def _encode_tiff(request: EncodeRequest) -> EncodedFile:
    """Encode the pixels with Pillow or OpenCV, then write the metadata fields unchanged."""
    picture, source = request.picture, request.source
    if isinstance(picture, Image.Image):
        supported = (*LOSSLESS_COMPRESSIONS, *BILEVEL_COMPRESSIONS) if picture.mode == "1" else LOSSLESS_COMPRESSIONS
        compression = source.compression if source.compression in supported else "tiff_adobe_deflate"
        data = _encode_with_pillow(picture, "TIFF", compression=compression)
    else:
        import cv2

        number = OPENCV_TIFF_COMPRESSIONS.get(source.compression, DEFLATE)
        data = _encode_with_opencv(".tiff", picture, [cv2.IMWRITE_TIFF_COMPRESSION, number])
    fields = metadata_writer.to_tiff_fields(request.metadata)
    if mode_of(picture) in ("RGBA", "LA"):
        fields[EXTRA_SAMPLES] = tiff.shorts(UNASSOCIATED_ALPHA)
    return EncodedFile(tiff.update_fields(data, fields))


def _encode_modern(request: EncodeRequest) -> EncodedFile:
    """Encode WebP, AVIF or HEIC, which hold EXIF, XMP and ICC profiles."""
    file_format, quality, metadata = request.file_format, request.quality, request.metadata
    options = metadata_writer.to_pillow_options(metadata, file_format) | {"quality": quality or MODERN_QUALITY}
    if file_format == "WEBP" and quality is None and request.source.lossless:
        # "exact" keeps the colors of transparent pixels; "quality" is the compression effort in lossless mode.
        options |= {"lossless": True, "exact": True, "quality": 80}
    if file_format == "HEIF":
        options["enc_params"] = {"preset": HEVC_PRESET}
        width, height = size_of(request.picture)
        if width * height > MAX_HEVC_PIXELS:
            options["tile_size"] = HEVC_TILE_SIDE
    data = _encode_with_pillow(request.picture, file_format, **options)
    if file_format == "AVIF" and metadata.cicp and not metadata.cicp.is_srgb and not metadata.icc:
        data = isobmff.with_cicp(data, metadata.cicp)  # Pillow writes the code points of sRGB
    return EncodedFile(data, _iptc_notes(request))


def _encode_other(request: EncodeRequest) -> EncodedFile:
    """Encode any other format. The only metadata that is written is the comment of a GIF."""
    file_format, metadata = request.file_format, request.metadata
    options = {}
    if file_format == "GIF" and metadata.comment:
        options["comment"] = metadata.comment[:MAX_GIF_COMMENT]
    notes = []
    if metadata.exif or metadata.xmp:
        notes.append(f"EXIF and XMP are left out, because autocrop does not write them to {file_format} files")
    data = _encode_with_pillow(request.picture, file_format, **options)
    return EncodedFile(data, (*notes, *_iptc_notes(request)))


def _iptc_notes(request: EncodeRequest) -> tuple[str, ...]:
    if request.metadata.iptc:
        return (f"IPTC is left out, because autocrop does not write it to {request.file_format} files",)
    return ()


def _encode_with_pillow(image: Picture, file_format: str, **options: Any) -> bytes:
    assert isinstance(image, Image.Image)
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def _encode_with_opencv(suffix: str, array: NDArray[Any], options: list[int] | None = None) -> bytes:
    import cv2

    if array.ndim == 3:  # OpenCV expects BGR
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    succeeded, data = cv2.imencode(suffix, np.ascontiguousarray(array), options or [])
    if not succeeded:
        raise ValueError("OpenCV cannot encode it")
    return bytes(data)


ENCODERS: dict[str, Callable[[EncodeRequest], EncodedFile]] = {
    "JPEG": _encode_jpeg,
    "PNG": _encode_png,
    "TIFF": _encode_tiff,
    "WEBP": _encode_modern,
    "AVIF": _encode_modern,
    "HEIF": _encode_modern,
}
