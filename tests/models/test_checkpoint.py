import pytest

torch = pytest.importorskip("torch")

from autocrop.errors import AutocropError
from autocrop.models.checkpoint import initialize, load_checkpoint
from autocrop.models.setpred import SetPrediction, SetPredictionRecipe

SIZES = {"side": 64, "multiscale": False, "width": 32, "heads": 4, "encoders": 1, "decoders": 2, "hidden": 48}


def make_network(**changes):
    return SetPrediction(SetPredictionRecipe(queries=7, freeze_backbone=True, **SIZES, **changes))


def test_initialize_loads_all_of_an_equal_network(tmp_path):
    """A checkpoint of the same network fits completely, including classes and queries."""
    torch.manual_seed(0)
    first, second = (make_network(backbone="mobilenet_v2", dilated=False) for _ in range(2))
    torch.save({"model": first.state_dict()}, tmp_path / "ours.pt")
    assert initialize(second, tmp_path / "ours.pt") == len(first.state_dict())
    assert torch.equal(first.query_embed.weight, second.query_embed.weight)
    assert torch.equal(first.class_embed.weight, second.class_embed.weight)


def test_initialize_translates_the_names_of_a_detector(tmp_path):
    """A Conditional DETR checkpoint initializes transformer and backbone, but not classes and queries."""
    torch.manual_seed(0)
    network = make_network(backbone="resnet50", dilated=True)
    detector = {
        "transformer.encoder.layers.0.self_attn.in_proj_weight": torch.full((96, 32), 0.5),
        "transformer.decoder.layers.0.ca_qpos_proj.weight": torch.full((32, 32), 0.25),
        "bbox_embed.layers.0.weight": torch.full((32, 32), 2.0),
        "backbone.0.body.layer2.1.conv1.weight": torch.full((128, 512, 1, 1), 3.0),
        "backbone.0.body.conv1.weight": torch.full((64, 3, 7, 7), 4.0),
        "backbone.0.body.layer4.2.conv3.weight": torch.full((2048, 512, 1, 1), 5.0),
        "class_embed.weight": torch.zeros(91, 32),
        "query_embed.weight": torch.full((7, 32), 9.0),
    }
    torch.save({"model": detector, "epoch": 49}, tmp_path / "detr.pth")
    assert initialize(network, tmp_path / "detr.pth") == 6
    assert network.transformer.encoder.layers[0].self_attn.in_proj_weight.unique().tolist() == [0.5]
    assert network.backbone.stride16 is not None
    assert network.state_dict()["backbone.stride8.5.conv1.weight"].unique().tolist() == [3]
    assert network.state_dict()["backbone.stride8.0.conv1.weight"].unique().tolist() == [4]
    assert network.state_dict()["backbone.stride32.16.conv3.weight"].unique().tolist() == [5]
    assert (network.query_embed.weight != 9).all()


def test_initialize_rejects_a_checkpoint_without_fitting_tensors(tmp_path):
    """A checkpoint that shares no name and shape with the network is an error."""
    torch.save({"model": {"other": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(AutocropError, match="No tensor in"):
        initialize(make_network(backbone="mobilenet_v2", dilated=False), tmp_path / "other.pth")


def test_load_checkpoint_explains_an_unreadable_file(tmp_path):
    """The reason is one line, without torch's advice to load the file unsafely."""
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(
        AutocropError, match=r"text\.pt is not a checkpoint of autocrop \(Weights only load failed\)\.$"
    ):
        load_checkpoint(tmp_path / "text.pt")
