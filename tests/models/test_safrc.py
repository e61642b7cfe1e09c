import dataclasses
import math

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional

from autocrop.models import Views
from autocrop.models.regions import coverage
from autocrop.models.safrc import SAFRC, SAFRCRecipe, SpatialEncoder, consistency_loss, sample_pairs

BOXES = torch.tensor([[0.0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9], [0.2, 0, 0.8, 0.7], [0, 0.3, 0.6, 1]])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SAFRC(SAFRCRecipe(listwise=1, votes=1))


def make_views(unlabeled=None):
    scores = torch.tensor([3.0, 4.0, 2.0])
    votes = torch.tensor([[0, 3]]), torch.tensor([0.8])
    return Views(torch.randn(1, 3, 256, 256), BOXES, scores, *votes, unlabeled=unlabeled)


def test_parameter_count_matches_the_paper(network):
    """The network has the 7.10 M parameters of Table 3, and without the spatial-aware feature GAIC's 5.91 M.

    Ours has 6,005,281 without that feature: its region feature is 256 wide, as in SAFRC, while the last hidden layer
    of GAIC has 128 channels. The wider layer and the one after it have 98,560 parameters more than GAIC's, whose
    network has 5,906,721.
    """
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(7.10e6, rel=0.01)
    basic = SAFRC(SAFRCRecipe(spatial=False, classification=0))
    assert sum(p.numel() for p in basic.parameters()) == 6_005_281 == 5_906_721 + 128 * 769 + 128


def test_features_have_the_sizes_of_the_paper(network):
    """The reduced map has 32 channels at stride 16, and there are 19 peak maps of 64 by 64."""
    reduced, peaks = network.encode(torch.zeros(1, 3, 256, 384))
    assert reduced.shape == (1, 32, 16, 24)
    assert peaks.shape == (1, 19, 64, 64)
    assert network.crop_features((reduced, peaks), BOXES).shape == (4, 512)


def test_loss_trains_every_parameter(network):
    """With an unlabeled photo, all five terms are finite and their sum trains every parameter."""
    other = dataclasses.replace(make_views(), scores=torch.empty(0))
    network.zero_grad()
    terms = network.loss(make_views(other))
    assert set(terms) == {"regression", "classification", "consistency", "listwise", "votes"}
    assert all(math.isfinite(value.item()) for value in terms.values())
    sum(terms.values()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_consistency_loss_does_not_train_the_classifier(network):
    """L_cons trains the scorer only, because the sign of the classifier's output has no gradient."""
    other = dataclasses.replace(make_views(), scores=torch.empty(0))
    network.zero_grad()
    network.loss(make_views(other))["consistency"].backward()
    assert network.classifier.weight.grad is None
    assert network.scorer.weight.grad.abs().sum() > 0


def test_recipe_switches_select_the_ablations():
    """The switches remove the components of Tables 4 and 5: spatial-aware feature, classifier, attention and mask."""
    views = make_views()
    plain = SAFRC(SAFRCRecipe(spatial=False, classification=0))
    assert set(plain.loss(views)) == {"regression"}
    assert len(plain.encode(views.image)) == len(plain.FEATURES) == 1
    assert "classification" in SAFRC(SAFRCRecipe(spatial=False)).loss(views)
    unattended = SAFRC(SAFRCRecipe(attention=False)).eval()
    image = torch.rand(1, 3, 256, 256)
    assert torch.equal(unattended.encode(image)[1], unattended.backbone(image).peaks)
    unmasked = SAFRC(SAFRCRecipe(mask=False)).eval()
    encoded = unmasked.spatial(unmasked.encode(image)[1], BOXES)
    assert encoded.shape == (4, 256)
    assert torch.equal(encoded[0], encoded[1])


def test_spatial_encoder_equals_one_convolution_of_peaks_and_mask():
    """Convolving peaks and masks separately equals the paper's convolution of all k + 1 channels."""
    torch.manual_seed(0)
    encoder = SpatialEncoder(19).eval()
    peaks = torch.rand(1, 19, 64, 64)
    weight = torch.cat([encoder.peaks.weight, encoder.mask.weight], dim=1)
    assert weight.shape == (32, 20, 5, 5)
    both = torch.cat([peaks.expand(4, -1, -1, -1), coverage(BOXES, 64, 64)[:, None]], dim=1)
    maps = functional.max_pool2d(functional.relu(functional.conv2d(both, weight, encoder.peaks.bias)), 2)
    maps = functional.max_pool2d(functional.relu(encoder.second(maps)), 2)
    assert torch.allclose(encoder(peaks, BOXES), encoder.last(maps.flatten(1)), atol=1e-5)


def test_crop_mask_has_soft_edges():
    """The mask is one inside the crop, zero outside, and fractional in cells that an edge crosses."""
    mask = coverage(torch.tensor([[0.25, 0, 0.875, 0.5]]), 4, 4)[0]
    assert mask[0].tolist() == [0, 1, 1, 0.5]
    assert mask[1].tolist() == [0, 1, 1, 0.5]
    assert mask[2:].sum() == 0


def test_sampled_pairs_differ_by_the_margin_and_are_balanced():
    """Sampled pairs are distinct, differ by more than the margin, and start with either crop about equally often."""
    torch.manual_seed(0)
    scores = torch.rand(64) * 4 + 1
    pairs = sample_pairs(scores, 0.5, 256)
    assert pairs.shape == (256, 2)
    difference = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    assert difference.abs().min() > 0.5
    assert 0.35 < (difference > 0).float().mean() < 0.65
    assert len({frozenset(pair) for pair in pairs.tolist()}) == 256
    assert len(sample_pairs(torch.ones(5), 0.5, 256)) == 0


def test_consistency_loss_matches_manual_computation():
    """Eq. 6: scores in the classifier's order, by the margin, cost nothing; others cost the gap plus the margin."""
    predicted = torch.tensor([2.0, 1.0, 1.05])
    pairs = torch.tensor([[0, 1], [0, 2], [1, 2]])
    logits = torch.tensor([3.0, -1.0, 0.0])  # 0 better than 1; 2 better than 0; undecided
    assert consistency_loss(predicted, pairs, logits, 0.1).item() == pytest.approx((0 + (0.1 + 0.95) + 0.1) / 3)
