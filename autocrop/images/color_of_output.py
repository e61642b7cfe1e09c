"""Preserve a crop's colors in the output format: keep their description, translate it, or convert the pixels."""

from __future__ import annotations

import dataclasses

from PIL import Image

from autocrop.images import color
from autocrop.images.metadata import Metadata
from autocrop.images.pixels import Picture, color_space

ICC_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF")
"""Formats to which autocrop writes ICC profiles."""
CICP_FORMATS = ("PNG", "AVIF", "HEIF")
"""Formats to which autocrop writes the code points of colors."""
FORMATS_OF_SPACES = {"cmyk": ("JPEG", "TIFF"), "lab": ("TIFF",)}
"""Formats that support color spaces other than RGB and gray."""
CONVERTIBLE_MODES = ("L", "LA", "RGB", "RGBA")
"""Modes of pictures that are converted to sRGB for formats without profiles."""


def convert_pixels(picture: Picture, metadata: Metadata, file_format: str) -> tuple[Picture, Metadata, list[str]]:
    """Convert a picture to sRGB if the format can hold neither its color space nor its profile.

    Args:
        picture: The picture, not yet converted to a mode of the format.
        metadata: Its metadata.
        file_format: Pillow's name for the format.

    Returns:
        The picture, its metadata, and notes for the user.
    """
    if not isinstance(picture, Image.Image):
        return picture, metadata, []
    space = color_space(picture.mode)
    if space in FORMATS_OF_SPACES and file_format not in FORMATS_OF_SPACES[space]:
        has_profile = space == "lab" or color.space_of(metadata.icc) == color.SPACE_SIGNATURES[space]
        converted = color.to_srgb(picture, metadata.icc) if has_profile else None
        notes = [] if converted else [f"{space.upper()} becomes RGB without a color profile, so colors may change"]
        return converted or picture, metadata.without_color_space(), notes
    profile = _profile_of(metadata, space)
    if file_format in ICC_FORMATS or not profile or picture.mode not in CONVERTIBLE_MODES or color.is_srgb(profile):
        return picture, metadata, []
    converted = color.to_srgb(picture, profile)
    if converted is None:
        return picture, metadata, []
    return converted.convert(picture.mode), metadata.without_color_space(), []


def describe_pixels(metadata: Metadata, mode: str, source_mode: str, file_format: str) -> tuple[Metadata, list[str]]:
    """Return metadata whose description of colors fits a converted picture and its format.

    Args:
        metadata: Metadata of the photo.
        mode: Pillow's mode of the picture that is written.
        source_mode: Pillow's mode of the photo.
        file_format: Pillow's name for the format.

    Returns:
        The metadata, and notes for the user about what the format cannot hold.
    """
    notes = []
    space = color_space(mode)
    icc = metadata.icc
    # 16-bit gray with alpha is decoded as RGB. A profile that was wrong in the photo is kept.
    gray_became_rgb = space == "rgb" and color.space_of(icc) == b"GRAY"
    is_converted = space != color_space(source_mode) and color.space_of(icc) != color.SPACE_SIGNATURES[space]
    if icc and (gray_became_rgb or is_converted):
        icc = color.rgb_profile_of_gray(icc) if gray_became_rgb else b""
        if not icc:
            notes.append("the color profile is left out, because it does not describe the converted pixels")
        metadata = dataclasses.replace(metadata, icc=icc, chunks=tuple(c for c in metadata.chunks if c[0] != b"iCCP"))
    profile = _profile_of(metadata, space)
    cicp = metadata.cicp
    if cicp and not cicp.is_srgb and not profile and file_format not in CICP_FORMATS:
        curve = color.HDR_CURVES.get(cicp.transfer, f"CICP {cicp.primaries}/{cicp.transfer}")
        notes.append(f"the description of its colors ({curve}) is left out, because {file_format} cannot hold it")
    if file_format not in ICC_FORMATS:
        if profile and not color.is_srgb(profile):
            notes.append(f"the color profile is left out, because autocrop does not write it to {file_format} files")
        return metadata, notes
    if file_format != "PNG" and not icc and profile and not (cicp and not cicp.is_srgb):
        notes.append("gAMA and cHRM of the PNG become a color profile")
    # A PNG keeps its chunks, and AVIF and HEIC keep their code points. Old PNG readers know only the profile.
    needs_profile = not (file_format == "PNG" and metadata.chunks) and (file_format not in ("AVIF", "HEIF") or not cicp)
    return dataclasses.replace(metadata, icc=profile if needs_profile else icc), notes


def _profile_of(metadata: Metadata, space: str) -> bytes:
    """Return the ICC profile of a picture, or one that is equivalent to its other descriptions of color."""
    if metadata.icc or space not in ("rgb", "gray"):
        return metadata.icc
    if metadata.cicp and not metadata.cicp.is_srgb:
        return color.profile_of_cicp(metadata.cicp, space)
    return color.profile_of_chunks(metadata.chunks, space)
