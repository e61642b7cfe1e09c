"""Limits on the number of pixels."""

from __future__ import annotations

import pytest
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.images import open_photo
from autocrop.images.limits import pillow_limit


def test_max_pixels_replaces_pillows_limit(photo, monkeypatch):
    """The limit may be above or below Pillow's own, which stays unchanged for the rest of the process."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)  # Pillow refuses twice as many
    assert open_photo(photo, max_pixels=240_000).width == 600
    with pytest.raises(PhotoError, match="600x400 = 240,000 pixels, more than the limit of 239,999"):
        open_photo(photo, max_pixels=239_999)
    assert open_photo(photo).crop((0, 0, 500, 400)).size == (500, 400)
    assert Image.MAX_IMAGE_PIXELS == 50_000


def test_pillows_limit_does_not_matter_after_opening(photo, tmp_path, monkeypatch):
    """A photo above Pillow's own limit can be cropped losslessly, and its frames can be counted."""
    frames = [Image.effect_noise((200, 100), sigma) for sigma in (40, 60)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)  # Pillow refuses twice as many
    assert open_photo(photo).grid == (8, 8)
    assert open_photo(tmp_path / "in.gif").notes == ["only the first of 2 frames is kept"]


def test_overlapping_limits_restore_pillows(monkeypatch):
    """The largest of the overlapping limits applies. Pillow's own is restored when the last of them ends."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    first, second = pillow_limit(70), pillow_limit(90)
    first.__enter__()
    second.__enter__()
    assert Image.MAX_IMAGE_PIXELS == 90
    second.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS == 70
    first.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS == 50_000
