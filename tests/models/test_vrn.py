import math

import pytest

torch = pytest.importorskip("torch")

from autocrop.models import Views
from autocrop.models.vrn import VRN, FeatureSplitter, VRNRecipe, ranking_gain_loss


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return VRN(VRNRecipe(listwise=1, votes=1))


@pytest.fixture
def views():
    boxes = torch.tensor([[0.0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9], [0.2, 0, 0.8, 0.7], [0, 0.3, 0.6, 1]])
    scores = torch.tensor([3.0, 4.0, 2.0])
    return Views(torch.randn(1, 3, 256, 256), boxes, scores, torch.tensor([[0, 3]]), torch.tensor([0.8]))


def test_parameter_count_matches_gaic(network):
    """Backbone, reduction and VDL have the 5.91 M parameters published for GAIC's network."""
    count = sum(p.numel() for name, p in network.named_parameters() if not name.startswith(("image_", "splitter")))
    assert count == pytest.approx(5.91e6, rel=0.01)


def test_loss_trains_every_parameter(network, views):
    """All terms are finite, L_i trains the IDL but not the VDL, and the sum trains every parameter."""
    terms = network.loss(views)
    assert set(terms) == {"image", "view", "rank", "listwise", "votes"}
    assert all(math.isfinite(value.item()) for value in terms.values())
    network.zero_grad()
    terms["image"].backward()
    assert network.image_learner.layers[0].weight.grad.abs().sum() > 0
    assert network.view_learner.layers[0].weight.grad is None
    network.zero_grad()
    sum(network.loss(views).values()).backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert unused == []


def test_recipe_switches_select_the_ablations(views):
    """Without the splitter there is no IDL, and a weight of zero removes its term."""
    plain = VRN(VRNRecipe(splitter=False, ranking_gain=0))
    assert set(plain.loss(views)) == {"view"}
    assert plain.image_learner is None


def test_loss_without_votes_has_no_vote_term(network, views):
    """Data sets with scores but without votes, such as GAICD, train without the vote loss."""
    unvoted = Views(views.image, views.boxes[:3], views.scores, torch.empty(0, 2, dtype=torch.long), torch.empty(0))
    assert "votes" not in network.loss(unvoted)


def test_splitter_predicts_one_share_per_channel():
    """The splitter predicts a weight between 0 and 1 for each channel."""
    weight = FeatureSplitter(32)(torch.randn(2, 32, 5, 7))
    assert weight.shape == (2, 32, 1, 1)
    assert ((weight > 0) & (weight < 1)).all()


def test_ranking_gain_loss_matches_manual_computation():
    """For two crops, β = Σ w_i (e^σ_i - 1) with σ = ŝ - |s - ŝ| and w ∝ 1/ln(i + 1)."""
    target, predicted = torch.tensor([-0.5, 0.5]), torch.tensor([-0.5, 0.3])
    first, second = 1 / math.log(2), 1 / math.log(3)
    beta = (first * (math.exp(0.3) - 1) + second * (math.exp(-0.5) - 1)) / (first + second)
    assert ranking_gain_loss(predicted, target).item() == pytest.approx(math.exp(-beta), rel=1e-5)


def test_ranking_gain_loss_decreases_with_accuracy_and_is_bounded():
    """Perfect predictions have the lowest loss, and absurd ones no more than e."""
    target = torch.randn(64, generator=torch.Generator().manual_seed(0))
    target = target - target.mean()
    perfect = ranking_gain_loss(target, target)
    noisy = ranking_gain_loss(target + 0.3, target)
    absurd = ranking_gain_loss(target + 1000, target)
    assert perfect < noisy < absurd <= math.e
