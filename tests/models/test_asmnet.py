import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional

from autocrop.geometry import composition
from autocrop.geometry.candidates import dense_anchors
from autocrop.geometry.composition import Cells, pattern
from autocrop.models import Views
from autocrop.models.asmnet import ASMNet, ASMNetRecipe, pooled_scores, ranking_loss, saliency_loss, statistics

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


def test_score_map_equals_upsampling_before_convolution(network):
    """Convolving each map before upsampling equals the paper's upsample, concatenate, convolve (section 3.1)."""
    image = torch.rand(1, 3, 256, 320)
    (scores,) = network.encode(image)
    assert scores.shape == (1, 12, 256, 320)
    upsampled = [
        functional.interpolate(m, size=(256, 320), mode="bilinear", align_corners=False)
        for m in network.backbone(image)[:3]
    ]
    weight = torch.cat([layer.weight for layer in network.maps_to_scores], dim=1)
    expected = functional.conv2d(torch.cat(upsampled, dim=1), weight, network.maps_to_scores[0].bias)
    assert torch.allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize("shape", ["rectangle", "circle"])
@pytest.mark.parametrize("name", ["1x1", "1x3", "multi-direction", "cross-rectangle"])
def test_pooled_scores_agree_with_numpy(name, shape):
    """The differentiable pooling and the numpy pooling of the engines return the same scores."""
    cells = Cells.of(pattern(name), shape)
    scores = torch.randn(cells.labels.max() + 1, 96, 160)
    boxes = dense_anchors()[::5]
    pooled = pooled_scores(scores, torch.tensor(boxes), cells)
    expected = composition.pooled_scores(composition.summed_area_table(scores.numpy()), boxes, cells)
    assert pooled.numpy() == pytest.approx(expected, abs=1e-5)


def test_pooled_scores_gradient_is_limited_to_the_crop():
    """Each pixel of a crop gets an equal gradient in the channel of its partition; all others get none."""
    scores = torch.zeros(4, 8, 8, requires_grad=True)
    pooled_scores(scores, torch.tensor([[0.0, 0, 0.5, 0.5]]), Cells.of(pattern("2x2"))).sum().backward()
    assert scores.grad.sum() == pytest.approx(1)
    assert scores.grad[0, :2, :2].sum() == pytest.approx(0.25)
    assert scores.grad[3, 2:4, 2:4].sum() == pytest.approx(0.25)
    assert scores.grad[:, 4:].abs().max() == scores.grad[:, :, 4:].abs().max() == 0


def test_pooled_scores_depend_on_the_position_within_the_crop():
    """The same region contributes differently to crops that contain it in different partitions."""
    scores = torch.zeros(9, 30, 30)
    scores[4, 10:20, 10:20] = 1  # good in the center
    boxes = torch.tensor([[0.0, 0, 1, 1], [1 / 3, 1 / 3, 1, 1]])
    centered, cornered = pooled_scores(scores, boxes, Cells.of(pattern("3x3")))
    assert centered > 0
    assert cornered < centered


def test_loss_trains_every_parameter(network, views):
    """L_rank, L_sal, the listwise loss and the vote loss are finite, and every parameter gets a gradient."""
    terms = network.loss(views)
    assert set(terms) == {"rank", "saliency", "listwise", "votes"}
    assert all(math.isfinite(value.item()) for value in terms.values())
    network.zero_grad()
    sum(terms.values()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_recipe_switches_select_the_ablations(views):
    """``saliency=0`` removes L_sal, and the pattern determines the number of channels."""
    plain = ASMNet(ASMNetRecipe(backbone="mobilenet_v2", pattern="1x3", saliency=0))
    assert set(plain.loss(views)) == {"rank"}
    assert not plain.uses_saliency
    assert plain.encode(views.image)[0].shape[1] == 3


def test_ranking_loss_matches_manual_computation():
    """Only pairs whose scores differ by at least δ count, with a hinge at a lead of one."""
    target = torch.tensor([4.1, 3.2, 3.1])
    predicted = torch.tensor([0.5, 0.0, 2.0])
    # Pair (0, 1) differs by 0.9, though not in float32, with a lead of 0.5; pair (0, 2) by 1, with a lead of -1.5;
    # pair (1, 2) is too close.
    assert ranking_loss(predicted, target, 0.9).item() == pytest.approx((0.5 + 2.5) / 2)
    assert ranking_loss(predicted, target, 5).item() == 0


def test_saliency_loss_matches_manual_computation():
    """Eq. 7 is the share of the deviation that lies in non-salient regions, with a finite gradient at zero."""
    scores = torch.zeros(2, 1, 2)
    scores[:, 0, 0] = torch.tensor([1.0, -1.0])
    scores[:, 0, 1] = torch.tensor([3.0, -3.0])
    _, deviation = statistics(scores)
    assert deviation.flatten().tolist() == pytest.approx([1, 3])
    assert saliency_loss(scores, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(3 / 2 / 2)
    assert saliency_loss(scores, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(1 / 2 / 2)
    equal = torch.zeros(3, 4, 4, requires_grad=True)
    saliency_loss(equal, torch.zeros(4, 4)).backward()
    assert np.isfinite(equal.grad.numpy()).all()
