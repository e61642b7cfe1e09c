"""Decoded pixels: orientation, bit depth, reduced previews."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from autocrop.images import containers, open_photo, photo_from_bytes, photo_from_memory, tiff
from autocrop.images.orientation import ORIENTATION
from tests.helpers.files import (
    MAKE,
    TRANSPOSES,
    read_sixteen_bit,
    sixteen_bit_picture,
    stored,
    write_sixteen_bit,
    xmp_packet,
)

BOX = (10, 20, 110, 80)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_of_every_orientation_open_upright(photo, tmp_path, orientation, suffix):
    """Size, preview and pixels are those of the upright picture."""
    upright = Image.open(photo)
    image, exif = stored(upright, orientation)
    image.save(tmp_path / f"stored{suffix}", exif=exif)
    opened = open_photo(tmp_path / f"stored{suffix}")
    assert (opened.width, opened.height) == upright.size
    assert np.array_equal(np.asarray(opened.pixels), np.asarray(upright))
    assert np.array_equal(opened.preview(), np.asarray(upright))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bit_color_of_every_orientation_opens_upright(photo, tmp_path, orientation, suffix):
    """All bits and the metadata are kept."""
    array = sixteen_bit_picture(photo, 3)
    _, exif = stored(Image.new("L", (8, 8)), orientation)
    planes = [Image.fromarray(array[..., channel].astype(np.int32)) for channel in range(3)]
    for transpose in TRANSPOSES[orientation]:
        planes = [plane.transpose(transpose) for plane in planes]
    write_sixteen_bit(tmp_path / f"pixels{suffix}", np.dstack(planes).astype(np.uint16))
    data = (tmp_path / f"pixels{suffix}").read_bytes()
    if suffix == ".png":
        data = containers.insert_chunks(data, [(b"eXIf", exif.tobytes()[6:]), (b"tEXt", b"Author\0Jo")])
    else:
        data = tiff.update_fields(data, {ORIENTATION: tiff.shorts(orientation)})
    (tmp_path / f"in{suffix}").write_bytes(data)
    opened = open_photo(tmp_path / f"in{suffix}")
    assert (opened.width, opened.height) == (600, 400)
    opened.save(opened.crop(BOX), tmp_path / f"out{suffix}")
    assert np.array_equal(read_sixteen_bit(tmp_path / f"out{suffix}"), array[20:80, 10:110])
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.getexif().get(ORIENTATION, 1) == 1
        if suffix == ".png":
            assert written.getexif()[MAKE] == "Maker of cameras"
            assert written.text["Author"] == "Jo"


def test_sixteen_bit_gray_is_scaled_for_previews():
    """It is not clipped to white."""
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    preview = photo_from_memory(Image.fromarray(ramp)).preview()
    assert preview[0, 0, 0] == 0
    assert preview[0, 32, 0] in range(125, 135)
    assert preview[0, 63, 0] == 255


@pytest.mark.parametrize(
    ("size", "shape"), [((4000, 3000), (375, 500)), ((2800, 2800), (700, 700)), ((700, 500), (500, 700))]
)
def test_large_jpegs_have_reduced_previews(tmp_path, size, shape):
    """12 megapixels are decoded at an eighth, libjpeg's fastest scale. Smaller photos are reduced less."""
    Image.new("L", size, 90).save(tmp_path / "photo.jpg")
    assert open_photo(tmp_path / "photo.jpg").preview().shape == (*shape, 3)


@pytest.mark.parametrize(
    "size", [(4000, 3000), (5759, 2880), (2879, 2879), (2900, 1440), (1439, 1439), (720, 1001), (719, 2000), (360, 300)]
)
def test_previews_of_files_and_of_memory_have_one_size(tmp_path, size):
    """A picture in memory is reduced as a JPEG of its size is reduced."""
    image = Image.new("RGB", size, (90, 60, 30))
    image.save(tmp_path / "photo.jpg", quality=50)
    expected = open_photo(tmp_path / "photo.jpg").preview()
    for source in (image, np.asarray(image)):
        preview = photo_from_memory(source).preview()
        assert preview.shape == expected.shape
        assert np.abs(preview.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_previews_of_large_pictures_in_memory_show_them(photo, mode):
    """Every mode is reduced to what the picture looks like, and the picture itself does not change."""
    rgb = Image.open(photo).convert("RGB").resize((1600, 1200))
    if mode in ("I;16", "I", "F"):
        gray = np.asarray(rgb.convert("L"))
        image = Image.fromarray(gray.astype(np.uint16) * 257) if mode == "I;16" else rgb.convert("L").convert(mode)
        rgb = Image.fromarray(gray).convert("RGB")
    else:
        image = rgb.convert(mode)
        rgb = image.convert("RGB")
    before = image.tobytes()
    preview = photo_from_memory(image).preview()
    assert preview.shape == (600, 800, 3)
    assert np.abs(preview.astype(int) - np.asarray(rgb.reduce(2))).mean() < 1.5
    assert image.tobytes() == before


def test_transparent_colors_are_white_in_previews_of_large_pictures():
    """Transparent areas are white in pictures with an alpha channel and with one transparent color."""
    color, alpha = Image.new("RGB", (1600, 1200), (200, 10, 10)), Image.new("RGBA", (1600, 1200), (200, 10, 10, 0))
    color.info["transparency"] = (200, 10, 10)
    for image in (color, alpha):
        assert (photo_from_memory(image).preview() == 255).all()


@pytest.mark.parametrize("decoded_first", [False, True])
@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6])
def test_previews_of_large_pictures_in_memory_are_upright(photo, tmp_path, orientation, suffix, decoded_first):
    """EXIF orientation is applied once, before and after the whole picture has been decoded."""
    upright = Image.open(photo).convert("RGB").resize((1500, 1000))
    image, exif = stored(upright, orientation)
    image.save(tmp_path / f"in{suffix}", exif=exif)
    with Image.open(tmp_path / f"in{suffix}") as picture:
        opened = photo_from_memory(picture)
        if decoded_first:
            assert np.asarray(opened.pixels).shape == (1000, 1500, 3)
        assert (opened.width, opened.height) == (1500, 1000)
        difference = np.abs(opened.preview().astype(int) - np.asarray(upright.reduce(2)))
        assert difference.mean() < 4
        assert np.abs(np.asarray(opened.pixels).astype(int) - np.asarray(upright)).mean() < 8


def test_multi_picture_jpegs_open_as_their_first_picture(photo, tmp_path):
    """An MPO, as phones write it, is cropped as a JPEG, and a note tells that other pictures are left out."""
    picture = Image.open(photo)
    picture.save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=[picture.resize((64, 64))])
    assert Image.open(tmp_path / "in.jpg").format == "MPO"
    opened = open_photo(tmp_path / "in.jpg")
    assert opened.format == "JPEG"
    assert opened.notes == ["other pictures in the file, such as an HDR gain map, are left out"]
    assert opened.preview().shape == (400, 600, 3)
    opened.save(opened.crop((0, 0, 100, 80)), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert (written.format, written.size) == ("JPEG", (100, 80))


def test_bits_that_cannot_be_read_are_noted(photo, tmp_path):
    """A CMYK photo with 16 bits per channel is read with 8."""
    Image.open(photo).convert("CMYK").save(tmp_path / "cmyk.tif")
    data = tiff.update_fields((tmp_path / "cmyk.tif").read_bytes(), {258: tiff.shorts(16, 16, 16, 16)})
    (tmp_path / "in.tif").write_bytes(data)
    assert open_photo(tmp_path / "in.tif").notes == ["16 bits per channel are read as 8"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("orientation", [None, 1, 3])
def test_orientation_in_xmp_does_not_count(photo, tmp_path, suffix, orientation):
    """Viewers, libvips and ImageMagick turn photos by EXIF only; Pillow falls back to XMP."""
    source, packet = tmp_path / f"in{suffix}", xmp_packet(['tiff:Orientation="6"'])
    image, exif = stored(Image.open(photo), orientation or 1)
    if orientation is None:
        del exif[ORIENTATION]
    options = {"xmp": packet, "exif": exif}
    if suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"pnginfo": info, "exif": exif}
    elif suffix == ".tif":
        exif[700] = packet
        options = {"exif": exif}
    image.save(source, **options)
    opened = open_photo(source)
    upright = np.asarray(Image.open(photo)).astype(int)
    assert (opened.width, opened.height) == (600, 400)
    assert np.abs(np.asarray(opened.pixels).astype(int) - upright).mean() < 8
    assert np.abs(opened.preview().astype(int) - upright).mean() < 8
    from_bytes = photo_from_bytes(source.read_bytes())
    assert np.array_equal(np.asarray(from_bytes.pixels), np.asarray(opened.pixels))


def test_pictures_in_memory_keep_their_exif(photo, tmp_path):
    """Pillow may be asked for the EXIF of a picture after it has been cropped."""
    image, exif = stored(Image.open(photo), 6)
    image.save(tmp_path / "in.tif", exif=exif)
    with Image.open(tmp_path / "in.tif") as picture:
        assert photo_from_memory(picture).preview().shape == (400, 600, 3)
        assert picture.getexif()[MAKE] == "Maker of cameras"


@pytest.mark.parametrize(("tag", "rotation"), [(6, 6), (6, 1), (1, 6), (3, 8)])
def test_avif_is_turned_once(photo, tmp_path, tag, rotation):
    """Only the rotation of the file counts, which EXIF may repeat or contradict. EXIF is kept as it is."""
    image, block = stored(Image.open(photo), rotation)
    block[0x0113] = tag
    block.get_ifd(tiff.EXIF_IFD)[0x927C] = b"MakerNote" * 9
    image.save(tmp_path / "pillow.avif", exif=block)  # Pillow turns the orientation into the file's rotation
    data = (tmp_path / "pillow.avif").read_bytes().replace(b"\x01\x13\0\3", b"\x01\x12\0\3")
    opened = photo_from_bytes(data)
    assert (opened.width, opened.height) == (600, 400)
    upright = np.asarray(Image.open(photo)).astype(int)
    assert np.abs(np.asarray(opened.pixels).astype(int) - upright).mean() < 8
    opened.save(opened.pixels, tmp_path / "out.avif")
    again = open_photo(tmp_path / "out.avif")
    assert (again.width, again.height) == (600, 400)
    assert np.abs(np.asarray(again.pixels).astype(int) - upright).mean() < 8
    opened.save(opened.pixels, tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as written:
        assert written.getexif()[ORIENTATION] == 1
        assert written.info["exif"].index(b"MakerNote") == data.index(b"MakerNote") - data.index(b"MM\0*")
