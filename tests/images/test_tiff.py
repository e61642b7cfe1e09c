"""Directories of TIFF files."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from autocrop.images import tiff

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
