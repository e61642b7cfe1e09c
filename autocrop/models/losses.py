"""Losses that every scorer can use where a data set lacks the scores its paper was written for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, distributed

from autocrop.models.base import ScorerRecipe, Views


def listwise_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy between the crops' true and predicted chances of being the best (ListNet, Cao et al., ICML 2007).

    Args:
        logits: ``[N]``, predicted.
        target: ``[N]``, the true logits: MOS, or its stand-in, divided by a temperature.
    """
    return -(torch.softmax(target, dim=0) * torch.log_softmax(logits, dim=0)).sum()


def vote_loss(logits: Tensor, pairs: Tensor, preference: Tensor) -> Tensor:
    """Bradley-Terry: the difference of two logits is that of the share of votes that the first one won.

    Args:
        logits: ``[N]``, predicted.
        pairs: ``[P, 2]`` indices into *logits*, P >= 1.
        preference: ``[P]`` in [0, 1].
    """
    difference = logits[pairs[:, 0]] - logits[pairs[:, 1]]
    return F.binary_cross_entropy_with_logits(difference, preference)


def preference_terms(predicted: Tensor, views: Views, recipe: ScorerRecipe) -> dict[str, Tensor]:
    """The listwise loss and, where people voted, the vote loss, as far as the recipe has them.

    Args:
        predicted: ``[N]``: scores of ``views.boxes``.
        views: what they were predicted for.
        recipe: has the weights and the temperature.
    """
    logits, terms = predicted / recipe.temperature, {}
    if recipe.listwise:
        loss = listwise_loss(logits[: len(views.scores)], views.scores / recipe.temperature)
        terms["listwise"] = recipe.listwise * loss
    if recipe.votes and len(views.pairs):
        terms["votes"] = recipe.votes * vote_loss(logits, views.pairs, views.preference)
    return terms


def sum_over_processes(values: Tensor) -> int:
    """Change *values* in place into their sum over the processes that train together; returns how many these are."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    distributed.all_reduce(values)
    return distributed.get_world_size()


def mean_over_processes(values: Tensor) -> Tensor:
    """Mean of *values* over the processes that train together; as they are for one alone."""
    total = values.clone()
    return total / sum_over_processes(total)
