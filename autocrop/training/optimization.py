"""Optimizer, learning-rate schedule and weight average of a run, as the recipe configures them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch.optim.swa_utils import AveragedModel

from autocrop.models import CroppingModel, Recipe

WARM_UP = 0.05
"""Share of the steps of a cosine schedule during which the learning rate rises."""
OPTIMIZER_CLASSES = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Optimization:
    """Optimizer, learning-rate schedule and weight average of a network.

    Args:
        network: network on its device and in training mode, in which frozen parameters are excluded.
        steps: optimizer steps per epoch.
    """

    def __init__(self, network: CroppingModel, steps: int) -> None:
        recipe: Recipe = network.recipe
        self._network = network
        self._optimizer = make_optimizer(network)
        self._scheduler = torch.optim.lr_scheduler.LambdaLR(self._optimizer, learning_rate_factor(recipe, steps))
        self._averaged: AveragedModel | None = None
        if recipe.average:
            self._averaged = AveragedModel(network, multi_avg_fn=exponential_average(recipe.average))

    @property
    def evaluated_network(self) -> CroppingModel:
        """The network to validate and save. It has averaged weights if the recipe averages them."""
        return self._network if self._averaged is None else cast(CroppingModel, self._averaged.module)

    def begin_epoch(self, epoch: int) -> None:
        """Prepare for an epoch, counted from 0. Discards the moments of parameters that the network resets."""
        for parameter in self._network.begin_epoch(epoch):
            self._optimizer.state.pop(parameter, None)

    def zero_gradients(self) -> None:
        """Discard the gradients of the last step."""
        self._optimizer.zero_grad(set_to_none=True)

    def step(self) -> float:
        """Update weights, learning rate and weight average from the gradients.

        Returns:
            The learning rate of this step.
        """
        if self._network.recipe.clip:
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._network.recipe.clip)
        self._optimizer.step()
        rate: float = self._optimizer.param_groups[0]["lr"]
        self._scheduler.step()
        self._network.after_step()
        if self._averaged is not None:
            self._averaged.update_parameters(self._network)
        return rate

    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`load_state_dict` needs to resume a run."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state. Other keys of *state* are ignored."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"optimizer": self._optimizer, "scheduler": self._scheduler}
        return parts if self._averaged is None else parts | {"averaged": self._averaged}


def make_optimizer(network: CroppingModel) -> torch.optim.Optimizer:
    """Create the optimizer that the network's recipe names, for the parameters that are trained.

    The parameters of the backbone are a group with its own learning rate.
    """
    recipe: Recipe = network.recipe
    trained = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    backbone = [parameter for name, parameter in trained if name.startswith("backbone.")]
    others = [parameter for name, parameter in trained if not name.startswith("backbone.")]
    groups = [{"params": others}, {"params": backbone, "lr": recipe.lr * recipe.backbone_lr}]
    return OPTIMIZER_CLASSES[recipe.optimizer](groups, lr=recipe.lr, weight_decay=recipe.weight_decay)


def learning_rate_factor(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """Return the schedule: optimizer step → factor of the learning rate.

    Args:
        recipe: recipe with the name of the schedule.
        steps: optimizer steps per epoch.
    """
    total = max(1, recipe.epochs * steps)
    warm_up = max(1, int(WARM_UP * total))

    def factor(step: int) -> float:
        if recipe.schedule == "constant":
            return 1.0
        if recipe.schedule == "step":
            return 0.1 if recipe.drop_at and step >= recipe.drop_at * steps else 1.0
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, total - warm_up))))

    return factor


def exponential_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return the update rule of an exponential moving average, bias-corrected like the moments of Adam.

    Without the correction, the untrained weights would dominate the average of a short run.
    """

    @torch.no_grad()
    def update(averages: Any, weights: Any, steps: Any) -> None:
        # Weight of the newest of steps + 1 networks, each of which counts decay times as much as the next one.
        newest = (1 - decay) / (1 - decay ** (int(steps) + 1))
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, newest)

    return update
