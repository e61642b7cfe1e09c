import math

import pytest

torch = pytest.importorskip("torch")
from torchvision.models import mobilenet_v2

from autocrop.errors import AutocropError
from autocrop.models.base import Views
from autocrop.models.losses import listwise_loss, vote_loss
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


def test_parameters_of_the_paper(network):
    """Backbone, reduction to 32 channels and the view branch: the published 5.91 M of the GAIC-style network."""
    count = sum(p.numel() for name, p in network.named_parameters() if not name.startswith(("image_", "splitter")))
    assert count == pytest.approx(5.91e6, rel=0.01)


def test_every_term_of_the_loss_reaches_its_parameters(network, views):
    """L_i, L_v, the ranking gain, the listwise and the vote loss are finite, and train what they should."""
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


def test_ablation_switches(views):
    """Without the splitter there is no image-wise branch; weights of 0 take terms away."""
    plain = VRN(VRNRecipe(splitter=False, ranking_gain=0))
    assert set(plain.loss(views)) == {"view"}
    assert plain.image_learner is None


def test_without_votes_there_is_no_vote_loss(network, views):
    """GAICD has scores and no votes."""
    silent = Views(views.image, views.boxes[:3], views.scores, torch.empty(0, 2, dtype=torch.long), torch.empty(0))
    assert "votes" not in network.loss(silent)


def test_splitter_weights_are_shares():
    """One weight a channel, between 0 and 1; the image-wise part has the rest."""
    weight = FeatureSplitter(32)(torch.randn(2, 32, 5, 7))
    assert weight.shape == (2, 32, 1, 1)
    assert ((weight > 0) & (weight < 1)).all()


def test_ranking_gain_by_hand():
    """Two crops, ranks 1 and 2: β = Σ w_i (e^σ_i - 1) with σ = s - |s - ŝ| and w ∝ 1/ln(i + 1)."""
    target, predicted = torch.tensor([-0.5, 0.5]), torch.tensor([-0.5, 0.3])
    first, second = 1 / math.log(2), 1 / math.log(3)
    beta = (first * (math.exp(0.3) - 1) + second * (math.exp(-0.5) - 1)) / (first + second)
    assert ranking_gain_loss(predicted, target).item() == pytest.approx(math.exp(-beta), rel=1e-5)


def test_ranking_gain_rewards_accuracy_and_stays_bounded():
    """Perfect predictions give the least loss; absurd ones no more than e."""
    target = torch.randn(64, generator=torch.Generator().manual_seed(0))
    target = target - target.mean()
    perfect = ranking_gain_loss(target, target)
    noisy = ranking_gain_loss(target + 0.3, target)
    absurd = ranking_gain_loss(target + 1000, target)
    assert perfect < noisy < absurd <= math.e


def test_listwise_loss_is_least_at_the_truth():
    """Cross-entropy is smallest where the predicted chances are the true ones."""
    target = torch.tensor([1.0, 2.0, 3.0])
    assert listwise_loss(target + 7, target) < listwise_loss(target.flip(0), target)


def test_vote_loss_by_hand():
    """A difference of 0 costs ln 2; the right sign costs less than the wrong one."""
    pairs, preference = torch.tensor([[0, 1]]), torch.tensor([0.8])
    assert vote_loss(torch.zeros(2), pairs, preference).item() == pytest.approx(math.log(2))
    right, wrong = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert vote_loss(right, pairs, preference) < vote_loss(wrong, pairs, preference)


def test_batch_normalization_keeps_its_statistics():
    """A training step sees too few photos to re-estimate them."""
    network = VRN().train()
    before = network.backbone.stride8[0][1].running_mean.clone()
    network.encode(torch.randn(1, 3, 256, 256))
    assert torch.equal(before, network.backbone.stride8[0][1].running_mean)
    assert network.view_learner.training


def test_backbone_weights_from_a_file(tmp_path):
    """A file of torchvision's state dict is loaded; anything else gets a sentence."""
    source = mobilenet_v2(weights=None)
    torch.save(source.state_dict(), tmp_path / "backbone.pth")
    loaded = VRN(pretrained=tmp_path / "backbone.pth")
    assert torch.equal(loaded.backbone.stride8[0][0].weight, source.features[0][0].weight)
    assert torch.equal(loaded.backbone.stride32[3].conv[2].weight, source.features[17].conv[2].weight)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(AutocropError, match=r"text.pth is no state dict of torchvision's mobilenet_v2"):
        VRN(pretrained=tmp_path / "text.pth")
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(AutocropError, match="lacks"):
        VRN(pretrained=tmp_path / "other.pth")
