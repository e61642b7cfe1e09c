"""Damaged, mislabeled and hostile files for tests.

To write some to a folder: ``python -m tests.helpers.mutants FOLDER COUNT [SEED]``.
"""

from __future__ import annotations

import io
import random
import struct
import sys
import zlib
from pathlib import Path

from PIL import Image

from tests.helpers.samples import SAMPLES

FORMATS = {
    ".jpg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".bmp": "BMP",
}
KINDS = ("good", "wrong", "cut", "flip", "flip", "zeros", "noise", "bomb", "joined", "empty", "text")
"""Kinds of damage. "flip" is listed twice, since the effects of one or hundreds of flipped bits vary the most."""
GOOD_KINDS = ("good", "wrong")
"""Kinds that leave the content intact; "wrong" is a file with the extension of another format."""


def write_mutants(folder: Path, count: int, seed: int) -> tuple[list[Path], list[Path]]:
    """Write *count* files to *folder*.

    Returns:
        The files that are intact photos, even if their extension is wrong, and the other files. Some of the others may
        still be readable: a flipped bit often does no harm.
    """
    rng = random.Random(seed)
    originals = _originals(rng)
    good, others = [], []
    for number in range(count):
        suffix = rng.choice(list(originals))
        data = rng.choice(originals[suffix])
        kind = rng.choice(KINDS)
        if kind == "wrong":
            suffix = rng.choice([other for other in originals if other != suffix])
        elif kind == "bomb":
            bombs = [(".png", _png_bomb()), (".jpg", _jpeg_bomb(originals[".jpg"][0])), (".bmp", _bmp_bomb())]
            suffix, data = rng.choice(bombs)
        elif kind == "joined":
            data = data[: len(data) // 2] + rng.choice(originals[rng.choice(list(originals))])
        else:
            data = _mutate(data, kind, rng)
        path = folder / f"{number:04d}-{kind}{suffix}"
        path.write_bytes(data)
        (good if kind in GOOD_KINDS else others).append(path)
    return good, others


def _mutate(data: bytes, kind: str, rng: random.Random) -> bytes:
    """Damage the content of a file in a way that needs no other file."""
    if kind == "cut":
        return data[: rng.randrange(1, len(data))]
    if kind == "flip":
        return _flip_bits(data, rng, rng.choice([1, 3, 30, 300]))
    if kind == "zeros":
        start = rng.randrange(len(data))
        return data[:start] + bytes(len(data) - start)
    if kind == "noise":
        return data[: rng.randrange(64)] + rng.randbytes(rng.randrange(1, 5000))
    if kind == "empty":
        return b""
    if kind == "text":
        return b"PK\x03\x04 this is not a picture\n" * 9
    return data


def _originals(rng: random.Random) -> dict[str, list[bytes]]:
    """Return the contents of small photos, by extension."""
    originals: dict[str, list[bytes]] = {}
    for suffix, file_format in FORMATS.items():
        for name in ("coffee", "astronaut"):
            with Image.open(SAMPLES / f"{name}.jpg") as image:
                exif = Image.Exif()
                exif[0x0112] = rng.randrange(1, 9)
                small = image.convert("RGB").resize((240, 160))
                file = io.BytesIO()
                options = {"exif": exif} if file_format in ("JPEG", "PNG", "WEBP", "TIFF") else {}
                small.save(file, file_format, **options, **({"progressive": True} if name == "coffee" else {}))
                originals.setdefault(suffix, []).append(file.getvalue())
    return originals


def _flip_bits(data: bytes, rng: random.Random, bits: int) -> bytes:
    flipped = bytearray(data)
    for _ in range(bits):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _png_bomb() -> bytes:
    """Return a PNG that claims 60,000x60,000 pixels and contains a megabyte of compressed zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


def _jpeg_bomb(data: bytes) -> bytes:
    """Return a JPEG that claims 65,500x65,500 pixels."""
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: frame + 5] + struct.pack(">HH", 65_500, 65_500) + data[frame + 9 :]


def _bmp_bomb() -> bytes:
    """Return a BMP that claims 100,000x100,000 pixels."""
    header = struct.pack("<IiiHHIIiiII", 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write_mutants(target, int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
