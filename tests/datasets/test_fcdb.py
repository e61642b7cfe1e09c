import json

import numpy as np
import pytest

from autocrop.datasets import DatasetError, load
from autocrop.datasets.fcdb import validation_names


def test_splits_and_boxes(tiny_fcdb):
    """Train and val share no photo; boxes are normalized by their photo's size; photos that are gone are left out."""
    training, validation = load(f"fcdb:{tiny_fcdb}", "train"), load(f"fcdb:{tiny_fcdb}", "val")
    assert (len(training), len(validation)) == (4, 2)
    assert not {s.name for s in training} & {s.name for s in validation}
    first = training[0]
    assert (first.width, first.height) == (64, 96)
    assert first.boxes == pytest.approx(np.array([[8 / 64, 4 / 96, 48 / 64, 52 / 96]]))


def test_votes(tiny_fcdb):
    """Each pair is (x, y, w, h) twice with the votes for both."""
    votes = load(f"fcdb:{tiny_fcdb}", "train")[1].votes
    assert votes.pairs.shape == (2, 2, 4)
    assert votes.pairs[0, 1] == pytest.approx([16 / 96, 16 / 64, 64 / 96, 64 / 64])
    assert votes.counts.tolist() == [[1, 4], [3, 2]]
    assert votes.margin.tolist() == [-3, 1]


def test_without_votes(tiny_fcdb):
    """The best crops alone are a data set, too."""
    (tiny_fcdb / "ranking_annotation.json").unlink()
    assert load(f"fcdb:{tiny_fcdb}", "train")[0].votes is None


def test_validation_split_is_listed_by_name():
    """200 different photos."""
    assert len(validation_names()) == 200


def test_the_test_split_has_its_own_list(tiny_fcdb):
    """Without it, a sentence names the file; with it, its photos are the split."""
    with pytest.raises(DatasetError, match=r"cropping_testing_set\.json is missing"):
        load(f"fcdb:{tiny_fcdb}", "test")
    rows = json.loads((tiny_fcdb / "cropping_training_set.json").read_text())
    (tiny_fcdb / "cropping_testing_set.json").write_text(json.dumps(rows[-3:]))
    assert len(load(f"fcdb:{tiny_fcdb}", "test")) == 2


@pytest.mark.parametrize("text", ["no json", "[]", '[{"crop": [1, 2, 3, 4]}]', "[1, 2]"])
def test_a_damaged_list_is_named(tiny_fcdb, text):
    """The message names the file and where to get it."""
    (tiny_fcdb / "cropping_training_set.json").write_text(text)
    with pytest.raises(DatasetError, match=r"cropping_training_set\.json is damaged.*github"):
        load(f"fcdb:{tiny_fcdb}", "train")


@pytest.mark.parametrize(
    ("file", "crop"),
    [("cropping_training_set.json", [70, 4, 40, 48]), ("ranking_annotation.json", [0, 96, 64, 10])],
)
def test_crops_outside_their_photo(tiny_fcdb, file, crop):
    """A best crop or a voted one of which the photo has nothing is an error that names list, photo and crop."""
    rows = json.loads((tiny_fcdb / file).read_text())
    if "crop" in rows[0]:
        rows[0]["crop"] = crop
    else:
        rows[0]["crops"][1]["crop_1"] = crop
    (tiny_fcdb / file).write_text(json.dumps(rows))
    with pytest.raises(DatasetError, match=rf"{file}.* is damaged at 0_train_b.jpg .*{crop[0]}, {crop[1]}.* outside"):
        load(f"fcdb:{tiny_fcdb}", "train")


def test_missing_photos_are_named(tiny_fcdb):
    """A list without its photos is no data set."""
    for path in (tiny_fcdb / "images").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="None of the photos"):
        load(f"fcdb:{tiny_fcdb}", "train")


@pytest.mark.parametrize(
    ("spec", "split"), [("fcdb", "train"), ("none:x", "train"), ("fcdb:", "val"), ("fcdb:x", "all")]
)
def test_what_names_no_data_set(spec, split):
    """The message says what would."""
    with pytest.raises(DatasetError, match=r"fcdb:PATH|train, val, test"):
        load(spec, split)
