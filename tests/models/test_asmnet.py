import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional

from autocrop.geometry import composition
from autocrop.geometry.candidates import dense_anchors
from autocrop.geometry.composition import Cells, pattern
from autocrop.models.asmnet import ASMNet, ASMNetRecipe, pooled_scores, ranking_loss, saliency_loss, statistics
from autocrop.models.base import Views

BOXES = torch.tensor([[0.0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9], [0.2, 0, 0.8, 0.7], [0, 0.3, 0.6, 1]])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ASMNet(ASMNetRecipe(backbone="mobilenet_v2", listwise=1, votes=1)).eval()


@pytest.fixture
def views():
    scores = torch.tensor([3.0, 4.5, 2.0])
    votes = torch.tensor([[0, 3]]), torch.tensor([0.8])
    return Views(torch.randn(1, 3, 256, 256), BOXES, scores, *votes, saliency=torch.rand(256, 256))


def test_the_score_map_is_that_of_the_paper(network):
    """As large as the photo, a channel a partition: enlarge, concatenate, convolve, as section 3.1 has it."""
    image = torch.rand(1, 3, 256, 320)
    (scores,) = network.encode(image)
    assert scores.shape == (1, 12, 256, 320)
    large = [
        functional.interpolate(m, size=(256, 320), mode="bilinear", align_corners=False)
        for m in network.backbone(image)[:3]
    ]
    weight = torch.cat([layer.weight for layer in network.maps_to_scores], dim=1)
    literal = functional.conv2d(torch.cat(large, dim=1), weight, network.maps_to_scores[0].bias)
    assert torch.allclose(scores, literal, atol=1e-4)


@pytest.mark.parametrize("shape", ["rectangle", "circle"])
@pytest.mark.parametrize("name", ["1x1", "1x3", "multi-direction", "cross-rectangle"])
def test_torch_pools_as_numpy_does(name, shape):
    """The same numbers from the differentiable pooling and from the engine's."""
    cells = Cells.of(pattern(name), shape)
    scores = torch.randn(cells.labels.max() + 1, 96, 160)
    boxes = dense_anchors()[::5]
    found = pooled_scores(scores, torch.tensor(boxes), cells)
    expected = composition.pooled_scores(composition.summed_area_table(scores.numpy()), boxes, cells)
    assert found.numpy() == pytest.approx(expected, abs=1e-5)


def test_gradients_reach_just_the_pixels_of_a_crop():
    """The pixels of a crop get equal shares in the channel of their partition, and others nothing."""
    scores = torch.zeros(4, 8, 8, requires_grad=True)
    pooled_scores(scores, torch.tensor([[0.0, 0, 0.5, 0.5]]), Cells.of(pattern("2x2"))).sum().backward()
    assert scores.grad.sum() == pytest.approx(1)
    assert scores.grad[0, :2, :2].sum() == pytest.approx(0.25)
    assert scores.grad[3, 2:4, 2:4].sum() == pytest.approx(0.25)
    assert scores.grad[:, 4:].abs().max() == scores.grad[:, :, 4:].abs().max() == 0


def test_position_within_the_crop_matters():
    """The same region counts differently in different crops, unless the pattern is a single cell."""
    scores = torch.zeros(9, 30, 30)
    scores[4, 10:20, 10:20] = 1  # good in the center
    boxes = torch.tensor([[0.0, 0, 1, 1], [1 / 3, 1 / 3, 1, 1]])
    centered, cornered = pooled_scores(scores, boxes, Cells.of(pattern("3x3")))
    assert centered > 0
    assert cornered < centered


def test_every_term_of_the_loss_reaches_its_parameters(network, views):
    """L_rank, L_sal, the listwise and the vote loss are finite and train everything."""
    terms = network.loss(views)
    assert set(terms) == {"rank", "saliency", "listwise", "votes"}
    assert all(math.isfinite(value.item()) for value in terms.values())
    network.zero_grad()
    sum(terms.values()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_ablation_switches(views):
    """λ of 0 takes the saliency away; another pattern has another number of channels."""
    plain = ASMNet(ASMNetRecipe(backbone="mobilenet_v2", pattern="1x3", saliency=0))
    assert set(plain.loss(views)) == {"rank"}
    assert not plain.wants_saliency
    assert plain.encode(views.image)[0].shape[1] == 3


def test_ranking_loss_by_hand():
    """Only pairs that are δ apart or more; each costs what it lacks to a lead of one."""
    target = torch.tensor([4.1, 3.2, 3.1])
    predicted = torch.tensor([0.5, 0.0, 2.0])
    # (0, 1) is .9 apart, though not in float32, lead .5; (0, 2) is 1 apart, lead -1.5; (1, 2) is too close.
    assert ranking_loss(predicted, target, 0.9).item() == pytest.approx((0.5 + 2.5) / 2)
    assert ranking_loss(predicted, target, 5).item() == 0


def test_saliency_loss_by_hand():
    """Eq. 7: the share of the spread that lies where nothing is salient."""
    scores = torch.zeros(2, 1, 2)
    scores[:, 0, 0] = torch.tensor([1.0, -1.0])
    scores[:, 0, 1] = torch.tensor([3.0, -3.0])
    _, spread = statistics(scores)
    assert spread.flatten().tolist() == pytest.approx([1, 3])
    assert saliency_loss(scores, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(3 / 2 / 2)
    assert saliency_loss(scores, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(1 / 2 / 2)
    same = torch.zeros(3, 4, 4, requires_grad=True)
    saliency_loss(same, torch.zeros(4, 4)).backward()
    assert np.isfinite(same.grad.numpy()).all()
