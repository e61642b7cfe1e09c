"""Which page of a TIFF, and which frame of other files, is cropped."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from autocrop.images import open_photo, tiff
from tests.helpers.tiff_files import TiffOptions, tiff_file, with_second_page


def page(brightness, subfile_type=0, side=64, dtype=np.uint8):
    array = np.full((side, side, 3), brightness * (257 if dtype == np.uint16 else 1), dtype)
    fields = {254: tiff.Value(tiff.LONG, bytes((subfile_type, 0, 0, 0)))}
    return tiff_file(array, TiffOptions(fields=fields))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_full_resolution_page_is_used(tmp_path, dtype):
    """A thumbnail on the first page is not cropped in its place, and a note says so."""
    (tmp_path / "in.tif").write_bytes(with_second_page(page(10, 1, 40), page(200, 0, 64, dtype)))
    photo = open_photo(tmp_path / "in.tif")
    assert (photo.width, photo.height) == (64, 64)
    assert photo.preview().mean() == 200
    assert photo.notes == ["the first page is a thumbnail, so the full-resolution page is used"]


@pytest.mark.parametrize("subfile_type", [1, 4])
def test_thumbnails_and_masks_are_not_counted(tmp_path, subfile_type):
    """A pyramid of reduced pages loses nothing, so it needs no note."""
    (tmp_path / "in.tif").write_bytes(with_second_page(page(10), page(200, subfile_type, 40)))
    photo = open_photo(tmp_path / "in.tif")
    assert photo.preview().mean() == 10
    assert photo.notes == []


def test_files_with_only_a_thumbnail_are_read_with_a_note(tmp_path):
    """Some programs mark their only page as reduced."""
    (tmp_path / "in.tif").write_bytes(page(10, 1))
    photo = open_photo(tmp_path / "in.tif")
    assert photo.preview().mean() == 10
    assert photo.notes == ["the file contains only a thumbnail"]


def test_notes_do_not_change_the_page(tmp_path):
    """Counting pages, also damaged ones, leaves the first page selected."""
    data = with_second_page(page(10), page(200))
    (tmp_path / "in.tif").write_bytes(data)
    photo = open_photo(tmp_path / "in.tif")
    assert photo.notes == ["only the first of 2 frames is kept"]
    assert np.asarray(photo.pixels).mean() == 10
    second = data.index(tiff_file(np.full((64, 64, 3), 200, np.uint8), TiffOptions())[16:100])
    (tmp_path / "cut.tif").write_bytes(data[:second] + bytes(90) + data[second + 90 : -20])
    photo = open_photo(tmp_path / "cut.tif")
    assert photo.notes
    assert np.asarray(photo.pixels).mean() == 10


def test_notes_do_not_change_the_frame(tmp_path):
    """The same holds for a GIF whose second frame is cut short."""
    frames = [Image.effect_noise((80, 80), 50 + 20 * n).convert("P") for n in range(3)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:])
    data = (tmp_path / "in.gif").read_bytes()
    expected = np.asarray(Image.open(tmp_path / "in.gif").convert("RGB"))
    for name, content in (("in.gif", data), ("cut.gif", data[: len(data) * 2 // 3])):
        (tmp_path / name).write_bytes(content)
        photo = open_photo(tmp_path / name)
        assert photo.notes
        assert np.array_equal(photo.preview(), expected)
