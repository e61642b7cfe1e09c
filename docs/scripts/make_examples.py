"""Draw docs/samples/examples.jpg: each sample photo with the boxes of its crops, and the crops next to it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

import autocrop

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
RATIOS = ((None, "#ff4136"), ("1:1", "#2ecc40"), ("4:5", "#0074d9"))
ROW_HEIGHT, GAP = 240, 12
"""In pixels."""


def draw_row(cropper, path):
    """Draw one photo and its crops, ``ROW_HEIGHT`` pixels high."""
    photo = Image.open(path).convert("RGB")
    boxed = photo.copy()
    crops = []
    for ratio, color in RATIOS:
        crop = cropper.find(path, ratio)[0]
        left, top, right, bottom = crop.box
        ImageDraw.Draw(boxed).rectangle((left, top, right - 1, bottom - 1), outline=color, width=4)
        crops.append((crop.apply(path), color))
    pictures = [resize_to_row(boxed)]
    for picture, color in crops:
        small = resize_to_row(picture)
        ImageDraw.Draw(small).rectangle((0, 0, small.width - 1, ROW_HEIGHT - 1), outline=color, width=4)
        pictures.append(small)
    row = Image.new("RGB", (sum(picture.width + GAP for picture in pictures) - GAP, ROW_HEIGHT), "white")
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + GAP
    return row


def resize_to_row(picture):
    """Resize a picture to the height of a row."""
    return picture.resize((round(picture.width * ROW_HEIGHT / picture.height), ROW_HEIGHT), Image.Resampling.LANCZOS)


def main():
    """Write the picture."""
    cropper = autocrop.Cropper()
    rows = [draw_row(cropper, SAMPLES / f"{name}.jpg") for name in ("coffee", "rocket", "chelsea")]
    sheet = Image.new("RGB", (max(row.width for row in rows), len(rows) * (ROW_HEIGHT + GAP) - GAP), "white")
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * (ROW_HEIGHT + GAP)))
    sheet.save(SAMPLES / "examples.jpg", quality=88)


if __name__ == "__main__":
    main()
