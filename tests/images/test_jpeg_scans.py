"""JPEGs that are complete, and JPEGs that are not, whatever follows the picture in the file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.images import open_photo
from autocrop.images.attachments import FILM
from autocrop.images.opening import MISSING_MARKER_NOTE

ENCODINGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restart": {"restart_marker_blocks": 4},
    "gray": {"mode": "L"},
    "gray-progressive": {"mode": "L", "progressive": True},
    "black": {"black": True},
}
TRAILERS = {
    "zeros": bytes(5000),
    "film and zeros": b"\0\0\0\x18ftypmp42" + b"\xff\xda\x00\x08" * 50 + bytes(4096),
    "scan marker": b"\xff\xda" + bytes(300),
    "picture that is cut": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xda\0\x0c" + bytes(80),
}


def encoded(mode="RGB", black=False, **options):
    pixels = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    if black:
        pixels[48:] = 0  # compressed data that consists of few bits
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_data_after_the_picture_does_not_matter(tmp_path, encoding, trailer):
    """Motion photos and files of old cameras are read. The only note is about the video."""
    data = encoded(**ENCODINGS[encoding])
    (tmp_path / "in.jpg").write_bytes(data + TRAILERS[trailer])
    photo = open_photo(tmp_path / "in.jpg")
    assert photo.notes == ([FILM] if trailer.startswith("film") else [])
    assert np.array_equal(np.asarray(photo.pixels), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_complete_pictures_without_an_end_marker_are_read_with_a_note(tmp_path, encoding, missing):
    """All pixels are there, so the photo is cropped."""
    data = encoded(**ENCODINGS[encoding])
    (tmp_path / "in.jpg").write_bytes(data[:-missing])
    photo = open_photo(tmp_path / "in.jpg")
    assert photo.notes == [MISSING_MARKER_NOTE]
    assert np.array_equal(np.asarray(photo.pixels), np.asarray(Image.open(io.BytesIO(data))))
    photo.preview()
    pytest.importorskip("turbojpeg")
    photo.save_lossless((16, 16, 80, 80), tmp_path / "out.jpg")
    assert Image.open(tmp_path / "out.jpg").size == (64, 64)


@pytest.mark.parametrize("zeros", [0, 100, 9000])
@pytest.mark.parametrize("missing", [5, 12, 100, 2000])
@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name != "black"])
def test_truncated_scans_are_refused(tmp_path, encoding, missing, zeros):
    """A picture with missing bytes never becomes half gray."""
    (tmp_path / "in.jpg").write_bytes(encoded(**ENCODINGS[encoding])[:-missing] + bytes(zeros))
    with pytest.raises(PhotoError, match="its end is missing"):
        open_photo(tmp_path / "in.jpg")


def test_missing_progressive_scans_are_refused(tmp_path):
    """A file that is cut between two scans lacks details, although every scan in it is complete."""
    data = encoded(progressive=True)
    (tmp_path / "in.jpg").write_bytes(data[: data.rindex(b"\xff\xda")])
    with pytest.raises(PhotoError, match="its end is missing"):
        open_photo(tmp_path / "in.jpg")


def test_films_behind_progressive_pictures_do_not_count_as_scans(tmp_path):
    """A video of many megabytes contains the bytes of scan markers by chance."""
    (tmp_path / "in.jpg").write_bytes(encoded(progressive=True) + b"\xff\xda\x17\x99" * 2000)
    assert open_photo(tmp_path / "in.jpg").notes == []
