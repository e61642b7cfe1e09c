"""Crops: cut out of their photo, and saved."""

import json

import pytest

from autocrop.errors import AutocropError, UsageError
from autocrop.images.padding import Fit, Padding
from autocrop.search.crop import Crop


def test_apply_rejects_a_photo_of_another_size(photo):
    """A crop is only cut out of a photo that has the size of its own."""
    with pytest.raises(AutocropError, match="1500x1000"):
        Crop((100, 100, 500, 300), 1.0, None, 1.0, (1500, 1000)).apply(photo)
    crop = Crop((100, 100, 500, 300), 1.0, None, 1.0, (600, 400))
    assert crop.apply(photo).size == (crop.width, crop.height)


def test_save_never_overwrites_the_photo(photo):
    """A photo is not overwritten, however its path is written."""
    before = photo.read_bytes()
    crop = Crop((0, 0, 100, 100), 1.0, None, 1.0, (600, 400))
    with pytest.raises(UsageError, match="is the photo itself"):
        crop.save(photo, photo.parent / "." / photo.name)
    assert photo.read_bytes() == before
    crop.save(photo, photo.parent / "other.jpg")
    assert (photo.parent / "other.jpg").exists()


def test_save_accepts_contents_of_files(photo, tmp_path):
    """Bytes and a binary file give the bytes that the path gives."""
    crop = Crop((0, 0, 100, 100), 1.0, None, 1.0, (600, 400))
    crop.save(photo, tmp_path / "path.jpg")
    crop.save(photo.read_bytes(), tmp_path / "bytes.jpg")
    with photo.open("rb") as file:
        crop.save(file, tmp_path / "file.jpg")
    assert (tmp_path / "path.jpg").read_bytes() == (tmp_path / "bytes.jpg").read_bytes()
    assert (tmp_path / "path.jpg").read_bytes() == (tmp_path / "file.jpg").read_bytes()


@pytest.mark.parametrize(
    "crop",
    [
        Crop((0, 96, 1200, 996), 3.25, (4, 3), 2.5, (1200, 1600)),
        Crop((0, 0, 30, 40), -0.5, None, 0.0, (30, 40)),
        Crop((1, 2, 101, 102), 1.0, (1, 1), 0.5, (600, 400), shape="circle"),
        Crop((0, 0, 90, 40), 1.0, (1, 1), 0.5, (90, 40), padding=Padding(0, 25, 0, 25, Fit("pad", "white"))),
        Crop((0, 0, 90, 40), 1.0, (1, 1), 0.5, (90, 40), padding=Padding(0, 25, 0, 25, Fit("blur"))),
    ],
)
def test_from_dict_reverses_to_dict(crop):
    """A crop survives its way through JSON, also among other keys."""
    row = json.loads(json.dumps(crop.to_dict()))
    assert Crop.from_dict(row) == crop
    assert Crop.from_dict(row | {"path": "photo.jpg", "status": "cropped"}) == crop


@pytest.mark.parametrize(
    "changes",
    [
        {"box": None},
        {"box": [0, 0, 10]},
        {"box": [10, 0, 10, 10]},
        {"score": "high"},
        {"ratio": "wide"},
        {"photo": [1]},
        {"shape": "star"},
        {"padding": [1, 2, 3, -4]},
        {"padding": [1, 2, 3, 4], "fit": "stretch"},
    ],
)
def test_from_dict_rejects_malformed_rows(changes):
    """Malformed and missing values raise the library's error."""
    row = Crop((0, 0, 90, 40), 1.0, (1, 1), 0.5, (90, 40)).to_dict()
    with pytest.raises(UsageError):
        Crop.from_dict(row | changes)
    for key in ("box", "score", "ratio", "score_full"):
        with pytest.raises(UsageError, match=key):
            Crop.from_dict({name: value for name, value in row.items() if name != key})
    with pytest.raises(UsageError):
        Crop.from_dict([1, 2])
