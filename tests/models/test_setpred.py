import dataclasses
import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autocrop.models import Pyramid, Views
from autocrop.models.setpred import (
    SMOOTHING,
    SetPrediction,
    SetPredictionRecipe,
    assign,
    bipartite_match,
    focal_loss,
    greedy_cover,
    soft_labels,
)

SMALL = SetPredictionRecipe(
    backbone="mobilenet_v2",
    dilated=False,
    side=64,
    multiscale=False,
    width=32,
    heads=4,
    encoders=1,
    decoders=2,
    hidden=48,
    queries=7,
    freeze_backbone=True,
)
TARGETS = torch.tensor([[0.1, 0.1, 0.9, 0.8], [0.0, 0.1, 0.9, 0.9]])


def make_views(seed=0):
    """Create views of one photo with random feature maps, a good and a bad scored crop, and two targets."""
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.randn(1, c, s, s, generator=generator) for c, s in ((32, 8), (96, 4), (320, 2))]
    image = torch.randn(1, 3, 64, 64, generator=generator)
    scored = torch.tensor([[0.1, 0.1, 0.9, 0.8], [0.5, 0.5, 1, 1]]), torch.tensor([4.5, 1.0])
    votes = torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0)
    return Views(image, *scored, *votes, maps=Pyramid(*maps), targets=TARGETS)


def make_network(**changes):
    """Create a network from the small recipe with *changes*."""
    torch.manual_seed(0)
    return SetPrediction(dataclasses.replace(SMALL, **changes))


@pytest.mark.parametrize("targets", range(1, 7))
def test_assign_finds_the_cheapest_assignment(targets):
    """No permutation of up to six targets among six or eight proposals is cheaper."""
    generator = torch.Generator().manual_seed(targets)
    cost = torch.randn(8 if targets < 4 else 6, targets, generator=generator)
    rows, columns = assign(cost)
    best = min(
        sum(cost[row, column].item() for column, row in enumerate(permutation))
        for permutation in itertools.permutations(range(len(cost)), targets)
    )
    assert cost[rows, columns].sum().item() == pytest.approx(best, abs=1e-5)
    assert sorted(columns.tolist()) == list(range(targets))


def test_assign_without_padding_equals_padding():
    """The padding of eq. 1, whose cost is that of an invalid label, does not change the assignment."""
    generator = torch.Generator().manual_seed(1)
    valid, invalid = torch.rand(6, generator=generator), torch.rand(6, generator=generator)
    distance = torch.rand(6, 3, generator=generator)
    rows, columns = assign(distance + (valid - invalid)[:, None])
    padded = torch.cat([distance + valid[:, None], invalid[:, None].expand(-1, 3)], dim=1)
    all_rows, all_columns = assign(padded)
    real = all_columns < 3
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == set(
        zip(all_rows[real].tolist(), all_columns[real].tolist(), strict=True)
    )


def matching_cost(box, logit, target):
    """Compute eq. 3 for a proposal (cxcywh) and a target (xyxy): 5 L1 - 2 GIoU + 2 (focal valid - focal invalid)."""
    target_box = [
        (target[0] + target[2]) / 2,
        (target[1] + target[3]) / 2,
        target[2] - target[0],
        target[3] - target[1],
    ]
    corners = [box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2]
    width = max(0.0, min(corners[2], target[2]) - max(corners[0], target[0]))
    height = max(0.0, min(corners[3], target[3]) - max(corners[1], target[1]))
    union = box[2] * box[3] + target_box[2] * target_box[3] - width * height
    hull_width = max(corners[2], target[2]) - min(corners[0], target[0])
    hull_height = max(corners[3], target[3]) - min(corners[1], target[1])
    giou = width * height / union - (hull_width * hull_height - union) / (hull_width * hull_height)
    p = 1 / (1 + math.exp(-logit))
    valid, invalid = -0.25 * (1 - p) ** 2 * math.log(p), -0.75 * p**2 * math.log(1 - p)
    return 5 * sum(abs(a - b) for a, b in zip(box, target_box, strict=True)) - 2 * giou + 2 * (valid - invalid)


@pytest.mark.parametrize("seed", range(20))
def test_match_minimizes_the_cost_of_the_paper(seed):
    """Of all matches of three targets to five proposals, the returned one has the lowest cost by eq. 3."""
    rng = np.random.default_rng(seed)
    proposals = np.concatenate([rng.uniform(0.3, 0.7, (5, 2)), rng.uniform(0.1, 0.6, (5, 2))], axis=1)
    corner = rng.uniform(0.0, 0.4, (3, 2))
    targets = np.concatenate([corner, corner + rng.uniform(0.1, 0.6, (3, 2))], axis=1)
    logits = rng.normal(0, 1, 5)
    cost = [[matching_cost(box, logit, t) for t in targets] for box, logit in zip(proposals, logits, strict=True)]
    best = min(itertools.permutations(range(5), 3), key=lambda rows: sum(cost[r][c] for c, r in enumerate(rows)))
    rows, columns = bipartite_match(*(torch.tensor(part).float() for part in (proposals, logits, targets)), SMALL)
    assert dict(zip(columns.tolist(), rows.tolist(), strict=True)) == dict(enumerate(best))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ([0.7, 0.5, 0.4, 0.4], "equal L1 distance (0.2), but an IoU of 1/3 instead of 0.64"),
        ([0.5, 0.5, 0.4, 0.63], "slightly lower IoU (0.635) and larger L1 distance (0.23)"),
        ([0.5, 0.5, 0.4, 0.62], "slightly higher IoU (0.645), but larger L1 distance (0.22)"),
    ],
)
def test_match_uses_both_distances(other, reason):
    """A target matches a proposal that is 0.1 too wide and too high rather than the *other*, equally valid one."""
    proposals = torch.tensor([other, [0.5, 0.5, 0.5, 0.5]])
    rows, _ = bipartite_match(proposals, torch.zeros(2), torch.tensor([[0.3, 0.3, 0.7, 0.7]]), SMALL)
    assert rows.tolist() == [1], reason


def test_match_focal_weights_validity_in_the_matching_cost():
    """A valid proposal wins against a slightly nearer one, unless ``match_focal=0`` ignores validity."""
    proposals = torch.tensor([[0.5, 0.5, 0.8, 0.8], [0.5, 0.5, 0.85, 0.8]])
    logits, targets = torch.tensor([-3.0, 1.0]), torch.tensor([[0.1, 0.1, 0.9, 0.9]])
    assert bipartite_match(proposals, logits, targets, SMALL)[0].tolist() == [1]
    assert bipartite_match(proposals, logits, targets, dataclasses.replace(SMALL, match_focal=0.0))[0].tolist() == [0]


def test_soft_labels_follow_eq_4():
    """Labels rise from 0 at a score of 2 to μ at 3.5, and are 0 for proposals without a near scored crop."""
    crops = torch.tensor([[0.0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]])
    scores = torch.tensor([2.0, 3.5, 2.75, 5.0])
    distant = torch.tensor([[0.2, 0.2, 0.8, 0.8]])
    labels = soft_labels(torch.cat([crops, distant]), crops, scores, SMALL)
    assert labels.tolist() == pytest.approx([0, 0.5, 0.25, 0.5, 0])
    hard = soft_labels(crops, crops, scores, dataclasses.replace(SMALL, most=0.0))
    assert hard.tolist() == [0, 0, 0, 0]


def test_focal_loss_with_hard_labels_is_the_standard_one():
    """With labels of 0 and 1, the loss equals the focal loss of Lin et al."""
    logits, labels = torch.tensor([0.3, -1.2]), torch.tensor([1.0, 0.0])
    probability = logits.sigmoid()
    expected = (
        -0.25 * (1 - probability[0]) ** 2 * probability[0].log()
        - 0.75 * probability[1] ** 2 * (1 - probability[1]).log()
    )
    assert focal_loss(logits, labels).item() == pytest.approx(expected.item(), rel=1e-5)


def soft_focal_loss(logits, labels):
    """Compute the focal loss (α = 0.25, γ = 2) with both factors interpolated by the soft labels, summed."""
    total = 0.0
    for logit, label in zip(logits.tolist(), labels, strict=True):
        p = 1 / (1 + math.exp(-logit))
        correct = p * label + (1 - p) * (1 - label)
        alpha = 0.25 * label + 0.75 * (1 - label)
        total -= alpha * (1 - correct) ** 2 * (label * math.log(p) + (1 - label) * math.log(1 - p))
    return total


@pytest.mark.parametrize(("smoothing", "labels"), [("quality", [1, 0.25, 0, 0]), ("none", [1, 0, 0, 0])])
def test_quality_guidance_sets_the_labels_of_the_loss(monkeypatch, smoothing, labels):
    """Four proposals equal the target, a mediocre crop (2.75), a bad crop (1) and no scored crop, respectively."""
    network = make_network(smoothing=smoothing, queries=4).eval()
    boxes = torch.tensor([[0.5, 0.5, 0.8, 0.8], [0.3, 0.3, 0.4, 0.4], [0.7, 0.7, 0.4, 0.4], [0.5, 0.5, 0.2, 0.2]])
    corners = torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], dim=1)
    logits = torch.tensor([0.5, 1.0, -0.3, -2.0])
    monkeypatch.setattr(network, "_decode", lambda maps: [(boxes[None], logits[None])])
    scores = torch.tensor([4.0, 2.75, 1.0])
    views = dataclasses.replace(make_views(), boxes=corners[:3], scores=scores, targets=corners[:1])
    terms = {name: value.item() for name, value in network.batch_loss([views]).items()}
    assert terms == pytest.approx({"l1": 0, "giou": 0, "focal": 2 * soft_focal_loss(logits, labels)}, abs=1e-5)


def test_distillation_uses_the_teachers_validity_as_soft_labels():
    """The distillation loss of eq. 6 compares the last layer with the teacher's output for the same anchors."""
    network = make_network(smoothing="distillation", distil_from=0).eval()
    network.begin_epoch(0)
    with torch.no_grad():
        network.teacher.class_embed.weight.normal_()
        network.teacher.class_embed.bias.fill_(1.0)
        maps = make_views().maps
        (_, own), (_, taught) = network.features(maps), network.teacher.features(maps)
        loss = network.batch_loss([make_views()])["distillation"].item()
    assert (own - taught).abs().min() > 0.01
    expected = 2 * soft_focal_loss(torch.logit(own[0]), taught[0].tolist()) / len(TARGETS)
    assert loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_training_converges_to_the_targets(smoothing):
    """Training on one photo lowers the loss, trains every parameter, and ranks the targets first."""
    network = make_network(smoothing=smoothing, dropout=0.0, distil_from=1).train()
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=2e-3)
    first = None
    for step in range(60):
        network.begin_epoch(step // 30)
        terms = network.batch_loss([make_views()])
        total = sum(terms.values())
        first = first if first is not None else total.item()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        network.after_step()
    assert total.item() < 0.4 * first
    assert {"l1", "giou", "focal", "l1_1", "giou_1", "focal_1"} <= set(terms)
    assert ("distillation" in terms) == (smoothing == "distillation")
    unused = {name for name, p in network.named_parameters() if p.requires_grad and p.grad is None}
    assert unused == set()
    with torch.no_grad():
        boxes, validity = network.eval().features(make_views().maps)
    best = boxes[0, validity[0].argsort(descending=True)[:2]]
    distance = torch.cdist(best, TARGETS, p=1)
    assert distance.min(dim=0).values.max() < 0.15  # each of the two is among the two most valid


def test_teacher_is_a_moving_average_of_the_model():
    """The teacher starts as a copy at ``distil_from``, moves by θ per step (eq. 5), and is never trained."""
    network = make_network(smoothing="distillation", distil_from=3, theta=0.25).train()
    before = network.teacher.class_embed.weight.clone()
    network.begin_epoch(2)
    with torch.no_grad():
        network.class_embed.weight.add_(1.0)
    network.after_step()
    assert torch.equal(network.teacher.class_embed.weight, before)  # distillation has not started
    network.begin_epoch(3)
    assert torch.equal(network.teacher.class_embed.weight, network.class_embed.weight)
    with torch.no_grad():
        network.class_embed.weight.add_(1.0)
    network.after_step()
    assert torch.allclose(network.teacher.class_embed.weight, before + 1 + 0.25, atol=1e-6)
    assert not network.teacher.training
    assert not any(parameter.requires_grad for parameter in network.teacher.parameters())


def test_teacher_copies_batch_norm_statistics():
    """When distillation starts, the teacher predicts the same crops, because buffers are copied, too."""
    network = make_network(smoothing="distillation", distil_from=1).eval()
    with torch.no_grad():
        for name, value in network.named_buffers():
            if name.endswith("running_var") and not name.startswith("teacher."):
                value.mul_(4)
    image = torch.rand(1, 3, 64, 64)
    assert not torch.allclose(network.backbone(image).stride16, network.teacher.backbone(image).stride16)
    network.begin_epoch(1)
    assert torch.equal(network.backbone(image).stride16, network.teacher.backbone(image).stride16)
    for own, taught in zip(network.encode(image), network.teacher.encode(image), strict=True):
        assert torch.equal(own, taught)


def test_greedy_cover_initializes_the_proposals():
    """Proposals start as the boxes that cover the best crops; a second ``prepare`` does not overwrite them."""
    wide, left, right = [0.0, 0.1, 1, 0.9], [0.0, 0.0, 0.4, 1], [0.6, 0.0, 1, 1]
    best = np.array([wide] * 6 + [left] * 3 + [right] * 2, np.float32)
    assert greedy_cover(best, 3) == pytest.approx(np.array([wide, left, right], np.float32))
    network = make_network(spread=True, queries=3).eval()
    network.prepare(best)
    with torch.no_grad():
        boxes, _ = network.features(make_views().maps)
    first, *others = boxes[0].tolist()
    assert first == pytest.approx(wide, abs=0.03)
    # Photos are mirrored in training, so left and right are equally good.
    assert min(others) == pytest.approx(left, abs=0.03)
    assert max(others) == pytest.approx(right, abs=0.03)
    with torch.no_grad():
        network.start.fill_(0.3)
    network.prepare(best)
    assert (network.start == 0.3).all()


def record_input_shapes(network):
    """Return a list that collects the shape of every input of the backbone."""
    shapes = []
    network.backbone.register_forward_pre_hook(lambda module, inputs: shapes.append(tuple(inputs[0].shape)))
    return shapes


@pytest.mark.parametrize(("multiscale", "sides"), [(True, {96, 128, 160}), (False, {128})])
def test_multiscale_training_resizes_each_step(multiscale, sides):
    """All photos of a step are resized to one random side, from 0.8 to 1.33 times the recipe's."""
    network = make_network(side=128, multiscale=multiscale, encoders=0, decoders=1).train()
    shapes = record_input_shapes(network)
    image = torch.randn(1, 3, 128, 128)
    batch = [dataclasses.replace(make_views(seed), image=image, maps=None) for seed in range(2)]
    with torch.no_grad():
        for _ in range(20):
            network.batch_loss(batch)
    assert set(shapes) == {(2, 3, side, side) for side in sides}


def test_multiscale_training_uses_the_sides_of_the_paper():
    """A side of 608 gives the paper's sides of 480 to 800 in steps of 32."""
    network = make_network(side=608, multiscale=True, encoders=0, decoders=1)
    sides = {network._random_resize(torch.zeros(1, 3, 8, 8)).shape[2] for _ in range(150)}
    assert sides == set(range(480, 801, 32))


def test_first_blocks_of_a_resnet_are_frozen():
    """The stem and the first stage of ResNet-50, as in DETR, are not trained; other backbones are trained entirely."""
    with torch.device("meta"):
        network = SetPrediction(dataclasses.replace(SMALL, backbone="resnet50", dilated=True, freeze_backbone=False))
        small = SetPrediction(dataclasses.replace(SMALL, freeze_backbone=False))
    frozen = {name for name, parameter in network.train().named_parameters() if not parameter.requires_grad}
    first = tuple(f"backbone.stride8.{block}." for block in range(4))
    assert frozen == {name for name, _ in network.named_parameters() if name.startswith(first)}
    assert {name.split(".")[2] for name in frozen} == {"0", "1", "2", "3"}
    assert all(parameter.requires_grad for parameter in small.train().parameters())
