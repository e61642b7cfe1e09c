import pytest

torch = pytest.importorskip("torch")

from autocrop.models.backbones import BACKBONES, Backbone


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_is_tapped_at_its_strides(name):
    """Strides 8, 16 and 32 with the channels that the table says, and a peak map a block."""
    backbone = Backbone(name, pretrained=False, peaks=True).eval()
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape[2:]) for m in maps[:3]] == [(8, 12), (4, 6), (2, 3)]
    assert tuple(m.shape[1] for m in maps[:3]) == BACKBONES[name].channels
    assert maps.fused().shape == (1, backbone.out_channels, 4, 6)
    assert maps.peaks.shape == (1, backbone.peaks, 64, 64)
    assert backbone.peaks >= 9


def test_all_19_blocks_of_mobilenet():
    """SAFRC's k, the last convolution included."""
    assert Backbone("mobilenet_v2", pretrained=False, peaks=True).peaks == 19


def test_peaks_can_be_trained_through_every_backbone():
    """VGG's rectifiers work in place, on maps that nobody else needs any more."""
    backbone = Backbone("vgg16", pretrained=False, peaks=True)
    backbone(torch.randn(1, 3, 32, 32)).peaks.sum().backward()
    assert backbone.stride8[0].weight.grad.abs().sum() > 0


def test_batch_normalization_keeps_its_statistics():
    """Also while training, and a forward pass does not move them."""
    backbone = Backbone("mobilenet_v2", pretrained=False).train()
    before = backbone.stride8[0][1].running_mean.clone()
    backbone(torch.randn(1, 3, 64, 64))
    assert torch.equal(before, backbone.stride8[0][1].running_mean)
