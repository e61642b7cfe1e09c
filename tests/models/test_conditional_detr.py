import math

import pytest

torch = pytest.importorskip("torch")

from autocrop.models.cdetr import Decoder, EncoderLayer, Transformer, map_encoding, point_encoding


def test_the_sine_encoding_by_hand():
    """First of y, then of x; sine and cosine in turn, at wavelengths of 1 and 100 for a width of 8."""
    x, y = 0.3, 0.9
    expected = [
        wave(2 * math.pi * place / length) for place in (y, x) for length in (1, 100) for wave in (math.sin, math.cos)
    ]
    found = point_encoding(torch.tensor([[[x, y]]]), 8)
    assert found.shape == (1, 1, 8)
    assert found[0, 0].tolist() == pytest.approx(expected, abs=1e-5)


def test_places_of_a_map_are_encoded_row_by_row():
    """DETR counts rows and columns from one, as shares of the map's."""
    found = map_encoding(torch.zeros(1, 8, 2, 3))
    points = [[column / 3, row / 2] for row in (1, 2) for column in (1, 2, 3)]
    assert torch.allclose(found, point_encoding(torch.tensor([points]), 8), atol=1e-5)


def test_an_encoder_layer_is_torchs_attention_with_places():
    """Queries and keys are values and places, values are values alone; norms come after."""
    torch.manual_seed(0)
    layer = EncoderLayer(8, 2, 12, 0.0)
    torchs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    torchs.load_state_dict({name: torch.randn_like(layer.self_attn.state_dict()[name]) for name in names})
    layer.self_attn.load_state_dict(torchs.state_dict())
    values, position = torch.randn(2, 5, 8), torch.randn(1, 5, 8)
    placed = values + position
    attended = torch.nn.functional.layer_norm(values + torchs(placed, placed, values)[0], (8,))
    hidden = (attended @ layer.linear1.weight.T + layer.linear1.bias).clamp(min=0)
    expected = attended + hidden @ layer.linear2.weight.T + layer.linear2.bias
    assert torch.allclose(layer(values, position), torch.nn.functional.layer_norm(expected, (8,)), atol=1e-5)


def test_the_encoder_knows_where_things_are():
    """Without places it would not matter where in the photo something is: what is moved would give moved features."""
    torch.manual_seed(0)
    network, given = Transformer(16, 2, 2, 1, 24, 0.0).eval(), []
    network.encoder.register_forward_hook(lambda module, values, found: given.append((*values, found)))
    maps = torch.randn(1, 16, 3, 4)
    with torch.no_grad():
        network(maps, torch.randn(2, 16))
        network(maps.flip(3), torch.randn(2, 16))
    (values, position, found), (mirrored, _, of_mirrored) = given
    assert torch.allclose(position, map_encoding(maps))
    back = torch.arange(12).reshape(3, 4).flip(1).flatten()
    assert torch.equal(mirrored, values[:, back])
    assert (of_mirrored - found[:, back]).abs().max() > 0.05
    with torch.no_grad():  # places that move along
        assert torch.allclose(network.encoder(mirrored, position[:, back]), found[:, back], atol=1e-5)


def test_content_scales_where_a_query_looks():
    """The first layer gets the encoding of the reference point, the others its product with an MLP of the content."""
    torch.manual_seed(0)
    decoder, calls = Decoder(8, 2, 12, 0.0, 3).eval(), []
    for layer in decoder.layers:
        layer.register_forward_hook(lambda module, given, found: calls.append((given[2], found)))
    query, memory, position = torch.randn(1, 4, 8), torch.randn(2, 5, 8), torch.randn(1, 5, 8)
    with torch.no_grad():
        outputs, reference = decoder(query, memory, position)

        def two_layers(mlp, values):
            first, second = mlp.layers
            return (values @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias

        assert torch.allclose(reference, 1 / (1 + (-two_layers(decoder.ref_point_head, query)).exp()), atol=1e-6)
        sine = point_encoding(reference, 8)
        for number, (place, found) in enumerate(calls):
            scale = torch.ones(2, 4, 8) if number == 0 else two_layers(decoder.query_scale, calls[number - 1][1])
            assert torch.allclose(place, sine * scale, atol=1e-5)
            assert torch.allclose(outputs[number], torch.nn.functional.layer_norm(found, (8,)), atol=1e-5)
    assert len(calls) == 3
