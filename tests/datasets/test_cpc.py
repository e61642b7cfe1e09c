import json

import numpy as np
import pytest

from autocrop.datasets import DatasetError, load
from tests.helpers.datasets import CPC_CROPS, write_cpc


@pytest.fixture
def cpc(tmp_path):
    """CPC with twenty annotated photos."""
    write_cpc(tmp_path / "CPCDataset", 20)
    return tmp_path


@pytest.mark.parametrize("folder", [".", "CPCDataset"])
def test_cpc_scores_are_means_over_annotators(cpc, folder):
    """Annotations are JSON in a JSON string, and the root may be the archive's folder or its parent."""
    root = cpc / folder
    sample = next(s for split in ("train", "val") for s in load(f"cpc:{root}", split) if s.name == "ava_3.jpg")
    assert sample.boxes == pytest.approx(np.clip(np.array(CPC_CROPS) / (96, 64, 96, 64), 0, 1))
    assert sample.scores == pytest.approx(np.random.default_rng(3).integers(0, 5, (6, 24)).mean(axis=0))
    assert (sample.scale.good, sample.scale.gap) == (2.0, 0.3)


def test_cpc_splits_are_disjoint(cpc):
    """The splits share no photo, exclude photos without annotation, count missing ones, and are reproducible."""
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
def test_cpc_names_a_damaged_annotation(cpc, table):
    """The error names the damaged file and where to download it."""
    (cpc / "CPCDataset" / "CollectedAnnotationsRaw" / "ava_3.jpg.txt").write_text(table)
    with pytest.raises(DatasetError, match=r"ava_3\.jpg\.txt is damaged.*https"):
        [load(f"cpc:{cpc}", split) for split in ("train", "val")]


def test_cpc_explains_missing_files(cpc):
    """Missing annotations and missing photos are errors that name the folder and where to download them."""
    with pytest.raises(DatasetError, match=r"annotations were not found in .*CollectedAnnotationsRaw.*https"):
        load(f"cpc:{cpc / 'CPCDataset' / 'images'}", "train")
    for path in (cpc / "CPCDataset" / "images").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"None of the photos.*images.*https"):
        load(f"cpc:{cpc}", "train")
