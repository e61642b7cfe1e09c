import json

import numpy as np
import pytest

from autocrop.datasets import DatasetError, load
from tests.helpers.datasets import gaicd_rows, write_gaicd, write_gaicd_json, write_photo


@pytest.mark.parametrize("nested", [False, True])
def test_text_rows_are_row_first_and_raw(tmp_path, nested):
    """Y comes before x; crops of score -2 are left out; what follows the score is passed over."""
    write_gaicd(tmp_path, {"train": 3, "val": 1, "test": 2}, nested)
    split = load(f"gaicd:{tmp_path}", "test")
    assert [sample.name for sample in split] == ["test0.jpg", "test1.jpg"]
    rows = np.array([row for row in gaicd_rows(0) if row[4] != -2])
    assert len(rows) < len(gaicd_rows(0))
    assert split[0].boxes == pytest.approx(rows[:, :4] / (96, 64, 96, 64))
    assert split[0].scores == pytest.approx(rows[:, 4])
    assert (split[0].scale.good, split[0].scale.gap) == (4.0, 0.9)
    assert split.listed == 2


def test_version_2_has_its_own_validation_split(tmp_path):
    """Nothing is drawn where the authors made a split."""
    write_gaicd(tmp_path, {"train": 12, "val": 2, "test": 1}, nested=True)
    assert [sample.name for sample in load(f"gaicd:{tmp_path}", "val")] == ["val0.jpg", "val1.jpg"]
    assert len(load(f"gaicd:{tmp_path}", "train")) == 12


def test_version_1_draws_its_validation_photos(tmp_path):
    """A tenth of the training photos, the same every time, whatever else is gone, and not trained on."""
    names = write_gaicd(tmp_path, {"train": 30, "test": 1}, nested=False)
    training, validation = load(f"gaicd:{tmp_path}", "train"), load(f"gaicd:{tmp_path}", "val")
    drawn = {sample.name for sample in validation}
    assert (len(training), len(drawn)) == (27, 3)
    assert {sample.name for sample in training} | drawn | {"test0.jpg"} == set(names)
    gone = next(iter({sample.name for sample in training}))
    (tmp_path / "images" / "train" / gone).unlink()
    (tmp_path / "annotations" / gone.replace("jpg", "txt")).unlink()
    assert {sample.name for sample in load(f"gaicd:{tmp_path}", "val")} <= drawn


def test_version_1_holds_out_36(tmp_path):
    """As many as the papers; the lists decide, not the photos that happen to be there."""
    write_gaicd_json(tmp_path, 1036, 1)
    for number in range(0, 1036, 9):
        write_photo(tmp_path / "images" / f"{number}.jpg")
    validation, training = load(f"gaicd:{tmp_path}", "val"), load(f"gaicd:{tmp_path}", "train")
    assert (validation.listed, training.listed) == (36, 1000)
    assert len(validation) + len(training) == 116
    assert 0 < len(validation) < 36


def test_json_is_column_first(tmp_path):
    """The converted table has x before y; photos may lie in images/ or in the split's folder."""
    write_gaicd_json(tmp_path, 2, 2)
    write_photo(tmp_path / "images" / "t0.jpg")
    write_photo(tmp_path / "images" / "test" / "t1.jpg", 192, 128)
    split = load(f"gaicd:{tmp_path}", "test")
    rows = np.array([row for row in gaicd_rows(2) if row[4] != -2])
    assert split[0].boxes == pytest.approx(rows[:, :4] / (96, 64, 96, 64))
    assert split[1].width == 192


def test_photos_that_are_gone_or_broken_are_counted(tmp_path):
    """They are left out by name, and the rest is measured."""
    write_gaicd(tmp_path, {"train": 1, "test": 4}, nested=True)
    (tmp_path / "images" / "test" / "test0.jpg").unlink()
    (tmp_path / "images" / "test" / "test1.jpg").write_bytes(b"no photo")
    (tmp_path / "annotations" / "test" / "test2.txt").unlink()
    split = load(f"gaicd:{tmp_path}", "test")
    assert [sample.name for sample in split] == ["test3.jpg"]
    assert sorted(split.missing) == ["test0.jpg", "test1.jpg", "test2.jpg"]
    assert split.listed == 4


def test_annotations_without_photos_are_a_sentence(tmp_path):
    """It says where photos are looked for, and how to link them."""
    write_gaicd_json(tmp_path, 20, 2)
    with pytest.raises(DatasetError, match=r"lists 2 photos, and none.*images.*https://github.*linked"):
        load(f"gaicd:{tmp_path}", "test")


def test_nothing_is_a_sentence(tmp_path):
    """An empty folder: all that was looked for is named."""
    with pytest.raises(DatasetError, match=r"split 'train' is not in.*original_data_split\.json.*https"):
        load(f"gaicd:{tmp_path}", "val")


@pytest.mark.parametrize("text", ["1 2 3", "a b c d e", "5 5 5 5 3"])
def test_a_damaged_text_is_named(tmp_path, text):
    """Too few numbers, none, or a crop of no size alone."""
    write_gaicd(tmp_path, {"train": 1, "test": 1}, nested=True)
    (tmp_path / "annotations" / "test" / "test0.txt").write_text(text)
    with pytest.raises(DatasetError, match=r"test0\.txt is damaged.*https"):
        load(f"gaicd:{tmp_path}", "test")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("image_crop.json", "{"),
        ("image_crop.json", "[]"),
        ("image_crop.json", json.dumps({"t0.jpg": {"bbox": [[0, 0, 9, 9]], "score": [1, 2]}})),
        ("image_crop.json", json.dumps({"t0.jpg": {"bbox": [[0, 0, 9]], "score": [1]}})),
        ("image_crop.json", json.dumps({"t0.jpg": 3})),
        ("original_data_split.json", json.dumps({"train": []})),
        ("original_data_split.json", json.dumps({"train": [1], "test": "t0.jpg"})),
    ],
)
def test_a_damaged_json_is_named(tmp_path, name, text):
    """Whatever is wrong with it."""
    write_gaicd_json(tmp_path, 2, 1)
    write_photo(tmp_path / "images" / "t0.jpg")
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=rf"{name} is damaged.*https"):
        load(f"gaicd:{tmp_path}", "test")
