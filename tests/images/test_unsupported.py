"""Files that autocrop does not read."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.images import open_photo


def jpeg_with(marker, precision=8, channels=3):
    """Return a JPEG whose frame header is changed."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG")
    data = bytearray(file.getvalue())
    position = data.index(b"\xff\xc0")
    data[position + 1], data[position + 4], data[position + 9] = marker, precision, channels
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (jpeg_with(0xC1, precision=12), "a JPEG with 12 bits per channel"),
        (jpeg_with(0xF7), "a JPEG-LS picture"),
        (jpeg_with(0xC0, channels=2), "a JPEG with 2 channels"),
        (b"\xff\x0a" + bytes(100), "a JPEG XL picture"),
        (b"8BPS\0\1" + bytes(100), "a Photoshop document"),
        (b"\0\0\0\x18ftypmp42" + bytes(100), "a video"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"%PDF-1.7" + bytes(100), "a PDF document"),
    ],
)
def test_recognized_files_are_named(tmp_path, content, kind):
    """The message says what the file is, rather than that it should be a JPEG."""
    (tmp_path / "in.jpg").write_bytes(content)
    with pytest.raises(PhotoError, match=f"is {kind}, which autocrop cannot read. Convert it"):
        open_photo(tmp_path / "in.jpg")
