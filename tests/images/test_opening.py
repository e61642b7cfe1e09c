"""Opening files, including damaged, hostile and unsupported ones."""

from __future__ import annotations

import io
import random
import re
import struct
import sys
import tracemalloc
import zlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from autocrop.errors import AutocropError, PhotoError
from autocrop.images import open_photo, photo_from_bytes, tiff
from tests.helpers.files import PROFILE, sixteen_bit_picture, stored, write_dng, write_sixteen_bit


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.jpg", b"This is a text file.", "is not a photo"),
        ("empty.jpg", b"", "is empty"),
        ("missing.jpg", None, "does not exist"),
        ("IMG_*.jpg", None, "matches no file"),
    ],
)
def test_files_that_are_not_photos_are_named(tmp_path, name, content, message):
    """The message contains the file's name."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PhotoError, match=f"{re.escape(name)} {message}"):
        open_photo(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("IMG_1.HEIC", "pillow_heif", "heif"), ("IMG_1.NEF", "rawpy", "raw")]
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, name, module, extra):
    """The message contains the command that installs the extra."""
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(range(200)))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PhotoError, match=rf"{name} is a .* photo. .*pip install 'autocrop-photo\[{extra}\]'"):
        open_photo(tmp_path / name)


def bombs():
    """Return small files that claim to be huge pictures, by name."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 16, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    png += struct.pack(">I", 9) + b"IDAT" + zlib.compress(b"\0")[:9] + bytes(4)
    huge = {256: 60_000, 257: 60_000, 259: 1, 262: 2, 273: 8, 277: 3, 278: 60_000, 279: 9}
    fields = {tag: tiff.Value(tiff.LONG, struct.pack("<I", value)) for tag, value in huge.items()}
    sixteen_bit = tiff.serialize_file({**fields, 258: tiff.shorts(16, 16, 16)}, "<")
    raw = tiff.serialize_file({**fields, 258: tiff.shorts(16)}, "<")
    jpeg = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x11\0\2\x11\0\3\x11\0\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0"
    gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0"
    return {"a.png": png, "a.tif": sixteen_bit, "a.jpg": jpeg, "b.dng": raw, "a.gif": gif}


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.gif", "b.dng"])
def test_decompression_bombs_are_refused_without_allocating_memory(tmp_path, name):
    """Every decoder refuses them with a message."""
    (tmp_path / name).write_bytes(bombs()[name])
    tracemalloc.start()
    with pytest.raises(PhotoError, match=name):
        open_photo(tmp_path / name).preview()
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_files_that_end_in_zeros_are_refused(photo, tmp_path, suffix):
    """Interrupted copies end in zeros; decoders would return a half-gray picture without an error."""
    Image.open(photo).save(tmp_path / f"in{suffix}")
    data = (tmp_path / f"in{suffix}").read_bytes()
    assert photo_from_bytes(data).preview().shape == (400, 600, 3)
    with pytest.raises(PhotoError, match="its end is missing"):
        photo_from_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2), f"in{suffix}")


def test_jpegs_with_thousands_of_scans_are_refused(photo):
    """A progressive JPEG could keep a decoder busy for hours. Scan markers after a complete picture are harmless."""
    data = io.BytesIO()
    Image.open(photo).resize((60, 40)).save(data, "JPEG", progressive=True)
    content, last_scan = data.getvalue(), data.getvalue().rfind(b"\xff\xda")
    assert photo_from_bytes(content[:-2] + content[last_scan:] * 9).width == 60
    with pytest.raises(PhotoError, match="more than 1000 scans"):
        photo_from_bytes(content[:-2] + content[last_scan:] * 1001)
    assert photo_from_bytes(photo.read_bytes() + b"\xff\xda" * 1001).preview().shape == (400, 600, 3)


def test_truncated_photos_are_named(photo):
    """Half a JPEG can be opened, and fails with a message when it is decoded."""
    photo.write_bytes(photo.read_bytes()[:20_000])
    with pytest.raises(PhotoError, match="damaged or cut short"):
        _ = open_photo(photo).pixels
    with pytest.raises(PhotoError, match="damaged or cut short"):
        open_photo(photo).preview()


@pytest.mark.parametrize("raised", [TypeError("bad operand"), ValueError("chunk too large"), SyntaxError("broken")])
def test_exceptions_of_codecs_become_photo_errors(photo, monkeypatch, raised):
    """Pillow raises all kinds of exceptions for damaged files."""

    def broken(*arguments, **options):
        raise raised

    monkeypatch.setattr(Image, "open", broken)
    with pytest.raises(PhotoError, match="is damaged or cut short"):
        open_photo(photo)


def mutate(data, kind, rng):
    """Return *data* damaged like files from faulty cards, networks, or manual edits; *kind* is 0 to 5."""
    content = bytearray(data)
    position = rng.randrange(len(content))
    match kind:
        case 0:
            return bytes(content[:position])
        case 1:
            for _ in range(rng.randrange(1, 100)):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 2:
            for _ in range(20):
                content[rng.randrange(min(2000, len(content)))] = rng.randrange(256)
        case 3:
            content[position : position + 5000] = bytes(len(content[position : position + 5000]))
        case 4:
            content[position:position] = rng.randbytes(100)
        case 5:
            return rng.randbytes(3000)
    return bytes(content)


def test_damaged_files_are_cropped_or_fail_with_a_message(photo, tmp_path):
    """No kind of damage crashes a decoder or raises another exception. The message is one line and names the file."""
    picture = Image.open(photo).resize((120, 90))
    _, exif = stored(picture, 6)
    write_sixteen_bit(tmp_path / "deep.tif", sixteen_bit_picture(photo, 3)[:90, :120], compression=5)
    write_sixteen_bit(tmp_path / "deep.png", sixteen_bit_picture(photo, 4)[:90, :120])
    for name in ("a.jpg", "a.png", "a.webp", "a.avif", "a.tif", "a.gif"):
        picture.save(tmp_path / name, **({} if name == "a.gif" else {"exif": exif, "icc_profile": PROFILE}))
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg")
    write_dng(tmp_path / "b.dng", 6)
    sources = sorted(path for path in tmp_path.iterdir() if path != photo)
    outcomes = Counter()

    @settings(max_examples=120, deadline=None, derandomize=True)
    @given(
        st.sampled_from(sources),
        st.integers(0, 5),
        st.sampled_from([None, None, ".jpg", ".nef"]),
        st.integers(0, 2**32).map(random.Random),
    )
    def check(source, kind, wrong_suffix, rng):
        name = f"photo{wrong_suffix or source.suffix}"
        output = tmp_path / f"out{source.suffix if source.suffix != '.dng' else '.png'}"
        try:
            opened = photo_from_bytes(mutate(source.read_bytes(), kind, rng), name, 10_000_000)
            opened.preview()
            opened.save(opened.crop((8, 8, 60, 50)), output)
            message = None
        except AutocropError as error:
            message = str(error)
        outcomes["cropped" if message is None else "failed"] += 1
        assert message is None or name in message
        assert message is None or "\n" not in message

    check()
    assert outcomes["cropped"] > 10
    assert outcomes["failed"] > 30
