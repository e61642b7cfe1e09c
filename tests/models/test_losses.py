import math

import pytest

torch = pytest.importorskip("torch")

from autocrop.models.losses import listwise_loss, vote_loss


def test_listwise_loss_is_lowest_for_the_target_distribution():
    """Predictions that equal the target up to a constant have a lower loss than reversed ones."""
    target = torch.tensor([1.0, 2.0, 3.0])
    assert listwise_loss(target + 7, target) < listwise_loss(target.flip(0), target)


def test_vote_loss_prefers_the_correct_order():
    """Equal scores cost ln 2, and the order that most annotators chose costs less than the opposite."""
    pairs, preference = torch.tensor([[0, 1]]), torch.tensor([0.8])
    assert vote_loss(torch.zeros(2), pairs, preference).item() == pytest.approx(math.log(2))
    right, wrong = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert vote_loss(right, pairs, preference) < vote_loss(wrong, pairs, preference)
