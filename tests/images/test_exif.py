"""EXIF edited in place."""

from __future__ import annotations

import io

import pytest
from PIL import ExifTags, Image

from autocrop.images import exif, open_photo, tiff
from autocrop.images.tiff import EXIF_IFD
from tests.helpers.files import MAKE

BOX = (10, 20, 110, 80)


@pytest.mark.parametrize("order", ["<", ">"])
def test_maker_notes_stay_where_they_are(photo, tmp_path, order):
    """A maker note contains offsets from the beginning of EXIF. Names in UTF-8 are kept, too."""
    details = {
        0x927C: tiff.Value(tiff.UNDEFINED, b"MakerNote" * 9),
        0x9214: tiff.shorts(9, 9),
        0xA002: tiff.shorts(600),
    }
    fields = {0x013B: tiff.Value(2, "Jürgen\0".encode()), EXIF_IFD: tiff.Value(tiff.LONG, bytes(4), details)}
    before = tiff.serialize_file(fields, order)
    Image.open(photo).save(tmp_path / "in.jpg", exif=exif.PREFIX + before)
    opened = open_photo(tmp_path / "in.jpg")
    for name in ("out.jpg", "out.avif", "out.tif"):
        opened.save(opened.crop(BOX), tmp_path / name)
        assert "Jürgen".encode() in (tmp_path / name).read_bytes()
    after = open_photo(tmp_path / "out.jpg")._decoder.metadata.exif
    assert len(after) == len(before)
    assert after.index(b"MakerNote") == before.index(b"MakerNote")
    with Image.open(tmp_path / "out.jpg") as written:
        tags = written.getexif().get_ifd(EXIF_IFD)
    assert tags[0xA002] == 100
    assert 0x9214 not in tags


def test_the_thumbnail_is_removed(photo, tmp_path):
    """It would show what was cropped away."""
    thumbnail = io.BytesIO()
    Image.open(photo).resize((64, 48)).save(thumbnail, "JPEG")
    tags = Image.Exif()
    tags[MAKE] = "Maker of cameras"
    body = bytearray(tags.tobytes()[6:])
    order = "little" if body[:2] == b"II" else "big"

    def number(value, size):
        return value.to_bytes(size, order)

    def entry(tag, value):
        return number(tag, 2) + number(4, 2) + number(1, 4) + number(value, 4)

    end_of_ifd0 = 10 + 12 * int.from_bytes(body[8:10], order)
    body[end_of_ifd0 : end_of_ifd0 + 4] = number(len(body), 4)
    jpeg = thumbnail.getvalue()
    start = len(body) + 2 + 2 * 12 + 4
    body += number(2, 2) + entry(0x0201, start) + entry(0x0202, len(jpeg)) + number(0, 4) + jpeg
    Image.open(photo).save(tmp_path / "in.jpg", exif=exif.PREFIX + bytes(body))
    opened = open_photo(tmp_path / "in.jpg")
    with Image.open(tmp_path / "in.jpg") as before:
        assert before.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(thumbnail.getvalue())
    opened.save(opened.crop((0, 0, 64, 64)), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as after:
        assert after.getexif()[MAKE] == "Maker of cameras"
        assert 0x0202 not in after.getexif().get_ifd(ExifTags.IFD.IFD1)


def test_damaged_values_do_not_prevent_a_crop(photo, tmp_path):
    """A fraction with an invalid offset and count is copied without being read."""
    data = bytearray(b"Exif\0\0II*\0\x08\0\0\0\x01\0")
    data += (
        (0x011A).to_bytes(2, "little")
        + (99).to_bytes(2, "little")
        + (5).to_bytes(4, "little")
        + b"\xff\xff\xff\xff\0\0\0\0"
    )
    Image.open(photo).save(tmp_path / "in.jpg", exif=bytes(data))
    opened = open_photo(tmp_path / "in.jpg")
    assert opened.save(opened.crop((0, 0, 64, 64)), tmp_path / "out.jpg") == []


def test_exif_without_a_byte_order_is_left_out(photo, tmp_path):
    """The crop is written with a note."""
    Image.open(photo).save(tmp_path / "in.jpg", exif=b"Exif\0\0XX")
    opened = open_photo(tmp_path / "in.jpg")
    notes = opened.save(opened.crop((0, 0, 64, 64)), tmp_path / "out.jpg")
    assert notes == ["EXIF is left out, because it is damaged"]
