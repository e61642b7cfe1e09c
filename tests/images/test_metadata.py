"""Metadata of crops: every format keeps it, except for what the crop invalidates."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import time
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from autocrop.images import containers, open_photo, photoshop
from autocrop.images.exif import EXIF_HEIGHT, EXIF_WIDTH
from autocrop.images.orientation import ORIENTATION
from autocrop.images.photoshop import Resource
from autocrop.images.tiff import EXIF_IFD
from tests.helpers.files import MAKE, PROFILE, XMP, stored, xmp_packet

BOX = (10, 20, 110, 80)
IPTC = b"\x1c\x02\x78\0\x05A cup\x1c\x02\x19\0\x03cup"
"""A caption and a keyword."""
COPYRIGHT_FLAG = 1034
RESOURCES = photoshop.serialize(
    [
        Resource(photoshop.IPTC, b"\0\0", IPTC),
        Resource(1036, b"\0\0", b"a thumbnail of the uncropped photo"),
        Resource(COPYRIGHT_FLAG, b"\0\0", b"\1"),
        Resource(2000, b"\4path\0", b"a path in it"),
    ]
)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_metadata_is_kept(photo, tmp_path, suffix):
    """EXIF, XMP and ICC profile are kept; orientation and pixel dimensions are updated."""
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
    opened.save(opened.crop(BOX), target)
    with Image.open(target) as saved:
        assert saved.size == (100, 60)
        tags = saved.getexif()
        assert tags.get(ORIENTATION, 1) == 1  # Pillow drops the tag when it loads a TIFF; its absence means 1
        assert tags[MAKE] == "Maker of cameras"
        assert float(tags.get_ifd(EXIF_IFD)[0x829A]) == pytest.approx(0.005)
        assert tags.get_ifd(EXIF_IFD)[EXIF_WIDTH] == 100
        assert tags.get_ifd(EXIF_IFD)[EXIF_HEIGHT] == 60
        assert saved.info["icc_profile"] == PROFILE
        xmp = saved.info.get("xmp") or saved.info.get("XML:com.adobe.xmp")
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        assert b'dc:title="Coffee"' in xmp
        assert b'tiff:Orientation="6"' not in xmp


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
def test_iptc_is_kept_without_thumbnails_and_paths(photo, tmp_path, suffix):
    """IPTC survives from JPEG to each format, and from there to the same format again."""
    Image.open(photo).save(tmp_path / "in.jpg")
    segment = (containers.APP13, photoshop.JPEG_HEADERS[0] + RESOURCES)
    (tmp_path / "in.jpg").write_bytes(containers.insert_segments((tmp_path / "in.jpg").read_bytes(), [segment]))
    first = open_photo(tmp_path / "in.jpg")
    first.save(first.crop((0, 0, 300, 300)), tmp_path / f"middle{suffix}")
    second = open_photo(tmp_path / f"middle{suffix}")
    second.save(second.crop(BOX), tmp_path / f"out{suffix}")
    metadata = open_photo(tmp_path / f"out{suffix}")._decoder.metadata
    assert metadata.iptc == IPTC
    numbers = [resource.number for resource in photoshop.parse(metadata.photoshop)]
    assert sorted(numbers) == [photoshop.IPTC, COPYRIGHT_FLAG]
    for name in ("middle", "out"):
        written = (tmp_path / f"{name}{suffix}").read_bytes()
        assert b"thumbnail of the uncropped" not in written


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_strip_keeps_only_the_color_profile(photo, tmp_path, suffix):
    """EXIF, XMP, IPTC, comments and texts are removed. Without the profile, the colors would change."""
    image, exif = stored(Image.open(photo), 6)
    texts = PngInfo()
    texts.add_text("Author", "Maker of cameras")
    options = {"pnginfo": texts} if suffix == ".png" else {} if suffix == ".tif" else {"xmp": XMP}
    image.save(tmp_path / f"in{suffix}", exif=exif, icc_profile=PROFILE, comment=b"Maker of cameras", **options)
    opened = open_photo(tmp_path / f"in{suffix}")
    opened.save(opened.crop(BOX), tmp_path / f"out{suffix}", strip=True)
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.size == (100, 60)
        assert written.info["icc_profile"] == PROFILE
    content = (tmp_path / f"out{suffix}").read_bytes()
    assert b"Maker of cameras" not in content
    assert b"Coffee" not in content


def test_pngs_keep_their_color_chunks(photo, tmp_path):
    """Chunks such as gAMA define the color space of the pixels."""
    Image.open(photo).save(tmp_path / "plain.png")
    chunks = [(b"gAMA", struct.pack(">I", 100_000)), (b"cICP", bytes((9, 16, 0, 1)))]
    (tmp_path / "in.png").write_bytes(containers.insert_chunks((tmp_path / "plain.png").read_bytes(), chunks))
    opened = open_photo(tmp_path / "in.png")
    opened.save(opened.crop(BOX), tmp_path / "out.png")
    written = list(containers.png_chunks((tmp_path / "out.png").read_bytes()))
    assert all(chunk in written for chunk in chunks)


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.tif"])
def test_resolution_is_kept(photo, tmp_path, name):
    """300 dpi stay 300 dpi, also from one format to another."""
    Image.open(photo).save(tmp_path / "in.png", dpi=(300, 300))
    opened = open_photo(tmp_path / "in.png")
    opened.save(opened.pixels, tmp_path / name)
    with Image.open(tmp_path / name) as written:
        assert written.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_metadata_of_the_uncropped_photo_is_removed(photo, tmp_path):
    """XMP loses its thumbnail, face regions and crop, a TIFF its Photoshop layers; the rest stays."""
    properties = ['dc:title="Coffee"', 'crs:HasCrop="True"', "<crs:CropTop>0.1</crs:CropTop>"]
    properties += ["<xmp:Thumbnails>x</xmp:Thumbnails>", "<mwg-rs:Regions>a face</mwg-rs:Regions>"]
    exif = Image.Exif()
    exif[0x02BC] = xmp_packet(properties)
    exif[37724] = b"layers"
    Image.open(photo).save(tmp_path / "in.tif", exif=exif)
    opened = open_photo(tmp_path / "in.tif")
    notes = opened.save(opened.crop((0, 0, 64, 64)), tmp_path / "out.tif")
    assert notes == ["face regions in XMP are left out"]
    with Image.open(tmp_path / "out.tif") as written:
        assert b'dc:title="Coffee"' in written.info["xmp"]
        assert not re.search(rb"<crs:|crs:HasCrop|Thumbnails|Regions>", written.info["xmp"])
        assert 37724 not in written.getexif()


def test_metadata_too_long_for_a_jpeg_is_noted(photo, tmp_path):
    """The crop is written without it."""
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp_packet(['dc:title="' + "x" * 70_000 + '"']).decode())
    Image.open(photo).save(tmp_path / "in.png", pnginfo=info)
    opened = open_photo(tmp_path / "in.png")
    notes = opened.save(opened.pixels, tmp_path / "out.jpg")
    assert notes == ["XMP is left out, because it is too long for a JPEG"]
    assert (tmp_path / "out.jpg").exists()


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exiftool_reads_the_same_tags(photo, tmp_path, suffix):
    """Another program reads the same values from the crop, except for tags about the stored pixels."""
    Image.open(photo).save(tmp_path / f"in{suffix}", icc_profile=PROFILE)
    tags = ["-Make=Canon", "-Artist=Jürgen", "-GPSLatitude=48.2", "-GPSLatitudeRef=N", "-UserComment=ä", "-ISO=400"]
    tags += ["-XMP-dc:Title=Coffee", "-XMP-dc:Subject=cup", "-XMP-xmp:Rating=4", "-XMP-crs:Exposure2012=+0.5"]
    tags += [] if suffix == ".webp" else ["-IPTC:Keywords=cup", "-IPTC:City=Wien"]
    subprocess.run(["exiftool", "-q", "-m", "-overwrite_original", *tags, tmp_path / f"in{suffix}"], check=True)
    opened = open_photo(tmp_path / f"in{suffix}")
    opened.save(opened.crop(BOX), tmp_path / f"out{suffix}")
    groups = [f"-{group}:all" for group in ("IFD0", "ExifIFD", "GPS", "XMP", "IPTC", "ICC_Profile")]
    command = ["exiftool", "-j", "-G1", "-a", "-n", *groups, tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"]
    rows = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    structure = ("Strip", "RowsPerStrip", "ImageWidth", "ImageHeight", "ResolutionUnit", "Resolution", "SourceFile")
    before, after = ({k: v for k, v in row.items() if not k.split(":")[-1].endswith(structure)} for row in rows)
    before = {k: v for k, v in before.items() if "Strip" not in k}
    after = {k: v for k, v in after.items() if "Strip" not in k}
    assert before == after
    assert before["IFD0:Artist"] == "Jürgen"


@pytest.mark.parametrize("signature", [b"PHUT", b"MeSa", b"AgHg", b"DCSR"])
def test_iptc_behind_resources_of_other_programs_is_kept(photo, tmp_path, signature):
    """Resources with another signature than Photoshop's do not end the list."""
    first = Resource(1000, b"\0\0", b"other", signature)
    segment = (containers.APP13, photoshop.JPEG_HEADERS[0] + photoshop.serialize([first]) + RESOURCES)
    (tmp_path / "in.jpg").write_bytes(containers.insert_segments(photo.read_bytes(), [segment]))
    opened = open_photo(tmp_path / "in.jpg")
    assert opened.save(opened.crop(BOX), tmp_path / "out.jpg") == []
    metadata = open_photo(tmp_path / "out.jpg")._decoder.metadata
    assert metadata.iptc == IPTC
    assert first in list(photoshop.parse(metadata.photoshop))


def test_damaged_photoshop_resources_are_noted(photo, tmp_path):
    """IPTC that is cut short is not lost silently."""
    segment = (containers.APP13, photoshop.JPEG_HEADERS[0] + RESOURCES[:25])
    (tmp_path / "in.jpg").write_bytes(containers.insert_segments(photo.read_bytes(), [segment]))
    opened = open_photo(tmp_path / "in.jpg")
    (note,) = opened.save(opened.crop(BOX), tmp_path / "out.jpg")
    assert "IPTC" in note


@pytest.mark.parametrize("name", ["exif", "APP1"])
@pytest.mark.parametrize("prefix", [b"Exif\0\0", b""])
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt"])
def test_exif_in_png_texts_is_kept(photo, tmp_path, name, prefix, kind):
    """ImageMagick used to write EXIF as hexadecimal text, with or without the prefix that it has in a JPEG."""
    block = Image.Exif()
    block[MAKE] = "Maker of cameras"
    content = prefix + block.tobytes().removeprefix(b"Exif\0\0")
    text = f"\n{name}\n{len(content):8}\n{content.hex()}\n".encode()
    body = f"Raw profile type {name}".encode() + (b"\0\0" + zlib.compress(text) if kind == b"zTXt" else b"\0" + text)
    Image.open(photo).save(tmp_path / "plain.png")
    (tmp_path / "in.png").write_bytes(containers.insert_chunks((tmp_path / "plain.png").read_bytes(), [(kind, body)]))
    opened = open_photo(tmp_path / "in.png")
    assert opened.save(opened.crop(BOX), tmp_path / "out.png") == []
    with Image.open(tmp_path / "out.png") as written:
        assert written.getexif()[MAKE] == "Maker of cameras"


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP, "xmp"),
        ("xmp", XMP, "xmp"),
        ("icc", PROFILE, "icc"),
        ("iptc", IPTC, "iptc"),
        ("8bim", RESOURCES, "iptc"),
    ],
)
def test_other_profiles_in_png_texts_are_kept(photo, tmp_path, name, content, field):
    """XMP, ICC profiles and IPTC may be written as text, too; IPTC with and without Photoshop's header."""
    text = f"\n{name}\n{len(content):8}\n{content.hex()}\n".encode()
    Image.open(photo).save(tmp_path / "plain.png")
    chunk = (b"tEXt", f"Raw profile type {name}\0".encode() + text)
    (tmp_path / "in.png").write_bytes(containers.insert_chunks((tmp_path / "plain.png").read_bytes(), [chunk]))
    metadata = open_photo(tmp_path / "in.png")._decoder.metadata
    assert getattr(metadata, field) == {"xmp": XMP, "icc": PROFILE, "iptc": IPTC}[field]


def test_exif_behind_the_pixels_of_a_png_is_kept(photo, tmp_path):
    """The chunk may be anywhere in the file. Its orientation counts, too."""
    image, block = stored(Image.open(photo), 6)
    image.save(tmp_path / "in.png")
    data = (tmp_path / "in.png").read_bytes()
    body = block.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    (tmp_path / "in.png").write_bytes(data[:-12] + chunk + data[-12:])
    opened = open_photo(tmp_path / "in.png")
    assert (opened.width, opened.height) == Image.open(photo).size
    opened.save(opened.crop(BOX), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert written.getexif()[MAKE] == "Maker of cameras"


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_crafted_metadata_takes_little_time(photo, tmp_path, suffix):
    """Thousands of values over the same megabyte and millions of elements are left out with a note."""
    fields = b"".join(struct.pack("<HHII", 40000 + number, 1, 1_000_000, 8) for number in range(3000))
    block = (b"II*\0\x08\0\0\0" + struct.pack("<H", 3000) + fields).ljust(1_100_000, b"\0")
    packet = xmp_packet(["<dc:a/>" * 1_000_000])
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    options = {"pnginfo": info} if suffix == ".png" else {"xmp": packet}
    Image.open(photo).save(tmp_path / f"in{suffix}", exif=block, **options)
    start = time.perf_counter()
    opened = open_photo(tmp_path / f"in{suffix}")
    notes = opened.save(opened.crop(BOX), tmp_path / f"out{suffix}")
    assert time.perf_counter() - start < 2
    assert notes == ["EXIF is left out, because it is damaged", "XMP is left out, because it has too many elements"]
