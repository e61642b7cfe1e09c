"""PPM and PGM files with 16 bits per channel."""

from __future__ import annotations

import numpy as np
import pytest

from autocrop.errors import PhotoError
from autocrop.images import open_photo
from tests.helpers.files import read_sixteen_bit


def netpbm(array, peak):
    kind = b"P5" if array.ndim == 2 else b"P6"
    return b"%s\n# a comment\n%d %d\n%d\n" % (kind, *array.shape[1::-1], peak) + array.astype(">u2").tobytes()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("peak", [65535, 4095, 1000])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_kept(tmp_path, channels, peak, suffix):
    """White stays white, and nothing is reduced to 8 bits."""
    array = np.random.default_rng(0).integers(0, peak + 1, (40, 50, channels)[: 2 + (channels > 1)])
    (tmp_path / "in.ppm").write_bytes(netpbm(array, peak))
    photo = open_photo(tmp_path / "in.ppm")
    assert photo.notes == []
    assert abs(photo.preview().mean() - array.mean() * 255 / peak) < 1
    photo.save(photo.crop((5, 3, 45, 38)), tmp_path / f"out{suffix}")
    written = read_sixteen_bit(tmp_path / f"out{suffix}")
    assert written.dtype == np.uint16
    assert np.abs(written - array[3:38, 5:45] * (65535 / peak)).max() <= 1


def test_cut_files_are_refused(tmp_path):
    """A PPM that ends too early is not read."""
    (tmp_path / "in.ppm").write_bytes(netpbm(np.full((40, 50, 3), 999), 65535)[:-20])
    with pytest.raises(PhotoError, match="its end is missing"):
        open_photo(tmp_path / "in.ppm").preview()
