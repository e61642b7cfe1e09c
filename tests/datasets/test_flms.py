import json
import sys

import numpy as np
import pytest

from autocrop.datasets import DatasetError, default_split, load
from tests.helpers.datasets import FLMS_CROPS, write_flms


@pytest.mark.parametrize("fields", [("filename", "bbox"), ("name", "gt")])
def test_matlab_boxes_are_row_first_and_filled_up(tmp_path, fields):
    """Fields go by name or by place; rows of -1 and crops that stick out are no crops."""
    write_flms(tmp_path, fields)
    first, second = load(f"flms:{tmp_path}", "test")
    assert first.boxes == pytest.approx(np.array(FLMS_CROPS["first.jpg"][:2]) / (96, 64, 96, 64))
    assert second.boxes == pytest.approx(np.array(FLMS_CROPS["second.jpg"][:1]) / (96, 64, 96, 64))
    assert first.scores is None


@pytest.mark.parametrize("name", ["flms.json", "image_crop.json"])
def test_converted(tmp_path, name):
    """The same photos from JSON, for which scipy is not needed."""
    write_flms(tmp_path)
    expected = [sample.boxes for sample in load(f"flms:{tmp_path}", "test")]
    (tmp_path / "500_image_dataset.mat").unlink()
    (tmp_path / name).write_text(json.dumps(FLMS_CROPS))
    for sample, boxes in zip(load(f"flms:{tmp_path}", "test"), expected, strict=True):
        assert sample.boxes.tolist() == boxes.tolist()


def test_without_scipy(tmp_path, monkeypatch):
    """A sentence names the extra."""
    write_flms(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DatasetError, match=r"needs scipy.*autocrop-photo\[torch\].*flms\.json"):
        load(f"flms:{tmp_path}", "test")


def test_only_for_testing(tmp_path):
    """Other splits are refused; eval takes test by itself."""
    write_flms(tmp_path)
    with pytest.raises(DatasetError, match="test split only"):
        load(f"flms:{tmp_path}", "val")
    assert (default_split("flms:x"), default_split("fcdb:x")) == ("test", "val")


def test_photos_that_are_gone_are_counted(tmp_path):
    """One of two, then both."""
    write_flms(tmp_path)
    (tmp_path / "image" / "first.jpg").unlink()
    split = load(f"flms:{tmp_path}", "test")
    assert (len(split), split.listed, split.missing) == (1, 2, ["first.jpg"])
    (tmp_path / "image" / "second.jpg").unlink()
    with pytest.raises(DatasetError, match=r"None of FLMS's photos is in .*image\. .*http"):
        load(f"flms:{tmp_path}", "test")


def test_missing_or_damaged_annotations_are_named(tmp_path):
    """What was looked for; which file is no MATLAB file; which no table of boxes."""
    with pytest.raises(DatasetError, match=r"500_image_dataset\.mat and flms\.json.*http"):
        load(f"flms:{tmp_path}", "test")
    (tmp_path / "500_image_dataset.mat").write_bytes(b"MATLAB 5.0 or not")
    with pytest.raises(DatasetError, match=r"500_image_dataset\.mat is damaged.*http"):
        load(f"flms:{tmp_path}", "test")
    (tmp_path / "flms.json").write_text(json.dumps({"a.jpg": [1, 2, 3, 4]}))
    with pytest.raises(DatasetError, match=r"flms\.json is damaged.*http"):
        load(f"flms:{tmp_path}", "test")
