"""Losses that any scorer can add if a data set lacks the scores that its paper relies on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from autocrop.models.recipe import ScorerRecipe
from autocrop.models.views import Views


def listwise_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy between target and predicted probability of each crop to be the best (ListNet, Cao et al. 2007).

    Args:
        logits: ``[N]``, predicted.
        target: ``[N]``, target logits: MOS, or a substitute, divided by a temperature.
    """
    return -(torch.softmax(target, dim=0) * torch.log_softmax(logits, dim=0)).sum()


def vote_loss(logits: Tensor, pairs: Tensor, preference: Tensor) -> Tensor:
    """Cross-entropy of pairwise votes under the Bradley-Terry model.

    The difference of two logits is the log-odds that an annotator prefers the first crop.

    Args:
        logits: ``[N]``, predicted.
        pairs: ``[P, 2]``, indices into *logits*, P >= 1.
        preference: ``[P]`` in [0, 1], share of votes for the first crop.
    """
    difference = logits[pairs[:, 0]] - logits[pairs[:, 1]]  # [P]
    return F.binary_cross_entropy_with_logits(difference, preference)


def preference_terms(predicted: Tensor, views: Views, recipe: ScorerRecipe) -> dict[str, Tensor]:
    """Compute the weighted listwise and vote losses that the recipe enables.

    Args:
        predicted: ``[N]``, scores of ``views.boxes``.
        views: the photo; without votes, the vote loss is left out.
        recipe: weights and temperature.
    """
    logits, terms = predicted / recipe.temperature, {}
    if recipe.listwise:
        loss = listwise_loss(logits[: len(views.scores)], views.scores / recipe.temperature)
        terms["listwise"] = recipe.listwise * loss
    if recipe.votes and len(views.pairs):
        terms["votes"] = recipe.votes * vote_loss(logits, views.pairs, views.preference)
    return terms
