import dataclasses
import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autocrop.models.cdetr import attend, map_encoding, point_encoding

from autocrop.errors import AutocropError, UsageError
from autocrop.models.backbones import Pyramid
from autocrop.models.base import Views
from autocrop.models.checkpoint import initialize
from autocrop.models.setpred import (
    SMOOTHING,
    SetPrediction,
    SetPredictionRecipe,
    assign,
    covering,
    focal_loss,
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
GOOD = torch.tensor([[0.1, 0.1, 0.9, 0.8], [0.0, 0.1, 0.9, 0.9]])


def photo(seed=0):
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.randn(1, c, s, s, generator=generator) for c, s in ((32, 8), (96, 4), (320, 2))]
    image = torch.randn(1, 3, 64, 64, generator=generator)
    scored = torch.tensor([[0.1, 0.1, 0.9, 0.8], [0.5, 0.5, 1, 1]]), torch.tensor([4.5, 1.0])
    votes = torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0)
    return Views(image, *scored, *votes, maps=Pyramid(*maps), targets=GOOD)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SetPrediction(SMALL)


def test_the_assignment_is_optimal():
    """No permutation of up to six good crops among eight proposals is cheaper."""
    generator = torch.Generator().manual_seed(0)
    for count in range(1, 7):
        cost = torch.randn(8 if count < 4 else 6, count, generator=generator)
        rows, columns = assign(cost)
        best = min(
            sum(cost[row, column].item() for column, row in enumerate(chosen))
            for chosen in itertools.permutations(range(len(cost)), count)
        )
        assert cost[rows, columns].sum().item() == pytest.approx(best, abs=1e-5)
        assert sorted(columns.tolist()) == list(range(count))


def cost_by_hand(box, logit, wanted):
    """Of giving a crop (xyxy) to a proposal (center and size): L1 times 5, GIoU times -2, focal difference times 2."""
    center = [(wanted[0] + wanted[2]) / 2, (wanted[1] + wanted[3]) / 2, wanted[2] - wanted[0], wanted[3] - wanted[1]]
    found = [box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2]
    across = max(0.0, min(found[2], wanted[2]) - max(found[0], wanted[0]))
    down = max(0.0, min(found[3], wanted[3]) - max(found[1], wanted[1]))
    union = box[2] * box[3] + center[2] * center[3] - across * down
    hull = (max(found[2], wanted[2]) - min(found[0], wanted[0])) * (max(found[3], wanted[3]) - min(found[1], wanted[1]))
    giou = across * down / union - (hull - union) / hull
    p = 1 / (1 + math.exp(-logit))
    valid, invalid = -0.25 * (1 - p) ** 2 * math.log(p), -0.75 * p**2 * math.log(1 - p)
    return 5 * sum(abs(a - b) for a, b in zip(box, center, strict=True)) - 2 * giou + 2 * (valid - invalid)


def test_what_an_assignment_costs(network):
    """Of all ways to give three crops to five proposals the chosen one has the least cost by the paper's formula."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = np.concatenate([rng.uniform(0.3, 0.7, (5, 2)), rng.uniform(0.1, 0.6, (5, 2))], axis=1)
        corner = rng.uniform(0.0, 0.4, (3, 2))
        wanted = np.concatenate([corner, corner + rng.uniform(0.1, 0.6, (3, 2))], axis=1)
        logits = rng.normal(0, 1, 5)
        cost = [[cost_by_hand(box, logit, crop) for crop in wanted] for box, logit in zip(found, logits, strict=True)]
        best = min(itertools.permutations(range(5), 3), key=lambda rows: sum(cost[r][c] for c, r in enumerate(rows)))
        rows, columns = network._assignment(*(torch.tensor(part).float() for part in (found, logits, wanted)))
        assert dict(zip(columns.tolist(), rows.tolist(), strict=True)) == dict(enumerate(best))


@pytest.mark.parametrize(
    ("other", "because"),
    [
        ([0.7, 0.5, 0.4, 0.4], "as far by L1 (0.2), it overlaps by a third instead of 0.64"),
        ([0.5, 0.5, 0.4, 0.63], "it overlaps a little less (0.635) and is further by L1 (0.23)"),
        ([0.5, 0.5, 0.4, 0.62], "it overlaps a little more (0.645) but is further by L1 (0.22)"),
    ],
)
def test_both_distances_count_in_the_assignment(network, other, because):
    """A crop goes to a proposal that is 0.1 too wide and too high, and not to the *other*, equally valid one."""
    found = torch.tensor([other, [0.5, 0.5, 0.5, 0.5]])
    rows, _ = network._assignment(found, torch.zeros(2), torch.tensor([[0.3, 0.3, 0.7, 0.7]]))
    assert rows.tolist() == [1], because


def test_padding_changes_no_assignment():
    """With the paper's padding every proposal costs what it costs to be called invalid, or valid: the same optimum."""
    generator = torch.Generator().manual_seed(1)
    valid, invalid = torch.rand(6, generator=generator), torch.rand(6, generator=generator)
    place = torch.rand(6, 3, generator=generator)
    rows, columns = assign(place + (valid - invalid)[:, None])
    padded = torch.cat([place + valid[:, None], invalid[:, None].expand(-1, 3)], dim=1)
    all_rows, all_columns = assign(padded)
    real = all_columns < 3
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == set(
        zip(all_rows[real].tolist(), all_columns[real].tolist(), strict=True)
    )


def test_soft_labels():
    """Eq. 4 at scores 2, 3.5 and between, and nothing for a proposal without a neighbor."""
    crops = torch.tensor([[0.0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]])
    scores = torch.tensor([2.0, 3.5, 2.75, 5.0])
    alone = torch.tensor([[0.2, 0.2, 0.8, 0.8]])
    labels = soft_labels(torch.cat([crops, alone]), crops, scores, SMALL)
    assert labels.tolist() == pytest.approx([0, 0.5, 0.25, 0.5, 0])
    hard = soft_labels(crops, crops, scores, dataclasses.replace(SMALL, most=0.0))
    assert hard.tolist() == [0, 0, 0, 0]


def test_focal_loss_with_hard_labels_is_the_usual_one():
    logits, labels = torch.tensor([0.3, -1.2]), torch.tensor([1.0, 0.0])
    chance = logits.sigmoid()
    expected = -0.25 * (1 - chance[0]) ** 2 * chance[0].log() - 0.75 * chance[1] ** 2 * (1 - chance[1]).log()
    assert focal_loss(logits, labels).item() == pytest.approx(expected.item(), rel=1e-5)


def soft_focal(logits, labels):
    """Lin et al.'s focal loss, α 0.25 and γ 2, each term between that of a right and that of a wrong crop: a sum."""
    total = 0.0
    for logit, label in zip(logits.tolist(), labels, strict=True):
        p = 1 / (1 + math.exp(-logit))
        right = p * label + (1 - p) * (1 - label)
        weight = 0.25 * label + 0.75 * (1 - label)
        total -= weight * (1 - right) ** 2 * (label * math.log(p) + (1 - label) * math.log(1 - p))
    return total


@pytest.mark.parametrize(("smoothing", "labels"), [("quality", [1, 0.25, 0, 0]), ("none", [1, 0, 0, 0])])
def test_quality_guides_the_labels(monkeypatch, smoothing, labels):
    """Of four proposals one is the good crop, one a middling crop (2.75), one a bad one (1) and one like no other."""
    torch.manual_seed(0)
    network = SetPrediction(dataclasses.replace(SMALL, smoothing=smoothing, queries=4)).eval()
    boxes = torch.tensor([[0.5, 0.5, 0.8, 0.8], [0.3, 0.3, 0.4, 0.4], [0.7, 0.7, 0.4, 0.4], [0.5, 0.5, 0.2, 0.2]])
    corners = torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], dim=1)
    logits = torch.tensor([0.5, 1.0, -0.3, -2.0])
    monkeypatch.setattr(network, "_decoded", lambda maps: [(boxes[None], logits[None])])
    views = dataclasses.replace(photo(), boxes=corners[:3], scores=torch.tensor([4.0, 2.75, 1.0]), targets=corners[:1])
    terms = {name: value.item() for name, value in network.batch_loss([views]).items()}
    assert terms == pytest.approx({"l1": 0, "giou": 0, "focal": 2 * soft_focal(logits, labels)}, abs=1e-5)


def test_the_teacher_gives_the_soft_labels():
    """Eq. 6: the last layer's validity learns from the teacher's, of the same anchors, and not from its own."""
    torch.manual_seed(0)
    network = SetPrediction(dataclasses.replace(SMALL, smoothing="distillation", distil_from=0)).eval()
    network.begin_epoch(0)
    with torch.no_grad():
        network.teacher.class_embed.weight.normal_()
        network.teacher.class_embed.bias.fill_(1.0)
        (_, own), (_, taught) = network.features(photo().maps), network.teacher.features(photo().maps)
        loss = network.batch_loss([photo()])["distillation"].item()
    assert (own - taught).abs().min() > 0.01
    assert loss == pytest.approx(2 * soft_focal(torch.logit(own[0]), taught[0].tolist()) / len(GOOD), rel=1e-4)


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_training_finds_the_good_crops(smoothing):
    """On one photo the loss falls, the good crops are found, and nothing that should learn is left out."""
    torch.manual_seed(0)
    network = SetPrediction(dataclasses.replace(SMALL, smoothing=smoothing, dropout=0.0, distil_from=1)).train()
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=2e-3)
    first = None
    for step in range(60):
        network.begin_epoch(step // 30)
        terms = network.batch_loss([photo()])
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
        boxes, validity = network.eval().features(photo().maps)
    best = boxes[0, validity[0].argsort(descending=True)[:2]]
    distance = torch.cdist(best, GOOD, p=1)
    assert distance.min(dim=0).values.max() < 0.15  # each of the two is among the two most valid


def test_the_teacher_moves_by_theta():
    """Eq. 5: it takes θ of the student at each step, begins as a copy, and learns from no gradient."""
    network = SetPrediction(dataclasses.replace(SMALL, smoothing="distillation", distil_from=3, theta=0.25)).train()
    before = network.teacher.class_embed.weight.clone()
    network.begin_epoch(2)
    with torch.no_grad():
        network.class_embed.weight.add_(1.0)
    network.after_step()
    assert torch.equal(network.teacher.class_embed.weight, before)  # it has not begun
    network.begin_epoch(3)
    assert torch.equal(network.teacher.class_embed.weight, network.class_embed.weight)
    with torch.no_grad():
        network.class_embed.weight.add_(1.0)
    network.after_step()
    assert torch.allclose(network.teacher.class_embed.weight, before + 1 + 0.25, atol=1e-6)
    assert not network.teacher.training
    assert not any(parameter.requires_grad for parameter in network.teacher.parameters())


def test_the_teacher_begins_as_a_copy():
    """With BatchNorm's statistics, which are no parameters: the same photo gives the same crops."""
    network = SetPrediction(dataclasses.replace(SMALL, smoothing="distillation", distil_from=1)).eval()
    with torch.no_grad():
        for name, value in network.named_buffers():
            if name.endswith("running_var") and not name.startswith("teacher."):
                value.mul_(4)
    image = torch.rand(1, 3, 64, 64)
    assert not torch.allclose(network.backbone(image).stride16, network.teacher.backbone(image).stride16)
    network.begin_epoch(1)
    assert torch.equal(network.backbone(image).stride16, network.teacher.backbone(image).stride16)
    for own, copied in zip(network.encode(image), network.teacher.encode(image), strict=True):
        assert torch.equal(own, copied)


def test_our_own_checkpoint_can_be_the_start(tmp_path):
    """All of it: its classes and queries are ours, whatever the backbone."""
    torch.manual_seed(0)
    first, second = SetPrediction(SMALL), SetPrediction(SMALL)
    torch.save({"model": first.state_dict()}, tmp_path / "ours.pt")
    assert initialize(second, tmp_path / "ours.pt") == len(first.state_dict())
    assert torch.equal(first.query_embed.weight, second.query_embed.weight)
    assert torch.equal(first.class_embed.weight, second.class_embed.weight)


def test_queries_know_their_place(network):
    """Attention to a place is by its encoding: a point's encoding is most like that of the map's nearest place."""
    encoding = map_encoding(torch.zeros(1, 32, 4, 6))
    assert encoding.shape == (1, 24, 32)
    point = point_encoding(torch.tensor([[[5 / 6, 2 / 4]]]), 32)
    nearest = (encoding[0] @ point[0, 0]).argmax().item()
    assert divmod(nearest, 6) == (1, 4)


def test_attention_is_torchs_own():
    """The same as scaled dot-product attention, also where queries and keys are wider than values."""
    q, k, v = torch.randn(2, 5, 16), torch.randn(2, 7, 16), torch.randn(2, 7, 8)
    found = attend(q, k, v, 4, 0.0)
    split = [part.reshape(2, part.shape[1], 4, -1).transpose(1, 2) for part in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_detectors_checkpoint_can_be_the_start(tmp_path):
    """Names of Conditional DETR's own checkpoints find their places; its classes and queries do not."""
    torch.manual_seed(0)
    recipe = dataclasses.replace(SMALL, backbone="resnet50", dilated=True)
    network = SetPrediction(recipe)
    foreign = {
        "transformer.encoder.layers.0.self_attn.in_proj_weight": torch.full((96, 32), 0.5),
        "transformer.decoder.layers.0.ca_qpos_proj.weight": torch.full((32, 32), 0.25),
        "bbox_embed.layers.0.weight": torch.full((32, 32), 2.0),
        "backbone.0.body.layer2.1.conv1.weight": torch.full((128, 512, 1, 1), 3.0),
        "backbone.0.body.conv1.weight": torch.full((64, 3, 7, 7), 4.0),
        "backbone.0.body.layer4.2.conv3.weight": torch.full((2048, 512, 1, 1), 5.0),
        "class_embed.weight": torch.zeros(91, 32),
        "query_embed.weight": torch.full((7, 32), 9.0),
    }
    torch.save({"model": foreign, "epoch": 49}, tmp_path / "detr.pth")
    assert initialize(network, tmp_path / "detr.pth") == 6
    assert network.transformer.encoder.layers[0].self_attn.in_proj_weight.unique().tolist() == [0.5]
    assert network.backbone.stride16 is not None
    assert network.state_dict()["backbone.stride8.5.conv1.weight"].unique().tolist() == [3]
    assert network.state_dict()["backbone.stride8.0.conv1.weight"].unique().tolist() == [4]
    assert network.state_dict()["backbone.stride32.16.conv3.weight"].unique().tolist() == [5]
    assert (network.query_embed.weight != 9).all()
    torch.save({"model": {"other": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(AutocropError, match="Nothing in"):
        initialize(network, tmp_path / "other.pth")


def test_proposals_can_begin_apart():
    """The first is what covers all best, the next what that leaves out; training begins there, a checkpoint stays."""
    wide, left, right = [0.0, 0.1, 1, 0.9], [0.0, 0.0, 0.4, 1], [0.6, 0.0, 1, 1]
    best = np.array([wide] * 6 + [left] * 3 + [right] * 2, np.float32)
    assert covering(best, 3) == pytest.approx(np.array([wide, left, right], np.float32))
    torch.manual_seed(0)
    network = SetPrediction(dataclasses.replace(SMALL, spread=True, queries=3)).eval()
    network.prepare(best)
    with torch.no_grad():
        boxes, _ = network.features(photo().maps)
    first, *others = boxes[0].tolist()
    assert first == pytest.approx(wide, abs=0.03)
    # Photos are mirrored in training, so that left and right are worth the same.
    assert min(others) == pytest.approx(left, abs=0.03)
    assert max(others) == pytest.approx(right, abs=0.03)
    with torch.no_grad():
        network.start.fill_(0.3)
    network.prepare(best)
    assert (network.start == 0.3).all()


def test_photos_of_a_step_have_a_random_size():
    """Sides from 0.8 to 1.33 times the recipe's, all of a step alike; 480 to 800 in the paper, by steps of 32."""
    torch.manual_seed(0)
    recipe = dataclasses.replace(SMALL, side=128, multiscale=True, encoders=0, decoders=1)
    network, sizes = SetPrediction(recipe).train(), []
    network.backbone.register_forward_pre_hook(lambda module, given: sizes.append(tuple(given[0].shape)))
    batch = [dataclasses.replace(photo(seed), image=torch.randn(1, 3, 128, 128), maps=None) for seed in range(2)]
    with torch.no_grad():
        for _ in range(8):
            network.batch_loss(batch)
    assert set(sizes) == {(2, 3, side, side) for side in (96, 128, 160)}
    whole = SetPrediction(dataclasses.replace(SMALL, side=608, multiscale=True, encoders=0, decoders=1))
    found = {whole._resized(torch.zeros(1, 3, 8, 8)).shape[2] for _ in range(150)}
    assert found == set(range(480, 801, 32))
    fixed = SetPrediction(dataclasses.replace(recipe, multiscale=False))
    fixed.backbone.register_forward_pre_hook(lambda module, given: sizes.append(tuple(given[0].shape)))
    sizes.clear()
    with torch.no_grad():
        for _ in range(3):
            fixed.batch_loss(batch)
    assert set(sizes) == {(2, 3, 128, 128)}


def test_the_first_layers_of_a_resnet_do_not_learn():
    """The stem and the first stage, of three blocks, as detectors keep them; all else learns, in training as well."""
    with torch.device("meta"):
        network = SetPrediction(dataclasses.replace(SMALL, backbone="resnet50", dilated=True, freeze_backbone=False))
        small = SetPrediction(dataclasses.replace(SMALL, freeze_backbone=False))
    still = {name for name, parameter in network.train().named_parameters() if not parameter.requires_grad}
    first = tuple(f"backbone.stride8.{block}." for block in range(4))
    assert still == {name for name, _ in network.named_parameters() if name.startswith(first)}
    assert {name.split(".")[2] for name in still} == {"0", "1", "2", "3"}
    assert all(parameter.requires_grad for parameter in small.train().parameters())


def test_what_counts_in_the_assignment(network):
    """A proposal that is often right takes a crop from a slightly nearer one, unless validity does not count."""
    found = torch.tensor([[0.5, 0.5, 0.8, 0.8], [0.5, 0.5, 0.85, 0.8]])
    logits, wanted = torch.tensor([-3.0, 1.0]), torch.tensor([[0.1, 0.1, 0.9, 0.9]])
    assert network._assignment(found, logits, wanted)[0].tolist() == [1]
    apart = SetPrediction(dataclasses.replace(SMALL, match_focal=0.0))
    assert apart._assignment(found, logits, wanted)[0].tolist() == [0]


def test_wrong_recipes():
    with pytest.raises(UsageError, match="no smoothing 'label'"):
        SetPredictionRecipe(smoothing="label")
    with pytest.raises(UsageError, match="photos of one size"):
        SetPredictionRecipe(side=0)
    with pytest.raises(UsageError, match="dilated"):
        SetPrediction(dataclasses.replace(SMALL, dilated=True))
    assert math.isclose(SetPredictionRecipe().l1 / SetPredictionRecipe().focal, 2.5)
