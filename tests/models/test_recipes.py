"""What a recipe may say: every number has its bounds, and what does not fit together is refused."""

import dataclasses
import math

import pytest

torch = pytest.importorskip("torch")

from autocrop import weights
from autocrop.errors import UsageError
from autocrop.models import MODELS
from autocrop.models.base import RANGES, Views
from autocrop.models.cblnet import CBLNet, CBLNetRecipe
from autocrop.models.setpred import SetPredictionRecipe

BEYOND = {
    CBLNetRecipe: {
        **dict.fromkeys(("positive", "negative", "inverse_power", "stretch", "dropout", "trim"), (-0.01, 1.01)),
        **dict.fromkeys(("alignment", "uniformity", "slack", "focal_mu", "focal_psi"), (-0.01, math.inf)),
        **dict.fromkeys(("power", "sharpness"), (0.0, -1.0, math.inf)),
        **dict.fromkeys(("channels", "heads", "epochs", "batch"), (0,)),
    },
    SetPredictionRecipe: {
        **dict.fromkeys(("match_focal", "near", "most", "theta", "dropout"), (-0.01, 1.01)),
        **dict.fromkeys(("l1", "giou", "focal"), (-0.01, math.inf)),
        **dict.fromkeys(("low", "high"), (-101.0, 101.0, math.inf)),
        **dict.fromkeys(("queries", "width", "heads", "decoders", "hidden"), (0, -1)),
        **dict.fromkeys(("encoders", "distil_from"), (-1,)),
    },
}
"""Recipe → field → values just beyond its bounds."""


@pytest.mark.parametrize(
    ("recipe", "name", "value"),
    [
        (recipe, name, value)
        for recipe, fields in BEYOND.items()
        for name, values in fields.items()
        for value in (*values, math.nan)
    ],
)
def test_numbers_beyond_their_bounds(recipe, name, value):
    """A sentence with the field and its value, and NaN is never within bounds."""
    with pytest.raises(UsageError) as caught:
        recipe(**{name: value})
    assert str(caught.value).startswith(f"{name}={value}: it must be a number")


@pytest.mark.parametrize(("recipe", "fields"), BEYOND.items())
def test_bounds_themselves_are_allowed(recipe, fields):
    """Zero switches a term off, and one is a whole share."""
    for name in fields.keys() & {"alignment", "uniformity", "slack", "stretch", "l1", "giou", "most", "theta", "near"}:
        assert getattr(recipe(**{name: 0.0}), name) == 0
    for name in fields.keys() & {"inverse_power", "negative", "match_focal", "near", "most", "theta"}:
        assert getattr(recipe(**{name: 1.0}), name) == 1


@pytest.mark.parametrize("model", MODELS)
def test_every_number_has_a_range(model):
    """A new field cannot be forgotten."""
    fields = dataclasses.fields(MODELS[model].RECIPE)
    assert {f.name for f in fields if type(f.default) in (int, float)} - RANGES.keys() == {"side"}


TOGETHER = [
    (CBLNetRecipe, {"positive": 0.7, "negative": 0.05}, "positive=0.7 must not be more than negative=0.05"),
    (SetPredictionRecipe, {"low": 3.0, "high": 3.0}, "low=3.0 must be less than high=3.0"),
    (SetPredictionRecipe, {"low": 4.0}, "low=4.0 must be less than high=3.5"),
    (SetPredictionRecipe, {"views": 0}, "learns from scored crops and views=0 gives none"),
    (SetPredictionRecipe, {"smoothing": "distillation", "epochs": 40}, "distil_from=40: with epochs=40"),
    (CBLNetRecipe, {"imbalance": "rrt", "epochs": 1}, "Give --epochs 2 or more"),
    (CBLNetRecipe, {"batch": 1, "side": 32}, "cannot learn from one photo a step with side=32"),
]


@pytest.mark.parametrize(("recipe", "changes", "says"), TOGETHER)
def test_numbers_that_do_not_fit_together(recipe, changes, says):
    with pytest.raises(UsageError, match=says):
        recipe(**changes)


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        (CBLNetRecipe, {"positive": 0.3, "negative": 0.3}),
        (SetPredictionRecipe, {"views": 0, "smoothing": "none"}),
        (SetPredictionRecipe, {"views": 0, "smoothing": "distillation"}),
        (SetPredictionRecipe, {"epochs": 40}),
        (SetPredictionRecipe, {"smoothing": "distillation", "epochs": 41}),
        (CBLNetRecipe, {"imbalance": "rrt", "epochs": 2}),
        (CBLNetRecipe, {"batch": 1, "side": 64}),
        (CBLNetRecipe, {"batch": 2, "side": 32}),
        (CBLNetRecipe, {"batch": 1, "side": 32, "train_norm": False}),
        (CBLNetRecipe, {"batch": 1, "side": 32, "freeze_backbone": True}),
    ],
)
def test_numbers_that_just_fit_together(recipe, changes):
    assert dataclasses.asdict(recipe(**changes)).items() >= changes.items()


def test_one_photo_left_of_a_batch():
    """A data set of one photo, or a process's share: the same sentence instead of an error of torch's."""
    network = CBLNet(CBLNetRecipe(batch=2, side=32, channels=8, heads=1)).train()
    empty = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0)
    views = Views(torch.randn(1, 3, 32, 32), *empty, targets=torch.tensor([[0.1, 0.1, 0.9, 0.9]]))
    with pytest.raises(UsageError, match="cannot learn from one photo"):
        network.loss(views)
    assert torch.isfinite(sum(network.batch_loss([views, views]).values()))


@pytest.mark.parametrize("name", sorted(weights.manifest()))
def test_recipes_of_the_bundled_models_are_valid(name):
    """Recipes are checked when they are made; those by data set are made when their model is imported."""
    entry = weights.manifest()[name]
    recipe = MODELS[entry.network].RECIPE(**entry.recipe)
    assert dataclasses.asdict(recipe).items() >= entry.recipe.items()
