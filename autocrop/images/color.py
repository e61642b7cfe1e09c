"""Descriptions of color: make ICC profiles from other descriptions, and convert pictures between color spaces.

Sources: ICC.1:2010 (profiles), ITU-T H.273 (the code points of CICP, which AVIF, HEIC and PNG use), the PNG
specification (gAMA and cHRM). Conversions go through littleCMS, which is part of Pillow.
"""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from autocrop.images.containers import Chunk

Primaries = tuple[float, ...]
"""x and y of white, red, green and blue."""
D65 = (0.3127, 0.329)
SRGB_PRIMARIES: Primaries = (*D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
PRIMARIES: dict[int, Primaries] = {
    1: SRGB_PRIMARIES,
    2: SRGB_PRIMARIES,  # unspecified
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470 M
    5: (*D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),  # BT.470 B/G
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # BT.601 with 525 lines
    7: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # SMPTE 240M
    9: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # DCI P3
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
}
"""Chromaticities of CICP's color primaries."""
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
CURVES: dict[int, tuple[float, ...]] = {
    1: BT709_CURVE,
    2: SRGB_CURVE,  # unspecified
    4: (2.2,),
    5: (2.8,),
    6: BT709_CURVE,
    8: (1.0,),
    13: SRGB_CURVE,
    14: BT709_CURVE,
    15: BT709_CURVE,
}
"""Parameters of ICC's parametric curve for CICP's transfer characteristics: a power, or a line and a power."""
HDR_CURVES = {16: "PQ", 18: "HLG"}
"""CICP's HDR transfer characteristics, which this kind of profile cannot describe."""
SRGB_CICP = {(primaries, curve) for primaries in (1, 2) for curve in (1, 2, 6, 13, 14, 15)}
"""Color primaries and transfer characteristics that viewers treat as sRGB."""
USUAL_GAMMA, GAMMA_TOLERANCE = 1 / 2.2, 0.05
"""gAMA exponent of sRGB pictures, and the relative difference below which a PNG counts as sRGB."""
PRIMARIES_TOLERANCE = 0.01
D50 = (0.9642, 1.0, 0.8249)
"""XYZ of the white point in ICC profiles."""
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Matrix of the chromatic adaptation that the ICC recommends."""
SPACE_SIGNATURES = {"rgb": b"RGB ", "gray": b"GRAY", "cmyk": b"CMYK", "lab": b"Lab "}
"""Names of color spaces in the header of an ICC profile."""


class Cicp(NamedTuple):
    """Coding-independent code points of a picture, as in the ``nclx`` of AVIF and HEIC and in a PNG's cICP."""

    primaries: int
    transfer: int

    @property
    def is_srgb(self) -> bool:
        """True if viewers treat the picture like one without a description."""
        return self in SRGB_CICP


def space_of(icc: bytes) -> bytes:
    """Return the signature of the color space that an ICC profile describes."""
    return icc[16:20]


def is_srgb(icc: bytes) -> bool:
    """Return True if an ICC profile is called sRGB."""
    try:
        return "srgb" in ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(icc))).lower()
    except Exception:  # littleCMS rejects the profile
        return False


def profile_of_cicp(cicp: Cicp, space: str) -> bytes:
    """Return an ICC profile for code points; nothing if they have no equivalent.

    Args:
        cicp: The code points.
        space: ``rgb`` or ``gray``.
    """
    if cicp.primaries not in PRIMARIES or cicp.transfer not in CURVES:
        return b""
    return _profile(f"CICP {cicp.primaries}/{cicp.transfer}", PRIMARIES[cicp.primaries], _curve(cicp.transfer), space)


def profile_of_chunks(chunks: tuple[Chunk, ...], space: str) -> bytes:
    """Return an ICC profile for a PNG's gAMA and cHRM; nothing if they are missing or mean sRGB.

    Args:
        chunks: Chunks of the PNG.
        space: ``rgb`` or ``gray``.
    """
    content = dict(chunks)
    if b"sRGB" in content or not content.keys() & {b"gAMA", b"cHRM"}:
        return b""
    gamma, primaries = USUAL_GAMMA, SRGB_PRIMARIES
    if len(content.get(b"gAMA", b"")) == 4:
        gamma = struct.unpack(">I", content[b"gAMA"])[0] / 100_000
    if len(content.get(b"cHRM", b"")) == 32:
        primaries = tuple(value / 100_000 for value in struct.unpack(">8I", content[b"cHRM"]))
    usual_gamma = abs(gamma / USUAL_GAMMA - 1) < GAMMA_TOLERANCE
    usual_primaries = np.abs(np.subtract(primaries, SRGB_PRIMARIES)).max() < PRIMARIES_TOLERANCE
    if not gamma or (usual_gamma and (usual_primaries or space == "gray")):
        return b""
    curve = _curve(13) if usual_gamma else _parametric((1 / gamma,))
    try:
        return _profile("gAMA and cHRM", primaries, curve, space)
    except (ArithmeticError, np.linalg.LinAlgError, struct.error):  # impossible primaries
        return b""


def rgb_profile_of_gray(icc: bytes) -> bytes:
    """Return an RGB profile that renders equal channels the way a gray profile renders gray.

    It is empty if the gray profile does not consist of a single curve.
    """
    (count,) = struct.unpack_from(">I", icc.ljust(132, b"\0"), 128)
    if icc[20:24] != b"XYZ ":
        return b""
    for position in range(132, min(132 + 12 * count, len(icc) - 11), 12):
        name, start, size = struct.unpack_from(">4sII", icc, position)
        if name == b"kTRC" and start + size <= len(icc):
            return _profile("Gray", SRGB_PRIMARIES, icc[start : start + size], "rgb")
    return b""


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image | None:
    """Convert a picture to sRGB using its profile.

    Args:
        image: A picture of mode CMYK, RGB, RGBA, L, LA or LAB.
        icc: Its ICC profile. LAB needs none.

    Returns:
        An RGB picture, or RGBA if there was alpha; None if the profile does not describe the picture.
    """
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    opaque = image.convert(image.mode.removesuffix("A")) if alpha else image
    try:
        lab = image.mode == "LAB"
        source = ImageCms.createProfile("LAB") if lab else ImageCms.getOpenProfile(io.BytesIO(icc))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(opaque, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if converted is not None and alpha:
        converted.putalpha(alpha)
    return converted


def _curve(transfer: int) -> bytes:
    return _parametric(CURVES[transfer])


def _parametric(parameters: tuple[float, ...]) -> bytes:
    """Return a parametric curve (ICC.1:2010, 10.16): function 0 has one parameter, function 3 has five."""
    function = 0 if len(parameters) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(">HH", function, 0) + _fixed(*parameters)


def _fixed(*numbers: float) -> bytes:
    """Return numbers as ICC's ``s15Fixed16Number``."""
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _profile(name: str, primaries: Primaries, curve: bytes, space: str) -> bytes:
    """Return a profile of three primaries, or of gray, and one curve (ICC.1:2010, 7.2 and 8.3)."""
    columns, adaptation = _to_d50(primaries)
    tags = [
        (b"desc", _text(name)),
        (b"cprt", _text("CC0")),
        (b"wtpt", b"XYZ \0\0\0\0" + _fixed(*D50)),
        (b"chad", b"sf32\0\0\0\0" + _fixed(*adaptation.ravel())),
    ]
    if space == "gray":
        tags.append((b"kTRC", curve))
    else:
        tags += [(name, b"XYZ \0\0\0\0" + _fixed(*columns[:, n])) for n, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))]
        tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    table, contents = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, content in tags:
        table += tag + struct.pack(">II", start + len(contents), len(content))
        contents += content.ljust(-(-len(content) // 4) * 4, b"\0")
    header = struct.pack(">I", start + len(contents)) + bytes(4) + b"\x04\x30\0\0mntr" + SPACE_SIGNATURES[space]
    date = struct.pack(">6H", 2024, 1, 1, 0, 0, 0)  # fixed, so that outputs do not depend on the time
    header += b"XYZ " + date + b"acsp" + bytes(28) + _fixed(*D50)
    return header.ljust(128, b"\0") + table + contents


def _text(text: str) -> bytes:
    """Return text as ICC's ``mluc`` with one language."""
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _to_d50(primaries: Primaries) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the XYZ of the primaries as columns, adapted to D50, and the adaptation matrix."""
    white, *colors = (
        np.array([x / y, 1, (1 - x - y) / y]) for x, y in zip(primaries[::2], primaries[1::2], strict=True)
    )
    columns = np.column_stack(colors)
    columns = columns * np.linalg.solve(columns, white)
    cones = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    adaptation = np.linalg.inv(BRADFORD) @ cones @ BRADFORD
    return adaptation @ columns, adaptation
