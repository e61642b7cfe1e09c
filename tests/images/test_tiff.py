"""Directories of TIFF files."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autocrop.errors import PhotoError
from autocrop.images import open_photo, photo_from_bytes, tiff
from autocrop.images.metadata_reader import EXCESS_NOTE

VALUES = st.sampled_from(sorted(tiff.TYPE_SIZES)).flatmap(
    lambda kind: st.integers(1, 9).flatmap(
        lambda count: st.binary(min_size=count * tiff.TYPE_SIZES[kind], max_size=count * tiff.TYPE_SIZES[kind]).map(
            lambda content: tiff.Value(kind, content)
        )
    )
)
DIRECTORIES = st.dictionaries(st.integers(1, 0x7FFF), VALUES, min_size=1, max_size=6)


@given(DIRECTORIES, DIRECTORIES, st.sampled_from("<>"))
def test_directories_survive_a_round_trip(directory, details, order):
    """Every value is read back as it was written, in both byte orders, also in a subdirectory."""
    directory[tiff.EXIF_IFD] = tiff.Value(tiff.LONG, bytes(4), details)
    assert tiff.read(io.BytesIO(tiff.serialize_file(directory, order))) == (order, directory)


@given(DIRECTORIES, DIRECTORIES, st.sampled_from("<>"))
def test_updated_fields_replace_others(directory, fields, order):
    """Fields are added or replaced, and all others stay."""
    data = tiff.update_fields(tiff.serialize_file(directory, order), fields)
    assert tiff.read(io.BytesIO(data)) == (order, directory | fields)


@pytest.mark.parametrize("big", [False, True])
def test_directories_that_point_at_each_other_are_read_once(tmp_path, big):
    """A file whose EXIF pointers all lead to its own directories is read as fast as any other."""
    count, code, size = 3000, "Q" if big else "I", 20 if big else 12
    start = 16
    field = struct.pack("<HH" + code + code, tiff.EXIF_IFD, tiff.LONG, 1, start)
    table = struct.pack("<" + ("Q" if big else "H"), count) + field * count + struct.pack("<" + code, start)
    header = (
        struct.pack("<4sHHQ", b"II+\0", 8, 0, start) if big else struct.pack("<4sI", b"II*\0", start).ljust(16, b"\0")
    )
    assert len(field) == size
    started = time.perf_counter()
    assert tiff.read(io.BytesIO(header + table)) == ("<", {})
    assert len(list(tiff.DirectoryReader(io.BytesIO(header + table)).pages())) == 0
    (tmp_path / "in.tif").write_bytes(header + table)
    with pytest.raises(PhotoError):
        open_photo(tmp_path / "in.tif")
    assert time.perf_counter() - started < 1


def test_values_that_share_their_bytes_are_limited():
    """Thousands of fields that point at one long value do not multiply the memory of the file."""
    value_size, count = 1 << 20, 1000
    fields = b"".join(struct.pack("<HHII", 40000 + n, tiff.UNDEFINED, value_size, 8) for n in range(count))
    start = 8 + value_size
    data = struct.pack("<4sI", b"II*\0", start) + bytes(value_size) + struct.pack("<H", count) + fields + bytes(4)
    _, directory = tiff.read(io.BytesIO(data))
    assert 0 < sum(len(value.content) for value in directory.values()) <= tiff.MAX_READ_RATIO * len(data)


PIXELS = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 277: 1, 278: 64}
"""Fields of a gray picture with one strip."""


def crafted_tiff(fields, size, bits=8):
    """Return a gray picture of 64x64 pixels with further (tag, type, count, value) and *size* bytes in all."""
    pixels = [(tag, tiff.SHORT, 1, value) for tag, value in (PIXELS | {258: bits}).items()]
    end = 8 + 2 + 12 * (len(pixels) + 2 + len(fields)) + 4
    pixels += [(273, tiff.LONG, 1, end), (279, tiff.LONG, 1, 64 * 64 * bits // 8)]
    entries = sorted(pixels) + list(fields)
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return (b"II*\0\x08\0\0\0" + table + bytes(range(256)) * 16).ljust(size, b"\1")


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ([(40000 + n, tiff.BYTE, 1_000_000, 8) for n in range(3000)], 1_100_000),
        ([(tiff.EXIF_IFD, tiff.LONG, 1, 8)] * 2000, 30_000),
        ([(tiff.EXIF_IFD, tiff.LONG, 1, 8 + n) for n in range(2000)], 60_000),
        ([(40000, tiff.BYTE, 1 << 25, 8)] * 3000, 50_000),
    ],
    ids=["values overlap", "pointers to itself", "directories overlap", "values outside"],
)
def test_crafted_directories_take_little_time_and_memory(tmp_path, fields, size):
    """What exceeds the size of the file is left out, and the photo is cropped."""
    resource = pytest.importorskip("resource")  # not on Windows
    (tmp_path / "in.tif").write_bytes(crafted_tiff(fields, size))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    opened = open_photo(tmp_path / "in.tif")
    notes = opened.save(opened.crop((0, 0, 40, 40)), tmp_path / "out.tif")
    assert time.perf_counter() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB
    assert np.asarray(Image.open(tmp_path / "out.tif"))[0].tolist() == list(range(40))
    assert notes == [EXCESS_NOTE] or size != 1_100_000


@pytest.mark.parametrize("bits", [8, 16])
def test_excess_is_noted_once(bits):
    """Pillow decodes 8 bits, from a copy of the file, and our own decoder 16 bits. Both give the note once."""
    fields = [(40000 + n, tiff.BYTE, 1_000_000, 8) for n in range(10)]
    opened = photo_from_bytes(crafted_tiff(fields, 1_100_000, bits), "in.tif")
    assert [*opened.notes, *opened._decoder.metadata.notes] == [EXCESS_NOTE]
    assert tiff.read(io.BytesIO(opened._decoder.metadata.exif))[1].keys() == {40000, 40001}


@given(DIRECTORIES, DIRECTORIES, st.sampled_from("<>"))
def test_ordinary_directories_have_no_excess(directory, details, order):
    """They are read as they are, without a copy of the file."""
    directory[tiff.EXIF_IFD] = tiff.Value(tiff.LONG, bytes(4), details)
    file = io.BytesIO(tiff.serialize_file(directory, order))
    reader = tiff.DirectoryReader(file)
    assert (reader.order, reader.directory(reader.first)[0]) == (order, directory)
    assert not reader.is_exceeded
