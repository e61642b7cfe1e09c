"""Draw docs/samples/examples.jpg: each sample photo with the boxes found in it, and the crops beside it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

import autocrop

SAMPLES = Path(__file__).parent / "samples"
RATIOS = ((None, "#ff4136"), ("1:1", "#2ecc40"), ("4:5", "#0074d9"))
ROW, GAP = 240, 12


def row(cropper, path):
    """One photo and its crops, *ROW* pixels high."""
    photo = Image.open(path).convert("RGB")
    boxed = photo.copy()
    tiles = []
    for ratio, color in RATIOS:
        crop = cropper.find(path, ratio)[0]
        left, top, right, bottom = crop.box
        ImageDraw.Draw(boxed).rectangle((left, top, right - 1, bottom - 1), outline=color, width=4)
        tiles.append((crop.apply(path), color))
    strip = [boxed.resize((round(boxed.width * ROW / boxed.height), ROW), Image.Resampling.LANCZOS)]
    for tile, color in tiles:
        small = tile.resize((round(tile.width * ROW / tile.height), ROW), Image.Resampling.LANCZOS)
        ImageDraw.Draw(small).rectangle((0, 0, small.width - 1, ROW - 1), outline=color, width=4)
        strip.append(small)
    joined = Image.new("RGB", (sum(s.width + GAP for s in strip) - GAP, ROW), "white")
    left = 0
    for picture in strip:
        joined.paste(picture, (left, 0))
        left += picture.width + GAP
    return joined


def main():
    """Write the picture."""
    cropper = autocrop.Cropper()
    rows = [row(cropper, SAMPLES / f"{name}.jpg") for name in ("coffee", "rocket", "chelsea")]
    sheet = Image.new("RGB", (max(r.width for r in rows), len(rows) * (ROW + GAP) - GAP), "white")
    for number, picture in enumerate(rows):
        sheet.paste(picture, (0, number * (ROW + GAP)))
    sheet.save(SAMPLES / "examples.jpg", quality=88)


if __name__ == "__main__":
    main()
