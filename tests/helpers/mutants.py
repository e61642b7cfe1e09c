"""Damaged, mislabeled and hostile files for tests. By hand: python -m tests.helpers.mutants FOLDER COUNT [SEED]."""

from __future__ import annotations

import io
import random
import struct
import sys
import zlib
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "samples"
FORMATS = {
    ".jpg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".bmp": "BMP",
}


def make(folder: Path, count: int, seed: int) -> tuple[list[Path], list[Path]]:
    """Write *count* files to *folder*; returns those that are photos, whatever they are called, and the others.

    The others may or may not be readable: a flipped bit often does no harm.
    """
    rng = random.Random(seed)
    originals = _originals(rng)
    good, others = [], []
    for number in range(count):
        suffix = rng.choice(list(originals))
        data = rng.choice(originals[suffix])
        kind = rng.choice(["good", "wrong", "cut", "flip", "flip", "zeros", "noise", "bomb", "joined", "empty", "text"])
        if kind == "good":
            pass
        elif kind == "wrong":
            suffix = rng.choice([other for other in originals if other != suffix])
        elif kind == "cut":
            data = data[: rng.randrange(1, len(data))]
        elif kind == "flip":
            data = _flipped(data, rng, rng.choice([1, 3, 30, 300]))
        elif kind == "zeros":
            start = rng.randrange(len(data))
            data = data[:start] + bytes(len(data) - start)
        elif kind == "noise":
            data = data[: rng.randrange(64)] + rng.randbytes(rng.randrange(1, 5000))
        elif kind == "bomb":
            suffix, data = rng.choice(
                [(".png", _png_bomb()), (".jpg", _jpeg_bomb(originals[".jpg"][0])), (".bmp", _bmp_bomb())]
            )
        elif kind == "joined":
            data = data[: len(data) // 2] + rng.choice(originals[rng.choice(list(originals))])
        else:
            data = b"" if kind == "empty" else b"PK\x03\x04 this is not a picture\n" * 9
        path = folder / f"{number:04d}-{kind}{suffix}"
        path.write_bytes(data)
        (good if kind in ("good", "wrong") else others).append(path)
    return good, others


def _originals(rng: random.Random) -> dict[str, list[bytes]]:
    """Small photos by extension."""
    made: dict[str, list[bytes]] = {}
    for suffix, file_format in FORMATS.items():
        for name in ("coffee", "astronaut"):
            with Image.open(SAMPLES / f"{name}.jpg") as image:
                exif = Image.Exif()
                exif[0x0112] = rng.randrange(1, 9)
                small = image.convert("RGB").resize((240, 160))
                out = io.BytesIO()
                options = {"exif": exif} if file_format in ("JPEG", "PNG", "WEBP", "TIFF") else {}
                small.save(out, file_format, **options, **({"progressive": True} if name == "coffee" else {}))
                made.setdefault(suffix, []).append(out.getvalue())
    return made


def _flipped(data: bytes, rng: random.Random, bits: int) -> bytes:
    changed = bytearray(data)
    for _ in range(bits):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _png_bomb() -> bytes:
    """A PNG that claims 60,000 by 60,000 pixels and has a megabyte of zeros, well compressed."""

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
    """A JPEG that claims 65,500 by 65,500 pixels."""
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: frame + 5] + struct.pack(">HH", 65_500, 65_500) + data[frame + 9 :]


def _bmp_bomb() -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    make(target, int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
