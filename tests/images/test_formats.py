"""Formats: what is read, what is written, and what both keep."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from autocrop.errors import AutocropError
from autocrop.images import EXIF_IFD, ORIENTATION, PhotoError, containers, metadata, open_photo, photo_from_bytes, tiff
from autocrop.images.pixels import crop_and_resize
from tests.helpers.files import PROFILE, TRANSPOSES, XMP, stored

BOX = (10, 20, 110, 80)
RESOURCES = metadata._join(
    [
        (1028, b"\0\0", b"\x1c\x02\x78\0\x05A cup\x1c\x02\x19\0\x03cup"),
        (1036, b"\0\0", b"a thumbnail of the uncropped photo"),
        (1034, b"\0\0", b"\1"),
        (2000, b"\4path\0", b"a path in it"),
    ]
)
"""Photoshop's: IPTC with caption and keyword, thumbnail, copyright flag, path."""


def deep_picture(photo, channels):
    """16 bits a channel, of which the lower ones matter."""
    color = np.asarray(Image.open(photo).convert("RGBA")).astype(np.uint16)
    noise = np.random.default_rng(0).integers(0, 256, color.shape, np.uint16)
    deep = (color << 8) | noise
    return deep[..., 0] if channels == 1 else np.ascontiguousarray(deep[..., :channels])


def write_deep(path, array, **options):
    """With OpenCV, whose channels are BGR."""
    import cv2

    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}
    parameters = [cv2.IMWRITE_TIFF_COMPRESSION, options["compression"]] if options else []
    cv2.imwrite(str(path), array if array.ndim == 2 else array[..., order[array.shape[2]]], parameters)


def read_deep(path):
    """All 16 bits."""
    import cv2

    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}
    return array if array.ndim == 2 else array[..., order[array.shape[2]]]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("source", "target"), [("png", "png"), ("tif", "tif"), ("png", "tif"), ("tif", "png")])
def test_16_bits_stay_16_bits(photo, tmp_path, channels, source, target):
    """Pixel for pixel, from one format to the other, too."""
    array = deep_picture(photo, channels)
    write_deep(tmp_path / f"in.{source}", array)
    opened = open_photo(tmp_path / f"in.{source}")
    assert opened.preview().dtype == np.uint8
    assert np.abs(opened.preview().astype(int).mean() - array[..., :3].mean() / 257) < 60
    assert opened.save(opened.crop(BOX), tmp_path / f"out.{target}") == []
    assert opened.notes == []
    saved = read_deep(tmp_path / f"out.{target}")
    assert saved.dtype == np.uint16
    assert np.array_equal(saved, array[20:80, 10:110])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_resize_keeps_16_bits(channels):
    """Also values between those that 8 bits know; an opaque picture stays opaque."""
    ramp = np.tile(np.linspace(0, 65535, 600), (400, 1)).astype(np.uint16)
    array = ramp if channels == 1 else np.dstack([ramp] * 3 + [np.full_like(ramp, 65535)] * (channels - 3))
    small = crop_and_resize(array, (0, 0, 600, 400), (300, 200))
    assert small.shape[:2] == (200, 300)
    assert small.dtype == np.uint16
    color = small if channels == 1 else small[..., 0]
    assert len(np.unique(color[0])) > 290
    assert np.abs(color[100].astype(int) - ramp[0].reshape(-1, 2).mean(axis=1)).max() < 300
    if channels == 4:
        assert small[..., 3].min() == 65535


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_16_bit_color_in_every_orientation(photo, tmp_path, orientation, suffix):
    """Upright, with all its bits, and with its metadata."""
    array = deep_picture(photo, 3)
    _, exif = stored(Image.new("L", (8, 8)), orientation)
    planes = [Image.fromarray(array[..., channel].astype(np.int32)) for channel in range(3)]
    for transpose in TRANSPOSES[orientation]:
        planes = [plane.transpose(transpose) for plane in planes]
    write_deep(tmp_path / f"raw{suffix}", np.dstack([np.asarray(plane) for plane in planes]).astype(np.uint16))
    data = (tmp_path / f"raw{suffix}").read_bytes()
    if suffix == ".png":
        data = containers.with_chunks(data, [(b"eXIf", exif.tobytes()[6:]), (b"tEXt", b"Author\0Jo")])
    else:
        data = tiff.with_fields(data, lambda fields: fields.update({ORIENTATION: tiff.shorts(orientation)}))
    (tmp_path / f"in{suffix}").write_bytes(data)
    opened = open_photo(tmp_path / f"in{suffix}")
    assert (opened.width, opened.height) == (600, 400)
    opened.save(opened.crop(BOX), tmp_path / f"out{suffix}")
    assert np.array_equal(read_deep(tmp_path / f"out{suffix}"), array[20:80, 10:110])
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.getexif().get(ORIENTATION, 1) == 1
        if suffix == ".png":
            assert written.getexif()[0x010F] == "Maker of cameras"
            assert written.text["Author"] == "Jo"


def test_fewer_bits_are_told(photo, tmp_path):
    """A JPEG of a 16-bit photo has 8; a 16-bit CMYK is read with 8."""
    write_deep(tmp_path / "in.png", deep_picture(photo, 3))
    opened = open_photo(tmp_path / "in.png")
    assert opened.save(opened.crop(BOX), tmp_path / "out.jpg") == ["16 bits a channel become 8: JPEG has no more"]
    Image.open(photo).convert("CMYK").save(tmp_path / "cmyk.tif")
    deep = tiff.with_fields(
        (tmp_path / "cmyk.tif").read_bytes(), lambda fields: fields.update({258: tiff.shorts(*[16] * 4)})
    )
    assert photo_from_bytes(deep).notes == ["16 bits a channel are read as 8"]


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "raw", "zstd"])
def test_a_tiff_keeps_its_compression(photo, tmp_path, compression):
    """LZW stays LZW, and so on."""
    Image.open(photo).save(tmp_path / "in.tif", compression=compression)
    opened = open_photo(tmp_path / "in.tif")
    opened.save(opened.crop(BOX), tmp_path / "out.tif")
    with Image.open(tmp_path / "out.tif") as written:
        assert written.info["compression"] == compression
        assert np.array_equal(np.asarray(written), np.asarray(opened.upright().crop(BOX)))


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
def test_iptc_is_kept_and_thumbnails_are_not(photo, tmp_path, suffix):
    """In each format's own way, and from one to another."""
    Image.open(photo).save(tmp_path / "in.jpg")
    data = containers.with_segments((tmp_path / "in.jpg").read_bytes(), [(0xED, metadata.PHOTOSHOP + RESOURCES)])
    (tmp_path / "in.jpg").write_bytes(data)
    first = open_photo(tmp_path / "in.jpg")
    first.save(first.crop((0, 0, 300, 300)), tmp_path / f"middle{suffix}")
    second = open_photo(tmp_path / f"middle{suffix}")
    second.save(second.crop(BOX), tmp_path / f"out{suffix}")
    found = open_photo(tmp_path / f"out{suffix}")._decoder.metadata
    assert found.iptc == b"\x1c\x02\x78\0\x05A cup\x1c\x02\x19\0\x03cup"
    assert [number for number, *_ in metadata._resources(found.photoshop)] in ([1028, 1034], [1034, 1028])
    for name in ("middle", "out"):
        written = (tmp_path / f"{name}{suffix}").read_bytes()
        assert b"thumbnail of the uncropped" not in written


def test_a_makers_note_stays_where_it_was(photo, tmp_path):
    """Its offsets count from the beginning of EXIF: everything keeps its place, names in UTF-8 keep their letters."""
    details = {
        0x927C: tiff.Value(tiff.UNDEFINED, b"MakerNote" * 9),
        0x9214: tiff.shorts(9, 9),
        0xA002: tiff.shorts(600),
    }
    fields = {0x013B: tiff.Value(2, "Jürgen\0".encode()), EXIF_IFD: tiff.Value(tiff.LONG, bytes(4), details)}
    for order in "<>":
        before = tiff.standalone(fields, order)
        Image.open(photo).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + before)
        opened = open_photo(tmp_path / "in.jpg")
        for name in ("out.jpg", "out.avif", "out.tif"):
            opened.save(opened.crop(BOX), tmp_path / name)
            assert "Jürgen".encode() in (tmp_path / name).read_bytes()
        opened.save(opened.crop(BOX), tmp_path / "out.jpg")
        after = open_photo(tmp_path / "out.jpg")._decoder.metadata.exif
        assert len(after) == len(before)
        assert after.index(b"MakerNote") == before.index(b"MakerNote")
        with Image.open(tmp_path / "out.jpg") as written:
            found = written.getexif().get_ifd(EXIF_IFD)
        assert found[0xA002] == 100
        assert 0x9214 not in found


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_strip_leaves_colors_and_nothing_else(photo, tmp_path, suffix):
    """No EXIF, XMP, IPTC, comment or text; the profile stays, since colors would be others without it."""
    image, exif = stored(Image.open(photo), 6)
    texts = PngInfo()
    texts.add_text("Author", "Maker of cameras")
    more = {"pnginfo": texts} if suffix == ".png" else {} if suffix == ".tif" else {"xmp": XMP}
    image.save(tmp_path / f"in{suffix}", exif=exif, icc_profile=PROFILE, comment=b"Maker of cameras", **more)
    opened = open_photo(tmp_path / f"in{suffix}")
    opened.save(opened.crop(BOX), tmp_path / f"out{suffix}", strip=True)
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.size == (100, 60)
        assert written.info["icc_profile"] == PROFILE
    content = (tmp_path / f"out{suffix}").read_bytes()
    assert b"Maker of cameras" not in content
    assert b"Coffee" not in content


def test_color_chunks_of_a_png_are_kept(photo, tmp_path):
    """GAMA and the like say which colors the numbers mean."""
    Image.open(photo).save(tmp_path / "plain.png")
    chunks = [(b"gAMA", struct.pack(">I", 100_000)), (b"cICP", bytes((9, 16, 0, 1)))]
    (tmp_path / "in.png").write_bytes(containers.with_chunks((tmp_path / "plain.png").read_bytes(), chunks))
    opened = open_photo(tmp_path / "in.png")
    opened.save(opened.crop(BOX), tmp_path / "out.png")
    found = list(containers.png_chunks((tmp_path / "out.png").read_bytes()))
    assert all(chunk in found for chunk in chunks)


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exiftool_finds_the_same_tags(photo, tmp_path, suffix):
    """Every tag that a crop leaves true, by another program's eyes."""
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


def test_heic_is_read_and_written(photo, tmp_path):
    """With the extra, upright and with its metadata."""
    pillow_heif = pytest.importorskip("pillow_heif")
    small = Image.open(photo).resize((150, 100))  # x265 is slow
    image, exif = stored(small, 6)
    heif = pillow_heif.from_pillow(image)
    heif.save(tmp_path / "in.heic", exif=exif.tobytes(), quality=90)
    opened = open_photo(tmp_path / "in.heic")
    assert (opened.width, opened.height) == (150, 100)
    assert np.abs(opened.preview().astype(int) - np.asarray(small.convert("RGB"))).mean() < 6
    opened.save(opened.crop(BOX), tmp_path / "out.heic")
    with Image.open(tmp_path / "out.heic") as written:
        assert (written.format, written.size) == ("HEIF", (100, 60))
        assert written.getexif()[0x010F] == "Maker of cameras"
    opened.save(opened.crop(BOX), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[ORIENTATION] == 1


def synthetic_dng(path, orientation):
    """A raw photo of 400x300 sensor pixels (RGGB) that gets brighter to the right."""
    width, height = 400, 300
    sensor = np.tile(np.linspace(2000, 60000, width).astype("<u2"), (height, 1))
    start = 8
    directory = {
        254: tiff.Value(tiff.LONG, bytes(4)),
        256: tiff.shorts(width),
        257: tiff.shorts(height),
        258: tiff.shorts(16),
        259: tiff.shorts(1),
        262: tiff.shorts(32803),
        271: tiff.Value(2, b"Maker of cameras\0"),
        272: tiff.Value(2, b"Model\0"),
        273: tiff.Value(tiff.LONG, struct.pack("<I", start)),
        274: tiff.shorts(orientation),
        277: tiff.shorts(1),
        278: tiff.shorts(height),
        279: tiff.Value(tiff.LONG, struct.pack("<I", sensor.nbytes)),
        33421: tiff.shorts(2, 2),
        33422: tiff.Value(tiff.BYTE, bytes((0, 1, 1, 2))),
        50706: tiff.Value(tiff.BYTE, bytes((1, 4, 0, 0))),
        50708: tiff.Value(2, b"Model\0"),
        50717: tiff.Value(tiff.LONG, struct.pack("<I", 65535)),
        50721: tiff.Value(10, struct.pack("<18i", *[n for i in range(9) for n in (int(i % 4 == 0), 1)])),
        50728: tiff.Value(5, struct.pack("<6I", *[1] * 6)),
        50778: tiff.shorts(21),
    }
    place = start + sensor.nbytes
    path.write_bytes(b"II*\0" + struct.pack("<I", place) + sensor.tobytes() + tiff.written(directory, "<", place))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_camera_raw_is_developed(tmp_path, orientation):
    """With the extra: upright, 16 bits where the output has them, EXIF kept, a sidecar in the sensor's frame."""
    pytest.importorskip("rawpy")
    synthetic_dng(tmp_path / "in.dng", orientation)
    opened = open_photo(tmp_path / "in.dng")
    assert (opened.width, opened.height) == ((300, 400) if orientation >= 5 else (400, 300))
    preview = opened.preview().astype(int).mean(axis=2)
    assert preview.shape == (opened.height // 2, opened.width // 2)
    brighter = {1: preview[:, -1], 3: preview[:, 0], 6: preview[-1], 8: preview[0]}[orientation]
    assert brighter.mean() > preview.mean() + 40
    opened.save(opened.crop(BOX), tmp_path / "out.tif")
    assert read_deep(tmp_path / "out.tif").dtype == np.uint16
    opened.save(opened.crop(BOX), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[0x010F] == "Maker of cameras"
        assert written.getexif()[ORIENTATION] == 1
        assert 50706 not in written.getexif()
    if orientation == 6:  # the left half of what is seen is the lower half of the sensor
        assert b'CropTop="0.5" crs:CropLeft="0" crs:CropBottom="1"' in opened.sidecar((0, 0, 150, 400))


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("IMG_1.HEIC", "pillow_heif", "heif"), ("IMG_1.NEF", "rawpy", "raw")]
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, name, module, extra):
    """The sentence has the command that installs it."""
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(range(200)))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PhotoError, match=rf"{name} is a .* photo. .*pip install 'autocrop-photo\[{extra}\]'"):
        open_photo(tmp_path / name)


def bombs():
    """Small files that claim huge pictures."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 16, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    png += struct.pack(">I", 9) + b"IDAT" + zlib.compress(b"\0")[:9] + bytes(4)
    huge = {256: 60_000, 257: 60_000, 259: 1, 262: 2, 273: 8, 277: 3, 278: 60_000, 279: 9}
    fields = {tag: tiff.Value(tiff.LONG, struct.pack("<I", value)) for tag, value in huge.items()}
    deep = tiff.standalone({**fields, 258: tiff.shorts(16, 16, 16)}, "<")
    raw = tiff.standalone({**fields, 258: tiff.shorts(16)}, "<")
    jpeg = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x11\0\2\x11\0\3\x11\0\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0"
    return {"a.png": png, "a.tif": deep, "a.jpg": jpeg, "b.dng": raw, "a.gif": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0"}


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.gif", "b.dng"])
def test_bombs_are_refused_before_memory_is_taken(tmp_path, name):
    """In every decoder's way: one sentence, in no time."""
    import tracemalloc

    (tmp_path / name).write_bytes(bombs()[name])
    tracemalloc.start()
    with pytest.raises(PhotoError, match=name):
        open_photo(tmp_path / name).preview()
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


@pytest.mark.parametrize("target", ["out.bmp", "out.png", "out.webp", "out.gif"])
def test_cmyk_becomes_rgb_where_the_format_has_no_other(photo, tmp_path, target):
    """Every format that is offered takes every photo."""
    Image.open(photo).convert("CMYK").save(tmp_path / "in.jpg")
    opened = open_photo(tmp_path / "in.jpg")
    opened.save(opened.crop(BOX), tmp_path / target)
    with Image.open(tmp_path / target) as written:
        assert written.convert("RGB").size == (100, 60)


def test_the_limit_is_the_callers(photo, monkeypatch):
    """More than Pillow allows by itself, or less."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)  # Pillow refuses twice that
    assert open_photo(photo, max_pixels=240_000).width == 600
    with pytest.raises(PhotoError, match="600x400 = 240,000 pixels, more than the limit of 239,999"):
        open_photo(photo, max_pixels=239_999)
    assert open_photo(photo).crop((0, 0, 500, 400)).size == (500, 400)
    assert Image.MAX_IMAGE_PIXELS == 50_000  # of others we change nothing


def test_zeros_at_the_end_are_no_picture(photo, tmp_path):
    """What a copy leaves that broke off: decoders make half a gray picture of it without a word."""
    for suffix in (".jpg", ".webp", ".avif"):
        Image.open(photo).save(tmp_path / f"in{suffix}")
        data = (tmp_path / f"in{suffix}").read_bytes()
        assert photo_from_bytes(data).preview().shape == (400, 600, 3)
        with pytest.raises(PhotoError, match="its end is missing"):
            photo_from_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2), f"in{suffix}")


def test_passes_without_end_are_refused(photo):
    """A progressive JPEG may keep a decoder busy for hours; what looks like passes behind a whole picture does not."""
    data = io.BytesIO()
    Image.open(photo).resize((60, 40)).save(data, "JPEG", progressive=True)
    content, last = data.getvalue(), data.getvalue().rfind(b"\xff\xda")
    assert photo_from_bytes(content[:-2] + content[last:] * 9).width == 60
    with pytest.raises(PhotoError, match="more than 1000 passes"):
        photo_from_bytes(content[:-2] + content[last:] * 1001)
    assert photo_from_bytes(photo.read_bytes() + b"\xff\xda" * 1001).preview().shape == (400, 600, 3)


def test_twelve_megapixels_are_analyzed_at_an_eighth(tmp_path):
    """The quickest that libjpeg decodes, and larger than what the networks see; what is smaller is decoded larger."""
    for size, preview in (((4000, 3000), (375, 500)), ((2800, 2800), (700, 700)), ((700, 500), (500, 700))):
        Image.new("L", size, 90).save(tmp_path / "photo.jpg")
        assert open_photo(tmp_path / "photo.jpg").preview().shape == (*preview, 3)


def mutated(data, rng):
    """*data* as bad cards, networks and people leave it."""
    content = bytearray(data)
    place = rng.randrange(len(content))
    match rng.randrange(6):
        case 0:
            return bytes(content[:place])
        case 1:
            for _ in range(rng.randrange(1, 100)):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 2:
            for _ in range(20):
                content[rng.randrange(min(2000, len(content)))] = rng.randrange(256)
        case 3:
            content[place : place + 5000] = bytes(len(content[place : place + 5000]))
        case 4:
            content[place:place] = rng.randbytes(100)
        case 5:
            return rng.randbytes(3000)
    return bytes(content)


def test_damaged_files_fail_with_a_sentence(photo, tmp_path):
    """Whatever is done to a file: it is cropped, or one line says why not. Decoders do not crash."""
    picture = Image.open(photo).resize((120, 90))
    _, exif = stored(picture, 6)
    write_deep(tmp_path / "deep.tif", deep_picture(photo, 3)[:90, :120], compression=5)
    write_deep(tmp_path / "deep.png", deep_picture(photo, 4)[:90, :120])
    for name in ("a.jpg", "a.png", "a.webp", "a.avif", "a.tif", "a.gif"):
        picture.save(tmp_path / name, **({} if name == "a.gif" else {"exif": exif, "icc_profile": PROFILE}))
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg")
    synthetic_dng(tmp_path / "b.dng", 6)
    sources = sorted(path for path in tmp_path.iterdir() if path != photo)
    rng = random.Random(0)
    outcomes, reasons = [], {}
    for number in range(90):
        source = sources[number % len(sources)]
        name = f"{number}{rng.choice([source.suffix, source.suffix, '.jpg', '.nef'])}"
        try:
            opened = photo_from_bytes(mutated(source.read_bytes(), rng) or b"", name, 10_000_000)
            opened.preview()
            opened.save(
                opened.crop((8, 8, 60, 50)), tmp_path / f"out{source.suffix if source.suffix != '.dng' else '.png'}"
            )
            outcomes.append("cropped")
        except AutocropError as error:
            reasons[name] = str(error)
            outcomes.append("failed")
    assert all(name in reason and "\n" not in reason for name, reason in reasons.items())
    assert outcomes.count("cropped") > 10
    assert outcomes.count("failed") > 30


def test_jpegs_are_encoded_without_pythons_lock(photo, tmp_path, monkeypatch):
    """Pillow lets other threads run only while it writes to a file of the system's: two photos at a time need that."""
    written_to = []
    save = Image.Image.save

    def watched(self, file, *arguments, **options):
        written_to.append(file.fileno())
        save(self, file, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", watched)
    opened = open_photo(photo)
    opened.save(opened.crop(BOX), tmp_path / "out.jpg")
    assert len(written_to) == 1


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_a_png_keeps_mode_and_pixels(photo, tmp_path, mode):
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


def test_a_jpeg_is_the_same_wherever_it_is_encoded(photo, tmp_path, monkeypatch):
    """In a file in memory, in a temporary one, or where neither is to be had in Python's own memory."""

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
