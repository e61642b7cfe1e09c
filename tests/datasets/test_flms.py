import json
import sys

import numpy as np
import pytest

from autocrop.datasets import DatasetError, default_split, load
from tests.helpers.datasets import FLMS_CROPS, write_flms


@pytest.mark.parametrize("fields", [("filename", "bbox"), ("name", "gt")])
def test_flms_reads_the_matlab_file(tmp_path, fields):
    """Fields are found by name or position, y is before x, and padding and crops beyond the photo are dropped."""
    write_flms(tmp_path, fields)
    first, second = load(f"flms:{tmp_path}", "test")
    assert first.boxes == pytest.approx(np.array(FLMS_CROPS["first.jpg"][:2]) / (96, 64, 96, 64))
    assert second.boxes == pytest.approx(np.array(FLMS_CROPS["second.jpg"][:1]) / (96, 64, 96, 64))
    assert first.scores is None


@pytest.mark.parametrize("name", ["flms.json", "image_crop.json"])
def test_flms_reads_converted_annotations(tmp_path, name):
    """The JSON file contains the same crops as the MATLAB file."""
    write_flms(tmp_path)
    expected = [sample.boxes for sample in load(f"flms:{tmp_path}", "test")]
    (tmp_path / "500_image_dataset.mat").unlink()
    (tmp_path / name).write_text(json.dumps(FLMS_CROPS))
    for sample, boxes in zip(load(f"flms:{tmp_path}", "test"), expected, strict=True):
        assert sample.boxes.tolist() == boxes.tolist()


def test_flms_without_scipy_names_the_extra(tmp_path, monkeypatch):
    """The error says how to install scipy, and that converting the file avoids it."""
    write_flms(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DatasetError, match=r"requires scipy.*autocrop-photo\[torch\].*flms\.json"):
        load(f"flms:{tmp_path}", "test")


def test_flms_has_a_test_split_only(tmp_path):
    """Other splits are rejected, and test is the default split for evaluation."""
    write_flms(tmp_path)
    with pytest.raises(DatasetError, match="only has a test split"):
        load(f"flms:{tmp_path}", "val")
    assert (default_split("flms:x"), default_split("fcdb:x")) == ("test", "val")


def test_flms_counts_missing_photos(tmp_path):
    """A missing photo is listed as missing; if all are missing, the error says so."""
    write_flms(tmp_path)
    (tmp_path / "image" / "first.jpg").unlink()
    split = load(f"flms:{tmp_path}", "test")
    assert (len(split), split.listed, split.missing) == (1, 2, ["first.jpg"])
    (tmp_path / "image" / "second.jpg").unlink()
    with pytest.raises(DatasetError, match=r"No FLMS photos were found in .*image\. .*http"):
        load(f"flms:{tmp_path}", "test")


def test_flms_names_missing_or_damaged_annotations(tmp_path):
    """The error names the expected files, or the one that is damaged."""
    with pytest.raises(DatasetError, match=r"500_image_dataset\.mat or flms\.json.*http"):
        load(f"flms:{tmp_path}", "test")
    (tmp_path / "500_image_dataset.mat").write_bytes(b"MATLAB 5.0 or not")
    with pytest.raises(DatasetError, match=r"500_image_dataset\.mat is damaged.*http"):
        load(f"flms:{tmp_path}", "test")
    (tmp_path / "flms.json").write_text(json.dumps({"a.jpg": [1, 2, 3, 4]}))
    with pytest.raises(DatasetError, match=r"flms\.json is damaged.*http"):
        load(f"flms:{tmp_path}", "test")
