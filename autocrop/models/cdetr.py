"""The transformer of Conditional DETR (Meng et al., ICCV 2021), as set prediction uses it.

Modules and parameters are named as in the authors' own checkpoints, so that those can be loaded.
"""

from __future__ import annotations

import copy
import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEMPERATURE = 10_000
"""Of the sine encodings: the longest wavelength, in units of the photo's side."""


class Linear(nn.Linear):
    """A linear layer that sees two dimensions only, so that it is exported as one matrix product with its weights."""

    def forward(self, values: Tensor) -> Tensor:
        """``[..., in]`` → ``[..., out]``."""
        return F.linear(values.flatten(0, -2), self.weight, self.bias).reshape(*values.shape[:-1], -1)


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, inside: int, hidden: int, outside: int, count: int) -> None:
        super().__init__()
        sizes = [inside, *[hidden] * (count - 1), outside]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(sizes))

    def forward(self, values: Tensor) -> Tensor:
        """``[..., inside]`` → ``[..., outside]``."""
        for layer in self.layers[:-1]:
            values = F.relu(layer(values))
        return self.layers[-1](values)


class SelfAttention(nn.Module):
    """Multi-head attention whose projections are one parameter, as torch's own stores them (the encoder's)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, queries: Tensor, values: Tensor) -> Tensor:
        """Queries, which are also the keys, and values, ``[B, N, width]``."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(part.flatten(0, 1), weight, bias).reshape(part.shape)
            for part, weight, bias in zip((queries, queries, values), weights, biases, strict=True)
        )
        return self.out_proj(attend(q, k, v, self.heads, self.dropout if self.training else 0.0))


class Attention(nn.Module):
    """Multi-head attention whose projections are made outside (the decoder's)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.out_proj = Linear(width, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """``[B, N, D]``, ``[B, M, D]`` and ``[B, M, width]`` → ``[B, N, width]``."""
        return self.out_proj(attend(q, k, v, self.heads, self.dropout if self.training else 0.0))


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
    """Scaled dot-product attention; queries and keys may be wider than values.

    Args:
        q: ``[B, N, D]``.
        k: ``[B, M, D]``.
        v: ``[B, M, E]``.
        heads: divides D and E.
        dropout: of the attention weights.

    Returns:
        ``[B, N, E]``.
    """
    q, k, v = (part.reshape(*part.shape[:2], heads, -1).transpose(1, 2) for part in (q, k, v))
    weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), dim=3)
    return (F.dropout(weights, dropout) @ v).transpose(1, 2).flatten(2)


class EncoderLayer(nn.Module):
    """Self-attention over the photo's places, then two linear layers; each is added and normalized."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads, dropout)
        self.linear1, self.linear2 = Linear(width, hidden), Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, position: Tensor) -> Tensor:
        """``[B, M, width]`` and ``[1, M, width]`` → ``[B, M, width]``."""
        values = self.norm1(values + self.dropout(self.self_attn(values + position, values)))
        return self.norm2(values + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(values))))))


class DecoderLayer(nn.Module):
    """Self-attention among the queries, conditional cross-attention to the photo, two linear layers.

    Content and place are kept apart in cross-attention: each head compares the two one beside the other.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, first: bool) -> None:
        super().__init__()
        self.heads = heads
        self.sa_qcontent_proj, self.sa_qpos_proj = Linear(width, width), Linear(width, width)
        self.sa_kcontent_proj, self.sa_kpos_proj = Linear(width, width), Linear(width, width)
        self.sa_v_proj = Linear(width, width)
        self.self_attn = Attention(width, heads, dropout)
        self.ca_qcontent_proj, self.ca_qpos_sine_proj = Linear(width, width), Linear(width, width)
        self.ca_kcontent_proj, self.ca_kpos_proj = Linear(width, width), Linear(width, width)
        self.ca_v_proj = Linear(width, width)
        self.ca_qpos_proj = Linear(width, width) if first else None
        self.cross_attn = Attention(width, heads, dropout)
        self.linear1, self.linear2 = Linear(width, hidden), Linear(hidden, width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, content: Tensor, query: Tensor, place: Tensor, memory: Tensor, position: Tensor) -> Tensor:
        """One layer.

        Args:
            content: ``[B, N, width]``: what the queries know so far.
            query: ``[1, N, width]``: the learnt queries.
            place: ``[B, N, width]``: sine encoding of where they look.
            memory: ``[B, M, width]``: the photo.
            position: ``[1, M, width]``: sine encoding of its places.
        """
        attended = self.self_attn(
            self.sa_qcontent_proj(content) + self.sa_qpos_proj(query),
            self.sa_kcontent_proj(content) + self.sa_kpos_proj(query),
            self.sa_v_proj(content),
        )
        content = self.norm1(content + self.dropout(attended))
        asked, offered = self.ca_qcontent_proj(content), self.ca_kcontent_proj(memory)
        where = self.ca_kpos_proj(position)
        if self.ca_qpos_proj is not None:
            asked, offered = asked + self.ca_qpos_proj(query), offered + where
        attended = self.cross_attn(
            self._beside(asked, self.ca_qpos_sine_proj(place)),
            self._beside(offered, where.expand_as(offered)),
            self.ca_v_proj(memory),
        )
        content = self.norm2(content + self.dropout(attended))
        return self.norm3(content + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(content))))))

    def _beside(self, content: Tensor, place: Tensor) -> Tensor:
        """Head by head, content and then place: two ``[B, N, width]`` → ``[B, N, 2 width]``."""
        parts = [part.reshape(*part.shape[:2], self.heads, -1) for part in (content, place)]
        return torch.cat(parts, dim=3).flatten(2)


class Encoder(nn.Module):
    """Encoder layers one after the other."""

    def __init__(self, layer: EncoderLayer, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(count))

    def forward(self, values: Tensor, position: Tensor) -> Tensor:
        """As one layer."""
        for layer in self.layers:
            values = layer(values, position)
        return values


class Decoder(nn.Module):
    """Decoder layers; where a query looks is its own reference point, as its content changes the encoding."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads, hidden, dropout, first=i == 0) for i in range(count))
        self.norm = nn.LayerNorm(width)
        self.query_scale = MLP(width, width, width, 2)
        self.ref_point_head = MLP(width, width, 2, 2)

    def forward(self, query: Tensor, memory: Tensor, position: Tensor) -> tuple[list[Tensor], Tensor]:
        """Contents ``[B, N, width]`` after each layer, and the reference points ``[1, N, 2]`` (x, y) in (0, 1)."""
        reference = self.ref_point_head(query).sigmoid()
        sine = point_encoding(reference, query.shape[2])
        content = torch.zeros_like(query).expand(len(memory), -1, -1)
        outputs = []
        for number, layer in enumerate(self.layers):
            place = sine.expand_as(content) if number == 0 else sine * self.query_scale(content)
            content = layer(content, query, place, memory, position)
            outputs.append(self.norm(content))
        return outputs, reference


class Transformer(nn.Module):
    """Encoder and decoder.

    Args:
        width: of every vector.
        heads: of every attention.
        encoders: layers.
        decoders: layers.
        hidden: width between the two linear layers of each layer.
        dropout: everywhere.
    """

    def __init__(self, width: int, heads: int, encoders: int, decoders: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.encoder = Encoder(EncoderLayer(width, heads, hidden, dropout), encoders)
        self.decoder = Decoder(width, heads, hidden, dropout, decoders)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, maps: Tensor, query: Tensor) -> tuple[list[Tensor], Tensor]:
        """Look at a photo.

        Args:
            maps: ``[B, width, h, w]``.
            query: ``[N, width]``.

        Returns:
            As :meth:`Decoder.forward`.
        """
        position = map_encoding(maps)
        memory = self.encoder(maps.flatten(2).transpose(1, 2), position)
        return self.decoder(query[None], memory, position)


def map_encoding(maps: Tensor) -> Tensor:
    """Sine encoding of the places of maps ``[B, width, h, w]``, ``[1, h w, width]``: rows, then columns."""
    height, width = maps.shape[2:]
    y, x = (torch.arange(1, size + 1, device=maps.device, dtype=torch.float32) / size for size in (height, width))
    places = torch.stack([x[None].expand(height, width), y[:, None].expand(height, width)], dim=2)
    return point_encoding(places.reshape(1, -1, 2), maps.shape[1]).to(maps.dtype)


def point_encoding(points: Tensor, width: int) -> Tensor:
    """Sine encoding ``[B, N, width]`` of points ``[B, N, 2]`` (x, y) in [0, 1]: first of y, then of x."""
    half = width // 2
    wavelength = TEMPERATURE ** (2 * (torch.arange(half, device=points.device) // 2) / half)
    angles = points[..., None].float() * 2 * math.pi / wavelength  # (B, N, 2, half)
    waves = torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], dim=4).flatten(3)
    return torch.cat([waves[..., 1, :], waves[..., 0, :]], dim=2).to(points.dtype)
