"""Pictures and their metadata as files of each format, compressed as the photo was that they come from."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from autocrop.errors import PhotoError
from autocrop.images import exif as ex
from autocrop.images import metadata as md
from autocrop.images import tiff
from autocrop.images.containers import COM, LARGEST_SEGMENT, Segment, webp_is_lossless, with_chunks, with_segments
from autocrop.images.metadata import Metadata
from autocrop.images.pixels import Picture, as_8_bit, as_rgb, colors, has_transparency, mode_of

HEIF_SUFFIXES = (".heic", ".heif", ".hif")
PILLOWS_OWN = ("icc_profile", "exif", "xmp", "comment", "dpi", "photoshop")
"""What Pillow's writers take from a picture where they are not told otherwise."""
LONGEST_SIDE = {"JPEG": 65_500, "MPO": 65_500, "WEBP": 16_383, "AVIF": 32_768, "GIF": 65_535, "TGA": 65_535}
"""In pixels, by format: what libjpeg writes, libavif reads, and the others have bits for. The rest have room enough."""
DEEP_FORMATS = ("PNG", "TIFF")
"""Those in which 16 bits a channel are written."""
FAX = ("group3", "group4", "tiff_ccitt")
"""Compressions of TIFF for black and white."""
TIFF_LOSSLESS = ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "lzma", "zstd")
OPENCV_TIFF = {"raw": 1, "tiff_lzw": 5, "tiff_adobe_deflate": 8, "tiff_deflate": 8, "packbits": 32773}
"""OpenCV's numbers for the compressions that it can write."""
EXTRA_SAMPLES, UNASSOCIATED = 338, 2
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
ICC_HEADER = b"ICC_PROFILE\0"


@dataclass(frozen=True)
class Coding:
    """How a photo's file is compressed, for crops of it to be compressed alike."""

    format: str | None = None
    mode: str = ""
    lossless: bool = False
    tables: Any = None
    """Quantization tables of a JPEG."""
    subsampling: int = -1
    progressive: bool = False
    rgb: bool = False
    """A JPEG whose colors are stored as RGB."""
    compression: str = ""
    """Of a TIFF, in Pillow's words."""
    extra_samples: int = UNASSOCIATED

    @classmethod
    def of(cls, image: Image.Image, head: bytes = b"") -> Coding:
        """That of a file which Pillow has opened; *head* is the beginning of a WebP."""
        info = image.info
        if image.format in ("JPEG", "MPO"):
            return cls(
                "JPEG",
                image.mode,
                tables=getattr(image, "quantization", None),
                subsampling=_subsampling(image),
                progressive=bool(info.get("progressive")),
                rgb=image.mode == "RGB" and info.get("adobe_transform") == 0,
            )
        if image.format == "TIFF":
            compression = str(info.get("compression", ""))
            extra = getattr(image, "tag_v2", {}).get(EXTRA_SAMPLES, (UNASSOCIATED,))
            lossless = compression not in ("jpeg", "tiff_jpeg", "webp")
            extra_samples = extra[0] if isinstance(extra, tuple) and extra else UNASSOCIATED
            return cls("TIFF", image.mode, lossless, compression=compression, extra_samples=extra_samples)
        if image.format == "WEBP":
            return cls("WEBP", image.mode, webp_is_lossless(head))
        return cls(image.format, image.mode, image.format not in ("AVIF", "HEIF", "JPEG2000"))


def _subsampling(image: Image.Image) -> int:
    """Pillow's number for how a JPEG stores colors: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0.

    Pillow can write these three only. For others it is the nearest that stores no fewer colors.
    """
    known = JpegImagePlugin.get_sampling(image)
    layers = getattr(image, "layer", [])
    if known != -1 or len(layers) != 3:
        return known
    across, down = (max(layer[axis] for layer in layers) // max(1, layers[1][axis]) for axis in (1, 2))
    return 0 if across == 1 else 1 if down == 1 else 2


def format_of(path: Path) -> str:
    """Pillow's name of the format that the extension of *path* stands for.

    Raises:
        PhotoError: there is none that can be written.
    """
    Image.init()
    if path.suffix.lower() in HEIF_SUFFIXES:
        from autocrop.images.opening import enable_heif

        enable_heif()
    file_format = Image.registered_extensions().get(path.suffix.lower())
    if file_format is None or file_format not in Image.SAVE:
        raise PhotoError(
            f"'{path.suffix}' is no picture format that autocrop can write. Use .jpg, .png, .webp or .tif."
        )
    return file_format


def check_side(size: tuple[int, int], file_format: str) -> None:
    """Whether a format can hold a picture of *size* (width, height).

    Raises:
        PhotoError: it cannot.
    """
    longest = LONGEST_SIDE.get(file_format)
    if longest is not None and max(size) > longest:
        raise PhotoError(
            f"{size[0]}x{size[1]} pixels do not go into a {file_format}, whose sides have {longest} at most. "
            "Choose a smaller --size, or PNG or TIFF."
        )


def encoded(
    picture: Picture, file_format: str, metadata: Metadata, coding: Coding, quality: int | None = None
) -> tuple[bytes, list[str]]:
    """The content of a file, and what could not be kept, in words.

    Args:
        picture: to write.
        file_format: Pillow's name.
        metadata: true of *picture*.
        coding: of the photo that it comes from.
        quality: 1 to 100, for JPEG, WebP, AVIF and HEIC; None for the photo's own, else 90.

    Raises:
        Exception: whatever an encoder raises.
    """
    lost = [*metadata.lost]
    if isinstance(picture, Image.Image) and picture.mode.startswith("I;16"):
        picture = np.asarray(picture).astype(np.uint16)
    if file_format == "JPEG" and has_transparency(picture):
        lost.append("transparency is filled with white")
    if not isinstance(picture, Image.Image) and file_format not in DEEP_FORMATS:
        picture = as_8_bit(picture)
        if coding.format in DEEP_FORMATS:
            lost.append(f"16 bits a channel become 8: {file_format} has no more")
    if isinstance(picture, Image.Image):
        picture = _for_format(picture, file_format)
        if file_format == "GIF" and picture.mode not in ("P", "L", "1"):
            lost.append("colors are reduced to 256")
    if metadata.icc and colors(coding.mode) != colors(mode_of(picture)):
        metadata = Metadata(**{**vars(metadata), "icc": b""})
    writer = {"JPEG": _jpeg, "PNG": _png, "TIFF": _tiff}.get(file_format, _other)
    with _without_metadata(picture):
        return writer(picture, file_format, metadata, coding, quality, lost), lost


@contextmanager
def _without_metadata(picture: Picture) -> Iterator[None]:
    """For as long as Pillow writes *picture*: it would take what comes with it, true or not."""
    if not isinstance(picture, Image.Image):
        yield
        return
    info = picture.info
    picture.info = {key: value for key, value in info.items() if key not in PILLOWS_OWN}
    try:
        yield
    finally:
        picture.info = info


def _jpeg(image: Picture, _: str, metadata: Metadata, coding: Coding, quality: int | None, lost: list[str]) -> bytes:
    assert isinstance(image, Image.Image)
    options: dict[str, Any] = {"progressive": coding.progressive}
    if coding.rgb and image.mode == "RGB":
        options["keep_rgb"] = True
    if quality is None and coding.tables and image.mode == coding.mode:
        options |= {"qtables": coding.tables, "subsampling": coding.subsampling}
    else:
        options["quality"] = quality or 92
    if metadata.dpi and not metadata.density:
        options["dpi"] = metadata.dpi
    with _scratch() as file:
        image.save(file, "JPEG", **options)
        file.seek(0)
        return jpeg_with(file.read(), metadata, lost)


def _scratch() -> IO[bytes]:
    """A file of the system's that is gone once it is closed, in memory where there are such files.

    Into those Pillow writes without holding Python's lock, so that other photos' threads go on.
    """
    try:
        if hasattr(os, "memfd_create"):
            return os.fdopen(os.memfd_create("autocrop"), "w+b")
        return tempfile.TemporaryFile()
    except OSError:  # no such file is to be had
        return io.BytesIO()


def jpeg_with(data: bytes, metadata: Metadata, lost: list[str]) -> bytes:
    """A JPEG that an encoder wrote, with metadata. What has no room in it is named in *lost*."""
    segments: list[Segment] = []
    for kind, header, body in (
        ("EXIF", ex.PREFIX, metadata.exif),
        ("XMP", XMP_HEADER, metadata.xmp),
    ):
        if len(header) + len(body) > LARGEST_SEGMENT:
            lost.append(f"{kind} is left out, too long for a JPEG")
        elif body:
            segments.append((0xE1, header + body))
    room = LARGEST_SEGMENT - len(ICC_HEADER) - 2
    parts = [metadata.icc[start : start + room] for start in range(0, len(metadata.icc), room)]
    if len(parts) < 256:
        segments += [(0xE2, ICC_HEADER + bytes((n, len(parts))) + part) for n, part in enumerate(parts, 1)]
    room = LARGEST_SEGMENT - len(md.PHOTOSHOP)
    resources = metadata.photoshop
    segments += [(0xED, md.PHOTOSHOP + resources[start : start + room]) for start in range(0, len(resources), room)]
    if metadata.comment:
        segments.append((COM, metadata.comment[:LARGEST_SEGMENT]))
    data = with_segments(data, segments)
    if metadata.density and data[6:11] == b"JFIF\0":  # the encoder begins with it
        data = data[:13] + metadata.density + data[18:]
    return data


def _png(picture: Picture, _: str, metadata: Metadata, coding: Coding, __: int | None, ___: list[str]) -> bytes:
    if not isinstance(picture, Image.Image):
        data = _opencv(".png", picture)
    elif picture.mode in ("L", "RGB", "RGBA") and "transparency" not in picture.info:
        # As small as Pillow's within a hundredth, and the other photos' threads go on meanwhile.
        data = _opencv(".png", np.asarray(picture), _png_options())
    else:
        file = io.BytesIO()
        picture.save(file, "PNG")
        data = file.getvalue()
    if coding.format == "PNG" and colors(coding.mode) != colors(mode_of(picture)):
        kept = tuple(chunk for chunk in metadata.chunks if chunk[0] not in md.COLOR_CHUNKS)
        metadata = Metadata(**{**vars(metadata), "chunks": kept})
    return with_chunks(data, md.png_texts(metadata))


def _tiff(picture: Picture, _: str, metadata: Metadata, coding: Coding, __: int | None, ___: list[str]) -> bytes:
    """Pillow or OpenCV writes the pixels; the directory is ours."""
    if isinstance(picture, Image.Image):
        possible = (*TIFF_LOSSLESS, *FAX) if picture.mode == "1" else TIFF_LOSSLESS
        compression = coding.compression if coding.compression in possible else "tiff_adobe_deflate"
        file = io.BytesIO()
        picture.save(file, "TIFF", compression=compression)
        data = file.getvalue()
    else:
        import cv2

        data = _opencv(".tiff", picture, [cv2.IMWRITE_TIFF_COMPRESSION, OPENCV_TIFF.get(coding.compression, 8)])

    def describe(directory: tiff.Directory) -> None:
        if metadata.dpi:
            across, down = (round(value * 1000) for value in metadata.dpi)
            directory[282], directory[283] = tiff.rational(across, 1000), tiff.rational(down, 1000)
            directory[296] = tiff.shorts(2)
        if metadata.exif:
            _, exif = tiff.read(io.BytesIO(metadata.exif))
            directory.update({tag: value for tag, value in exif.items() if tag not in md.NO_EXIF})
        for tag, kind, content in (
            (md.TIFF_XMP, tiff.BYTE, metadata.xmp),
            (md.TIFF_IPTC, tiff.UNDEFINED, metadata.iptc),
            (md.TIFF_PHOTOSHOP, tiff.BYTE, md.without_iptc(metadata.photoshop)),
            (md.TIFF_ICC, tiff.UNDEFINED, metadata.icc),
        ):
            if content:
                directory[tag] = tiff.Value(kind, content)
        if mode_of(picture) in ("RGBA", "LA"):
            directory[EXTRA_SAMPLES] = tiff.shorts(coding.extra_samples)

    return tiff.with_fields(data, describe)


def _png_options() -> list[int]:
    import cv2

    return [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]


def _opencv(suffix: str, picture: NDArray[Any], options: list[int] | None = None) -> bytes:
    import cv2

    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}  # OpenCV's channels are BGR
    array = picture if picture.ndim == 2 else picture[..., order[picture.shape[2]]]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(array), options or [])
    if not done:
        raise ValueError("OpenCV cannot encode it")
    return bytes(data)


def _other(
    image: Picture, file_format: str, metadata: Metadata, coding: Coding, quality: int | None, lost: list[str]
) -> bytes:
    assert isinstance(image, Image.Image)
    options: dict[str, Any] = {}
    exif = metadata.exif
    if file_format == "AVIF" and exif:
        exif = ex.without_orientation(exif)  # Pillow would write all of it anew to take that out
    if file_format in ("WEBP", "AVIF", "HEIF"):
        options["quality"] = quality or 90
        options |= {
            key: value for key, value in (("exif", exif), ("xmp", metadata.xmp), ("icc_profile", metadata.icc)) if value
        }
        if file_format == "WEBP" and quality is None and coding.lossless:
            # exact: colors under full transparency, too
            options |= {"lossless": True, "exact": True, "quality": 80}
    elif file_format == "GIF" and metadata.comment:
        options["comment"] = metadata.comment[:255]
    if file_format not in ("WEBP", "AVIF", "HEIF") and (metadata.exif or metadata.xmp):
        lost.append(f"EXIF and XMP are left out: {file_format} has no place for them")
    if metadata.iptc:
        lost.append(f"IPTC is left out: {file_format} has no place for it")
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def _for_format(image: Image.Image, file_format: str) -> Image.Image:
    """Convert what the format cannot hold: JPEG has neither palette nor alpha, WebP and AVIF no CMYK or gray."""
    if file_format == "JPEG" and image.mode not in ("RGB", "L", "CMYK", "YCbCr"):
        return image.convert("L") if image.mode == "1" else as_rgb(image)
    if file_format in ("WEBP", "AVIF", "HEIF") and image.mode not in ("RGB", "RGBA"):
        if image.mode.startswith("I") or image.mode == "F":
            return as_rgb(image)
        return image.convert("RGBA" if has_transparency(image) else "RGB")
    if file_format not in ("JPEG", "TIFF") and image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB")
    if image.mode == "F" and file_format != "TIFF":
        return as_rgb(image)
    return image
