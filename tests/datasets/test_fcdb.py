import json

import numpy as np
import pytest

from autocrop.datasets import DatasetError, load
from autocrop.datasets.fcdb import validation_names


def test_fcdb_splits_are_disjoint_and_boxes_normalized(tiny_fcdb):
    """Train and val share no photo, missing photos are left out, and boxes are relative to the photo's size."""
    training, validation = load(f"fcdb:{tiny_fcdb}", "train"), load(f"fcdb:{tiny_fcdb}", "val")
    assert (len(training), len(validation)) == (4, 2)
    assert not {s.name for s in training} & {s.name for s in validation}
    first = training[0]
    assert (first.width, first.height) == (64, 96)
    assert first.boxes == pytest.approx(np.array([[8 / 64, 4 / 96, 48 / 64, 52 / 96]]))


def test_fcdb_reads_votes(tiny_fcdb):
    """Each pair has two normalized crops and the number of votes for each."""
    votes = load(f"fcdb:{tiny_fcdb}", "train")[1].votes
    assert votes.pairs.shape == (2, 2, 4)
    assert votes.pairs[0, 1] == pytest.approx([16 / 96, 16 / 64, 64 / 96, 64 / 64])
    assert votes.counts.tolist() == [[1, 4], [3, 2]]
    assert votes.margin.tolist() == [-3, 1]


def test_fcdb_votes_are_optional(tiny_fcdb):
    """Without the file of the votes, samples have none."""
    (tiny_fcdb / "ranking_annotation.json").unlink()
    assert load(f"fcdb:{tiny_fcdb}", "train")[0].votes is None


def test_fcdb_validation_split_has_200_photos():
    """The list of the validation split has 200 distinct names."""
    assert len(validation_names()) == 200


def test_fcdb_test_split_has_its_own_list(tiny_fcdb):
    """The test split consists of the photos of its list, and the error for a missing list names the file."""
    with pytest.raises(DatasetError, match=r"cropping_testing_set\.json is missing"):
        load(f"fcdb:{tiny_fcdb}", "test")
    rows = json.loads((tiny_fcdb / "cropping_training_set.json").read_text())
    (tiny_fcdb / "cropping_testing_set.json").write_text(json.dumps(rows[-3:]))
    assert len(load(f"fcdb:{tiny_fcdb}", "test")) == 2


@pytest.mark.parametrize("text", ["no json", "[]", '[{"crop": [1, 2, 3, 4]}]', "[1, 2]"])
def test_fcdb_names_a_damaged_list(tiny_fcdb, text):
    """The error names the damaged file and where to download it."""
    (tiny_fcdb / "cropping_training_set.json").write_text(text)
    with pytest.raises(DatasetError, match=r"cropping_training_set\.json is damaged.*github"):
        load(f"fcdb:{tiny_fcdb}", "train")


@pytest.mark.parametrize(
    ("file", "crop"),
    [("cropping_training_set.json", [70, 4, 40, 48]), ("ranking_annotation.json", [0, 96, 64, 10])],
)
def test_fcdb_rejects_crops_outside_their_photo(tiny_fcdb, file, crop):
    """A crop outside its photo is an error that names the list, the photo and the crop."""
    rows = json.loads((tiny_fcdb / file).read_text())
    if "crop" in rows[0]:
        rows[0]["crop"] = crop
    else:
        rows[0]["crops"][1]["crop_1"] = crop
    (tiny_fcdb / file).write_text(json.dumps(rows))
    with pytest.raises(DatasetError, match=rf"{file}.* is damaged at 0_train_b.jpg .*{crop[0]}, {crop[1]}.* outside"):
        load(f"fcdb:{tiny_fcdb}", "train")


def test_fcdb_explains_missing_photos(tiny_fcdb):
    """If none of the listed photos exists, the error says so."""
    for path in (tiny_fcdb / "images").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="None of the photos"):
        load(f"fcdb:{tiny_fcdb}", "train")
