"""Options of a training run: the recipe that they resolve to, and the combinations that are rejected."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from autocrop.errors import UsageError
from autocrop.models.vrn import VRN, VRNRecipe
from autocrop.training.options import TrainingOptions


def options_for(model="vrn", data="fcdb:photos", **options):
    return TrainingOptions(model, data, Path("run"), **options)


def test_recipe_depends_on_data_set():
    """``auto`` uses our recipe for the data set if there is one, and the paper's recipe otherwise."""
    assert options_for().resolve_recipe() == VRN.RECIPES["fcdb"]
    assert options_for(recipe="paper").resolve_recipe() == VRNRecipe()
    assert options_for(data="gaicd:photos").resolve_recipe() == VRNRecipe()


def test_overrides_change_the_recipe():
    """Overrides may have the type of the field or be strings."""
    overrides = {"epochs": 3, "views": "8", "lr": "1e-3", "freeze_backbone": "true", "schedule": "cosine"}
    recipe = options_for(overrides=overrides).resolve_recipe()
    assert (recipe.epochs, recipe.views, recipe.lr) == (3, 8, 1e-3)
    assert (recipe.freeze_backbone, recipe.schedule) == (True, "cosine")


INVALID = [
    ({"model": "none"}, "Unknown model 'none'. Available models: vrn, "),
    ({"recipe": "mine"}, "Unknown recipe 'mine'. Use one of: auto, paper."),
    ({"overrides": {"color": "3"}}, "The recipe of vrn has no field 'color'. Its fields: epochs, batch, lr, "),
    ({"overrides": {"imbalance": "c2c"}}, "has no field 'imbalance'. Models with this field: cblnet."),
    ({"overrides": {"views": "many"}}, "views=many: the value must be a number such as 64."),
    ({"overrides": {"splitter": "perhaps"}}, "splitter=perhaps: the value must be true or false."),
    ({"init_from": Path("a.pt"), "resume": True}, "Leave out --init-from."),
    ({"feature_cache": Path("cache")}, "Add --freeze-backbone."),
    ({"unlabeled": Path()}, "vrn cannot learn from photos without annotations. Leave out --unlabeled, or use safrc."),
    (
        {"model": "safrc", "unlabeled": Path(), "overrides": {"consistency": 0.0}},
        "the loss of safrc ignores photos without annotations",
    ),
]


@pytest.mark.parametrize(("options", "message"), INVALID)
def test_invalid_options_are_rejected(options, message):
    """The error says what is wrong and what to do."""
    with pytest.raises(UsageError) as caught:
        options_for(**options)
    assert message in str(caught.value)
