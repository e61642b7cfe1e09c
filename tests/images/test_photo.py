"""Photos from files and from memory."""

from __future__ import annotations

import os

import numpy as np
import pytest

from autocrop.errors import PhotoError
from autocrop.images import open_photo, photo_from_memory


def test_the_modification_time_is_kept(photo, tmp_path):
    """Photo libraries sort by it."""
    os.utime(photo, (1_000_000_000, 1_000_000_000))
    opened = open_photo(photo)
    opened.save(opened.pixels, tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").stat().st_mtime == 1_000_000_000


def test_tiny_photos_are_refused():
    """31 pixels are too few for a composition."""
    with pytest.raises(PhotoError, match="too small"):
        photo_from_memory(np.zeros((31, 100, 3), np.uint8))


@pytest.mark.parametrize("array", [np.zeros((64, 64)), np.zeros((64, 64, 4), np.uint8), np.zeros((64, 64, 3))])
def test_arrays_must_be_rgb(array):
    """Other shapes and types are refused rather than guessed at."""
    with pytest.raises(PhotoError, match="uint8"):
        photo_from_memory(array)
