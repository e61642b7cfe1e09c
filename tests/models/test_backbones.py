import pytest

torch = pytest.importorskip("torch")
from torchvision.models import mobilenet_v2

from autocrop.errors import AutocropError
from autocrop.models.backbones import BACKBONES, Backbone
from autocrop.models.vrn import VRN


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_backbone_returns_maps_of_three_strides(name):
    """Every backbone returns maps of strides 8, 16 and 32 with the specified channels, and one peak map per block."""
    backbone = Backbone(name, pretrained=False, peaks=True).eval()
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape[2:]) for m in maps[:3]] == [(8, 12), (4, 6), (2, 3)]
    assert tuple(m.shape[1] for m in maps[:3]) == BACKBONES[name].channels
    assert maps.fused().shape == (1, backbone.out_channels, 4, 6)
    assert maps.peaks.shape == (1, backbone.peaks, 64, 64)
    assert backbone.peaks >= 9


def test_mobilenet_has_19_peak_maps():
    """MobileNetV2 has SAFRC's k = 19 peak maps, including that of the last convolution."""
    assert Backbone("mobilenet_v2", pretrained=False, peaks=True).peaks == 19


def test_peaks_are_differentiable_with_in_place_relu():
    """VGG16's in-place ReLUs do not break the gradient of the peaks."""
    backbone = Backbone("vgg16", pretrained=False, peaks=True)
    backbone(torch.randn(1, 3, 32, 32)).peaks.sum().backward()
    assert backbone.stride8[0].weight.grad.abs().sum() > 0


def test_backbone_keeps_batch_norm_statistics():
    """A forward pass in training mode does not change the running statistics of batch normalization."""
    backbone = Backbone("mobilenet_v2", pretrained=False).train()
    before = backbone.stride8[0][1].running_mean.clone()
    backbone(torch.randn(1, 3, 64, 64))
    assert torch.equal(before, backbone.stride8[0][1].running_mean)


def test_model_in_training_mode_keeps_batch_norm_statistics():
    """Training mode of a whole model leaves the statistics of its backbone unchanged, too."""
    network = VRN().train()
    before = network.backbone.stride8[0][1].running_mean.clone()
    network.encode(torch.randn(1, 3, 256, 256))
    assert torch.equal(before, network.backbone.stride8[0][1].running_mean)
    assert network.view_learner.training


def test_backbone_loads_weights_from_a_file(tmp_path):
    """A torchvision state dict is loaded; other files are rejected with an explanation."""
    source = mobilenet_v2(weights=None)
    torch.save(source.state_dict(), tmp_path / "backbone.pth")
    loaded = VRN(pretrained=tmp_path / "backbone.pth")
    assert torch.equal(loaded.backbone.stride8[0][0].weight, source.features[0][0].weight)
    assert torch.equal(loaded.backbone.stride32[3].conv[2].weight, source.features[17].conv[2].weight)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(AutocropError, match=r"text.pth is not a state dict of torchvision's mobilenet_v2"):
        VRN(pretrained=tmp_path / "text.pth")
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(AutocropError, match="tensors are missing"):
        VRN(pretrained=tmp_path / "other.pth")
