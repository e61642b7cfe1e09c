import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autocrop.models.imbalance import BINS, FeatureSmoothing, InverseFrequency, SyntheticSamples, bin_of, focal_weight

BEST = np.clip(np.random.default_rng(0).normal([0.05, 0.1, 0.95, 0.9], 0.1, (300, 4)), 0, 1).astype(np.float32)


def test_inverse_frequency_weights_rare_locations_more():
    """Rare locations get larger weights, with a mean of one; taking the root or smoothing reduces the contrast."""
    targets = torch.from_numpy(BEST)
    plain, smooth = InverseFrequency(), InverseFrequency(smooth=True)
    for module in (plain, smooth):
        module.prepare(targets)
        weights = module(targets)
        assert torch.allclose(weights.mean(dim=0), torch.ones(4), atol=1e-4)
        common, rare = module(torch.full((1, 4), 0.02))[0, 0], module(torch.full((1, 4), 0.27))[0, 0]
        assert rare > common
    root = InverseFrequency(power=0.5)
    root.prepare(targets)
    assert 1 < (root.weight.max() / root.weight.min()) ** 2 == pytest.approx(plain.weight.max() / plain.weight.min())
    assert smooth.weight.diff(dim=1).abs().mean() < plain.weight.diff(dim=1).abs().mean()


def test_focal_weight_increases_with_the_error():
    """The weight of an error e is σ(|μ e|)^ψ."""
    assert focal_weight(torch.tensor([0.0, 1.0]), 2, 2).tolist() == pytest.approx([0.25, (1 / (1 + math.exp(-2))) ** 2])


def test_feature_smoothing_moves_outliers_towards_their_neighbors():
    """Features are unchanged in the first epoch; then a bin that stands out moves towards the bins around it."""
    smoothing = FeatureSmoothing(2)
    locations = torch.linspace(0.01, 0.99, 400)[:, None].expand(-1, 4).contiguous()
    features = torch.randn(400, 4, 2, generator=torch.Generator().manual_seed(0)) * 0.1
    outlier = bin_of(locations[:, 0]) == 10
    features[outlier] += 5
    assert torch.equal(smoothing(features, locations), features)
    smoothing.gather(features, locations)
    smoothing.update()
    calibrated = smoothing(features, locations)
    assert features[outlier].mean() > 4.5
    assert calibrated[outlier].mean() < 2.5  # slightly more than 5 times the central weight of the kernel
    far = (bin_of(locations[:, 0]) < 7) | (bin_of(locations[:, 0]) > 13)
    assert (calibrated[far] - features[far]).abs().max() < 0.3
    assert smoothing.count.sum() == 0
    assert BINS == 20


def test_feature_smoothing_keeps_running_averages():
    """Statistics start with those of the first epoch and then keep 0.9 of their value; empty bins do not change."""
    smoothing = FeatureSmoothing(1)
    for values, location in (((1.0, 3.0), 0.52), ((8.0, 10.0, 12.0), 0.53), ((5.0,), 0.98)):
        targets = torch.full((len(values), 4), location)
        smoothing.gather(torch.tensor(values)[:, None, None].expand(-1, 4, 1), targets)
        smoothing.update()
    assert smoothing.mean[:, 10, 0].tolist() == pytest.approx([0.9 * 2 + 0.1 * 10] * 4)
    assert smoothing.variance[:, 10, 0].tolist() == pytest.approx([0.9 * 2 + 0.1 * 4] * 4)  # unbiased: n - 1
    assert smoothing.mean[:, 19, 0].tolist() == [5] * 4
    assert smoothing.seen.sum() == 8


def test_synthetic_samples_are_near_rare_ones():
    """Locations far from the median are rare, and synthetic targets move by at most a tenth of the photo."""
    synthesis = SyntheticSamples()
    usual = np.random.default_rng(0).normal([0.05, 0.1, 0.95, 0.9], 0.1, (3000, 4))
    synthesis.prepare(torch.from_numpy(np.clip(usual, 0, 1)))
    rare = synthesis.rare(torch.tensor([[0.05, 0.1, 0.95, 0.9], [0.4, 0.45, 0.5, 0.5]]))
    assert rare.tolist() == [[False] * 4, [True] * 4]
    targets = torch.tensor([[0.05, 0, 1, 1]] * 4 + [[0.30, 0, 1, 1], [0.34, 0, 1, 1], [0.32, 0, 1, 1], [0.42, 0, 1, 1]])
    features = torch.cat([torch.zeros(4, 3), targets[4:, :1].expand(-1, 3)])
    torch.manual_seed(0)
    new, locations = synthesis(features, targets, side=0)
    assert new.shape == (4, 3)
    assert locations.shape == (4,)
    assert (locations - targets[4:, 0]).abs().max() <= 0.1 + 1e-6
    assert locations.min() > 0.25
    assert len(synthesis(features[:4], targets[:4], side=0)[1]) == 0


def test_locations_beyond_a_whisker_are_rare_only_if_there_are_outliers():
    """The edge of the photo is not rare if half of the sides lie on it, while outliers on the other end are."""
    left = torch.cat([torch.zeros(50), torch.linspace(0.01, 0.2, 45), torch.linspace(0.5, 0.6, 5)])
    synthesis = SyntheticSamples()
    synthesis.prepare(torch.stack([left, left, 1 - left, 1 - left], dim=1))
    assert synthesis.rare(torch.tensor([[0.0, 0.0, 1.0, 1.0]])).tolist() == [[False] * 4]
    assert synthesis.rare(torch.tensor([[0.55, 0.55, 0.45, 0.45]])).tolist() == [[True] * 4]


@pytest.mark.parametrize("seed", range(5))
def test_synthetic_features_move_in_proportion_to_their_target(seed):
    """Between two distant samples, the target stops after a tenth of the photo, and the features stop with it."""
    synthesis = SyntheticSamples(threshold=0.0, neighbors=1)
    targets = torch.tensor([[0.2, 0, 1, 1], [0.8, 0, 1, 1]]).repeat_interleave(3, dim=0)
    targets[:, 0] += torch.tensor([0, 1e-4, 2e-4, 0, 1e-4, 2e-4])
    features = targets[:, :1] * 10
    features[[0, 3]] = torch.tensor([[5.0], [5.001]])  # similar features, distant targets
    targets[[0, 3], 0] = torch.tensor([0.2, 0.8])
    torch.manual_seed(seed)
    new, locations = synthesis(features, targets, side=0)
    moved = (locations[[0, 3]] - targets[[0, 3], 0]).abs()
    share = (new[[0, 3], 0] - features[[0, 3], 0]).abs() / 0.001
    assert moved.max() <= 0.1 + 1e-6
    assert share == pytest.approx(moved / 0.6, abs=2e-3)
