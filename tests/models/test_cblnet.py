import dataclasses
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autocrop.errors import UsageError
from autocrop.geometry import boxes as bx
from autocrop.models.backbones import Pyramid
from autocrop.models.base import Views, ordered
from autocrop.models.cblnet import IMBALANCE, AxisAttention, CBLNet, CBLNetRecipe, contrastive_losses
from autocrop.models.imbalance import BINS, FeatureSmoothing, InverseFrequency, SyntheticSamples, bin_of, focal_weight

SMALL = CBLNetRecipe(side=64, channels=16, heads=2, train_norm=False)
BEST = np.clip(np.random.default_rng(0).normal([0.05, 0.1, 0.95, 0.9], 0.1, (300, 4)), 0, 1).astype(np.float32)


def photos(count, side=64):
    empty = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0)
    generator = torch.Generator().manual_seed(1)
    return [
        Views(torch.randn(1, 3, side, side, generator=generator), *empty, targets=torch.from_numpy(box[None]))
        for box in BEST[:count]
    ]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CBLNet(SMALL).eval()


def test_attention_is_the_papers_order_of_operations():
    """Heads weighted, concatenated, reduced and then summed over the rows: the same, but for the bias."""
    torch.manual_seed(0)
    attention = AxisAttention(8, 3)
    features = torch.randn(2, 8, 5, 6)
    found, weights = attention(features)
    assert torch.allclose(weights.sum(dim=2), torch.ones(2, 3, 6), atol=1e-5)
    weighted = torch.cat([weights[:, [head]] * features for head in range(3)], dim=1)
    literal = torch.einsum("dc,bcyx->bdx", attention.merge.weight[..., 0], weighted) + attention.merge.bias[:, None]
    assert torch.allclose(found, literal, atol=1e-5)


def test_features_of_different_photos_differ(network):
    """Eq. 1 read literally gives features that are the same everywhere (papers.md); these are not."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((32, 8), (96, 4), (320, 2))
    maps = Pyramid(*(torch.randn(6, channels, side, side, generator=generator) for channels, side in sizes))
    with torch.no_grad():
        _, _, sides, _ = network.features(maps)
    assert sides.shape == (6, 4, 16, 2)
    spread = sides.std(dim=0).mean() / sides.abs().mean()
    assert spread > 0.01
    assert (sides[:, 0] - sides[:, 2]).abs().max() > 1e-3  # nor are a photo's sides the same


def test_proposals_are_proper_boxes(network):
    """Four sides that may cross become a box of a least size inside the photo."""
    crossed = torch.tensor([[0.9, 0.2, 0.1, 0.8], [0.98, 0.0, 1.0, 0.02], [0.5, 0.5, 0.5, 0.5]])
    boxes = ordered(crossed)
    assert boxes[0].tolist() == pytest.approx([0.1, 0.2, 0.9, 0.8])
    assert ((boxes[:, 2:] - boxes[:, :2]) >= 0.1 - 1e-6).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    found, confidence, *_ = network.encode(torch.randn(1, 3, 64, 64))
    assert found.shape == (1, 1, 4)
    assert confidence.tolist() == [[1.0]]
    scores = network.score((found, confidence), torch.cat([found[0], torch.tensor([[0.0, 0.0, 0.1, 0.1]])]))
    assert scores[0].item() == pytest.approx(5)
    assert 1 <= scores[1].item() < 5


@pytest.mark.parametrize("method", IMBALANCE)
def test_every_method_trains_the_network(method):
    """Finite terms, in two epochs, and gradients for all that the method trains."""
    torch.manual_seed(0)
    network = CBLNet(dataclasses.replace(SMALL, imbalance=method, epochs=2))
    network.prepare(BEST)
    batch = photos(12)
    for epoch in range(2):
        network.train()
        network.begin_epoch(epoch)
        network.zero_grad()
        terms = network.batch_loss(batch)
        assert all(math.isfinite(value.item()) for value in terms.values())
        sum(terms.values()).backward()
    assert set(terms) == {"l1"} | {"c2c": {"alignment", "uniformity"}, "smogn": {"synthetic"}}.get(method, set())
    untrained = {name.partition(".")[0] for name, parameter in network.named_parameters() if parameter.grad is None}
    assert untrained == ({"backbone", "reduce", "horizontal", "vertical"} if method == "rrt" else set())


def test_there_is_no_such_method():
    with pytest.raises(UsageError, match="no imbalance 'magic'"):
        CBLNetRecipe(imbalance="magic")
    with pytest.raises(UsageError, match="photos of one size"):
        CBLNetRecipe(side=0)


def test_c2c_does_not_depend_on_the_order_of_the_batch():
    """Pairs have no direction, as |Δy| says and eq. 5 does not."""
    generator = torch.Generator().manual_seed(0)
    features, target = torch.randn(16, 4, 20, generator=generator), torch.rand(16, 4, generator=generator)
    recipe = CBLNetRecipe(positive=0.2, negative=0.5, slack=0.1)
    losses = contrastive_losses(features, target, recipe)
    shuffled = torch.randperm(16, generator=generator)
    again = contrastive_losses(features[shuffled], target[shuffled], recipe)
    assert [value.item() for value in again] == pytest.approx([value.item() for value in losses], rel=1e-5)
    assert min(value.item() for value in losses) > 0


def test_c2c_by_hand():
    """Two photos whose left sides are near and whose right sides are far apart."""
    features = torch.zeros(2, 4, 2)
    features[0, :, 0] = features[1, :, 1] = 3.0  # at right angles: the distance of the unit vectors is √2
    target = torch.tensor([[0.10, 0.0, 0.1, 0.0], [0.12, 0.3, 0.9, 0.3]])
    alignment, uniformity = contrastive_losses(features, target, CBLNetRecipe())
    assert alignment.item() == pytest.approx(math.sqrt(2) - 0.5)
    assert uniformity.item() == pytest.approx(math.exp(-2))
    assert [value.item() for value in contrastive_losses(features[:1], target[:1], CBLNetRecipe())] == [0, 0]


def mapped(count):
    """Photos with maps that differ, as those of a backbone without weights hardly do."""
    generator = torch.Generator().manual_seed(2)
    maps = [
        Pyramid(*(torch.randn(1, c, s, s, generator=generator) for c, s in ((32, 8), (96, 4), (320, 2))))
        for _ in range(count)
    ]
    return [dataclasses.replace(views, maps=found) for views, found in zip(photos(count), maps, strict=True)]


def seen_by_hand(network, batch):
    """Boundary features ``[B, 4, C, n]``, their means, the true sides, and the errors of the locations."""
    with torch.no_grad():
        sides = network.features(network.batch_maps(batch))[2]
    target = torch.cat([views.targets[:1] for views in batch])
    return sides, sides.mean(dim=3), target, errors_by_hand(network, sides.mean(dim=3), target)


def errors_by_hand(network, pooled, target):
    """|σ(regressor of each side) - true location|, ``[B, 4]``."""
    with torch.no_grad():
        parts = [regressor(pooled[:, side])[:, 0] for side, regressor in enumerate(network.regressors)]
    return (1 / (1 + (-torch.stack(parts, dim=1)).exp()) - target).abs()


def l1_of(network, batch):
    return network.batch_loss(batch)["l1"].item()


def test_the_loss_is_eq_7():
    """L1 + β L_align + γ L_uniform, with C2C on whole boundary features, pair by pair."""
    torch.manual_seed(0)
    recipe = dataclasses.replace(
        SMALL, positive=0.08, negative=0.2, alignment=3.0, uniformity=0.7, power=2.0, slack=0.001, sharpness=3.0
    )
    network, batch = CBLNet(recipe).eval(), mapped(8)
    sides, _, target, error = seen_by_hand(network, batch)
    vectors = sides.flatten(2).double().numpy()
    vectors = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    alignment, uniformity, pairs = 0.0, 0.0, 8 * 7 / 2
    for i in range(8):
        for j in range(i):
            for side in range(4):
                apart = abs(float(target[i, side] - target[j, side]))
                distance = math.sqrt(sum((vectors[i, side] - vectors[j, side]) ** 2))
                if apart < 0.08:
                    alignment += max(distance**2 - 0.001, 0) / pairs
                if apart > 0.2:
                    uniformity += math.exp(-3 * distance**2) / pairs
    terms = {name: value.item() for name, value in network.batch_loss(batch).items()}
    expected = {"l1": error.sum().item() / 8, "alignment": 3 * alignment, "uniformity": 0.7 * uniformity}
    assert terms == pytest.approx(expected, rel=1e-3)
    assert min(terms.values()) > 0


def weights_by_hand(target, smooth):
    """Weights ``[B, 4]`` of sides: 1/√count of their bin of the mirrored :data:`BEST`, on average one."""
    mirrored = np.concatenate([BEST, np.stack([1 - BEST[:, 2], BEST[:, 1], 1 - BEST[:, 0], BEST[:, 3]], axis=1)])
    kernel = np.exp([-0.5, -0.125, 0, -0.125, -0.5])
    found = []
    for side in range(4):
        places = np.minimum((mirrored[:, side] * 20).astype(int), 19)
        counts = np.bincount(places, minlength=20).astype(float)
        if smooth:
            around = np.concatenate([counts[2:0:-1], counts, counts[-2:-4:-1]])
            counts = np.array([(around[i : i + 5] * kernel).sum() / kernel.sum() for i in range(20)])
        weight = np.maximum(counts, 5) ** -0.5
        found.append(weight[np.minimum((target[:, side] * 20).astype(int), 19)] / weight[places].mean())
    return np.stack(found, axis=1)


@pytest.mark.parametrize("method", ["inv", "lds-fds"])
def test_rare_sides_weigh_more_in_the_loss(method):
    """L1 of the sides by the inverse frequency of their bins, smoothed first by LDS; FDS knows nothing yet."""
    torch.manual_seed(0)
    network, batch = CBLNet(dataclasses.replace(SMALL, imbalance=method)).eval(), mapped(12)
    network.prepare(BEST)
    _, _, target, error = seen_by_hand(network, batch)
    weight = weights_by_hand(target.numpy(), smooth=method == "lds-fds")
    assert l1_of(network, batch) == pytest.approx((error.numpy() * weight).sum() / 12, rel=1e-4)
    assert l1_of(network, batch) != pytest.approx(error.sum().item() / 12, rel=1e-3)


def test_rrt_begins_its_regressors_again_halfway():
    """Epochs 0 and 1 of 4 train everything; at 2 the regressors begin anew, and only they learn, by weighted errors."""
    torch.manual_seed(0)
    network, batch = CBLNet(dataclasses.replace(SMALL, imbalance="rrt", epochs=4)).eval(), mapped(12)
    network.prepare(BEST)
    with torch.no_grad():
        for parameter in network.regressors.parameters():
            parameter.add_(7)
    learnt = {name: value.clone() for name, value in network.state_dict().items()}
    for epoch in (0, 1):
        network.begin_epoch(epoch)
        assert all(torch.equal(value, learnt[name]) for name, value in network.state_dict().items())
        assert l1_of(network, batch) == pytest.approx(seen_by_hand(network, batch)[3].sum().item() / 12, rel=1e-4)
    network.begin_epoch(2)
    for name, value in network.state_dict().items():
        if name.startswith("regressors."):
            assert value.abs().max() <= 0.36, name  # √(1/8) for the last layer, of eight inputs
            assert len(value.unique()) > value.numel() / 2, name
        else:
            assert torch.equal(value, learnt[name]), name
    _, _, target, error = seen_by_hand(network, batch)
    weighted = error.numpy() * weights_by_hand(target.numpy(), smooth=False)
    assert l1_of(network, batch) == pytest.approx(weighted.sum() / 12, rel=1e-4)
    with torch.no_grad():
        for parameter in network.regressors.parameters():
            parameter.add_(1)
    again = [value.clone() for value in network.regressors.parameters()]
    network.begin_epoch(3)
    assert all(torch.equal(a, b) for a, b in zip(again, network.regressors.parameters(), strict=True))


def test_focal_r_weighs_errors_by_their_size():
    """σ(|μ e|)^ψ e, as the paper rewrites the focal loss."""
    torch.manual_seed(0)
    recipe = dataclasses.replace(SMALL, imbalance="focal-r", focal_mu=3.0, focal_psi=1.5)
    network, batch = CBLNet(recipe).eval(), mapped(6)
    error = seen_by_hand(network, batch)[3].double().numpy()
    assert l1_of(network, batch) == pytest.approx((error / (1 + np.exp(-3 * error)) ** 1.5).sum() / 6, rel=1e-4)


def test_features_are_smoothed_in_the_loss():
    """A bin whose mean m stands alone is moved to k m, where k is the middle of the kernel; errors follow."""
    torch.manual_seed(0)
    network, batch = CBLNet(dataclasses.replace(SMALL, imbalance="lds-fds")).eval(), mapped(6)
    box = torch.tensor([[0.26, 0.33, 0.62, 0.71]])
    batch = [dataclasses.replace(views, targets=box) for views in batch]
    mean = torch.randn(16)
    network.smoothing.seen.fill_(True)
    for side, place in enumerate((5, 6, 12, 14)):  # of bins of 0.05
        network.smoothing.mean[side, place] = mean
    middle = 1 / (1 + 2 * math.exp(-1 / 8) + 2 * math.exp(-1 / 2))
    _, pooled, target, unmoved = seen_by_hand(network, batch)
    moved = errors_by_hand(network, pooled - (1 - middle) * mean, target)
    assert l1_of(network, batch) == pytest.approx(moved.sum().item() / 6, rel=1e-4)
    assert l1_of(network, batch) != pytest.approx(unmoved.sum().item() / 6, rel=1e-3)


def test_what_the_loss_has_seen_is_smoothed_by_in_the_next_epoch():
    """The statistics of an epoch are the features' own, bin by bin."""
    torch.manual_seed(0)
    network, batch = CBLNet(dataclasses.replace(SMALL, imbalance="lds-fds")).eval(), mapped(6)
    network.begin_epoch(0)
    network.batch_loss(batch)
    assert not network.smoothing.seen.any()
    network.begin_epoch(1)
    _, pooled, target, _ = seen_by_hand(network, batch)
    places = [[min(int(place * 20), 19) for place in side] for side in target.T.tolist()]
    for side, of_side in enumerate(places):
        assert network.smoothing.seen[side].nonzero()[:, 0].tolist() == sorted(set(of_side))
        for place in set(of_side):
            expected = pooled[[other == place for other in of_side], side].mean(dim=0)
            assert torch.allclose(network.smoothing.mean[side, place], expected, atol=1e-5)


def test_equal_features_have_a_gradient():
    """The distance of equal features has no gradient; it must not be a NaN."""
    features = torch.ones(3, 4, 2, requires_grad=True)
    alignment, uniformity = contrastive_losses(features, torch.zeros(3, 4), CBLNetRecipe(slack=0.0))
    (alignment + uniformity).backward()
    assert torch.isfinite(features.grad).all()


def test_inverse_frequency():
    """Rare locations count more, all together as much as before; smoothing brings neighbors closer."""
    targets = torch.from_numpy(BEST)
    plain, smooth = InverseFrequency(), InverseFrequency(smooth=True)
    for weights in (plain, smooth):
        weights.prepare(targets)
        found = weights(targets)
        assert torch.allclose(found.mean(dim=0), torch.ones(4), atol=1e-4)
        common, rare = weights(torch.full((1, 4), 0.02))[0, 0], weights(torch.full((1, 4), 0.27))[0, 0]
        assert rare > common
    root = InverseFrequency(power=0.5)
    root.prepare(targets)
    assert 1 < (root.weight.max() / root.weight.min()) ** 2 == pytest.approx(plain.weight.max() / plain.weight.min())
    assert smooth.weight.diff(dim=1).abs().mean() < plain.weight.diff(dim=1).abs().mean()


def test_focal_weight():
    """Large errors count more, by σ(|μ e|)^ψ."""
    assert focal_weight(torch.tensor([0.0, 1.0]), 2, 2).tolist() == pytest.approx([0.25, (1 / (1 + math.exp(-2))) ** 2])


def test_feature_smoothing_moves_features_towards_their_neighbors():
    """In the first epoch nothing; then a bin that stands out is moved to the mean of those around it."""
    smoothing = FeatureSmoothing(2)
    places = torch.linspace(0.01, 0.99, 400)[:, None].expand(-1, 4).contiguous()
    features = torch.randn(400, 4, 2, generator=torch.Generator().manual_seed(0)) * 0.1
    outlier = bin_of(places[:, 0]) == 10
    features[outlier] += 5
    assert torch.equal(smoothing(features, places), features)
    smoothing.gather(features, places)
    smoothing.update()
    moved = smoothing(features, places)
    assert features[outlier].mean() > 4.5
    assert moved[outlier].mean() < 2.5  # 5 times the kernel's middle weight, and a little
    far = (bin_of(places[:, 0]) < 7) | (bin_of(places[:, 0]) > 13)
    assert (moved[far] - features[far]).abs().max() < 0.3
    assert smoothing.count.sum() == 0
    assert BINS == 20


def test_statistics_are_running_averages():
    """0.9 of what they were and 0.1 of the epoch's; all of the epoch's at first; a bin without photos keeps its own."""
    smoothing = FeatureSmoothing(1)
    for values, place in (((1.0, 3.0), 0.52), ((8.0, 10.0, 12.0), 0.53), ((5.0,), 0.98)):
        targets = torch.full((len(values), 4), place)
        smoothing.gather(torch.tensor(values)[:, None, None].expand(-1, 4, 1), targets)
        smoothing.update()
    assert smoothing.mean[:, 10, 0].tolist() == pytest.approx([0.9 * 2 + 0.1 * 10] * 4)
    assert smoothing.variance[:, 10, 0].tolist() == pytest.approx([0.9 * 2 + 0.1 * 4] * 4)  # of n - 1
    assert smoothing.mean[:, 19, 0].tolist() == [5] * 4
    assert smoothing.seen.sum() == 8


def test_synthetic_samples_lie_among_the_rare_ones():
    """Rare is what is far from the median; new targets move by a tenth of the photo at most."""
    synthesis = SyntheticSamples()
    usual = np.random.default_rng(0).normal([0.05, 0.1, 0.95, 0.9], 0.1, (3000, 4))
    synthesis.prepare(torch.from_numpy(np.clip(usual, 0, 1)))
    rare = synthesis.rare(torch.tensor([[0.05, 0.1, 0.95, 0.9], [0.4, 0.45, 0.5, 0.5]]))
    assert rare.tolist() == [[False] * 4, [True] * 4]
    targets = torch.tensor([[0.05, 0, 1, 1]] * 4 + [[0.30, 0, 1, 1], [0.34, 0, 1, 1], [0.32, 0, 1, 1], [0.42, 0, 1, 1]])
    features = torch.cat([torch.zeros(4, 3), targets[4:, :1].expand(-1, 3)])
    torch.manual_seed(0)
    new, places = synthesis(features, targets, side=0)
    assert new.shape == (4, 3)
    assert places.shape == (4,)
    assert (places - targets[4:, 0]).abs().max() <= 0.1 + 1e-6
    assert places.min() > 0.25
    assert len(synthesis(features[:4], targets[:4], side=0)[1]) == 0


def test_the_edge_is_not_rare_where_many_sides_lie_on_it():
    """Beyond a whisker must be values for it to be rare: half of these sides lie on the photo's edge."""
    left = torch.cat([torch.zeros(50), torch.linspace(0.01, 0.2, 45), torch.linspace(0.5, 0.6, 5)])
    synthesis = SyntheticSamples()
    synthesis.prepare(torch.stack([left, left, 1 - left, 1 - left], dim=1))
    assert synthesis.rare(torch.tensor([[0.0, 0.0, 1.0, 1.0]])).tolist() == [[False] * 4]
    assert synthesis.rare(torch.tensor([[0.55, 0.55, 0.45, 0.45]])).tolist() == [[True] * 4]


def test_synthetic_features_go_as_far_as_their_target():
    """Between two samples far apart the target stops after a tenth of the photo, and the features with it."""
    synthesis = SyntheticSamples(threshold=0.0, neighbors=1)
    targets = torch.tensor([[0.2, 0, 1, 1], [0.8, 0, 1, 1]]).repeat_interleave(3, dim=0)
    targets[:, 0] += torch.tensor([0, 1e-4, 2e-4, 0, 1e-4, 2e-4])
    features = targets[:, :1] * 10
    features[[0, 3]] = torch.tensor([[5.0], [5.001]])  # alike, though far apart
    targets[[0, 3], 0] = torch.tensor([0.2, 0.8])
    torch.manual_seed(0)
    for _ in range(5):
        new, places = synthesis(features, targets, side=0)
        moved = (places[[0, 3]] - targets[[0, 3], 0]).abs()
        share = (new[[0, 3], 0] - features[[0, 3], 0]).abs() / 0.001
        assert moved.max() <= 0.1 + 1e-6
        assert share == pytest.approx(moved / 0.6, abs=2e-3)


def test_the_second_round_of_rrt_begins_the_same_everywhere():
    """Whatever was drawn before: in every process, and in a run that was resumed. It alone may be kept."""
    started = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        network = CBLNet(dataclasses.replace(SMALL, imbalance="rrt", epochs=5))
        before = network.regressors[0][0].weight.clone() if hasattr(network.regressors[0][0], "weight") else None
        state = torch.get_rng_state()
        assert list(network.begin_epoch(1)) == []
        assert set(network.begin_epoch(2)) == set(network.regressors.parameters())
        assert torch.equal(torch.get_rng_state(), state)
        started.append([parameter.detach().clone() for parameter in network.regressors.parameters()])
        assert before is None or not torch.equal(before, started[-1][0])
        assert [network.may_be_best(epoch) for epoch in range(5)] == [False, False, True, True, True]
    assert all(map(torch.equal, *started))


def test_mirrored_photos_count(network):
    """Photos are mirrored in training, so that left and right sides have the same distribution."""
    balanced = CBLNet(dataclasses.replace(SMALL, imbalance="inv"))
    balanced.prepare(BEST)
    assert torch.allclose(balanced.balance.weight[0], balanced.balance.weight[2].flip(0), atol=1e-5)
    assert bx.flip(BEST)[0, 0] == pytest.approx(1 - BEST[0, 2])
