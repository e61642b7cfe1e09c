"""Names, extensions and limits of formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.images import format_of, is_picture_name, open_photo, photo_from_memory
from autocrop.images.orientation import ORIENTATION
from tests.helpers.files import MAKE, stored


def test_unknown_output_formats_are_refused(tmp_path):
    """The message lists formats that work."""
    with pytest.raises(PhotoError, match=r"'\.xyz' is not a format that autocrop can write\. Use \.jpg"):
        format_of(tmp_path / "out.xyz")


@pytest.mark.parametrize(
    ("name", "expected"), [("a.JPG", True), ("a.NEF", True), ("a.heic", True), ("a.eps", True), ("a.txt", False)]
)
def test_picture_names_include_formats_that_are_only_read(name, expected):
    """The extension decides, in upper or lower case."""
    assert is_picture_name(Path(name)) is expected


@pytest.mark.parametrize(("name", "longest"), [("a.jpg", 65_500), ("a.webp", 16_383), ("a.avif", 32_768)])
def test_sides_are_limited_by_the_format(tmp_path, name, longest):
    """The longest allowed side can be read back. One pixel more fails with a message, and no file is written."""
    photo = photo_from_memory(Image.new("RGB", (64, 64)))
    photo.save(Image.new("RGB", (longest, 32)), tmp_path / name)
    assert open_photo(tmp_path / name).width == longest
    with pytest.raises(PhotoError, match=f"{longest + 1}x32 pixels do not fit into a .* which allows {longest} pixels"):
        photo.save(Image.new("RGB", (longest + 1, 32)), tmp_path / f"more-{name}")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_heic_is_read_and_written(photo, tmp_path):
    """With the extra installed, HEIC photos open upright and keep their metadata."""
    pillow_heif = pytest.importorskip("pillow_heif")
    small = Image.open(photo).resize((150, 100))  # x265 is slow
    image, exif = stored(small, 6)
    heif = pillow_heif.from_pillow(image)
    heif.save(tmp_path / "in.heic", exif=exif.tobytes(), quality=90)
    opened = open_photo(tmp_path / "in.heic")
    assert (opened.width, opened.height) == (150, 100)
    assert np.abs(opened.preview().astype(int) - np.asarray(small.convert("RGB"))).mean() < 6
    crop = opened.crop((10, 20, 110, 80))
    opened.save(crop, tmp_path / "out.heic")
    with Image.open(tmp_path / "out.heic") as written:
        assert (written.format, written.size) == ("HEIF", (100, 60))
        assert written.getexif()[MAKE] == "Maker of cameras"
    opened.save(crop, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[ORIENTATION] == 1
