"""Checks of encoded pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from autocrop.images import open_photo
from autocrop.images.verification import check_encoded

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP")


def encoded(file_format):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


@pytest.mark.parametrize("file_format", FORMATS)
def test_valid_files_pass(file_format):
    """A complete file of the expected size raises nothing."""
    check_encoded(encoded(file_format), file_format, (60, 40))


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_of_another_size_fail(file_format):
    """The error names both sizes."""
    with pytest.raises(ValueError, match="60x40 pixels instead of 60x41"):
        check_encoded(encoded(file_format), file_format, (60, 41))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "WEBP"])
def test_incomplete_files_fail(file_format):
    """A file without its last bytes is not written."""
    with pytest.raises(ValueError, match="incomplete"):
        check_encoded(encoded(file_format)[:-9], file_format, (60, 40))


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_without_a_header_fail(file_format):
    """Data that no reader opens is not written."""
    data = encoded(file_format)
    with pytest.raises(ValueError, match=r"cannot be read|incomplete"):
        check_encoded(data[:4] + bytes(len(data) - 16) + data[-12:], file_format, (60, 40))


def transparent_pictures():
    """One small picture per mode that has a transparent color, with the options that store it."""
    rng = np.random.default_rng(1)
    gray = Image.fromarray(rng.integers(0, 4, (48, 64), np.uint8) * 60)
    color = Image.merge("RGB", [gray, gray.rotate(180), gray])
    palette = Image.fromarray(rng.integers(0, 4, (48, 64), np.uint8), "L").convert("P")
    palette.putpalette([250, 0, 0, 0, 250, 0, 0, 0, 250, 90, 90, 90])
    return {
        "gray.png": (gray, {"transparency": 60}),
        "color.png": (color, {"transparency": (0, 0, 0)}),
        "palette.png": (palette, {"transparency": bytes((0, 128, 255, 255))}),
        "one.gif": (palette, {"transparency": 1}),
    }


@pytest.mark.parametrize("name", transparent_pictures())
def test_analysis_does_not_change_what_is_saved(tmp_path, name):
    """After a preview, the pixels that are saved are those of the file."""
    image, options = transparent_pictures()[name]
    image.save(tmp_path / name, **options)
    opened = open_photo(tmp_path / name)
    opened.preview()
    opened.save(opened.crop((4, 8, 60, 40)), tmp_path / f"out-{name}")
    with Image.open(tmp_path / name) as expected, Image.open(tmp_path / f"out-{name}") as written:
        assert written.mode == expected.mode
        pixels = np.asarray(expected.convert("RGBA").crop((4, 8, 60, 40)))
        assert np.array_equal(np.asarray(written.convert("RGBA"))[pixels[..., 3] > 0], pixels[pixels[..., 3] > 0])
        assert np.array_equal(np.asarray(written.convert("RGBA"))[..., 3], pixels[..., 3])
