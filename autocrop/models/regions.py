"""RoIAlign, RoDAlign and crop masks as matrix products.

Averaged bilinear sampling on a regular grid is separable. If ``Wy [N, r, H]`` are the interpolation weights of the
sampled rows of each box, and ``Wx [N, r, W]`` those of the sampled columns, then RoIAlign is ``Wy · F · Wxᵀ``. This is
exact and differentiable, and it exports to plain matrix products. A test compares it with
``torchvision.ops.roi_align(aligned=True)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLES = 2
"""Sampling points per output cell and axis (``sampling_ratio`` of torchvision)."""


def sample_points(low: Tensor, high: Tensor, count: int) -> Tensor:
    """Divide intervals into *count* equal parts and return their centers.

    Args:
        low: ``[N]``, start of each interval.
        high: ``[N]``, end of each interval.
        count: P, number of parts.

    Returns:
        ``[N, P]``.
    """
    steps = (torch.arange(count, dtype=low.dtype, device=low.device) + 0.5) / count
    return low[:, None] + steps * (high - low)[:, None]


def bilinear_weights(points: Tensor, size: int) -> Tensor:
    """Compute the weights that interpolate a row of values linearly at given points.

    Value i of the row lies at ``(i + 0.5) / size``. Points beyond the outermost values take the nearest value.

    Args:
        points: ``[N, P]`` in [0, 1].
        size: number of values in the row.

    Returns:
        ``[N, P, size]``.
    """
    position = (points * size - 0.5).clamp(0, size - 1)
    grid = torch.arange(size, dtype=points.dtype, device=points.device)
    return (1 - (position[..., None] - grid).abs()).clamp(min=0)


def roi_align(features: Tensor, boxes: Tensor, size: int = 9) -> Tensor:
    """Pool the region of interest (RoI) of each box to a grid (Mask R-CNN, He et al., ICCV 2017, section 3).

    Args:
        features: ``[1, C, H, W]``, feature map of one photo.
        boxes: ``[N, 4]``, xyxy in [0, 1].
        size: r, output cells per side.

    Returns:
        ``[N, C, size, size]``.
    """
    n = boxes.shape[0]  # not len(), which the exporter would turn into a constant
    channels, height, width = features.shape[1:]
    rows = bilinear_weights(sample_points(boxes[:, 1], boxes[:, 3], size * SAMPLES), height)
    columns = bilinear_weights(sample_points(boxes[:, 0], boxes[:, 2], size * SAMPLES), width)
    rows = rows.view(n, size, SAMPLES, height).mean(2)  # [N, r, H]
    columns = columns.view(n, size, SAMPLES, width).mean(2)  # [N, r, W]
    by_row = rows.reshape(n * size, height) @ features[0].permute(1, 0, 2).reshape(height, channels * width)
    by_row = by_row.view(n, size * channels, width)  # [N, r*C, W]
    pooled = by_row @ columns.transpose(1, 2)  # [N, r*C, r]
    return pooled.view(n, size, channels, size).transpose(1, 2)  # [N, C, r, r]


def rod_align(features: Tensor, boxes: Tensor, size: int = 9) -> Tensor:
    """Pool the region of discard (RoD) of each box to a grid (GAIC, section 3.3).

    The grid covers the whole photo; samples inside the box are zero.

    Args:
        features: ``[1, C, H, W]``, feature map of one photo.
        boxes: ``[N, 4]``, xyxy in [0, 1].
        size: r, output cells per side.

    Returns:
        ``[N, C, size, size]``.
    """
    height, width = features.shape[2:]
    count = size * SAMPLES
    ends = torch.tensor([0.0, 1.0], dtype=boxes.dtype, device=boxes.device)
    points = sample_points(ends[:1], ends[1:], count)  # [1, P]
    rows, columns = bilinear_weights(points, height)[0], bilinear_weights(points, width)[0]
    whole = rows @ features[0] @ columns.T  # [C, P, P]
    inside_y = (points >= boxes[:, 1:2]) & (points <= boxes[:, 3:4])  # [N, P]
    inside_x = (points >= boxes[:, 0:1]) & (points <= boxes[:, 2:3])
    outside = 1 - (inside_y[:, :, None] & inside_x[:, None, :]).to(features.dtype)  # [N, P, P]
    return F.avg_pool2d(whole[None] * outside[:, None], SAMPLES)  # [N, C, r, r]


def coverage(boxes: Tensor, height: int, width: int) -> Tensor:
    """Compute crop masks with soft edges: the share of each grid cell that lies inside each box.

    Args:
        boxes: ``[N, 4]``, xyxy in [0, 1].
        height: number of rows of the grid.
        width: number of columns of the grid.

    Returns:
        ``[N, height, width]`` in [0, 1].
    """
    rows = _interval_coverage(boxes[:, 1], boxes[:, 3], height)
    columns = _interval_coverage(boxes[:, 0], boxes[:, 2], width)
    return rows[:, :, None] * columns[:, None, :]


def _interval_coverage(low: Tensor, high: Tensor, count: int) -> Tensor:
    """Compute the share of each of *count* equal parts of [0, 1] inside intervals ``[N]``: ``[N, count]``."""
    start = torch.arange(count, dtype=low.dtype, device=low.device)
    upper = torch.minimum(high[:, None] * count, start + 1)
    lower = torch.maximum(low[:, None] * count, start)
    return (upper - lower).clamp(min=0)
