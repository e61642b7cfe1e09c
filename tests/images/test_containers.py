"""Segments of JPEGs and chunks of PNGs."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from autocrop.images import containers


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
