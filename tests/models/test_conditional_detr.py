import math

import pytest

torch = pytest.importorskip("torch")

from autocrop.models.conditional_detr import (
    Decoder,
    EncoderLayer,
    Transformer,
    attend,
    map_encoding,
    point_encoding,
)


def test_point_encoding_matches_manual_computation():
    """The encoding has y before x, sine and cosine alternating, and wavelengths of 1 and 100 for a width of 8."""
    x, y = 0.3, 0.9
    expected = [
        wave(2 * math.pi * coordinate / length)
        for coordinate in (y, x)
        for length in (1, 100)
        for wave in (math.sin, math.cos)
    ]
    encoding = point_encoding(torch.tensor([[[x, y]]]), 8)
    assert encoding.shape == (1, 1, 8)
    assert encoding[0, 0].tolist() == pytest.approx(expected, abs=1e-5)


def test_map_encoding_is_row_by_row():
    """As in DETR, rows and columns are counted from one and divided by the size of the map."""
    encoding = map_encoding(torch.zeros(1, 8, 2, 3))
    points = [[column / 3, row / 2] for row in (1, 2) for column in (1, 2, 3)]
    assert torch.allclose(encoding, point_encoding(torch.tensor([points]), 8), atol=1e-5)


def test_point_encoding_is_most_similar_to_the_nearest_position():
    """The encoding of a point has the largest dot product with that of the nearest position of the map."""
    encoding = map_encoding(torch.zeros(1, 32, 4, 6))
    assert encoding.shape == (1, 24, 32)
    point = point_encoding(torch.tensor([[[5 / 6, 2 / 4]]]), 32)
    nearest = (encoding[0] @ point[0, 0]).argmax().item()
    assert divmod(nearest, 6) == (1, 4)


def test_attend_equals_torch_attention():
    """The result equals torch's scaled dot-product attention, even if queries and keys are wider than values."""
    q, k, v = torch.randn(2, 5, 16), torch.randn(2, 7, 16), torch.randn(2, 7, 8)
    attended = attend(q, k, v, 4, 0.0)
    split = [part.reshape(2, part.shape[1], 4, -1).transpose(1, 2) for part in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
    assert torch.allclose(attended, expected, atol=1e-5)


def test_encoder_layer_equals_torch_attention_with_positions():
    """Queries and keys include the positional encoding, values do not, and normalization comes last."""
    torch.manual_seed(0)
    layer = EncoderLayer(8, 2, 12, 0.0)
    reference = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    reference.load_state_dict({name: torch.randn_like(layer.self_attn.state_dict()[name]) for name in names})
    layer.self_attn.load_state_dict(reference.state_dict())
    values, position = torch.randn(2, 5, 8), torch.randn(1, 5, 8)
    queries = values + position
    attended = torch.nn.functional.layer_norm(values + reference(queries, queries, values)[0], (8,))
    hidden = (attended @ layer.linear1.weight.T + layer.linear1.bias).clamp(min=0)
    expected = attended + hidden @ layer.linear2.weight.T + layer.linear2.bias
    assert torch.allclose(layer(values, position), torch.nn.functional.layer_norm(expected, (8,)), atol=1e-5)


def test_encoder_depends_on_positions():
    """Moving the content of a map changes its encoding, unless the positional encoding moves along."""
    torch.manual_seed(0)
    network, calls = Transformer(16, 2, 2, 1, 24, 0.0).eval(), []
    network.encoder.register_forward_hook(lambda module, inputs, output: calls.append((*inputs, output)))
    maps = torch.randn(1, 16, 3, 4)
    with torch.no_grad():
        network(maps, torch.randn(2, 16))
        network(maps.flip(3), torch.randn(2, 16))
    (values, position, encoded), (mirrored_values, _, mirrored_encoded) = calls
    assert torch.allclose(position, map_encoding(maps))
    mirror = torch.arange(12).reshape(3, 4).flip(1).flatten()
    assert torch.equal(mirrored_values, values[:, mirror])
    assert (mirrored_encoded - encoded[:, mirror]).abs().max() > 0.05
    with torch.no_grad():
        assert torch.allclose(network.encoder(mirrored_values, position[:, mirror]), encoded[:, mirror], atol=1e-5)


def test_decoder_content_scales_the_reference_encoding():
    """The first layer gets the encoding of the reference point, later ones its product with an MLP of the content."""
    torch.manual_seed(0)
    decoder, calls = Decoder(8, 2, 12, 0.0, 3).eval(), []
    for layer in decoder.layers:
        layer.register_forward_hook(lambda module, inputs, output: calls.append((inputs[2], output)))
    query, memory, position = torch.randn(1, 4, 8), torch.randn(2, 5, 8), torch.randn(1, 5, 8)
    with torch.no_grad():
        outputs, reference = decoder(query, memory, position)

        def two_layers(mlp, values):
            first, second = mlp.layers
            return (values @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias

        assert torch.allclose(reference, 1 / (1 + (-two_layers(decoder.ref_point_head, query)).exp()), atol=1e-6)
        encoding = point_encoding(reference, 8)
        for number, (sine, output) in enumerate(calls):
            scale = torch.ones(2, 4, 8) if number == 0 else two_layers(decoder.query_scale, calls[number - 1][1])
            assert torch.allclose(sine, encoding * scale, atol=1e-5)
            assert torch.allclose(outputs[number], torch.nn.functional.layer_norm(output, (8,)), atol=1e-5)
    assert len(calls) == 3
