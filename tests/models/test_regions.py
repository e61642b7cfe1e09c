import pytest

torch = pytest.importorskip("torch")
from torchvision.ops import roi_align as reference

from autocrop.models.regions import bilinear_weights, rod_align, roi_align


@pytest.fixture
def features():
    return torch.randn(1, 5, 16, 24, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def boxes():
    corners = torch.rand(40, 2, 2, generator=torch.Generator().manual_seed(1)).sort(dim=1).values
    return torch.cat([corners.flatten(1), torch.tensor([[0.0, 0.0, 1.0, 1.0]])])


def test_roi_align_agrees_with_torchvision(features, boxes):
    """The matrix products equal torchvision's RoIAlign with ``aligned=True``."""
    scaled = boxes * torch.tensor([24.0, 16.0, 24.0, 16.0])
    expected = reference(features, [scaled], 9, 1.0, sampling_ratio=2, aligned=True)
    assert torch.allclose(roi_align(features, boxes), expected, atol=2e-5)


def test_rod_align_is_zero_inside_the_crop(features):
    """Cells inside the crop are exactly zero, cells outside equal those of the whole photo."""
    box = torch.tensor([[3 / 9, 2 / 9, 7 / 9, 6 / 9]])
    outside = rod_align(features, box)[0]
    whole = roi_align(features, torch.tensor([[0.0, 0.0, 1.0, 1.0]]))[0]
    inside = torch.zeros(9, 9, dtype=torch.bool)
    inside[2:6, 3:7] = True
    assert (outside[:, inside] == 0).all()
    assert torch.allclose(outside[:, ~inside], whole[:, ~inside], atol=1e-5)
    assert (rod_align(features, torch.tensor([[0.0, 0.0, 1.0, 1.0]])) == 0).all()


def test_regions_are_differentiable(features, boxes):
    """Gradients reach the feature map through RoIAlign and RoDAlign."""
    features.requires_grad_()
    (roi_align(features, boxes).sum() + rod_align(features, boxes).sum()).backward()
    assert features.grad.abs().sum() > 0


def test_bilinear_weights_sum_to_one():
    """The weights sum to one everywhere, including beyond the outermost values."""
    weights = bilinear_weights(torch.linspace(0, 1, 50)[None], 7)
    assert torch.allclose(weights.sum(-1), torch.ones(1, 50))


def test_mirrored_inputs_give_mirrored_regions(features, boxes):
    """Mirroring features and boxes mirrors the regions; GAIC's flip augmentation does not swap left and right."""
    flipped = torch.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], dim=1)
    for align in (roi_align, rod_align):
        assert torch.allclose(align(features.flip(-1), flipped).flip(-1), align(features, boxes), atol=1e-4)
