"""Photos in and out: nothing of the file is lost that the crop leaves true."""

from __future__ import annotations

import io
import os
import re

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from autocrop import images
from autocrop.images import EXIF_HEIGHT, EXIF_IFD, EXIF_WIDTH, ORIENTATION, PhotoError, open_photo, photo_from_memory
from tests.helpers.files import PROFILE, XMP, stored, xmp_of


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_opens_upright(photo, tmp_path, orientation, suffix):
    """Size, preview and pixels are those of the upright picture."""
    upright = Image.open(photo)
    image, exif = stored(upright, orientation)
    image.save(tmp_path / f"turned{suffix}", exif=exif)
    turned = open_photo(tmp_path / f"turned{suffix}")
    assert (turned.width, turned.height) == upright.size
    assert np.array_equal(np.asarray(turned.upright()), np.asarray(upright))
    assert np.array_equal(turned.preview(), np.asarray(upright))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_metadata_is_kept(photo, tmp_path, suffix):
    """EXIF, XMP and ICC survive; orientation and pixel dimensions are put right."""
    image, exif = stored(Image.open(photo), 6)
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    if suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        image.save(source, exif=exif, icc_profile=PROFILE, pnginfo=info)
    elif suffix == ".tif":
        exif[0x02BC] = XMP
        image.save(source, exif=exif, icc_profile=PROFILE)
    else:
        image.save(source, exif=exif, icc_profile=PROFILE, xmp=XMP)
    opened = open_photo(source)
    opened.save(opened.upright().crop((10, 20, 110, 80)), target)
    with Image.open(target) as saved:
        assert saved.size == (100, 60)
        kept = saved.getexif()
        assert kept.get(ORIENTATION, 1) == 1  # Pillow drops the tag when it loads a TIFF; its absence means 1
        assert kept[0x010F] == "Maker of cameras"
        assert float(kept.get_ifd(EXIF_IFD)[0x829A]) == pytest.approx(0.005)
        assert kept.get_ifd(EXIF_IFD)[EXIF_WIDTH] == 100
        assert kept.get_ifd(EXIF_IFD)[EXIF_HEIGHT] == 60
        assert saved.info["icc_profile"] == PROFILE
        xmp = saved.info.get("xmp") or saved.info.get("XML:com.adobe.xmp")
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        assert b'dc:title="Coffee"' in xmp
        assert b'tiff:Orientation="6"' not in xmp


def test_jpeg_keeps_its_tables_and_subsampling(photo, tmp_path):
    """A crop is compressed as its photo was, unless a quality is asked for."""
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    Image.open(photo).save(source, quality=63, subsampling=1, progressive=True)
    opened = open_photo(source)
    crop = opened.upright().crop((0, 0, 64, 64))
    opened.save(crop, target)
    with Image.open(source) as before, Image.open(target) as after:
        assert before.quantization == after.quantization
        assert before.layer == after.layer
        assert after.info["progressive"]
    opened.save(crop, target, quality=20)
    with Image.open(source) as before, Image.open(target) as after:
        assert before.quantization != after.quantization


def test_a_thumbnail_of_the_uncropped_photo_is_dropped(photo, tmp_path):
    """The embedded preview would show what was cropped away."""
    thumbnail = io.BytesIO()
    Image.open(photo).resize((64, 48)).save(thumbnail, "JPEG")
    exif = Image.Exif()
    exif[0x010F] = "Maker of cameras"
    body = bytearray(exif.tobytes()[6:])
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
    Image.open(photo).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + bytes(body))
    opened = open_photo(tmp_path / "in.jpg")
    with Image.open(tmp_path / "in.jpg") as before:
        assert before.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(thumbnail.getvalue())
    opened.save(opened.upright().crop((0, 0, 64, 64)), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as after:
        assert after.getexif()[0x010F] == "Maker of cameras"
        assert 0x0202 not in after.getexif().get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGBA", ".png"), ("L", ".jpg"), ("LA", ".png"), ("P", ".png"), ("1", ".png"), ("CMYK", ".jpg"), ("I;16", ".png")],
)
def test_modes_survive(photo, tmp_path, mode, suffix):
    """Gray, palette, alpha, CMYK and 16-bit gray stay what they are, pixel for pixel where the format is lossless."""
    image = Image.open(photo).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    image.save(source)
    opened = open_photo(source)
    assert opened.preview().dtype == np.uint8
    assert opened.preview().shape[2] == 3
    opened.save(opened.upright().crop((10, 10, 90, 70)), target)
    with Image.open(target) as saved:
        assert saved.mode == mode
        if suffix == ".png":
            assert np.array_equal(np.asarray(saved), np.asarray(Image.open(source).crop((10, 10, 90, 70))))


def test_alpha_is_flattened_where_the_format_has_none(photo, tmp_path):
    """A transparent PNG written as JPEG gets a white ground and no error."""
    image = Image.open(photo).convert("RGBA")
    image.putalpha(0)
    image.save(tmp_path / "in.png")
    opened = open_photo(tmp_path / "in.png")
    assert opened.save(opened.upright(), tmp_path / "out.jpg") == ["transparency is filled with white"]
    with Image.open(tmp_path / "out.jpg") as saved:
        assert np.asarray(saved).min() > 250


def test_16_bit_gray_is_seen_in_full_range():
    """For analysis 16-bit gray is scaled down, not clipped to white."""
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    preview = photo_from_memory(Image.fromarray(ramp)).preview()
    assert preview[0, 0, 0] == 0
    assert preview[0, 32, 0] in range(125, 135)
    assert preview[0, 63, 0] == 255


def test_damaged_exif_is_no_reason_not_to_crop(photo, tmp_path):
    """A rational with a denominator that cannot be written again: the crop is made without EXIF."""
    exif = bytearray(b"Exif\0\0II*\0\x08\0\0\0\x01\0")
    exif += (
        (0x011A).to_bytes(2, "little")
        + (99).to_bytes(2, "little")
        + (5).to_bytes(4, "little")
        + b"\xff\xff\xff\xff\0\0\0\0"
    )
    Image.open(photo).save(tmp_path / "in.jpg", exif=bytes(exif))
    opened = open_photo(tmp_path / "in.jpg")
    assert opened.save(opened.upright().crop((0, 0, 64, 64)), tmp_path / "out.jpg") == []


@pytest.mark.parametrize("raised", [TypeError("bad operand"), ValueError("chunk too large"), SyntaxError("broken")])
def test_whatever_a_codec_raises_is_a_sentence(photo, monkeypatch, raised):
    """Pillow's readers raise many things on damaged files."""

    def broken(*arguments, **options):
        raise raised

    monkeypatch.setattr(Image, "open", broken)
    with pytest.raises(PhotoError, match="is damaged or cut short"):
        open_photo(photo)


def test_metadata_that_would_show_what_was_cropped_away_is_dropped(photo, tmp_path):
    """XMP loses its thumbnail and crop settings, TIFF its Photoshop layers; the rest stays."""
    fields = ['dc:title="Coffee"', 'crs:HasCrop="True"', "<crs:CropTop>0.1</crs:CropTop>"]
    xmp = xmp_of([*fields, "<xmp:Thumbnails>x</xmp:Thumbnails>", "<mwg-rs:Regions>a face</mwg-rs:Regions>"])
    exif = Image.Exif()
    exif[0x02BC] = xmp
    exif[37724] = b"layers"
    Image.open(photo).save(tmp_path / "in.tif", exif=exif)
    opened = open_photo(tmp_path / "in.tif")
    told = opened.save(opened.upright().crop((0, 0, 64, 64)), tmp_path / "out.tif")
    assert told == ["face regions in XMP are left out"]
    with Image.open(tmp_path / "out.tif") as written:
        assert b'dc:title="Coffee"' in written.info["xmp"]
        assert not re.search(rb"<crs:|crs:HasCrop|Thumbnails|Regions>", written.info["xmp"])
        assert 37724 not in written.getexif()


def test_metadata_too_long_for_a_jpeg_is_told(photo, tmp_path):
    """The crop is written, and what could not come along is named."""
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp_of(['dc:title="' + "x" * 70_000 + '"']).decode())
    Image.open(photo).save(tmp_path / "in.png", pnginfo=info)
    opened = open_photo(tmp_path / "in.png")
    assert opened.save(opened.upright(), tmp_path / "out.jpg") == ["XMP is left out, too long for a JPEG"]
    assert (tmp_path / "out.jpg").exists()


def test_a_profile_of_other_colors_is_not_attached(photo, tmp_path):
    """A CMYK profile does not describe an RGB picture."""
    Image.open(photo).convert("CMYK").save(tmp_path / "in.jpg", icc_profile=PROFILE)
    opened = open_photo(tmp_path / "in.jpg")
    opened.save(opened.upright(), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert "icc_profile" not in written.info


def test_resolution_is_kept(photo, tmp_path):
    """300 dpi stay 300 dpi, also from one format to another."""
    Image.open(photo).save(tmp_path / "in.png", dpi=(300, 300))
    opened = open_photo(tmp_path / "in.png")
    for name in ("out.png", "out.jpg", "out.tif"):
        opened.save(opened.upright(), tmp_path / name)
        with Image.open(tmp_path / name) as written:
            assert written.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_16_bit_gray_becomes_a_picture_where_the_format_has_8(photo, tmp_path):
    """Scaled, not clipped to white."""
    gray = np.asarray(Image.open(photo).convert("L")).astype(np.uint16) * 257
    opened = photo_from_memory(Image.fromarray(gray))
    opened.save(opened.upright(), tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as written:
        assert np.asarray(written).mean() == pytest.approx(gray.mean() / 257, abs=3)


def test_the_modification_time_is_kept(photo, tmp_path):
    """Photo libraries sort by it."""
    os.utime(photo, (1_000_000_000, 1_000_000_000))
    opened = open_photo(photo)
    opened.save(opened.upright(), tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").stat().st_mtime == 1_000_000_000


def test_a_phones_multi_picture_jpeg(photo, tmp_path):
    """An MPO is cropped as the JPEG that its first picture is, with its tables."""
    picture = Image.open(photo)
    picture.save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=[picture.resize((64, 64))])
    assert Image.open(tmp_path / "in.jpg").format == "MPO"
    opened = open_photo(tmp_path / "in.jpg")
    assert opened.format == "JPEG"
    assert opened.preview().shape == (400, 600, 3)
    opened.save(opened.upright().crop((0, 0, 100, 80)), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert (written.format, written.size) == ("JPEG", (100, 80))


def test_no_half_file_is_left(photo, tmp_path, monkeypatch):
    """When the disk is full in the middle of a write, the former file stays and no temporary file is left."""
    target = tmp_path / "out.jpg"
    target.write_bytes(b"former")

    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    opened = open_photo(photo)
    with pytest.raises(PhotoError, match="No space left"):
        opened.save(opened.upright(), target)
    assert target.read_bytes() == b"former"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jpg", "photo.jpg"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.jpg", b"This is a text file.", "is not a photo"),
        ("empty.jpg", b"", "is empty"),
        ("missing.jpg", None, "does not exist"),
        ("IMG_*.jpg", None, "matches no file"),
    ],
)
def test_what_is_no_photo_is_named(tmp_path, name, content, says):
    """One sentence with the file's name."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PhotoError, match=f"{re.escape(name)} {says}"):
        open_photo(tmp_path / name)


def test_a_truncated_photo_is_named(photo):
    """Half a JPEG opens, and fails with a sentence when it is decoded."""
    photo.write_bytes(photo.read_bytes()[:20_000])
    with pytest.raises(PhotoError, match="damaged or cut short"):
        open_photo(photo).upright()
    with pytest.raises(PhotoError, match="damaged or cut short"):
        open_photo(photo).preview()


def test_a_tiny_photo_is_refused():
    """There is nothing to compose in 31 pixels."""
    with pytest.raises(PhotoError, match="too small"):
        photo_from_memory(np.zeros((31, 100, 3), np.uint8))


@pytest.mark.parametrize("array", [np.zeros((64, 64)), np.zeros((64, 64, 4), np.uint8), np.zeros((64, 64, 3))])
def test_arrays_must_be_rgb(array):
    """Other shapes and types are refused, not guessed at."""
    with pytest.raises(PhotoError, match="uint8"):
        photo_from_memory(array)


def test_unknown_output_formats_are_named(tmp_path):
    """The message lists formats that work."""
    with pytest.raises(PhotoError, match=r"'\.xyz' is no picture format"):
        images.format_of(tmp_path / "out.xyz")


@pytest.mark.parametrize(("name", "longest"), [("a.jpg", 65_500), ("a.webp", 16_383), ("a.avif", 32_768)])
def test_the_longest_side_of_a_format(tmp_path, name, longest):
    """What just fits can be read back; one pixel more is a sentence, and no file."""
    photo = photo_from_memory(Image.new("RGB", (64, 64)))
    photo.save(Image.new("RGB", (longest, 32)), tmp_path / name)
    assert open_photo(tmp_path / name).width == longest
    with pytest.raises(PhotoError, match=f"{longest + 1}x32 pixels do not go into a .*, whose sides have {longest}"):
        photo.save(Image.new("RGB", (longest + 1, 32)), tmp_path / f"more-{name}")
    assert [path.name for path in tmp_path.iterdir()] == [name]
