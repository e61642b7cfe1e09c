"""Which runs can be resumed, and with which options."""

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from autocrop.datasets import load
from autocrop.errors import AutocropError
from autocrop.training.data import TrainingViews
from tests.helpers.training import RECIPE, read_last, train


@pytest.fixture
def batches(tiny_fcdb):
    return TrainingViews(load(f"fcdb:{tiny_fcdb}", "train"), RECIPE)


def test_existing_run_is_not_overwritten(batches, tmp_path):
    """Training into the folder of a run is an error without --resume."""
    train(tmp_path, batches, stop_after=1)
    with pytest.raises(AutocropError, match="--resume"):
        train(tmp_path, batches)


def test_missing_run_is_not_resumed(batches, tmp_path):
    """The error names the missing checkpoint."""
    with pytest.raises(AutocropError, match=r"last\.pt does not exist"):
        train(tmp_path, batches, resume=True)


@pytest.mark.parametrize("content", ["text", {"model": {}}], ids=["not a torch file", "another torch file"])
def test_other_files_are_not_resumed(batches, tmp_path, content):
    """The error names a file that is not a checkpoint of autocrop."""
    path = tmp_path / "last.pt"
    if isinstance(content, str):
        path.write_text(content)
    else:
        torch.save(content, path)
    with pytest.raises(AutocropError, match=r"last\.pt is .*checkpoint"):
        train(tmp_path, batches, resume=True)


def test_run_is_not_resumed_with_other_options(batches, tmp_path):
    """Recipe, data, unlabeled photos and precision must be the same. The error shows both values."""
    fixed = {"data": "fcdb:a", "unlabeled": None}
    train(tmp_path, batches, stop_after=1, fixed_options=fixed)
    for changed, message in (
        ({"recipe": dataclasses.replace(RECIPE, lr=0.5)}, "lr was 0.001, now 0.5"),
        ({"recipe": dataclasses.replace(RECIPE, optimizer="adam")}, "optimizer was adamw, now adam"),
        ({"fixed_options": fixed | {"data": "fcdb:b"}}, "data was fcdb:a, now fcdb:b"),
        ({"fixed_options": fixed | {"unlabeled": "/c"}}, "unlabeled was None, now /c"),
        ({"amp": True}, "amp was False, now True"),
    ):
        with pytest.raises(AutocropError, match=message):
            train(tmp_path, batches, **{"fixed_options": fixed, "resume": True, **changed})
    train(tmp_path, batches, fixed_options=fixed, resume=True)
    assert read_last(tmp_path)["epoch"] == 2
