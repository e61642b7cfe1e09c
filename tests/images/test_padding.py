"""Padding and circles, on pictures and in the search."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from autocrop.engines import Features
from autocrop.errors import UsageError
from autocrop.images.padding import Fit, Padding, circular, padded
from autocrop.images.pixels import mode_of, size_of
from autocrop.search.crop import Crop
from autocrop.search.subjects import Subjects
from tests.helpers.engines import CenteredEngine
from tests.helpers.search import find_crops

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]
SIDES = Padding(3, 10, 4, 20)


def picture(mode, size=(40, 30)):
    """Return a picture of many colors."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray((x * 900 + y * 100).astype(kind))
    rgb = np.stack([x * 6, y * 8, 255 - x * 3], axis=2).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


@pytest.mark.parametrize("fill", ["pad", "blur"])
@pytest.mark.parametrize("mode", [*MODES, "16-bit L", "16-bit RGB", "16-bit RGBA"])
def test_padding_keeps_the_picture(mode, fill):
    """In every mode and bit depth, the canvas has the requested size and contains the picture, pixel for pixel."""
    if mode.startswith("16-bit"):
        shape = (30, 40, *{"16-bit L": (), "16-bit RGB": (3,), "16-bit RGBA": (4,)}[mode])
        before = np.random.default_rng(0).integers(0, 65536, shape, np.uint16)
    else:
        before = picture(mode)
    after = padded(before, Padding(3, 10, 4, 20, Fit(fill)))
    assert size_of(after) == (47, 60)
    expected = np.asarray(
        before.convert({"1": "L", "P": "RGB"}.get(mode, mode)) if isinstance(before, Image.Image) else before
    )
    assert (np.asarray(after)[10:40, 3:43] == expected).all()
    if mode not in ("1", "P") and not mode.startswith("16-bit"):
        assert after.mode == mode
    if mode.startswith("16-bit"):
        assert after.dtype == np.uint16


def test_padding_has_the_color_of_the_edges_by_default():
    """It is the mean of the edges that the padding touches."""
    two = Image.new("RGB", (40, 30), (200, 0, 0))
    two.paste((0, 0, 100), (0, 0, 40, 15))
    assert padded(two, Padding(0, 10, 0, 0)).getpixel((20, 0)) == (0, 0, 100)
    assert padded(two, Padding(0, 10, 0, 10)).getpixel((20, 0)) == (100, 0, 50)


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("RGB", "white", (255, 255, 255)),
        ("CMYK", "white", (0, 0, 0, 0)),
        ("I;16", "white", 65535),
        ("RGBA", "#20262b", (32, 38, 43, 255)),
    ],
)
def test_padding_has_any_css_color(mode, color, expected):
    """Names and codes work in every mode and bit depth."""
    assert padded(picture(mode), Padding(5, 0, 0, 0, Fit("pad", color))).getpixel((0, 0)) == expected


@pytest.mark.parametrize("color", ["purplish", "#12345"])
def test_unknown_colors_are_refused(color):
    with pytest.raises(UsageError, match=f"'{color}' is not a valid --pad-color"):
        Fit("pad", color)


def test_unknown_fills_are_refused():
    with pytest.raises(UsageError, match=r"Unknown --fit 'stretch'\. Use one of: pad, blur"):
        Fit("stretch")


def test_blurred_padding_continues_the_picture():
    """It has the picture's colors near where they are, and no hard edges."""
    sky = Image.new("RGB", (60, 40), (250, 250, 255))
    sky.paste((20, 60, 10), (0, 20, 60, 40))
    canvas = np.asarray(padded(sky, Padding(0, 40, 0, 40, Fit("blur")))).astype(int)
    assert canvas[2, 30].min() > 200
    assert canvas[-3, 30].max() < 100
    assert np.abs(np.diff(canvas[:40], axis=0)).max() < 30


@pytest.mark.parametrize("mode", [*MODES, "16-bit L", "16-bit RGB", "16-bit RGBA"])
def test_circles_are_transparent_outside(mode):
    """The center is opaque, the corners are transparent, the opaque area is a circle's, and its edge is smooth."""
    shape = (64, 64, *{"16-bit RGB": (3,), "16-bit RGBA": (4,)}.get(mode, ()))
    square = np.full(shape, 65535, np.uint16) if mode.startswith("16-bit") else picture(mode, (64, 64))
    after = circular(square)
    assert mode_of(after) in ("LA", "RGBA")
    alpha = np.asarray(after)[..., -1] / (65535 if isinstance(after, np.ndarray) else 255)
    assert alpha[32, 32] == 1
    assert alpha[0, 0] == alpha[-1, 0] == alpha[0, -1] == alpha[-1, -1] == 0
    assert alpha.mean() == pytest.approx(np.pi / 4, abs=0.002)
    assert ((alpha > 0.1) & (alpha < 0.9)).sum() > 64
    if mode == "RGB":
        assert (np.asarray(after)[20:40, 20:40, :3] == np.asarray(square)[20:40, 20:40]).all()


def test_transparent_pixels_stay_transparent_in_circles():
    """A circle never shows more than the photo did."""
    hole = picture("RGBA", (64, 64))
    hole.putalpha(0)
    assert np.asarray(circular(hole))[..., 3].max() == 0


def find(faces, ratio, keep=(), size=(1500, 1000), fit="pad"):
    """Return the first crop, which may be padded."""
    subjects = Subjects(size, np.array(faces, np.float32).reshape(-1, 4) / (*size, *size), keep)
    features = Features(None, size[0] / size[1])
    return find_crops(CenteredEngine(), features, size, ratio, subjects=subjects, fit=Fit(fit))[0]


def test_padded_crops_contain_everybody():
    """A group too wide for the ratio is not cut. The ratio is exact, and the photo's whole height is used."""
    faces = [[60 + 160 * k, 400, 150 + 160 * k, 510] for k in range(9)]
    crop = find(faces, (9, 16))
    assert crop.padding is not None
    assert crop.width * 16 == crop.height * 9
    assert (crop.box[1], crop.box[3]) == (0, 1000)
    assert crop.box[0] <= 60
    assert crop.box[2] >= 150 + 160 * 8
    assert abs(crop.padding.top - crop.padding.bottom) <= 1
    assert "padded" in crop.notes[0]
    cut = crop.apply(Image.new("RGB", (1500, 1000), (7, 8, 9)))
    assert cut.size == (crop.width, crop.height)


def test_crops_are_padded_only_if_needed():
    """Nothing is padded if a crop of the ratio shows everybody."""
    assert find([[600, 300, 800, 560]], (9, 16)).padding is None
    assert find([], (9, 16)).padding is None


def test_padded_crops_contain_the_regions_to_keep():
    """Regions to keep may be too wide for the ratio. A face at the edge of the crop is not cut."""
    crop = find([[1180, 100, 1230, 170], [400, 300, 600, 560]], (9, 16), keep=[(100, 100, 1200, 900)])
    assert crop.box[0] <= 100
    assert crop.box[2] >= 1230
    assert crop.width * 16 == crop.height * 9


def test_circles_need_the_ratio_1_1(photo):
    """Other ratios are refused. The corners of the crop are transparent."""
    features = Features(None, 1.5)
    with pytest.raises(UsageError, match="1:1"):
        find_crops(CenteredEngine(), features, (600, 400), (4, 3), shape="circle")
    (crop,) = find_crops(CenteredEngine(), features, (600, 400), (1, 1), shape="circle")
    assert crop.apply(photo).mode == "RGBA"
    assert crop.to_dict()["shape"] == "circle"


def test_engines_score_circles_if_they_can():
    """An engine that supports the shape is given it; others score the square."""
    shapes_scored = []

    class Round(CenteredEngine):
        shapes = ("rectangle", "circle")

        def score(self, features, boxes, shape="rectangle"):
            shapes_scored.append(shape)
            return super().score(features, boxes)

    find_crops(Round(), Features(None, 1.5), (600, 400), (1, 1), shape="circle")
    assert set(shapes_scored) == {"circle"}
    shapes_scored.clear()
    find_crops(Round(), Features(None, 1.5), (600, 400), (1, 1))
    assert set(shapes_scored) == {"rectangle"}
    assert Crop((0, 0, 8, 8), 1, (1, 1), 1, (600, 400), padding=SIDES).width == 15
