"""The transformer of Conditional DETR (Meng et al., ICCV 2021), on which set prediction builds.

Modules and parameters have the names used in the authors' checkpoints, so that those can be loaded.
"""

from __future__ import annotations

import copy
import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEMPERATURE = 10_000
"""Longest wavelength of the sine encodings, as in DETR, in units of the photo's side."""


class Linear(nn.Linear):
    """A linear layer that flattens its input to two dimensions, so that it exports as one matrix product."""

    def forward(self, values: Tensor) -> Tensor:
        """Map ``[..., in_features]`` to ``[..., out_features]``."""
        return F.linear(values.flatten(0, -2), self.weight, self.bias).reshape(*values.shape[:-1], -1)


class MLP(nn.Module):
    """Multilayer perceptron: *count* linear layers with ReLU between them."""

    def __init__(self, in_features: int, hidden: int, out_features: int, count: int) -> None:
        super().__init__()
        sizes = [in_features, *[hidden] * (count - 1), out_features]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(sizes))

    def forward(self, values: Tensor) -> Tensor:
        """Map ``[..., in_features]`` to ``[..., out_features]``."""
        for layer in self.layers[:-1]:
            values = F.relu(layer(values))
        return self.layers[-1](values)


class SelfAttention(nn.Module):
    """Multi-head attention of the encoder. Its input projections are one parameter, as in ``nn.MultiheadAttention``."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, queries: Tensor, values: Tensor) -> Tensor:
        """Attend to *values* ``[B, N, width]``; *queries* ``[B, N, width]`` also serve as keys."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(part.flatten(0, 1), weight, bias).reshape(part.shape)
            for part, weight, bias in zip((queries, queries, values), weights, biases, strict=True)
        )
        return self.out_proj(attend(q, k, v, self.heads, self.dropout if self.training else 0.0))


class Attention(nn.Module):
    """Multi-head attention of the decoder. The decoder layer projects queries, keys and values itself."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.out_proj = Linear(width, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Map queries ``[B, N, D]``, keys ``[B, M, D]`` and values ``[B, M, width]`` to ``[B, N, width]``."""
        return self.out_proj(attend(q, k, v, self.heads, self.dropout if self.training else 0.0))


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
    """Multi-head scaled dot-product attention. Queries and keys may have more channels than values.

    Args:
        q: queries ``[B, N, D]``.
        k: keys ``[B, M, D]``.
        v: values ``[B, M, E]``.
        heads: number of heads; divides D and E.
        dropout: dropout rate of the attention weights.

    Returns:
        ``[B, N, E]``.
    """
    q, k, v = (part.reshape(*part.shape[:2], heads, -1).transpose(1, 2) for part in (q, k, v))  # [B, heads, N, D/heads]
    weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), dim=3)  # [B, heads, N, M]
    return (F.dropout(weights, dropout) @ v).transpose(1, 2).flatten(2)  # [B, N, E]


class EncoderLayer(nn.Module):
    """Self-attention over the positions of the feature map, then a feed-forward network (post-norm)."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads, dropout)
        self.linear1, self.linear2 = Linear(width, hidden), Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, position: Tensor) -> Tensor:
        """Update the memory ``[B, M, width]``; *position* ``[1, M, width]`` is its positional encoding."""
        values = self.norm1(values + self.dropout(self.self_attn(values + position, values)))
        return self.norm2(values + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(values))))))


class DecoderLayer(nn.Module):
    """Self-attention among the queries, conditional cross-attention to the memory, then a feed-forward network.

    Conditional cross-attention concatenates the content and spatial parts of each head, so that attention weights are
    the sum of a content similarity and a spatial similarity.
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

    def forward(self, content: Tensor, query: Tensor, sine: Tensor, memory: Tensor, position: Tensor) -> Tensor:
        """Update the content of the queries.

        Args:
            content: ``[B, N, width]``, output of the previous layer.
            query: ``[1, N, width]``, learned object queries.
            sine: ``[B, N, width]``, sine encoding of the reference points.
            memory: ``[B, M, width]``, output of the encoder.
            position: ``[1, M, width]``, positional encoding of the memory.

        Returns:
            ``[B, N, width]``.
        """
        attended = self.self_attn(
            self.sa_qcontent_proj(content) + self.sa_qpos_proj(query),
            self.sa_kcontent_proj(content) + self.sa_kpos_proj(query),
            self.sa_v_proj(content),
        )
        content = self.norm1(content + self.dropout(attended))
        attended = self._cross_attention(content, query, sine, memory, position)
        content = self.norm2(content + self.dropout(attended))
        return self.norm3(content + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(content))))))

    def _cross_attention(
        self, content: Tensor, query: Tensor, sine: Tensor, memory: Tensor, position: Tensor
    ) -> Tensor:
        query_content, key_content = self.ca_qcontent_proj(content), self.ca_kcontent_proj(memory)
        key_position = self.ca_kpos_proj(position)
        if self.ca_qpos_proj is not None:
            query_content, key_content = query_content + self.ca_qpos_proj(query), key_content + key_position
        return self.cross_attn(
            self._concatenated(query_content, self.ca_qpos_sine_proj(sine)),
            self._concatenated(key_content, key_position.expand_as(key_content)),
            self.ca_v_proj(memory),
        )

    def _concatenated(self, content: Tensor, spatial: Tensor) -> Tensor:
        """Concatenate the parts ``[B, N, width]`` of each head to ``[B, N, 2 width]``."""
        parts = [part.reshape(*part.shape[:2], self.heads, -1) for part in (content, spatial)]
        return torch.cat(parts, dim=3).flatten(2)


class Encoder(nn.Module):
    """A stack of *count* encoder layers, which start as copies of *layer*."""

    def __init__(self, layer: EncoderLayer, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(count))

    def forward(self, values: Tensor, position: Tensor) -> Tensor:
        """Map ``[B, M, width]``, with its positional encoding ``[1, M, width]``, to the memory ``[B, M, width]``."""
        for layer in self.layers:
            values = layer(values, position)
        return values


class Decoder(nn.Module):
    """A stack of decoder layers. Each query's content scales the encoding of its fixed reference point."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads, hidden, dropout, first=i == 0) for i in range(count))
        self.norm = nn.LayerNorm(width)
        self.query_scale = MLP(width, width, width, 2)
        self.ref_point_head = MLP(width, width, 2, 2)

    def forward(self, query: Tensor, memory: Tensor, position: Tensor) -> tuple[list[Tensor], Tensor]:
        """Decode the queries.

        Args:
            query: ``[1, N, width]``, learned object queries.
            memory: ``[B, M, width]``, output of the encoder.
            position: ``[1, M, width]``, positional encoding of the memory.

        Returns:
            Contents ``[B, N, width]`` after each layer, and reference points ``[1, N, 2]``, (x, y) in (0, 1).
        """
        reference = self.ref_point_head(query).sigmoid()  # [1, N, 2]
        encoding = point_encoding(reference, query.shape[2])  # [1, N, width]
        content = torch.zeros_like(query).expand(len(memory), -1, -1)  # [B, N, width]
        outputs = []
        for number, layer in enumerate(self.layers):
            sine = encoding.expand_as(content) if number == 0 else encoding * self.query_scale(content)
            content = layer(content, query, sine, memory, position)
            outputs.append(self.norm(content))
        return outputs, reference


class Transformer(nn.Module):
    """Encoder and decoder.

    Args:
        width: channels of every token.
        heads: attention heads.
        encoders: number of encoder layers.
        decoders: number of decoder layers.
        hidden: channels inside the feed-forward networks.
        dropout: dropout rate.
    """

    def __init__(self, width: int, heads: int, encoders: int, decoders: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.encoder = Encoder(EncoderLayer(width, heads, hidden, dropout), encoders)
        self.decoder = Decoder(width, heads, hidden, dropout, decoders)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, maps: Tensor, query: Tensor) -> tuple[list[Tensor], Tensor]:
        """Encode feature maps ``[B, width, h, w]`` and decode queries ``[N, width]``; see :meth:`Decoder.forward`."""
        position = map_encoding(maps)  # [1, h*w, width]
        memory = self.encoder(maps.flatten(2).transpose(1, 2), position)  # [B, h*w, width]
        return self.decoder(query[None], memory, position)


def map_encoding(maps: Tensor) -> Tensor:
    """Compute the sine encoding of the positions of maps ``[B, width, h, w]``, row by row: ``[1, h*w, width]``."""
    height, width = maps.shape[2:]
    y, x = (torch.arange(1, size + 1, device=maps.device, dtype=torch.float32) / size for size in (height, width))
    points = torch.stack([x[None].expand(height, width), y[:, None].expand(height, width)], dim=2)  # [h, w, 2]
    return point_encoding(points.reshape(1, -1, 2), maps.shape[1]).to(maps.dtype)


def point_encoding(points: Tensor, width: int) -> Tensor:
    """Compute the sine encoding ``[B, N, width]`` of points ``[B, N, 2]``, (x, y) in [0, 1]: first y, then x."""
    half = width // 2
    wavelength = TEMPERATURE ** (2 * (torch.arange(half, device=points.device) // 2) / half)
    angles = points[..., None].float() * 2 * math.pi / wavelength  # [B, N, 2, half]
    waves = torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], dim=4).flatten(3)  # [B, N, 2, half]
    return torch.cat([waves[..., 1, :], waves[..., 0, :]], dim=2).to(points.dtype)
