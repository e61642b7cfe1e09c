import dataclasses
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autocrop.geometry import boxes as bx
from autocrop.models import Pyramid, Views
from autocrop.models.base import boxes_from_corners
from autocrop.models.cblnet import IMBALANCE, AxisAttention, CBLNet, CBLNetRecipe, contrastive_losses

SMALL = CBLNetRecipe(side=64, channels=16, heads=2, train_norm=False)
BEST = np.clip(np.random.default_rng(0).normal([0.05, 0.1, 0.95, 0.9], 0.1, (300, 4)), 0, 1).astype(np.float32)
"""Best crops of a training split."""


def make_batch(count, side=64):
    """Create views of *count* photos with the first crops of BEST as targets."""
    empty = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0)
    generator = torch.Generator().manual_seed(1)
    return [
        Views(torch.randn(1, 3, side, side, generator=generator), *empty, targets=torch.from_numpy(box[None]))
        for box in BEST[:count]
    ]


def make_batch_with_maps(count):
    """Create views with random feature maps, which differ more than those of an untrained backbone."""
    generator = torch.Generator().manual_seed(2)
    maps = [
        Pyramid(*(torch.randn(1, c, s, s, generator=generator) for c, s in ((32, 8), (96, 4), (320, 2))))
        for _ in range(count)
    ]
    return [dataclasses.replace(views, maps=pyramid) for views, pyramid in zip(make_batch(count), maps, strict=True)]


def make_network(**changes):
    """Create a network in evaluation mode, from the small recipe with *changes*."""
    torch.manual_seed(0)
    return CBLNet(dataclasses.replace(SMALL, **changes)).eval()


def expected_errors(network, pooled, target):
    """Compute |σ(regressor of each side) - target|, ``[B, 4]``."""
    with torch.no_grad():
        logits = [regressor(pooled[:, side])[:, 0] for side, regressor in enumerate(network.regressors)]
    return (1 / (1 + (-torch.stack(logits, dim=1)).exp()) - target).abs()


def boundary_features(network, batch):
    """Compute boundary features ``[B, 4, C, n]``, their means, the targets, and the errors of the locations."""
    with torch.no_grad():
        boundaries = network.features(network.batch_maps(batch))[2]
    target = torch.cat([views.targets[:1] for views in batch])
    return boundaries, boundaries.mean(dim=3), target, expected_errors(network, boundaries.mean(dim=3), target)


def expected_weights(target, smooth):
    """Compute weights ``[B, 4]``: 1/√count of each side's bin in BEST and its mirror image, with a mean of one."""
    mirrored = np.concatenate([BEST, np.stack([1 - BEST[:, 2], BEST[:, 1], 1 - BEST[:, 0], BEST[:, 3]], axis=1)])
    kernel = np.exp([-0.5, -0.125, 0, -0.125, -0.5])
    weights = []
    for side in range(4):
        bins = np.minimum((mirrored[:, side] * 20).astype(int), 19)
        counts = np.bincount(bins, minlength=20).astype(float)
        if smooth:
            padded = np.concatenate([counts[2:0:-1], counts, counts[-2:-4:-1]])
            counts = np.array([(padded[i : i + 5] * kernel).sum() / kernel.sum() for i in range(20)])
        weight = np.maximum(counts, 5) ** -0.5
        weights.append(weight[np.minimum((target[:, side] * 20).astype(int), 19)] / weight[bins].mean())
    return np.stack(weights, axis=1)


def l1_loss(network, batch):
    return network.batch_loss(batch)["l1"].item()


@pytest.fixture(scope="module")
def network():
    return make_network()


def test_attention_equals_the_order_of_operations_in_the_paper():
    """Summing over the rows before the reduction equals weighting, concatenating, reducing and then summing."""
    torch.manual_seed(0)
    attention = AxisAttention(8, 3)
    features = torch.randn(2, 8, 5, 6)
    columns, weights = attention(features)
    assert torch.allclose(weights.sum(dim=2), torch.ones(2, 3, 6), atol=1e-5)
    weighted = torch.cat([weights[:, [head]] * features for head in range(3)], dim=1)
    expected = torch.einsum("dc,bcyx->bdx", attention.merge.weight[..., 0], weighted) + attention.merge.bias[:, None]
    assert torch.allclose(columns, expected, atol=1e-5)


def test_boundary_features_differ_between_photos_and_sides(network):
    """Boundary features vary; those of a literal reading of eq. 1 would not (docs/papers/cblnet-c2c.md)."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((32, 8), (96, 4), (320, 2))
    maps = Pyramid(*(torch.randn(6, channels, side, side, generator=generator) for channels, side in sizes))
    with torch.no_grad():
        _, _, boundaries, _ = network.features(maps)
    assert boundaries.shape == (6, 4, 16, 2)
    spread = boundaries.std(dim=0).mean() / boundaries.abs().mean()
    assert spread > 0.01
    assert (boundaries[:, 0] - boundaries[:, 2]).abs().max() > 1e-3


def test_proposals_are_valid_boxes(network):
    """Crossed or coinciding sides become a box of the minimum size inside the photo, and scores follow the IoU."""
    corners = torch.tensor([[0.9, 0.2, 0.1, 0.8], [0.98, 0.0, 1.0, 0.02], [0.5, 0.5, 0.5, 0.5]])
    boxes = boxes_from_corners(corners)
    assert boxes[0].tolist() == pytest.approx([0.1, 0.2, 0.9, 0.8])
    assert ((boxes[:, 2:] - boxes[:, :2]) >= 0.1 - 1e-6).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    proposals, confidence, *_ = network.encode(torch.randn(1, 3, 64, 64))
    assert proposals.shape == (1, 1, 4)
    assert confidence.tolist() == [[1.0]]
    scores = network.score((proposals, confidence), torch.cat([proposals[0], torch.tensor([[0.0, 0.0, 0.1, 0.1]])]))
    assert scores[0].item() == pytest.approx(5)
    assert 1 <= scores[1].item() < 5


@pytest.mark.parametrize("method", IMBALANCE)
def test_every_imbalance_method_trains_the_network(method):
    """The terms of the loss are finite in both epochs, and every parameter that the method trains gets a gradient."""
    torch.manual_seed(0)
    network = CBLNet(dataclasses.replace(SMALL, imbalance=method, epochs=2))
    network.prepare(BEST)
    batch = make_batch(12)
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


def test_contrastive_losses_do_not_depend_on_the_order_of_the_batch():
    """Permuting the photos changes nothing, because pairs are compared by |Δy|, unlike in eq. 5."""
    generator = torch.Generator().manual_seed(0)
    features, target = torch.randn(16, 4, 20, generator=generator), torch.rand(16, 4, generator=generator)
    recipe = CBLNetRecipe(positive=0.2, negative=0.5, slack=0.1)
    losses = contrastive_losses(features, target, recipe)
    order = torch.randperm(16, generator=generator)
    permuted = contrastive_losses(features[order], target[order], recipe)
    assert [value.item() for value in permuted] == pytest.approx([value.item() for value in losses], rel=1e-5)
    assert min(value.item() for value in losses) > 0


def test_contrastive_losses_match_manual_computation():
    """The left sides of two photos are a positive pair, the right sides a negative one; one photo has no pairs."""
    features = torch.zeros(2, 4, 2)
    features[0, :, 0] = features[1, :, 1] = 3.0  # orthogonal, so the distance of the unit vectors is √2
    target = torch.tensor([[0.10, 0.0, 0.1, 0.0], [0.12, 0.3, 0.9, 0.3]])
    alignment, uniformity = contrastive_losses(features, target, CBLNetRecipe())
    assert alignment.item() == pytest.approx(math.sqrt(2) - 0.5)
    assert uniformity.item() == pytest.approx(math.exp(-2))
    assert [value.item() for value in contrastive_losses(features[:1], target[:1], CBLNetRecipe())] == [0, 0]


def test_contrastive_losses_have_a_finite_gradient_for_equal_features():
    """The gradient is finite although the distance of equal features has none."""
    features = torch.ones(3, 4, 2, requires_grad=True)
    alignment, uniformity = contrastive_losses(features, torch.zeros(3, 4), CBLNetRecipe(slack=0.0))
    (alignment + uniformity).backward()
    assert torch.isfinite(features.grad).all()


def test_loss_matches_eq_7():
    """The loss is L1 + β L_align + γ L_uniform, with C2C computed pair by pair on the whole boundary features."""
    network = make_network(
        positive=0.08, negative=0.2, alignment=3.0, uniformity=0.7, power=2.0, slack=0.001, sharpness=3.0
    )
    batch = make_batch_with_maps(8)
    boundaries, _, target, error = boundary_features(network, batch)
    vectors = boundaries.flatten(2).double().numpy()
    vectors = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    alignment, uniformity, pairs = 0.0, 0.0, 8 * 7 / 2
    for i in range(8):
        for j in range(i):
            for side in range(4):
                separation = abs(float(target[i, side] - target[j, side]))
                distance = math.sqrt(sum((vectors[i, side] - vectors[j, side]) ** 2))
                if separation < 0.08:
                    alignment += max(distance**2 - 0.001, 0) / pairs
                if separation > 0.2:
                    uniformity += math.exp(-3 * distance**2) / pairs
    terms = {name: value.item() for name, value in network.batch_loss(batch).items()}
    expected = {"l1": error.sum().item() / 8, "alignment": 3 * alignment, "uniformity": 0.7 * uniformity}
    assert terms == pytest.approx(expected, rel=1e-3)
    assert min(terms.values()) > 0


@pytest.mark.parametrize("method", ["inv", "lds-fds"])
def test_loss_weights_sides_by_inverse_frequency(method):
    """L1 errors are weighted by the inverse frequency of their bin, which LDS smooths; FDS has no statistics yet."""
    network, batch = make_network(imbalance=method), make_batch_with_maps(12)
    network.prepare(BEST)
    _, _, target, error = boundary_features(network, batch)
    weight = expected_weights(target.numpy(), smooth=method == "lds-fds")
    assert l1_loss(network, batch) == pytest.approx((error.numpy() * weight).sum() / 12, rel=1e-4)
    assert l1_loss(network, batch) != pytest.approx(error.sum().item() / 12, rel=1e-3)


def test_inverse_frequency_counts_mirrored_photos():
    """Left and right sides have mirrored weights, because photos are mirrored in training."""
    network = make_network(imbalance="inv")
    network.prepare(BEST)
    assert torch.allclose(network.balance.weight[0], network.balance.weight[2].flip(0), atol=1e-5)
    assert bx.flip(BEST)[0, 0] == pytest.approx(1 - BEST[0, 2])


def test_rrt_retrains_the_regressors_halfway():
    """In epoch 2 of 4, only the regressors are reinitialized, and weighted errors replace plain ones."""
    network, batch = make_network(imbalance="rrt", epochs=4), make_batch_with_maps(12)
    network.prepare(BEST)
    with torch.no_grad():
        for parameter in network.regressors.parameters():
            parameter.add_(7)
    trained = {name: value.clone() for name, value in network.state_dict().items()}
    for epoch in (0, 1):
        network.begin_epoch(epoch)
        assert all(torch.equal(value, trained[name]) for name, value in network.state_dict().items())
        error = boundary_features(network, batch)[3]
        assert l1_loss(network, batch) == pytest.approx(error.sum().item() / 12, rel=1e-4)
    network.begin_epoch(2)
    for name, value in network.state_dict().items():
        if name.startswith("regressors."):
            assert value.abs().max() <= 0.36, name  # √(1/8) for the last layer, which has eight inputs
            assert len(value.unique()) > value.numel() / 2, name
        else:
            assert torch.equal(value, trained[name]), name
    _, _, target, error = boundary_features(network, batch)
    weighted = error.numpy() * expected_weights(target.numpy(), smooth=False)
    assert l1_loss(network, batch) == pytest.approx(weighted.sum() / 12, rel=1e-4)
    with torch.no_grad():
        for parameter in network.regressors.parameters():
            parameter.add_(1)
    before = [value.clone() for value in network.regressors.parameters()]
    network.begin_epoch(3)
    assert all(torch.equal(a, b) for a, b in zip(before, network.regressors.parameters(), strict=True))


def test_rrt_reinitialization_depends_on_the_recipe_seed_only():
    """The second round starts from the same regressors in any random state, and only its epochs may be the best."""
    started = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        network = CBLNet(dataclasses.replace(SMALL, imbalance="rrt", epochs=5))
        before = network.regressors[0][0].weight.clone()
        state = torch.get_rng_state()
        assert list(network.begin_epoch(1)) == []
        assert set(network.begin_epoch(2)) == set(network.regressors.parameters())
        assert torch.equal(torch.get_rng_state(), state)
        started.append([parameter.detach().clone() for parameter in network.regressors.parameters()])
        assert not torch.equal(before, started[-1][0])
        assert [network.may_be_best(epoch) for epoch in range(5)] == [False, False, True, True, True]
    assert all(map(torch.equal, *started))


def test_focal_r_weights_errors_by_their_size():
    """Focal-R computes σ(|μ e|)^ψ e for each error e."""
    network, batch = make_network(imbalance="focal-r", focal_mu=3.0, focal_psi=1.5), make_batch_with_maps(6)
    error = boundary_features(network, batch)[3].double().numpy()
    assert l1_loss(network, batch) == pytest.approx((error / (1 + np.exp(-3 * error)) ** 1.5).sum() / 6, rel=1e-4)


def test_loss_uses_smoothed_features():
    """An isolated bin with mean m is calibrated to k m, where k is the central weight of the kernel."""
    network, batch = make_network(imbalance="lds-fds"), make_batch_with_maps(6)
    box = torch.tensor([[0.26, 0.33, 0.62, 0.71]])
    batch = [dataclasses.replace(views, targets=box) for views in batch]
    torch.manual_seed(0)
    mean = torch.randn(16)
    network.smoothing.seen.fill_(True)
    for side, index in enumerate((5, 6, 12, 14)):  # bins of 0.05
        network.smoothing.mean[side, index] = mean
    center = 1 / (1 + 2 * math.exp(-1 / 8) + 2 * math.exp(-1 / 2))
    _, pooled, target, plain = boundary_features(network, batch)
    calibrated = expected_errors(network, pooled - (1 - center) * mean, target)
    assert l1_loss(network, batch) == pytest.approx(calibrated.sum().item() / 6, rel=1e-4)
    assert l1_loss(network, batch) != pytest.approx(plain.sum().item() / 6, rel=1e-3)


def test_feature_statistics_take_effect_in_the_next_epoch():
    """The features that the loss sees in one epoch are the statistics of their bins in the next."""
    network, batch = make_network(imbalance="lds-fds"), make_batch_with_maps(6)
    network.begin_epoch(0)
    network.batch_loss(batch)
    assert not network.smoothing.seen.any()
    network.begin_epoch(1)
    _, pooled, target, _ = boundary_features(network, batch)
    bins = [[min(int(location * 20), 19) for location in side] for side in target.T.tolist()]
    for side, side_bins in enumerate(bins):
        assert network.smoothing.seen[side].nonzero()[:, 0].tolist() == sorted(set(side_bins))
        for index in set(side_bins):
            expected = pooled[[other == index for other in side_bins], side].mean(dim=0)
            assert torch.allclose(network.smoothing.mean[side, index], expected, atol=1e-5)
