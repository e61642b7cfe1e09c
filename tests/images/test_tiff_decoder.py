"""TIFF pages that Pillow would reduce, garble or refuse."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from autocrop.errors import PhotoError
from autocrop.images import open_photo, tiff
from autocrop.images.tiff_layout import Layout
from autocrop.images.tiff_samples import read_samples
from tests.helpers.files import read_sixteen_bit
from tests.helpers.tiff_files import TiffOptions, tiff_file

GRADIENT = np.linspace(0, 1, 40 * 56 * 3).reshape(40, 56, 3)
BOX = (3, 5, 51, 37)


def picture(dtype, channels):
    """Return an array ``[40, 56, channels]`` that spans the range of its type, [0, 1] for floating point."""
    array = np.random.default_rng(0).random((40, 56, channels)) * 0.2 + 0.8 * GRADIENT[..., :1]
    if np.dtype(dtype).kind == "f":
        return array.astype(dtype)
    limits = np.iinfo(dtype)
    return (array * (limits.max - limits.min) + limits.min).astype(dtype)


def opened(tmp_path, array, **options):
    (tmp_path / "in.tif").write_bytes(tiff_file(array, TiffOptions(**options)))
    return open_photo(tmp_path / "in.tif")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [0, 16, 32])
@pytest.mark.parametrize(("compression", "predictor"), [(1, 1), (8, 1), (8, 2)])
def test_sixteen_bit_color_of_every_layout_is_exact(tmp_path, order, big, planar, tile, compression, predictor):
    """Byte order, BigTIFF, separate channels, tiles and predictors do not change the pixels."""
    array = picture(np.uint16, 3)
    photo = opened(
        tmp_path, array, order=order, big=big, planar=planar, tile=tile, compression=compression, predictor=predictor
    )
    assert np.array_equal(photo.pixels, array)
    assert photo.notes == []
    assert abs(photo.preview().mean() - array.mean() / 257) < 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("planar", [False, True])
def test_8_bit_color_of_every_layout_is_exact(tmp_path, order, big, planar):
    """The same holds for 8 bits."""
    array = picture(np.uint8, 3)
    photo = opened(tmp_path, array, order=order, big=big, planar=planar)
    assert np.array_equal(np.asarray(photo.pixels), array)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_is_inverted(tmp_path, order, dtype):
    """A TIFF in which 0 is white is not written as a negative."""
    array = picture(dtype, 1)[..., 0]
    photo = opened(tmp_path, ~array, photometric=0, order=order)
    photo.save(photo.crop(BOX), tmp_path / "out.png")
    assert np.array_equal(read_sixteen_bit(tmp_path / "out.png"), array[5:37, 3:51])
    assert abs(photo.preview().mean() - array.mean() * 255 / np.iinfo(dtype).max) < 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("photometric", "channels"), [(1, 2), (2, 4)])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_associated_alpha_becomes_unassociated(tmp_path, dtype, photometric, channels, suffix):
    """Colors are divided by their opacity, and the output says that they are not multiplied."""
    straight = picture(dtype, channels).astype(float)
    peak = np.iinfo(dtype).max
    premultiplied = straight.copy()
    premultiplied[..., :-1] *= straight[..., -1:] / peak
    photo = opened(tmp_path, premultiplied.round().astype(dtype), photometric=photometric, extra=(1,))
    photo.save(photo.crop(BOX), tmp_path / f"out{suffix}")
    if dtype == np.uint8:
        written = np.asarray(Image.open(tmp_path / f"out{suffix}"))
    else:
        written = read_sixteen_bit(tmp_path / f"out{suffix}")[..., :: 3 if channels == 2 else 1]
    expected = straight[5:37, 3:51]
    error = np.abs(written.astype(float) - expected) * expected[..., -1:] / peak
    assert error.max() <= 1
    assert np.array_equal(written[..., -1], expected[..., -1])
    if suffix == ".tif":
        assert Image.open(tmp_path / "out.tif").tag_v2[338] == (2,)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("photometric", "colors"), [(1, 1), (2, 3)])
@pytest.mark.parametrize(("extra", "has_alpha"), [((0,), False), ((2, 0), True), ((0, 0), False), ((0, 2), True)])
def test_extra_channels_are_left_out_with_a_note(tmp_path, dtype, photometric, colors, extra, has_alpha):
    """Only transparency is kept; masks and spot colors are not taken for it."""
    array = picture(dtype, colors + len(extra))
    photo = opened(tmp_path, array, photometric=photometric, extra=extra)
    pixels = np.atleast_3d(np.asarray(photo.pixels))
    assert np.array_equal(pixels[..., 0], array[..., 0])
    assert pixels.shape[2] == (colors + has_alpha if dtype == np.uint8 or not has_alpha else 4)
    if has_alpha:
        assert np.array_equal(pixels[..., -1], array[..., colors + extra.index(2)])
    assert len(photo.notes) == 1
    assert "extra channel" in photo.notes[0]


def test_alpha_of_cmyk_is_left_out_with_a_note(tmp_path):
    """The inks are kept exactly."""
    array = picture(np.uint8, 5)
    photo = opened(tmp_path, array, photometric=5, extra=(2,))
    assert photo.pixels.mode == "CMYK"
    assert np.array_equal(np.asarray(photo.pixels), array[..., :4])
    assert "extra channel" in photo.notes[0]


@pytest.mark.parametrize(("dtype", "shift"), [(np.int16, 0), (np.int32, 16), (np.uint32, 16), (np.uint64, 48)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_unusual_integers_become_16_bits(tmp_path, dtype, shift, order):
    """Signed values are shifted and long ones scaled, both with a note."""
    array = picture(dtype, 1)[..., 0]
    photo = opened(tmp_path, array, photometric=1, order=order)
    offset = 1 << 8 * array.itemsize - 1 if np.dtype(dtype).kind == "i" else 0
    assert np.array_equal(photo.pixels, [[(int(value) + offset) >> shift for value in row] for row in array])
    assert photo.notes
    photo.save(photo.crop(BOX), tmp_path / "out.jpg")
    assert np.asarray(Image.open(tmp_path / "out.jpg")).std() > 20


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_bits_are_scaled_to_16(tmp_path, bits):
    """White stays white."""
    array = picture(np.uint16, 1)[..., 0] >> (16 - bits)
    digits = (array[..., None] >> np.arange(bits)[::-1]) & 1
    packed = np.packbits(digits.reshape(40, -1).astype(np.uint8), axis=1)
    fields = {256: tiff.shorts(56), 258: tiff.shorts(bits), 339: tiff.shorts(1)}
    photo = opened(tmp_path, packed, photometric=1, fields=fields)
    assert np.abs(photo.pixels - array * (65535 / (2**bits - 1))).max() <= 0.5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("predictor", "compression"), [(1, 1), (3, 8)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_floating_point_color_becomes_16_bits(tmp_path, dtype, predictor, compression, order):
    """The range 0 to 1 is scaled."""
    array = picture(dtype, 3)
    photo = opened(tmp_path, array, predictor=predictor, compression=compression, order=order)
    assert np.abs(photo.pixels / 65535 - array).max() < 1e-4
    assert "floating-point" in photo.notes[0]


def test_floating_point_color_outside_the_range_is_refused(tmp_path):
    """Highlights of HDR photos are not clipped silently."""
    photo = opened(tmp_path, picture(np.float32, 3) * 4)
    with pytest.raises(PhotoError, match="outside the range 0 to 1"):
        photo.preview()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("peak", [1, 255, 65535])
def test_floating_point_gray_keeps_its_values(tmp_path, dtype, peak):
    """A TIFF keeps them exactly, and other formats scale all crops of a photo alike."""
    array = picture(dtype, 1)[..., 0] * peak
    photo = opened(tmp_path, array, photometric=1)
    photo.save(photo.crop((0, 0, 40, 34)), tmp_path / "out.tif")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.tif")), array[:34, :40].astype(np.float32))
    photo.save(photo.crop((0, 0, 40, 34)), tmp_path / "out.png")
    expected = array[:34, :40] * 65535 / peak
    assert np.abs(read_sixteen_bit(tmp_path / "out.png") - expected).max() <= 1


@pytest.mark.parametrize("photometric", [8, 9])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lab_has_the_right_colors(tmp_path, photometric, dtype):
    """CIELab and ICCLab with 8 and 16 bits show the sRGB colors that they were made from."""
    gradient = np.zeros((40, 56, 3), np.uint8)
    gradient[..., 0], gradient[..., 1], gradient[..., 2] = np.arange(56) * 4, 120, np.arange(40)[:, None] * 5
    image = Image.fromarray(gradient)
    lab = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), 0, "LAB")
    stored = np.asarray(lab).astype(int)
    lightness, ab = stored[..., :1], stored[..., 1:].astype(np.uint8).view(np.int8).astype(int)
    if dtype == np.uint8:
        array = np.dstack([lightness, ab + 128 if photometric == 9 else ab % 256])
    elif photometric == 8:
        array = np.dstack([lightness * 257, ab * 256 % 65536])
    else:
        array = np.dstack([lightness * 256, ab * 256 + 0x8000])
    photo = opened(tmp_path, array.astype(dtype), photometric=photometric)
    assert photo.pixels.mode == "LAB"
    assert np.abs(photo.preview().astype(int) - gradient).mean() < 2
    assert photo.notes == ([] if dtype == np.uint8 else ["16 bits per channel are read as 8"])
    photo.save(photo.crop(BOX), tmp_path / "out.tif")
    with Image.open(tmp_path / "out.tif") as written:
        assert np.array_equal(np.asarray(written), np.asarray(photo.pixels)[5:37, 3:51])


def test_unusual_kinds_are_refused_with_their_reason(tmp_path):
    """The message says what autocrop cannot read, rather than that the file is damaged."""
    with pytest.raises(PhotoError, match="floating-point samples that are neither gray nor RGB"):
        opened(tmp_path, picture(np.float32, 4), photometric=5)
    with pytest.raises(PhotoError, match="signed samples that are not gray"):
        opened(tmp_path, picture(np.int16, 3))


@pytest.mark.parametrize("compression", [1, 8])
def test_incomplete_pages_are_refused(tmp_path, compression):
    """A page whose last strip lies outside the file is not half a picture."""
    data = tiff_file(picture(np.uint16, 3), TiffOptions(planar=True, compression=compression))
    layout = Layout.of_page(tiff.read(io.BytesIO(data))[1])
    with pytest.raises(ValueError, match="its end is missing"):
        read_samples(data[: layout.offsets[-1] + 10], layout, "<")


def test_metadata_is_kept(tmp_path):
    """EXIF, the profile and the resolution of a BigTIFF are those of its page."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    fields = {
        271: tiff.Value(2, b"Maker\0"),
        282: tiff.rational(300, 1),
        283: tiff.rational(300, 1),
        34675: tiff.Value(tiff.UNDEFINED, icc),
    }
    photo = opened(tmp_path, picture(np.uint16, 3), big=True, fields=fields)
    photo.save(photo.crop(BOX), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert written.info["icc_profile"] == icc
        assert written.getexif()[271] == "Maker"
        assert round(written.info["dpi"][0]) == 300
