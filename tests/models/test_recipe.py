"""Recipes: the range of every number, and combinations of fields that are rejected."""

import dataclasses
import math

import pytest

torch = pytest.importorskip("torch")

from autocrop import weights
from autocrop.errors import UsageError
from autocrop.models import MODELS, Views
from autocrop.models.cblnet import CBLNet, CBLNetRecipe
from autocrop.models.recipe import Recipe, bounded
from autocrop.models.setpred import SetPrediction, SetPredictionRecipe

OUT_OF_RANGE = {
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
"""Values just outside the range of each field, by recipe."""


@pytest.mark.parametrize(
    ("recipe", "name", "value"),
    [
        (recipe, name, value)
        for recipe, fields in OUT_OF_RANGE.items()
        for name, values in fields.items()
        for value in (*values, math.nan)
    ],
)
def test_recipe_rejects_numbers_out_of_range(recipe, name, value):
    """The error names the field and its value, and NaN is never in range."""
    with pytest.raises(UsageError) as caught:
        recipe(**{name: value})
    assert str(caught.value).startswith(f"{name}={value} is out of range. Use a number ")


@pytest.mark.parametrize(("recipe", "fields"), OUT_OF_RANGE.items())
def test_recipe_accepts_the_limits_of_a_range(recipe, fields):
    """Zero, which disables a term, and one, the largest share, are valid."""
    for name in fields.keys() & {"alignment", "uniformity", "slack", "stretch", "l1", "giou", "most", "theta", "near"}:
        assert getattr(recipe(**{name: 0.0}), name) == 0
    for name in fields.keys() & {"inverse_power", "negative", "match_focal", "near", "most", "theta"}:
        assert getattr(recipe(**{name: 1.0}), name) == 1


@pytest.mark.parametrize("model", MODELS)
def test_every_number_has_a_range(model):
    """All numeric fields declare a range, except *side*, which has a check of its own."""
    recipe = MODELS[model].RECIPE
    numbers = {f.name for f in dataclasses.fields(recipe) if type(f.default) in (int, float)}
    assert numbers - recipe.constraints("range").keys() == {"side"}


def test_range_is_inherited_when_a_subclass_changes_the_default():
    """A plain default keeps the range of the base class, and ``bounded`` replaces it."""

    @dataclasses.dataclass(frozen=True)
    class Derived(Recipe):
        epochs: int = 7
        trim: float = bounded(2.0, min=2, max=3)

    assert (Derived().epochs, Derived().trim) == (7, 2.0)
    with pytest.raises(UsageError, match=r"epochs=0 is out of range\. Use a number of at least 1"):
        Derived(epochs=0)
    with pytest.raises(UsageError, match=r"trim=1\.0 is out of range\. Use a number between 2 and 3"):
        Derived(trim=1.0)


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        (CBLNetRecipe, {"imbalance": "magic"}, "Unknown imbalance 'magic'. Choose one of: none, smogn"),
        (CBLNetRecipe, {"side": 0}, "cblnet needs a fixed input size"),
        (CBLNetRecipe, {"positive": 0.7, "negative": 0.05}, "positive=0.7 must not be greater than negative=0.05"),
        (CBLNetRecipe, {"imbalance": "rrt", "epochs": 1}, "Pass --epochs 2 or more"),
        (CBLNetRecipe, {"batch": 1, "side": 32}, "cannot learn from one photo per step with side=32"),
        (SetPredictionRecipe, {"smoothing": "label"}, "Unknown smoothing 'label'. Choose one of: none, quality"),
        (SetPredictionRecipe, {"side": 0}, "setpred needs a fixed input size"),
        (SetPredictionRecipe, {"low": 3.0, "high": 3.0}, "low=3.0 must be less than high=3.0"),
        (SetPredictionRecipe, {"low": 4.0}, "low=4.0 must be less than high=3.5"),
        (SetPredictionRecipe, {"views": 0}, "needs scored crops, but views=0 provides none"),
        (
            SetPredictionRecipe,
            {"smoothing": "distillation", "epochs": 40},
            "distil_from=40 is too late: with epochs=40",
        ),
    ],
)
def test_recipe_rejects_invalid_names_and_combinations(recipe, changes, message):
    """Unknown names, and values that contradict each other, raise an error that explains them."""
    with pytest.raises(UsageError, match=message):
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
def test_recipe_accepts_combinations_at_the_limit(recipe, changes):
    """Combinations that are just valid are accepted unchanged."""
    assert dataclasses.asdict(recipe(**changes)).items() >= changes.items()


def test_dilation_requires_a_resnet():
    """A backbone without a dilated variant is rejected when the network is built."""
    with pytest.raises(UsageError, match="dilated"):
        SetPrediction(SetPredictionRecipe(backbone="mobilenet_v2", side=64))


def test_default_loss_weights_have_the_ratio_of_the_paper():
    """The weights of the L1 and focal losses of set prediction have the paper's ratio of 1 to 0.4."""
    assert math.isclose(SetPredictionRecipe().l1 / SetPredictionRecipe().focal, 2.5)


def test_loss_rejects_a_batch_too_small_for_batch_norm():
    """A step of one photo raises our error instead of torch's, although the recipe has a larger batch."""
    network = CBLNet(CBLNetRecipe(batch=2, side=32, channels=8, heads=1)).train()
    empty = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0)
    views = Views(torch.randn(1, 3, 32, 32), *empty, targets=torch.tensor([[0.1, 0.1, 0.9, 0.9]]))
    with pytest.raises(UsageError, match="cannot learn from one photo"):
        network.loss(views)
    assert torch.isfinite(sum(network.batch_loss([views, views]).values()))


@pytest.mark.parametrize("name", sorted(weights.manifest()))
def test_recipes_of_bundled_models_are_valid(name):
    """The recipe in each model card can be created with this version."""
    card = weights.manifest()[name]
    recipe = MODELS[card.network].RECIPE(**card.recipe)
    assert dataclasses.asdict(recipe).items() >= card.recipe.items()
