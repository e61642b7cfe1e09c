import dataclasses
import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autocrop.errors import AutocropError, UsageError
from autocrop.models.backbones import Pyramid
from autocrop.models.base import Views
from autocrop.models.cdetr import attend, map_encoding, point_encoding
from autocrop.models.setpred import (
    SMOOTHING,
    SetPrediction,
    SetPredictionRecipe,
    assign,
    covering,
    focal_loss,
    soft_labels,
)
from autocrop.training.loop import initialise

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
    return Views(image, *scored, *votes, maps=Pyramid(*maps), good=GOOD)


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
    """Eq. 4 at scores 2, 3.5 and between, and nothing for a proposal without a neighbour."""
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


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_training_finds_the_good_crops(smoothing):
    """On one photo the loss falls, the good crops are found, and nothing that should learn is left out."""
    torch.manual_seed(0)
    network = SetPrediction(dataclasses.replace(SMALL, smoothing=smoothing, dropout=0.0, distil_from=1)).train()
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=2e-3)
    first = None
    for step in range(60):
        network.begin_epoch(step // 30)
        terms = network.batch_loss([photo()])
        total = sum(terms.values())
        first = first if first is not None else total.item()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
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
    assert initialise(second, tmp_path / "ours.pt") == len(first.state_dict())
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
    assert initialise(network, tmp_path / "detr.pth") == 6
    assert network.transformer.encoder.layers[0].self_attn.in_proj_weight.unique().tolist() == [0.5]
    assert network.backbone.stride16 is not None
    assert network.state_dict()["backbone.stride8.5.conv1.weight"].unique().tolist() == [3]
    assert network.state_dict()["backbone.stride8.0.conv1.weight"].unique().tolist() == [4]
    assert network.state_dict()["backbone.stride32.16.conv3.weight"].unique().tolist() == [5]
    assert (network.query_embed.weight != 9).all()
    torch.save({"model": {"other": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(AutocropError, match="Nothing in"):
        initialise(network, tmp_path / "other.pth")


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
