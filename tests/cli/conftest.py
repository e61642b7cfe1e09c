"""Fixtures of the command's tests."""

from __future__ import annotations

import pytest
from PIL import Image


@pytest.fixture
def album(photo):
    """A folder with six photos, three of them in a subfolder, and their captions."""
    folder = photo.parent / "album"
    (folder / "sub").mkdir(parents=True)
    with Image.open(photo) as image:
        for number in range(6):
            path = folder / ("sub" if number % 2 else ".") / f"p{number}.jpg"
            image.crop((number * 5, 0, number * 5 + 500, 400)).save(path)
            path.with_suffix(".txt").write_text(f"photo {number}")
    return folder
