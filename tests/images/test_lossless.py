"""Lossless crops: blocks of JPEGs copied, not recompressed."""

from __future__ import annotations

import io
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.runner import run
from autocrop.batch.targets import make_targets
from autocrop.images import EXIF_HEIGHT, EXIF_IFD, EXIF_WIDTH, ORIENTATION, PhotoError, lossless, open_photo
from tests.helpers.files import PROFILE, stored

BACKENDS = ["package", "program"] if shutil.which("jpegtran") else ["package"]


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Each way to libjpeg-turbo that this machine has."""
    if request.param == "package":
        pytest.importorskip("turbojpeg", exc_type=ImportError)
    else:
        monkeypatch.setitem(sys.modules, "turbojpeg", None)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_pixels_equal_the_photos(photo, tmp_path, orientation, subsampling, backend):
    """In every orientation and subsampling a crop shows what the photo shows in its box.

    With 4:4:4 to the last pixel. Otherwise decoders interpolate colors from the next block's, so the outermost pixels,
    whose neighbors are gone, may differ by a little; the brightness does not.
    """
    image, exif = stored(Image.open(photo).resize((210, 150)), orientation)
    image.save(tmp_path / "in.jpg", exif=exif, quality=85, subsampling=subsampling, icc_profile=PROFILE)
    opened = open_photo(tmp_path / "in.jpg")
    box = opened.snapped((41, 37, 141, 112), keep_size=True)
    assert opened.save_lossless(box, tmp_path / "out.jpg") == []
    expected = np.asarray(opened.upright().crop(box)).astype(int)
    found = np.asarray(open_photo(tmp_path / "out.jpg").upright()).astype(int)
    assert found.shape == expected.shape == (75, 100, 3)
    rim = 0 if subsampling == 0 else 2
    inner = slice(rim, -rim or None)
    assert np.array_equal(found[inner, inner], expected[inner, inner])
    assert np.abs(found - expected).max() < 40
    with Image.open(tmp_path / "in.jpg") as before, Image.open(tmp_path / "out.jpg") as after:
        assert after.quantization == before.quantization
        assert after.layer == before.layer
        assert after.getexif()[ORIENTATION] == orientation
        details = after.getexif().get_ifd(EXIF_IFD)
        assert (details[EXIF_WIDTH], details[EXIF_HEIGHT]) == after.size
        assert after.info["icc_profile"] == PROFILE


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_box_is_the_nearest_on_the_grid(orientation):
    """Its size stays where the ratio must; else it grows by less than a block. It never leaves the photo."""
    rng = np.random.default_rng(orientation)
    size = 333, 217
    for _ in range(50):
        left, top = int(rng.integers(0, 200)), int(rng.integers(0, 100))
        box = left, top, int(rng.integers(left + 40, 334)), int(rng.integers(top + 40, 218))
        for keep in (True, False):
            found = lossless.snapped(box, size, orientation, (16, 8), keep)
            x, y, *_ = lossless.to_stored(found, *size, orientation)
            assert (x % 16, y % 8) == (0, 0)
            assert found[0] >= 0
            assert found[1] >= 0
            assert found[2] <= size[0]
            assert found[3] <= size[1]
            if keep:
                assert (found[2] - found[0], found[3] - found[1]) == (box[2] - box[0], box[3] - box[1])
            else:
                assert found[0] <= box[0]
                assert found[2] >= box[2]
            assert max(abs(a - b) for a, b in zip(found, box, strict=True)) < 16


def test_progressive_stays_and_strip_keeps_the_orientation(photo, tmp_path, backend):
    """Without the tag a stripped crop would lie on its side."""
    image, exif = stored(Image.open(photo), 6)
    image.save(tmp_path / "in.jpg", exif=exif, progressive=True, comment=b"secret")
    opened = open_photo(tmp_path / "in.jpg")
    opened.save_lossless(opened.snapped((0, 0, 100, 100), True), tmp_path / "out.jpg", strip=True)
    with Image.open(tmp_path / "out.jpg") as after:
        assert after.info["progressive"]
        assert dict(after.getexif()) == {ORIENTATION: 6}
    assert b"secret" not in (tmp_path / "out.jpg").read_bytes()


def test_a_lossless_batch_decodes_no_photo_in_full(engine, tmp_path, monkeypatch, backend):
    """The analysis sees a reduced decode; the crop is exactly of its ratio and says that it was moved."""
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
    ("source", "target", "says"),
    [
        ("in.jpg", "out.png", "is a JPEG, too: name the output .jpg"),
        ("in.webp", "out.webp", "compressed with loss"),
        ("in.png", "out.jpg", "would be lossy"),
    ],
)
def test_what_cannot_be_lossless_is_told(photo, tmp_path, source, target, says):
    """A sentence instead of a crop that lost something."""
    Image.open(photo).save(tmp_path / source)
    opened = open_photo(tmp_path / source)
    with pytest.raises(PhotoError, match=says):
        opened.save_lossless((0, 0, 64, 64), tmp_path / target)
    assert not (tmp_path / target).exists()


def test_other_formats_are_lossless_anyway(photo, tmp_path):
    """A lossless WebP gives the very pixels, where they are see-through, too."""
    image = Image.open(photo).convert("RGBA")
    image.putalpha(
        Image.linear_gradient("L").resize(image.size).point(lambda value: value // 4 * 4 if value > 99 else 0)
    )
    image.save(tmp_path / "in.webp", lossless=True, exact=True)
    opened = open_photo(tmp_path / "in.webp")
    box = opened.snapped((5, 7, 99, 77), keep_size=True)
    assert box == (5, 7, 99, 77)
    opened.save_lossless(box, tmp_path / "out.webp")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.webp")), np.asarray(image.crop(box)))


def test_a_truncated_jpeg_and_a_missing_library_fail(photo, tmp_path, backend, monkeypatch):
    """No gray rest, and a sentence that says what to install."""
    data = photo.read_bytes()
    opened = open_photo(photo)
    with pytest.raises(ValueError, match=r"\w"):
        lossless.crop_jpeg(data[: len(data) // 2], (0, 0, 64, 64), progressive=False)
    monkeypatch.setitem(sys.modules, "turbojpeg", None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PhotoError, match=r"autocrop-photo\[lossless\]"):
        opened.save_lossless((0, 0, 64, 64), tmp_path / "out.jpg")


def test_gray_jpegs_have_a_grid_of_8(photo):
    """Blocks of a single component are stored one by one."""
    content = io.BytesIO()
    Image.open(photo).convert("L").save(content, "JPEG")
    assert lossless.grid_of(Image.open(content)) == (8, 8)
