"""RoIAlign, RoDAlign and crop masks, as matrix products.

Averaged bilinear sampling on a grid is separable: with the weights of each box's sample rows, ``Wy [N, r, H]``, and
columns, ``Wx [N, r, W]``, the region of interest is ``Wy · F · Wxᵀ``. That is exact, differentiable, and exports
to plain matrix products. A test compares it with ``torchvision.ops.roi_align(aligned=True)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLES = 2
"""Sampling points per output cell and axis (``sampling_ratio`` of torchvision)."""


def sample_points(low: Tensor, high: Tensor, count: int) -> Tensor:
    """Centers ``[N, count]`` of *count* equal parts of each interval [low, high], both ``[N]``."""
    steps = (torch.arange(count, dtype=low.dtype, device=low.device) + 0.5) / count
    return low[:, None] + steps * (high - low)[:, None]


def bilinear_weights(points: Tensor, size: int) -> Tensor:
    """Weights ``[N, P, size]`` that interpolate a row of *size* values at *points* ``[N, P]`` in [0, 1].

    Value ``i`` of the row stands at ``(i + 0.5) / size``; points beyond the outermost values take theirs.
    """
    position = (points * size - 0.5).clamp(0, size - 1)
    grid = torch.arange(size, dtype=points.dtype, device=points.device)
    return (1 - (position[..., None] - grid).abs()).clamp(min=0)


def roi_align(features: Tensor, boxes: Tensor, size: int = 9) -> Tensor:
    """Pool every box of one photo to *size* by *size*.

    Args:
        features: ``[1, C, H, W]``.
        boxes: ``[N, 4]``, xyxy in [0, 1].
        size: cells a side.

    Returns:
        ``[N, C, size, size]``.
    """
    n = boxes.shape[0]  # not len(): an exporter would take that for a constant
    channels, height, width = features.shape[1:]
    rows = bilinear_weights(sample_points(boxes[:, 1], boxes[:, 3], size * SAMPLES), height)
    columns = bilinear_weights(sample_points(boxes[:, 0], boxes[:, 2], size * SAMPLES), width)
    rows = rows.view(n, size, SAMPLES, height).mean(2)  # (N, r, H)
    columns = columns.view(n, size, SAMPLES, width).mean(2)  # (N, r, W)
    by_row = rows.reshape(n * size, height) @ features[0].permute(1, 0, 2).reshape(height, channels * width)
    by_row = by_row.view(n, size * channels, width)  # (N, r*C, W)
    pooled = by_row @ columns.transpose(1, 2)  # (N, r*C, r)
    return pooled.view(n, size, channels, size).transpose(1, 2)


def rod_align(features: Tensor, boxes: Tensor, size: int = 9) -> Tensor:
    """Region of discard (GAIC, section 3.3): the whole photo at *size* by *size* with the points inside each box zero.

    Args and result as for :func:`roi_align`.
    """
    height, width = features.shape[2:]
    count = size * SAMPLES
    ends = torch.tensor([0.0, 1.0], dtype=boxes.dtype, device=boxes.device)
    points = sample_points(ends[:1], ends[1:], count)  # (1, P)
    rows, columns = bilinear_weights(points, height)[0], bilinear_weights(points, width)[0]
    whole = rows @ features[0] @ columns.T  # (C, P, P)
    inside_y = (points >= boxes[:, 1:2]) & (points <= boxes[:, 3:4])  # (N, P)
    inside_x = (points >= boxes[:, 0:1]) & (points <= boxes[:, 2:3])
    outside = 1 - (inside_y[:, :, None] & inside_x[:, None, :]).to(features.dtype)  # (N, P, P)
    return F.avg_pool2d(whole[None] * outside[:, None], SAMPLES)


def coverage(boxes: Tensor, height: int, width: int) -> Tensor:
    """Share of each cell of a grid that lies inside each box: the crop's mask, with soft edges.

    Args:
        boxes: ``[N, 4]``, xyxy in [0, 1].
        height: rows of the grid.
        width: columns of the grid.

    Returns:
        ``[N, height, width]`` in [0, 1].
    """
    rows = _covered(boxes[:, 1], boxes[:, 3], height)
    columns = _covered(boxes[:, 0], boxes[:, 2], width)
    return rows[:, :, None] * columns[:, None, :]


def _covered(low: Tensor, high: Tensor, count: int) -> Tensor:
    """Share ``[N, count]`` of each of *count* equal parts of [0, 1] inside each interval, both ends ``[N]``."""
    start = torch.arange(count, dtype=low.dtype, device=low.device)
    upper = torch.minimum(high[:, None] * count, start + 1)
    lower = torch.maximum(low[:, None] * count, start)
    return (upper - lower).clamp(min=0)
