"""Encoding of crops: bit depth, mode and compression of the photo are kept where the format allows it."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import pytest
from PIL import Image

from autocrop.images import open_photo, photo_from_memory, saving
from tests.helpers.files import PROFILE, read_sixteen_bit, sixteen_bit_picture, write_sixteen_bit

BOX = (10, 20, 110, 80)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("source", "target"), [("png", "png"), ("tif", "tif"), ("png", "tif"), ("tif", "png")])
def test_16_bits_are_kept(photo, tmp_path, channels, source, target):
    """All pixels stay equal, also from one format to the other."""
    array = sixteen_bit_picture(photo, channels)
    write_sixteen_bit(tmp_path / f"in.{source}", array)
    opened = open_photo(tmp_path / f"in.{source}")
    assert opened.preview().dtype == np.uint8
    assert np.abs(opened.preview().astype(int).mean() - array[..., :3].mean() / 257) < 60
    assert opened.save(opened.crop(BOX), tmp_path / f"out.{target}") == []
    assert opened.notes == []
    saved = read_sixteen_bit(tmp_path / f"out.{target}")
    assert saved.dtype == np.uint16
    assert np.array_equal(saved, array[20:80, 10:110])


def test_lost_bits_are_noted(photo, tmp_path):
    """A JPEG of a 16-bit photo has only 8 bits per channel."""
    write_sixteen_bit(tmp_path / "in.png", sixteen_bit_picture(photo, 3))
    opened = open_photo(tmp_path / "in.png")
    notes = opened.save(opened.crop(BOX), tmp_path / "out.jpg")
    assert notes == ["16 bits per channel are reduced to 8; PNG and TIFF keep 16"]


def test_16_bit_gray_is_scaled_to_8_bits(photo, tmp_path):
    """It is not clipped to white."""
    gray = np.asarray(Image.open(photo).convert("L")).astype(np.uint16) * 257
    opened = photo_from_memory(Image.fromarray(gray))
    opened.save(opened.pixels, tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as written:
        assert np.asarray(written).mean() == pytest.approx(gray.mean() / 257, abs=3)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGBA", ".png"), ("L", ".jpg"), ("LA", ".png"), ("P", ".png"), ("1", ".png"), ("CMYK", ".jpg"), ("I;16", ".png")],
)
def test_modes_are_kept(photo, tmp_path, mode, suffix):
    """Gray, palette, alpha, CMYK and 16-bit gray stay the same, pixel for pixel if the format is lossless."""
    image = Image.open(photo).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    image.save(source)
    opened = open_photo(source)
    assert opened.preview().dtype == np.uint8
    assert opened.preview().shape[2] == 3
    opened.save(opened.crop((10, 10, 90, 70)), target)
    with Image.open(target) as saved:
        assert saved.mode == mode
        if suffix == ".png":
            assert np.array_equal(np.asarray(saved), np.asarray(Image.open(source).crop((10, 10, 90, 70))))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_pngs_keep_mode_and_pixels(photo, tmp_path, mode):
    """OpenCV encodes some modes, and Pillow encodes the others."""
    with Image.open(photo) as image:
        picture = image.resize((120, 80)).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.save(tmp_path / "in.png")
    opened = open_photo(tmp_path / "in.png")
    opened.save(opened.crop(BOX), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert written.mode == mode
        assert written.tobytes() == picture.crop(BOX).tobytes()


@pytest.mark.parametrize("target", ["out.bmp", "out.png", "out.webp", "out.gif"])
def test_cmyk_becomes_rgb_if_the_format_needs_it(photo, tmp_path, target):
    """Every output format accepts every photo."""
    Image.open(photo).convert("CMYK").save(tmp_path / "in.jpg")
    opened = open_photo(tmp_path / "in.jpg")
    opened.save(opened.crop(BOX), tmp_path / target)
    with Image.open(tmp_path / target) as written:
        assert written.convert("RGB").size == (100, 60)


def test_transparency_becomes_white_in_jpegs(photo, tmp_path):
    """A transparent PNG is written as JPEG on white, with a note."""
    image = Image.open(photo).convert("RGBA")
    image.putalpha(0)
    image.save(tmp_path / "in.png")
    opened = open_photo(tmp_path / "in.png")
    assert opened.save(opened.pixels, tmp_path / "out.jpg") == ["transparency is filled with white"]
    with Image.open(tmp_path / "out.jpg") as saved:
        assert np.asarray(saved).min() > 250


def test_profiles_of_another_color_space_are_left_out(photo, tmp_path):
    """A CMYK profile does not describe an RGB picture."""
    Image.open(photo).convert("CMYK").save(tmp_path / "in.jpg", icc_profile=PROFILE)
    opened = open_photo(tmp_path / "in.jpg")
    opened.save(opened.pixels, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert "icc_profile" not in written.info


def test_jpegs_keep_their_tables_and_subsampling(photo, tmp_path):
    """A crop is compressed like its photo, unless a quality is given."""
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    Image.open(photo).save(source, quality=63, subsampling=1, progressive=True)
    opened = open_photo(source)
    crop = opened.crop((0, 0, 64, 64))
    opened.save(crop, target)
    with Image.open(source) as before, Image.open(target) as after:
        assert before.quantization == after.quantization
        assert before.layer == after.layer
        assert after.info["progressive"]
    opened.save(crop, target, quality=20)
    with Image.open(source) as before, Image.open(target) as after:
        assert before.quantization != after.quantization


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "raw", "zstd"])
def test_tiffs_keep_their_compression(photo, tmp_path, compression):
    """A crop has the compression of its photo."""
    Image.open(photo).save(tmp_path / "in.tif", compression=compression)
    opened = open_photo(tmp_path / "in.tif")
    opened.save(opened.crop(BOX), tmp_path / "out.tif")
    with Image.open(tmp_path / "out.tif") as written:
        assert written.info["compression"] == compression
        assert np.array_equal(np.asarray(written), np.asarray(opened.pixels.crop(BOX)))


def test_jpegs_are_encoded_without_the_gil(photo, tmp_path, monkeypatch):
    """Pillow releases the GIL only while it writes to a real file, which working on several photos needs."""
    descriptors = []
    save = Image.Image.save

    def watched(self, file, *arguments, **options):
        descriptors.append(file.fileno())
        save(self, file, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", watched)
    opened = open_photo(photo)
    opened.save(opened.crop(BOX), tmp_path / "out.jpg")
    assert len(descriptors) == 1


def test_jpegs_do_not_depend_on_the_temporary_file(photo, tmp_path, monkeypatch):
    """An anonymous file in memory, a temporary file and a Python buffer give the same bytes."""

    def written():
        opened = open_photo(photo)
        opened.save(opened.crop(BOX), tmp_path / "out.jpg")
        return (tmp_path / "out.jpg").read_bytes()

    def refuse():
        raise FileNotFoundError("No usable temporary directory found")

    first = written()
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert written() == first
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert written() == first


def test_heic_is_written_with_a_fast_preset(photo, tmp_path, monkeypatch):
    """Libheif's default takes eight times as long, and the picture is hardly better."""
    pytest.importorskip("pillow_heif")
    options = {}
    encode = saving._encode_with_pillow
    monkeypatch.setattr(saving, "_encode_with_pillow", lambda *a, **k: (options.update(k), encode(*a, **k))[1])
    opened = open_photo(photo)
    opened.save(opened.crop(BOX), tmp_path / "out.heic")
    assert options["enc_params"]["preset"] == saving.HEVC_PRESET == "ultrafast"
    difference = np.asarray(Image.open(tmp_path / "out.heic"), float) - np.asarray(opened.crop(BOX))
    assert (difference**2).mean() < 255**2 / 10**3.8  # 38 dB


def test_huge_heic_is_divided_into_tiles(photo, tmp_path, monkeypatch):
    """One HEVC picture holds 142 megapixels."""
    pytest.importorskip("pillow_heif")
    monkeypatch.setattr(saving, "MAX_HEVC_PIXELS", 1000)
    monkeypatch.setattr(saving, "HEVC_TILE_SIDE", 64)
    opened = open_photo(photo)
    opened.save(opened.crop((0, 0, 150, 100)), tmp_path / "out.heic")
    difference = np.asarray(Image.open(tmp_path / "out.heic"), float) - np.asarray(opened.crop((0, 0, 150, 100)))
    assert np.abs(difference).mean() < 4
