import dataclasses
import math

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional

from autocrop.models.base import Views
from autocrop.models.regions import coverage
from autocrop.models.safrc import SAFRC, SAFRCRecipe, SpatialEncoder, consistency_loss, drawn_pairs

BOXES = torch.tensor([[0.0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9], [0.2, 0, 0.8, 0.7], [0, 0.3, 0.6, 1]])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SAFRC(SAFRCRecipe(listwise=1, votes=1))


def make_views(unlabeled=None):
    scores = torch.tensor([3.0, 4.0, 2.0])
    votes = torch.tensor([[0, 3]]), torch.tensor([0.8])
    return Views(torch.randn(1, 3, 256, 256), BOXES, scores, *votes, unlabeled=unlabeled)


def test_parameters_of_the_paper(network):
    """Table 3: 7.10 M; GAIC's network, without the spatial-aware feature, 5.91 M.

    Ours without that feature has 6,005,281: its region feature is 256 wide, as SAFRC's is, where GAIC's last hidden
    layer has 128. That and the layer behind it are 98,560 parameters more than GAIC's, 5,906,721.
    """
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(7.10e6, rel=0.01)
    basic = SAFRC(SAFRCRecipe(spatial=False, classification=0))
    assert sum(p.numel() for p in basic.parameters()) == 6_005_281 == 5_906_721 + 128 * 769 + 128


def test_features_have_the_papers_sizes(network):
    """32 reduced channels at stride 16, and the peaks of all 19 blocks at 64 by 64."""
    reduced, peaks = network.encode(torch.zeros(1, 3, 256, 384))
    assert reduced.shape == (1, 32, 16, 24)
    assert peaks.shape == (1, 19, 64, 64)
    assert network.describe((reduced, peaks), BOXES).shape == (4, 512)


def test_every_term_of_the_loss_reaches_its_parameters(network):
    """With an unlabeled photo all five terms are there, and together they train everything."""
    other = dataclasses.replace(make_views(), scores=torch.empty(0))
    network.zero_grad()
    terms = network.loss(make_views(other))
    assert set(terms) == {"regression", "classification", "consistency", "listwise", "votes"}
    assert all(math.isfinite(value.item()) for value in terms.values())
    sum(terms.values()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_consistency_does_not_train_the_classifier(network):
    """Only the scores shall move: the classifier's sign has no gradient."""
    other = dataclasses.replace(make_views(), scores=torch.empty(0))
    network.zero_grad()
    network.loss(make_views(other))["consistency"].backward()
    assert network.classifier.weight.grad is None
    assert network.scorer.weight.grad.abs().sum() > 0


def test_ablation_switches():
    """Tables 4 and 5: neither, the spatial-aware feature, the classifier; without attention, without the mask."""
    views = make_views()
    plain = SAFRC(SAFRCRecipe(spatial=False, classification=0))
    assert set(plain.loss(views)) == {"regression"}
    assert len(plain.encode(views.image)) == len(plain.FEATURES) == 1
    assert "classification" in SAFRC(SAFRCRecipe(spatial=False)).loss(views)
    peaks = SAFRC(SAFRCRecipe(attention=False)).eval()
    image = torch.rand(1, 3, 256, 256)
    assert torch.equal(peaks.encode(image)[1], peaks.backbone(image).peaks)
    blind = SAFRC(SAFRCRecipe(mask=False)).eval()
    encoded = blind.spatial(blind.encode(image)[1], BOXES)
    assert encoded.shape == (4, 256)
    assert torch.equal(encoded[0], encoded[1])


def test_the_shared_convolution_is_that_of_peaks_and_mask_together():
    """Convolving peaks and masks apart and adding up is one convolution of k + 1 channels, as in the paper."""
    torch.manual_seed(0)
    encoder = SpatialEncoder(19).eval()
    peaks = torch.rand(1, 19, 64, 64)
    weight = torch.cat([encoder.peaks.weight, encoder.mask.weight], dim=1)
    assert weight.shape == (32, 20, 5, 5)
    both = torch.cat([peaks.expand(4, -1, -1, -1), coverage(BOXES, 64, 64)[:, None]], dim=1)
    maps = functional.max_pool2d(functional.relu(functional.conv2d(both, weight, encoder.peaks.bias)), 2)
    maps = functional.max_pool2d(functional.relu(encoder.second(maps)), 2)
    assert torch.allclose(encoder(peaks, BOXES), encoder.last(maps.flatten(1)), atol=1e-5)


def test_masks():
    """One inside, nothing outside, and the share of a cell that an edge crosses."""
    mask = coverage(torch.tensor([[0.25, 0, 0.875, 0.5]]), 4, 4)[0]
    assert mask[0].tolist() == [0, 1, 1, 0.5]
    assert mask[1].tolist() == [0, 1, 1, 0.5]
    assert mask[2:].sum() == 0


def test_pairs_are_far_enough_apart_and_balanced():
    """Only pairs beyond the margin, no more than asked for, and either one may come first."""
    torch.manual_seed(0)
    scores = torch.rand(64) * 4 + 1
    pairs = drawn_pairs(scores, 0.5, 256)
    assert pairs.shape == (256, 2)
    difference = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    assert difference.abs().min() > 0.5
    assert 0.35 < (difference > 0).float().mean() < 0.65
    assert len({frozenset(pair) for pair in pairs.tolist()}) == 256
    assert len(drawn_pairs(torch.ones(5), 0.5, 256)) == 0


def test_consistency_by_hand():
    """Eq. 6: in the classifier's order by the margin costs nothing; the other way round the gap and the margin."""
    predicted = torch.tensor([2.0, 1.0, 1.05])
    pairs = torch.tensor([[0, 1], [0, 2], [1, 2]])
    logits = torch.tensor([3.0, -1.0, 0.0])  # 0 better than 1; 2 better than 0; no opinion
    assert consistency_loss(predicted, pairs, logits, 0.1).item() == pytest.approx((0 + (0.1 + 0.95) + 0.1) / 3)
