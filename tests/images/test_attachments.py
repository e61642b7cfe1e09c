"""Additional pictures and videos in photo files: crops do not keep them, and a note reports it."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from autocrop.images import attachments, containers, open_photo
from tests.helpers.files import xmp_packet

BOX = (10, 20, 110, 80)
CAMERA = 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
GAIN_MAP_XMP = xmp_packet(['xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'])
FILM = struct.pack(">I", 24) + b"ftypmp42" + bytes(12) + b"film" * 500


def directory_of_pictures(count):
    """Return the segment of a JPEG that lists its pictures."""
    entry = struct.pack(">HHII", attachments.NUMBER_OF_PICTURES, 4, 1, count)
    return containers.APP2, b"MPF\0MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)


def jpeg_with(photo, tmp_path, packet=b"", segments=(), trailer=b""):
    """Write a JPEG with XMP, further segments and bytes behind the picture, and open it."""
    Image.open(photo).save(tmp_path / "plain.jpg")
    xmp = [(containers.APP1, b"http://ns.adobe.com/xap/1.0/\0" + packet)] if packet else []
    data = containers.insert_segments((tmp_path / "plain.jpg").read_bytes(), [*xmp, *segments])
    (tmp_path / "in.jpg").write_bytes(data + trailer)
    return open_photo(tmp_path / "in.jpg")


@pytest.mark.parametrize(
    ("packet", "note"),
    [
        (GAIN_MAP_XMP, attachments.GAIN_MAP),
        (xmp_packet([f'{CAMERA} GCamera:MotionPhoto="1"']), attachments.FILM),
        (xmp_packet([f"<GCamera:MicroVideo {CAMERA}>1</GCamera:MicroVideo>"]), attachments.FILM),
        (
            xmp_packet(['xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Near="1"']),
            attachments.DEPTH_MAP,
        ),
    ],
)
def test_attachments_named_in_xmp_are_noted(photo, tmp_path, packet, note):
    """The note is there before anything is written, and what XMP says about the attachment is removed."""
    opened = jpeg_with(photo, tmp_path, packet)
    assert opened.notes == [note]
    assert opened.save(opened.crop(BOX), tmp_path / "out.jpg") == []
    assert open_photo(tmp_path / "out.jpg").notes == []


@pytest.mark.parametrize("trailer", [FILM, FILM + bytes(2000), b"x" * 200_000 + b"MotionPhoto_Data"])
def test_films_behind_the_picture_are_noted(photo, tmp_path, trailer):
    """Older phones do not mention their videos in XMP."""
    assert jpeg_with(photo, tmp_path, trailer=trailer).notes == [attachments.FILM]


def test_other_bytes_behind_the_picture_are_not_noted(photo, tmp_path):
    """Zeros and junk after the packet do not matter."""
    assert jpeg_with(photo, tmp_path, trailer=bytes(2000)).notes == []
    assert jpeg_with(photo, tmp_path, trailer=b"junk" * 10).notes == []


def test_gain_maps_are_noted_by_their_segments(photo, tmp_path):
    """ISO 21496-1 has a segment of its own; Apple names the gain map only in the second picture."""
    segment = (containers.APP2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    assert jpeg_with(photo, tmp_path, segments=[segment]).notes == [attachments.GAIN_MAP]
    packet = xmp_packet(['xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:Version="1"'])
    second = b"\xff\xd8\xff\xe1\0\xffhttp://ns.adobe.com/xap/1.0/\0" + packet
    opened = jpeg_with(photo, tmp_path, segments=[directory_of_pictures(2)], trailer=second)
    assert opened.notes == [attachments.GAIN_MAP]


@pytest.mark.parametrize(("count", "notes"), [(1, []), (3, [attachments.PICTURES])])
def test_further_pictures_are_noted(photo, tmp_path, count, notes):
    """A list of one picture is only the main one."""
    assert jpeg_with(photo, tmp_path, segments=[directory_of_pictures(count)]).notes == notes


@pytest.mark.parametrize(
    ("sign", "note"),
    [
        (b"urn:com:apple:photo:2020:aux:hdrgainmap\0", attachments.GAIN_MAP),
        (b"infe\2\0\0\0\0\3\0\0tmap\0", attachments.GAIN_MAP),
        (b"urn:mpeg:hevc:2015:auxid:2\0", attachments.DEPTH_MAP),
        (b"urn:mpeg:hevc:2015:auxid:1\0", None),
    ],
)
def test_auxiliary_pictures_of_heic_are_noted(sign, note):
    """An alpha channel is not one of them: it is part of the picture."""
    meta = bytes(4) + struct.pack(">I", 8 + len(sign)) + b"auxC" + sign
    data = struct.pack(">I", 16) + b"ftypheic" + bytes(4) + struct.pack(">I", 8 + len(meta)) + b"meta" + meta
    assert attachments.describe_boxes(data, b"") == ((note,) if note else ())


@pytest.mark.parametrize("suffix", [".jpg", ".mpo"])
def test_mpo_is_written_as_jpeg(photo, tmp_path, suffix):
    """A crop of an MPO keeps metadata, tables and subsampling like that of any JPEG, whatever its name."""
    image, second = Image.open(photo), Image.open(photo).resize((64, 48))
    exif = Image.Exif()
    exif[0x010F] = "Maker of cameras"
    image.save(tmp_path / "in.mpo", "MPO", save_all=True, append_images=[second], exif=exif, quality=63)
    opened = open_photo(tmp_path / "in.mpo")
    assert opened.notes == [attachments.PICTURES]
    assert opened.save(opened.crop(BOX), tmp_path / f"out{suffix}") == []
    with Image.open(tmp_path / "in.mpo") as before, Image.open(tmp_path / f"out{suffix}") as after:
        assert after.format == "JPEG"
        assert after.quantization == before.quantization
        assert after.getexif()[0x010F] == "Maker of cameras"
