import json

import numpy as np
import pytest

from autocrop.datasets import DatasetError, load
from tests.helpers.datasets import CPC_CROPS, write_cpc


@pytest.fixture
def cpc(tmp_path):
    """Twenty annotated photos."""
    write_cpc(tmp_path / "CPCDataset", 20)
    return tmp_path


def test_scores_are_means_over_people(cpc):
    """The annotation is JSON inside a JSON string; the folder of the archive may be named or the one around it."""
    for root in (cpc, cpc / "CPCDataset"):
        sample = next(s for split in ("train", "val") for s in load(f"cpc:{root}", split) if s.name == "ava_3.jpg")
        assert sample.boxes == pytest.approx(np.clip(np.array(CPC_CROPS) / (96, 64, 96, 64), 0, 1))
        assert sample.scores == pytest.approx(np.random.default_rng(3).integers(0, 5, (6, 24)).mean(axis=0))
        assert (sample.scale.good, sample.scale.gap) == (2.0, 0.3)


def test_splits_are_drawn_from_the_annotated(cpc):
    """They share no photo, and a photo without annotation is in neither; one that is gone is counted."""
    (cpc / "CPCDataset" / "images" / "ava_0.jpg").unlink()
    training, validation = load(f"cpc:{cpc}", "train"), load(f"cpc:{cpc}", "val")
    assert (training.listed, validation.listed) == (18, 2)
    assert training.missing + validation.missing == ["ava_0.jpg"]
    assert not {s.name for s in training} & {s.name for s in validation}
    assert [s.name for s in load(f"cpc:{cpc}", "val")] == [s.name for s in validation]
    with pytest.raises(DatasetError, match="no test split"):
        load(f"cpc:{cpc}", "test")


@pytest.mark.parametrize(
    "table",
    ["no json", json.dumps("no json"), json.dumps([]), json.dumps(json.dumps({"scores": [[1]], "bboxes": []}))],
)
def test_a_damaged_annotation_is_named(cpc, table):
    """One file of ten thousand: the message must say which."""
    (cpc / "CPCDataset" / "CollectedAnnotationsRaw" / "ava_3.jpg.txt").write_text(table)
    with pytest.raises(DatasetError, match=r"ava_3\.jpg\.txt is damaged.*https"):
        [load(f"cpc:{cpc}", split) for split in ("train", "val")]


def test_nothing_is_a_sentence(tmp_path, cpc):
    """Neither annotations nor photos."""
    with pytest.raises(DatasetError, match=r"annotations are not in .*CollectedAnnotationsRaw.*https"):
        load(f"cpc:{cpc / 'CPCDataset' / 'images'}", "train")
    for path in (cpc / "CPCDataset" / "images").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"None of the photos.*images.*https"):
        load(f"cpc:{cpc}", "train")
