"""Segments of JPEGs and chunks of PNGs."""

from __future__ import annotations

import io
import zlib

import pytest
from PIL import Image

from autocrop.images import containers, open_photo


def encoded(file_format, **options):
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, file_format, **options)
    return file.getvalue()


def test_inserted_segments_replace_metadata():
    """A comment is replaced; JFIF and the tables stay, so the picture is the same."""
    before = encoded("JPEG", comment=b"old")
    after = containers.insert_segments(before, [(containers.COM, b"new")])
    segments, scan = containers.jpeg_segments(after)
    assert [body for marker, body in segments if marker == containers.COM] == [b"new"]
    assert after[scan:] == before[containers.jpeg_segments(before)[1] :]
    assert Image.open(io.BytesIO(after)).tobytes() == Image.open(io.BytesIO(before)).tobytes()


def test_inserted_chunks_are_read_back():
    """They come directly after the header."""
    data = containers.insert_chunks(encoded("PNG"), [(b"tEXt", b"Author\0Jo")])
    assert list(containers.png_chunks(data))[1] == (b"tEXt", b"Author\0Jo")
    assert Image.open(io.BytesIO(data)).text == {"Author": "Jo"}


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("animated", [True, False])
def test_lossless_webps_are_recognized(lossless, animated):
    """The first picture decides, also in an animation."""
    frames = {"save_all": True, "append_images": [Image.new("RGB", (16, 16), "blue")]} if animated else {}
    assert containers.webp_is_lossless(encoded("WEBP", lossless=lossless, **frames)) is lossless


@pytest.mark.parametrize("kind", ["zTXt", "iTXt"])
@pytest.mark.parametrize("first", [True, False])
def test_png_with_a_long_text_is_read(tmp_path, kind, first):
    """A compressed text of over a megabyte is no sign of damage, and is kept."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "PNG")
    body = b"Comment\0\0" if kind == "zTXt" else b"Comment\0\1\0\0\0"
    chunk = (kind.encode(), body + zlib.compress(b"all work and no play " * 60_000))
    data = containers.insert_chunks(file.getvalue(), [chunk])
    if not first:  # behind the pixels
        end = len(file.getvalue()) - 12
        data = data[:33] + file.getvalue()[33:end] + data[33 : len(data) - (len(file.getvalue()) - 33)] + data[-12:]
    (tmp_path / "in.png").write_bytes(data)
    photo = open_photo(tmp_path / "in.png")
    assert photo.preview().mean() == 85
    photo.save(photo.crop((0, 0, 40, 40)), tmp_path / "out.png")
    assert chunk in list(containers.png_chunks((tmp_path / "out.png").read_bytes()))
