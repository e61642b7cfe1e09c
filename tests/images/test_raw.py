"""Camera raw photos."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.images import open_photo
from autocrop.images.orientation import ORIENTATION
from autocrop.images.raw_structure import check_complete
from tests.helpers.files import MAKE, read_sixteen_bit, write_dng

BOX = (10, 20, 110, 80)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_raw_photos_are_developed_upright(tmp_path, orientation):
    """With the extra installed, crops have 16 bits where the format allows it, and keep EXIF."""
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "in.dng", orientation)
    opened = open_photo(tmp_path / "in.dng")
    assert (opened.width, opened.height) == ((300, 400) if orientation >= 5 else (400, 300))
    preview = opened.preview().astype(int).mean(axis=2)
    assert preview.shape == (opened.height // 2, opened.width // 2)
    right, left, bottom, top = preview[:, -1], preview[:, 0], preview[-1], preview[0]
    brightest_edge = (right, left, left, right, bottom, bottom, top, top)[orientation - 1]
    assert brightest_edge.mean() > preview.mean() + 40
    opened.save(opened.crop(BOX), tmp_path / "out.tif")
    assert read_sixteen_bit(tmp_path / "out.tif").dtype == np.uint16
    opened.save(opened.crop(BOX), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[MAKE] == "Maker of cameras"
        assert written.getexif()[ORIENTATION] == 1
        assert 50706 not in written.getexif()


def test_sidecars_of_raw_photos_refer_to_the_sensor(tmp_path):
    """The left half of an upright photo of orientation 6 is the lower half of the sensor."""
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "in.dng", 6)
    sidecar = open_photo(tmp_path / "in.dng").sidecar((0, 0, 150, 400))
    assert b'CropTop="0.5" crs:CropLeft="0" crs:CropBottom="1"' in sidecar


def test_incomplete_raw_photos_are_refused(tmp_path):
    """LibRaw would develop a picture that is half black, or noise. The message says what is wrong."""
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "in.dng", 1)
    data = (tmp_path / "in.dng").read_bytes()
    start, end = 8, 8 + 400 * 300 * 2
    for name, content in (
        ("zeros.dng", data[: end - 5000] + bytes(5000) + data[end:]),
        ("outside.dng", data[:start] + struct.pack("<I", 0) + data[start + 4 :].replace(_long(start), _long(end))),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PhotoError, match="its end is missing") as error:
            open_photo(tmp_path / name)
        assert "b'" not in str(error.value)


def _long(number):
    """Return the field of the strip offset."""
    return struct.pack("<HHII", 273, 4, 1, number)


def test_raw_files_that_are_cut_are_refused(tmp_path):
    """Also when they are cut in the middle of the sensor data, behind a directory at the beginning."""
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "in.dng", 1)
    data = (tmp_path / "in.dng").read_bytes()
    with pytest.raises(ValueError, match="its end is missing"):
        check_complete(data[:8] + data[8:].replace(_long(8), _long(1 << 20)))
    check_complete(data)


@pytest.mark.parametrize("kept", [100, 40, 20])
def test_boxes_that_are_cut_are_refused(kept):
    """A CR3 that ends inside a box is incomplete."""
    data = (
        struct.pack(">I4s8x", 16, b"ftyp")
        + struct.pack(">I4s", 1, b"mdat")
        + struct.pack(">Q", 84)
        + bytes(range(1, 69))
    )
    check_complete(data)
    if kept < 100:
        with pytest.raises(ValueError, match="its end is missing"):
            check_complete(data[:kept])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sidecars_of_mirrored_raw_photos_refer_to_the_sensor(tmp_path, orientation):
    """The brightest half of the upright photo is the right half of the sensor."""
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "in.dng", orientation)
    opened = open_photo(tmp_path / "in.dng")
    width, height = opened.width, opened.height
    right, left = (width // 2, 0, width, height), (0, 0, width // 2, height)
    bottom, top = (0, height // 2, width, height), (0, 0, width, height // 2)
    box = [right, left, left, right, bottom, bottom, top, top][orientation - 1]
    assert b'CropTop="0" crs:CropLeft="0.5" crs:CropBottom="1" crs:CropRight="1"' in opened.sidecar(box)
