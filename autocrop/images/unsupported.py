"""Recognize files that autocrop cannot read, so that error messages can name their format."""

from __future__ import annotations

from autocrop.images.containers import START_OF_FRAME, jpeg_segments

SIGNATURES = (
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"8BPS", "a Photoshop document"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"#?RGBE", "a Radiance HDR picture"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "an EPS document"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG document"),
    (b"gimp xcf", "a GIMP document"),
    (b"DDS ", "a DDS texture"),
    (b"\0\0\1\0", "an icon"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"<!DOCTYPE", "a web page"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"PK\x03\x04", "a ZIP archive"),
)
"""First bytes of files, and the format that each one indicates."""
FILM_BRANDS = (b"isom", b"iso2", b"iso5", b"iso6", b"mp41", b"mp42", b"qt  ", b"M4V ", b"3gp4", b"3gp5", b"avc1")
"""Brands of videos (ISO base media)."""
JPEG_LS_FRAME = 0xF7
LOSSLESS_FRAMES = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
"""JPEG markers of lossless frames."""
HIERARCHICAL_FRAMES = frozenset((0xC5, 0xC6, 0xCD, 0xCE))
"""JPEG markers of frames that refine other frames."""


def describe(head: bytes) -> str | None:
    """Describe a file that autocrop cannot read, such as ``"a PDF document"``; None if its format is not recognized.

    Args:
        head: The beginning of the file.
    """
    if head.startswith(b"\xff\xd8"):
        return _describe_jpeg(head)
    if head[4:8] == b"ftyp" and head[8:12] in FILM_BRANDS:
        return "a video"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "a video"
    return next((kind for signature, kind in SIGNATURES if head.startswith(signature)), None)


def _describe_jpeg(head: bytes) -> str | None:
    try:
        segments, _ = jpeg_segments(head)
    except ValueError:
        return None
    for marker, body in segments:
        if marker == JPEG_LS_FRAME:
            return "a JPEG-LS picture"
        if marker in LOSSLESS_FRAMES:
            return "a lossless JPEG"
        if marker in HIERARCHICAL_FRAMES:
            return "a hierarchical JPEG"
        if marker in START_OF_FRAME and body and body[0] != 8:
            return f"a JPEG with {body[0]} bits per channel"
        if marker in START_OF_FRAME and len(body) > 5 and body[5] not in (1, 3, 4):
            return f"a JPEG with {body[5]} channels"
    return None
