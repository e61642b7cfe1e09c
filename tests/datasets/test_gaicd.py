import json

import numpy as np
import pytest

from autocrop.datasets import DatasetError, load
from tests.helpers.datasets import gaicd_rows, write_gaicd, write_gaicd_json, write_photo


@pytest.mark.parametrize("nested", [False, True])
def test_gaicd_reads_text_files(tmp_path, nested):
    """Text rows have y before x and raw scores; crops of score -2 and tokens after the score are ignored."""
    write_gaicd(tmp_path, {"train": 3, "val": 1, "test": 2}, nested)
    split = load(f"gaicd:{tmp_path}", "test")
    assert [sample.name for sample in split] == ["test0.jpg", "test1.jpg"]
    rows = np.array([row for row in gaicd_rows(0) if row[4] != -2])
    assert len(rows) < len(gaicd_rows(0))
    assert split[0].boxes == pytest.approx(rows[:, :4] / (96, 64, 96, 64))
    assert split[0].scores == pytest.approx(rows[:, 4])
    assert (split[0].scale.good, split[0].scale.gap) == (4.0, 0.9)
    assert split.listed == 2


def test_gaicd_version_2_has_a_validation_split(tmp_path):
    """If the data set has a validation split, that split is used and all training photos remain."""
    write_gaicd(tmp_path, {"train": 12, "val": 2, "test": 1}, nested=True)
    assert [sample.name for sample in load(f"gaicd:{tmp_path}", "val")] == ["val0.jpg", "val1.jpg"]
    assert len(load(f"gaicd:{tmp_path}", "train")) == 12


def test_gaicd_version_1_holds_out_training_photos(tmp_path):
    """Without a validation split, a tenth of the training photos is held out, and removing a photo adds no others."""
    names = write_gaicd(tmp_path, {"train": 30, "test": 1}, nested=False)
    training, validation = load(f"gaicd:{tmp_path}", "train"), load(f"gaicd:{tmp_path}", "val")
    held_out = {sample.name for sample in validation}
    assert (len(training), len(held_out)) == (27, 3)
    assert {sample.name for sample in training} | held_out | {"test0.jpg"} == set(names)
    removed = next(iter({sample.name for sample in training}))
    (tmp_path / "images" / "train" / removed).unlink()
    (tmp_path / "annotations" / removed.replace("jpg", "txt")).unlink()
    assert {sample.name for sample in load(f"gaicd:{tmp_path}", "val")} <= held_out


def test_gaicd_version_1_holds_out_36_listed_photos(tmp_path):
    """As in the papers, 36 photos are held out, chosen from the list rather than from the available photos."""
    write_gaicd_json(tmp_path, 1036, 1)
    for number in range(0, 1036, 9):
        write_photo(tmp_path / "images" / f"{number}.jpg")
    validation, training = load(f"gaicd:{tmp_path}", "val"), load(f"gaicd:{tmp_path}", "train")
    assert (validation.listed, training.listed) == (36, 1000)
    assert len(validation) + len(training) == 116
    assert 0 < len(validation) < 36


def test_gaicd_reads_json(tmp_path):
    """The JSON table has x before y, and photos may be in ``images/`` or in the split's folder."""
    write_gaicd_json(tmp_path, 2, 2)
    write_photo(tmp_path / "images" / "t0.jpg")
    write_photo(tmp_path / "images" / "test" / "t1.jpg", 192, 128)
    split = load(f"gaicd:{tmp_path}", "test")
    rows = np.array([row for row in gaicd_rows(2) if row[4] != -2])
    assert split[0].boxes == pytest.approx(rows[:, :4] / (96, 64, 96, 64))
    assert split[1].width == 192


def test_gaicd_counts_missing_and_damaged_photos(tmp_path):
    """Photos that are missing, damaged or not annotated are left out and listed by name."""
    write_gaicd(tmp_path, {"train": 1, "test": 4}, nested=True)
    (tmp_path / "images" / "test" / "test0.jpg").unlink()
    (tmp_path / "images" / "test" / "test1.jpg").write_bytes(b"no photo")
    (tmp_path / "annotations" / "test" / "test2.txt").unlink()
    split = load(f"gaicd:{tmp_path}", "test")
    assert [sample.name for sample in split] == ["test3.jpg"]
    assert sorted(split.missing) == ["test0.jpg", "test1.jpg", "test2.jpg"]
    assert split.listed == 4


def test_gaicd_explains_missing_photos(tmp_path):
    """If no photo exists, the error says where photos are expected and how to link them."""
    write_gaicd_json(tmp_path, 20, 2)
    with pytest.raises(DatasetError, match=r"None of the 2 photos.*images.*https://github.*link"):
        load(f"gaicd:{tmp_path}", "test")


def test_gaicd_explains_an_empty_folder(tmp_path):
    """The error for an empty folder names all expected files."""
    with pytest.raises(DatasetError, match=r"train split was not found in.*original_data_split\.json.*https"):
        load(f"gaicd:{tmp_path}", "val")


@pytest.mark.parametrize("text", ["1 2 3", "a b c d e", "5 5 5 5 3"])
def test_gaicd_names_a_damaged_text_file(tmp_path, text):
    """Too few numbers, no numbers, or nothing but an empty crop is an error that names the file."""
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
def test_gaicd_names_a_damaged_json_file(tmp_path, name, text):
    """The error names the damaged file and where to download it."""
    write_gaicd_json(tmp_path, 2, 1)
    write_photo(tmp_path / "images" / "t0.jpg")
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=rf"{name} is damaged.*https"):
        load(f"gaicd:{tmp_path}", "test")
