"""Crops: cut out of their photo, and saved."""

import pytest

from autocrop.errors import AutocropError, UsageError
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
