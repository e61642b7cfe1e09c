"""Ranges of the numbers in recipes that all models share."""

import re

import pytest

pytest.importorskip("torch")

from autocrop.errors import UsageError
from autocrop.models import MODELS


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("vrn", "batch", 0),
        ("vrn", "epochs", 0),
        ("vrn", "views", 0),
        ("vrn", "lr", -1e-4),
        ("vrn", "lr", float("nan")),
        ("vrn", "clip", float("inf")),
        ("vrn", "seed", 2**63),
        ("vrn", "temperature", 0.0),
        ("vrn", "trim", 1.5),
        ("safrc", "average", 1.0),
        ("asmnet", "weight_decay", -1.0),
        ("cblnet", "dropout", 2.0),
        ("setpred", "heads", 0),
    ],
)
def test_recipe_rejects_numbers_out_of_range(model, name, value):
    """The error names the field and its value."""
    with pytest.raises(UsageError, match=f"^{re.escape(f'{name}={value}')} is out of range"):
        MODELS[model].RECIPE(**{name: value})


def test_proposer_needs_no_scored_crops():
    """CBLNet's loss does not use scored crops, so there may be none."""
    assert MODELS["cblnet"].RECIPE(views=0).views == 0
