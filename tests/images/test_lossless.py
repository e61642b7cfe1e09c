"""Lossless crops, which copy the blocks of JPEGs without recompressing them."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.runner import run
from autocrop.batch.targets import make_targets
from autocrop.errors import PhotoError
from autocrop.images import lossless, open_photo
from autocrop.images.exif import EXIF_HEIGHT, EXIF_WIDTH
from autocrop.images.orientation import ORIENTATION, to_stored
from autocrop.images.tiff import EXIF_IFD
from tests.helpers.files import PROFILE, stored

BACKENDS = ["package", "program"] if shutil.which("jpegtran") else ["package"]


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Run the test with each way to call libjpeg-turbo that is installed."""
    if request.param == "package":
        pytest.importorskip("turbojpeg", exc_type=ImportError)
    else:
        monkeypatch.setitem(sys.modules, "turbojpeg", None)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_pixels_equal_those_of_the_photo(photo, tmp_path, orientation, subsampling, backend):
    """In every orientation and subsampling, a crop shows the same pixels as its box in the photo.

    With 4:4:4, all pixels are equal. Otherwise decoders interpolate colors from neighboring blocks, so the outermost
    pixels of the crop, whose neighbors are gone, may differ slightly.
    """
    image, exif = stored(Image.open(photo).resize((210, 150)), orientation)
    image.save(tmp_path / "in.jpg", exif=exif, quality=85, subsampling=subsampling, icc_profile=PROFILE)
    opened = open_photo(tmp_path / "in.jpg")
    box = opened.snap_to_grid((41, 37, 141, 112), keep_size=True)
    assert opened.save_lossless(box, tmp_path / "out.jpg") == []
    expected = np.asarray(opened.pixels.crop(box)).astype(int)
    actual = np.asarray(open_photo(tmp_path / "out.jpg").pixels).astype(int)
    assert actual.shape == expected.shape == (75, 100, 3)
    rim = 0 if subsampling == 0 else 2
    inner = slice(rim, -rim or None)
    assert np.array_equal(actual[inner, inner], expected[inner, inner])
    assert np.abs(actual - expected).max() < 40
    with Image.open(tmp_path / "in.jpg") as before, Image.open(tmp_path / "out.jpg") as after:
        assert after.quantization == before.quantization
        assert after.layer == before.layer
        assert after.getexif()[ORIENTATION] == orientation
        details = after.getexif().get_ifd(EXIF_IFD)
        assert (details[EXIF_WIDTH], details[EXIF_HEIGHT]) == after.size
        assert after.info["icc_profile"] == PROFILE


@given(st.integers(1, 8), st.integers(0, 199), st.integers(0, 99), st.data(), st.booleans())
def test_boxes_snap_to_the_nearest_grid_position(orientation, left, top, data, keep_size):
    """The box keeps its size, or grows by less than a block. It never leaves the photo."""
    size = 333, 217
    box = left, top, data.draw(st.integers(left + 40, size[0])), data.draw(st.integers(top + 40, size[1]))
    snapped = lossless.snap_to_grid(box, size, orientation, (16, 8), keep_size)
    x, y, *_ = to_stored(snapped, *size, orientation)
    assert (x % 16, y % 8) == (0, 0)
    assert snapped[0] >= 0
    assert snapped[1] >= 0
    assert snapped[2] <= size[0]
    assert snapped[3] <= size[1]
    if keep_size:
        assert (snapped[2] - snapped[0], snapped[3] - snapped[1]) == (box[2] - box[0], box[3] - box[1])
    else:
        assert snapped[0] <= box[0]
        assert snapped[1] <= box[1]
        assert snapped[2] >= box[2]
        assert snapped[3] >= box[3]
    assert max(abs(a - b) for a, b in zip(snapped, box, strict=True)) < 16


def test_stripped_crops_keep_progressive_and_orientation(photo, tmp_path, backend):
    """Without the orientation tag, a stripped crop would be shown on its side."""
    image, exif = stored(Image.open(photo), 6)
    image.save(tmp_path / "in.jpg", exif=exif, progressive=True, comment=b"secret")
    opened = open_photo(tmp_path / "in.jpg")
    opened.save_lossless(opened.snap_to_grid((0, 0, 100, 100), keep_size=True), tmp_path / "out.jpg", strip=True)
    with Image.open(tmp_path / "out.jpg") as after:
        assert after.info["progressive"]
        assert dict(after.getexif()) == {ORIENTATION: 6}
    assert b"secret" not in (tmp_path / "out.jpg").read_bytes()


def test_lossless_batches_never_decode_a_whole_photo(engine, tmp_path, monkeypatch, backend):
    """The analysis uses a reduced preview. The crop has exactly the ratio, and a note says that it was moved."""
    Image.effect_noise((2400, 1800), 50).convert("RGB").save(tmp_path / "in.jpg")
    largest = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", _watched(largest))
    plan = Plan.from_photos([tmp_path / "in.jpg"], Options(make_targets(["4:3"], []), lossless=True))
    (result,) = run(engine, plan)
    assert largest
    assert max(largest) <= 2400 * 1800 / 4
    assert result.crop.box[0] % 16 == result.crop.box[1] % 16 == 0
    assert any("grid of 16x16" in note for note in result.notes)
    with Image.open(result.output) as written:
        assert written.size == result.size
        assert written.width * 3 == written.height * 4


def _watched(sizes):
    from PIL import ImageFile

    load = ImageFile.ImageFile.load

    def watched(self):
        sizes.append(self.size[0] * self.size[1])
        return load(self)

    return watched


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("in.jpg", "out.png", "must be a JPEG: name the output .jpg"),
        ("in.webp", "out.webp", "its WEBP data would have to be compressed again"),
        ("in.png", "out.jpg", "would be lossy"),
    ],
)
def test_lossy_crops_are_refused(photo, tmp_path, source, target, message):
    """Nothing is written."""
    Image.open(photo).save(tmp_path / source)
    opened = open_photo(tmp_path / source)
    with pytest.raises(PhotoError, match=message):
        opened.save_lossless((0, 0, 64, 64), tmp_path / target)
    assert not (tmp_path / target).exists()


def test_lossless_webps_stay_lossless(photo, tmp_path):
    """All pixels stay equal, including the colors of transparent ones, and the box is not moved."""
    image = Image.open(photo).convert("RGBA")
    image.putalpha(
        Image.linear_gradient("L").resize(image.size).point(lambda value: value // 4 * 4 if value > 99 else 0)
    )
    image.save(tmp_path / "in.webp", lossless=True, exact=True)
    opened = open_photo(tmp_path / "in.webp")
    box = opened.snap_to_grid((5, 7, 99, 77), keep_size=True)
    assert box == (5, 7, 99, 77)
    opened.save_lossless(box, tmp_path / "out.webp")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.webp")), np.asarray(image.crop(box)))


def test_truncated_jpegs_fail(photo, backend):
    """They do not become a crop that is partly gray."""
    data = photo.read_bytes()
    with pytest.raises(ValueError, match=r"\w"):
        lossless.crop_jpeg(data[: len(data) // 2], (0, 0, 64, 64), progressive=False)


def test_a_missing_library_is_named(photo, tmp_path, monkeypatch):
    """The message says what to install."""
    opened = open_photo(photo)
    monkeypatch.setitem(sys.modules, "turbojpeg", None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PhotoError, match=r"autocrop-photo\[lossless\]"):
        opened.save_lossless((0, 0, 64, 64), tmp_path / "out.jpg")


def test_gray_jpegs_have_a_grid_of_8(photo):
    """The blocks of a single component are stored one by one."""
    content = io.BytesIO()
    Image.open(photo).convert("L").save(content, "JPEG")
    assert lossless.grid_of(Image.open(content)) == (8, 8)


def noise_jpeg(size=(160, 128), **options):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-2] + b"abc" + data[-2:],
        lambda data: data.replace(b"JFIF\0\1\1", b"JFIF\0\3\7"),
    ],
)
def test_warnings_about_complete_pictures_do_not_matter(backend, change):
    """Extraneous bytes and unknown versions are no reason to refuse a lossless crop."""
    data = noise_jpeg()
    cropped = lossless.crop_jpeg(change(data), (16, 32, 96, 96), False)
    assert cropped == lossless.crop_jpeg(data, (16, 32, 96, 96), False)


def test_truncated_pictures_are_refused_by_lossless_crops(backend):
    """A warning that the picture is incomplete is an error."""
    data = noise_jpeg()
    with pytest.raises(ValueError, match=r"[Pp]remature end|extraneous|Corrupt"):
        lossless.crop_jpeg(data[: len(data) // 2] + data[-2:], (16, 32, 96, 96), False)


@pytest.mark.skipif(not shutil.which("jpegtran"), reason="jpegtran is not installed")
@pytest.mark.parametrize("factors", [(4, 2), (4, 1), (3, 1), (1, 3), (2, 4)])
def test_unusual_subsampling_is_cropped_with_jpegtran(tmp_path, factors):
    """Where the package cannot, the program crops JPEGs of 4:1:0, 3x1 and the like."""
    data = noise_jpeg(size=(8 * factors[0] * 8, 8 * factors[1] * 8), quality=60, subsampling=0)
    content = with_sampling(data, factors)
    if content is None:
        pytest.skip("cjpeg is not installed")
    (tmp_path / "in.jpg").write_bytes(content)
    photo = open_photo(tmp_path / "in.jpg")
    box = photo.snap_to_grid((photo.grid[0] + 3, photo.grid[1], photo.width - 1, photo.height), True)
    photo.save_lossless(box, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written, Image.open(tmp_path / "in.jpg") as source:
        assert written.layer[0][1:3] == factors
        expected = np.asarray(source.convert("YCbCr").getchannel(0))[box[1] : box[3], box[0] : box[2]]
        assert np.abs(np.asarray(written.convert("YCbCr").getchannel(0)).astype(int) - expected)[4:-4, 4:-4].mean() < 6


def with_sampling(data, factors):
    """Return the picture with other sampling factors, encoded by cjpeg, or None if it is not installed."""
    program = shutil.which("cjpeg")
    if program is None:
        return None
    pixels = io.BytesIO()
    Image.open(io.BytesIO(data)).save(pixels, "PPM")
    command = [program, "-sample", f"{factors[0]}x{factors[1]}"]
    return subprocess.run(command, input=pixels.getvalue(), capture_output=True, check=True).stdout
