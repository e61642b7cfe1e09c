"""EXIF edited in place."""

from __future__ import annotations

import contextlib
import io
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from autocrop.images import exif, open_photo, tiff
from autocrop.images.tiff import EXIF_IFD
from tests.helpers.files import MAKE

BOX = (10, 20, 110, 80)
ORIENTATION, SUBJECT_AREA, EXPOSURE_TIME = 0x0112, 0x9214, 0x829A
CAMERA = {MAKE: tiff.Value(2, b"Maker of cameras\0"), ORIENTATION: tiff.shorts(6)}
"""Fields of a first directory."""
DETAILS = {
    EXPOSURE_TIME: tiff.rational(1, 121),
    0x8827: tiff.shorts(50),
    SUBJECT_AREA: tiff.shorts(2009, 1502, 2208, 1387),
    0xA434: tiff.Value(2, b"back camera\0"),
}
"""Fields of an EXIF directory."""
THUMBNAIL = b"\xff\xd8\xff\xdb a thumbnail of the uncropped photo \xff\xd9"


def exif_block(order, has_links=True, link=0, thumbnail=None):
    """Return EXIF, and the positions of its directories and values by name.

    Args:
        order: Byte order, ``<`` or ``>``.
        has_links: False to omit the link to the next directory from each directory, as piexif does in EXIF and GPS.
        link: Position to which the first directory links.
        thumbnail: Fields of the second directory, to which the first one links; THUMBNAIL follows it.
    """
    link_size = 4 if has_links else 0
    places = {"first": 8}
    first_values = 8 + 2 + 12 * (len(CAMERA) + 1) + link_size
    make = CAMERA[MAKE].content
    places["value"] = first_values
    details = first_values + len(make) + len(make) % 2
    places["details"] = details
    detail_values = details + 2 + 12 * len(DETAILS) + link_size

    def table(fields, position):
        rows, values = b"", b""
        for tag, value in sorted(fields.items()):
            content = tiff._swap_bytes(value.content, value.type, order)
            if len(content) > 4:
                values_at = position + len(values)
                values += content + b"\0" * (len(content) % 2)
                content = struct.pack(order + "I", values_at)
            rows += struct.pack(order + "HHI4s", tag, value.type, value.count, content.ljust(4, b"\0"))
        return struct.pack(order + "H", len(fields)) + rows, values

    pointer = tiff.Value(tiff.LONG, struct.pack("<I", details))
    rows, values = table({**CAMERA, EXIF_IFD: pointer}, first_values)
    detail_rows, more_values = table(DETAILS, detail_values)
    end = detail_values + len(more_values)
    places["second"], places["thumbnail"] = end, end + 2 + 12 * len(thumbnail or ()) + 4
    if thumbnail is not None:
        link = end
    block = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    block += rows + struct.pack(order + "I", link)[:link_size] + values
    block += detail_rows + bytes(link_size) + more_values
    if thumbnail is not None:
        fields = {tag: tiff.Value(tiff.LONG, struct.pack("<I", places.get(at, at))) for tag, at in thumbnail.items()}
        block += table(fields, 0)[0] + bytes(4) + THUMBNAIL
    return block, places


def without_edited_tags(block):
    """Return the fields of EXIF that an edit must not change."""
    order, directory = tiff.read(io.BytesIO(block))
    details = {tag: value for tag, value in directory[EXIF_IFD].directory.items() if tag != SUBJECT_AREA}
    directory[EXIF_IFD] = tiff.Value(tiff.LONG, bytes(4), details)
    del directory[ORIENTATION]
    return order, directory


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("has_links", [True, False])
def test_directories_without_links_keep_their_values(order, has_links):
    """Programs such as piexif write values directly behind the fields. They are not taken for a link and cleared."""
    block, _ = exif_block(order, has_links)
    edited, notes = exif.update_for_crop(block, (100, 60), upright=True)
    assert without_edited_tags(edited) == without_edited_tags(block)
    directory = tiff.read(io.BytesIO(edited))[1]
    assert directory[ORIENTATION] == tiff.shorts(1)
    assert SUBJECT_AREA not in directory[EXIF_IFD].directory
    assert notes == [exif.SUBJECT_NOTE]
    assert len(edited) == len(block)
    assert without_edited_tags(block)[1].items() <= tiff.read(io.BytesIO(exif.without_orientation(edited)))[1].items()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("place", ["first", "details", "value"])
def test_links_into_other_directories_are_cleared(order, place):
    """Only the link goes: what lies there is not the directory of a thumbnail."""
    _, places = exif_block(order)
    block, _ = exif_block(order, link=places[place])
    edited, _ = exif.update_for_crop(block, (100, 60), upright=True)
    assert without_edited_tags(edited) == without_edited_tags(block)
    link = 8 + 2 + 12 * 3
    assert edited[link : link + 4] == bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("place", ["first", "value", "details", "thumbnail"])
def test_thumbnails_are_erased_only_where_they_are(order, place):
    """The offset of a thumbnail may be stale, so that a directory or a value lies there."""
    block, places = exif_block(order, thumbnail={0x0103: 6, 0x0201: place, 0x0202: 4000})
    edited, _ = exif.update_for_crop(block, (100, 60), upright=True)
    assert without_edited_tags(edited) == without_edited_tags(block)
    assert (THUMBNAIL in edited) is (place != "thumbnail")
    if place == "thumbnail":
        assert len(edited) == places["second"]


@given(
    st.sampled_from("<>"),
    st.booleans(),
    st.integers(0, 400),
    st.none()
    | st.dictionaries(st.sampled_from([0x0100, 0x0101, 0x0103, 0x0111, 0x0117, 0x0201, 0x0202]), st.integers(0, 500)),
)
def test_edits_change_no_other_tag(order, has_links, link, thumbnail):
    """Whatever links and thumbnail offsets say, all other tags stay, or the edit is refused."""
    block, _ = exif_block(order, has_links, link, thumbnail)
    edited, _ = exif.update_for_crop(block, (100, 60), upright=True)
    assert without_edited_tags(edited) == without_edited_tags(block)
    assert exif.orientation_of(edited) == 1


def test_truncated_exif_keeps_what_is_left():
    """A block whose second directory is missing still has a camera and an orientation."""
    block, places = exif_block("<")
    edited, _ = exif.update_for_crop(block[: places["details"]], (100, 60), upright=True)
    assert b"Maker of cameras" in edited
    assert exif.orientation_of(edited) == 1


def test_shared_bytes_are_not_edited_unseen():
    """If the size of the photo is also the value of another tag, the edit would change both, so it is not made."""
    fields = (0x0100, 4, 1, 600), (MAKE, 2, 12, 10)
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + b"".join(struct.pack("<HHII", *field) for field in fields)
    with pytest.raises(ValueError, match="in place"):
        exif.update_for_crop(block + bytes(4), (100, 60), upright=True)


def test_thousands_of_pointers_take_no_time(photo, tmp_path):
    """Directories are read once, no matter how many fields point to them."""
    fields = [struct.pack("<HHII", EXIF_IFD, tiff.LONG, 1, 8 + number % 3) for number in range(5000)]
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + b"".join(fields) + bytes(4)
    start = time.perf_counter()
    with contextlib.suppress(ValueError):
        exif.update_for_crop(block, (100, 60), upright=True)
    tiff.read(io.BytesIO(block))
    assert time.perf_counter() - start < 1


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
