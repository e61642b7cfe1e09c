"""Optimizers, learning-rate schedules and averaged weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autocrop.models import MODELS
from autocrop.models.vrn import VRN, VRNRecipe
from autocrop.training.optimization import exponential_average, learning_rate_factor, make_optimizer


def test_recipes_use_the_optimizers_of_their_papers():
    """The papers' recipes use Adam, apart from set prediction; our recipes for FCDB use AdamW."""
    optimizers = {name: model.RECIPE().optimizer for name, model in MODELS.items()}
    assert optimizers == dict.fromkeys(("vrn", "safrc", "asmnet", "cblnet"), "adam") | {"setpred": "adamw"}
    assert {MODELS[name].RECIPES["fcdb"].optimizer for name in ("vrn", "safrc", "asmnet")} == {"adamw"}


@pytest.mark.parametrize(("name", "optimizer_class"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_make_optimizer_follows_the_recipe(name, optimizer_class):
    """The recipe determines the class and the weight decay."""
    optimizer = make_optimizer(VRN(VRNRecipe(optimizer=name, weight_decay=0.25)))
    assert type(optimizer) is optimizer_class
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.25}


def test_constant_schedule_keeps_the_learning_rate():
    """The factor is 1 at every step."""
    assert {learning_rate_factor(VRNRecipe(), 100)(step) for step in (0, 50, 5999)} == {1.0}


def test_step_schedule_drops_the_learning_rate_once():
    """The factor falls to a tenth after the given epoch."""
    factor = learning_rate_factor(VRNRecipe(schedule="step", drop_at=6), 100)
    assert (factor(599), factor(600), factor(5999)) == (1.0, 0.1, 0.1)


def test_cosine_schedule_rises_and_falls_to_zero():
    """The factor warms up to 1 and ends at 0."""
    factor = learning_rate_factor(VRNRecipe(epochs=10, schedule="cosine"), 100)
    assert factor(0) < 0.1
    assert factor(50) == pytest.approx(1, abs=0.01)
    assert factor(1000) == pytest.approx(0, abs=1e-6)


def test_average_excludes_initial_weights():
    """The average is the mean of the weights after each step, weighted by powers of the decay."""
    decay, values = 0.9, [1.0, 5.0, 2.0, 8.0]
    module = torch.nn.Linear(1, 1, bias=False)
    averaged = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=exponential_average(decay))
    for value in values:
        module.weight.data.fill_(value)
        averaged.update_parameters(module)
    shares = np.array([decay ** (len(values) - 1 - step) for step in range(len(values))])
    assert averaged.module.weight.item() == pytest.approx(float(shares @ values / shares.sum()))
