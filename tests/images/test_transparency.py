"""Transparency in every format, from alpha channels, transparent colors and palettes."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from autocrop.images import containers, open_photo
from tests.helpers.files import read_sixteen_bit, write_sixteen_bit

SHAPE = (64, 80)
LEFT = np.arange(SHAPE[1])[None].repeat(SHAPE[0], 0) < 40
"""The part of each picture that is transparent."""


def write_source(path, kind):
    """Write a picture whose left half is magenta (or white) and transparent, and whose right half is gray."""
    gray = np.where(LEFT, 255, 90).astype(np.uint8)
    color = np.dstack([gray, np.where(LEFT, 0, 90).astype(np.uint8), gray])
    if kind == "gray":
        Image.fromarray(gray).save(path, transparency=255)
    elif kind == "color":
        Image.fromarray(color).save(path, transparency=(255, 0, 255))
    elif kind == "palette":
        image = Image.fromarray(LEFT.astype(np.uint8), "L").convert("P")
        image.putpalette([90, 90, 90, 255, 0, 255])
        image.save(path, transparency=bytes((255, 0)))
    elif kind == "palette index":
        image = Image.fromarray(LEFT.astype(np.uint8), "L").convert("P")
        image.putpalette([90, 90, 90, 255, 0, 255])
        image.save(path, transparency=1)
    elif kind == "alpha":
        Image.fromarray(np.dstack([color, np.where(LEFT, 0, 255).astype(np.uint8)])).save(path)
    elif kind == "gray alpha":
        Image.fromarray(np.dstack([gray, np.where(LEFT, 0, 255).astype(np.uint8)]), "LA").save(path)
    else:
        deep = (gray if kind == "16-bit gray" else color).astype(np.uint16) * 257
        write_sixteen_bit(path, deep)
        key = struct.pack(">H", 65535) if deep.ndim == 2 else struct.pack(">3H", 65535, 0, 65535)
        path.write_bytes(containers.insert_chunks(path.read_bytes(), [(b"tRNS", key)]))


KINDS = ("gray", "color", "palette", "palette index", "alpha", "gray alpha", "16-bit gray", "16-bit color")


def read_rgba(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".tif", ".gif", ".tga", ".jp2"])
@pytest.mark.parametrize("size", [None, (48, 64)])
def test_transparency_is_kept(tmp_path, kind, suffix, size):
    """The transparent half stays transparent, and the other half opaque and gray, also after resizing."""
    write_source(tmp_path / "in.png", kind)
    photo = open_photo(tmp_path / "in.png")
    photo.preview()
    photo.save(photo.crop((16, 0, 64, 64), size), tmp_path / f"out{suffix}")
    pixels = read_rgba(tmp_path / f"out{suffix}").astype(int)
    assert pixels[:, :20, 3].max() < 8
    assert pixels[:, 28:, 3].min() > 247
    assert np.abs(pixels[:, 28:, :3] - 90).max() < 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".ppm"])
def test_transparency_is_filled_with_white(tmp_path, kind, suffix):
    """Formats without transparency show white, and a note says so."""
    write_source(tmp_path / "in.png", kind)
    photo = open_photo(tmp_path / "in.png")
    notes = photo.save(photo.crop((16, 0, 64, 64)), tmp_path / f"out{suffix}")
    assert "transparency is filled with white" in notes
    pixels = read_rgba(tmp_path / f"out{suffix}").astype(int)
    assert pixels[:, :16, :3].min() > 247
    assert np.abs(pixels[:, 32:, :3] - 90).max() < 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_resizing_leaves_no_fringe(tmp_path, kind, suffix):
    """Pixels at the edge have the color of the opaque side, since the transparent side has none."""
    write_source(tmp_path / "in.png", kind)
    photo = open_photo(tmp_path / "in.png")
    photo.save(photo.crop((16, 0, 64, 64), (37, 49)), tmp_path / f"out{suffix}")
    path = tmp_path / f"out{suffix}"
    pixels = read_sixteen_bit(path) / 257 if kind.startswith("16-bit") else read_rgba(path).astype(float)
    visible = pixels[pixels[..., 3] > 16]
    assert np.abs(visible[:, :3] - 90).max() < 2


def test_partial_transparency_of_a_gif_is_noted(tmp_path):
    """A GIF can only have fully transparent pixels."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 3] = np.arange(64) * 4
    Image.fromarray(pixels).save(tmp_path / "in.png")
    photo = open_photo(tmp_path / "in.png")
    notes = photo.save(photo.crop((0, 0, 64, 48)), tmp_path / "out.gif")
    assert "partly transparent pixels become opaque or fully transparent" in notes
    assert set(np.unique(read_rgba(tmp_path / "out.gif")[..., 3])) == {0, 255}
