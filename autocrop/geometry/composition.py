"""Composition patterns (ASM-Net, Tu et al., AAAI 2020, section 3.1): how a crop is divided, and pooling over the parts.

A pattern is a matrix of labels: equal cells of a crop, and to which partition each belongs. Composition-aware pooling
takes from a score map with one channel a partition, for every cell of a crop, the mean of its partition's channel.
Summed-area tables make that cost the same for large crops and small ones: thousands of crops take milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.errors import UsageError
from autocrop.geometry.boxes import Boxes

PATTERNS = ("cross-rectangle", "multi-rectangle", "multi-direction", "RxC, such as 1x3 or 5x5")
CROP_SHAPES = ("rectangle", "circle")
"""Shapes of crops; a circle is the largest one inside its square box."""
CIRCLE_CELLS = 24
"""A circle is pooled over this many cells a side at least, each weighted by its share inside."""


def pattern(name: str) -> NDArray[np.int64]:
    """Labels ``[rows, columns]`` of a composition pattern, from 0; every label is used.

    Args:
        name: ``RxC`` for a grid of R rows and C columns; ``multi-rectangle``, three rings, or ``multi-rectangle-N``;
            ``multi-direction``, eight sectors; ``cross-rectangle``, three rings in four quadrants.

    Raises:
        UsageError: there is no such pattern.
    """
    if grid := re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", name):
        rows, columns = int(grid[1]), int(grid[2])
        return np.arange(rows * columns).reshape(rows, columns)
    if rings := re.fullmatch(r"multi-rectangle(?:-([1-9]))?", name):
        return _rings(int(rings[1] or 3))
    if name == "cross-rectangle":
        ring = _rings(3)
        lower, right = np.mgrid[:6, :6] >= 3
        return ring * 4 + lower * 2 + right
    if name == "multi-direction":
        y, x = np.mgrid[:12, :12] - 5.5
        return np.rint(np.arctan2(y, x) / (np.pi / 4)).astype(np.int64) % 8
    raise UsageError(f"There is no composition pattern '{name}'. Use one of: {', '.join(PATTERNS)}.")


def _rings(count: int) -> NDArray[np.int64]:
    """Concentric frames on a grid of 2*count cells a side; 0 is the innermost."""
    y, x = np.abs(np.mgrid[: 2 * count, : 2 * count] - (count - 0.5))
    return np.maximum(y, x).astype(np.int64)


@dataclass(frozen=True)
class Cells:
    """Equal cells of a crop: the channel that each reads, and its weight in the crop's score."""

    labels: NDArray[np.int64]
    """``[rows, columns]``."""
    weights: NDArray[np.float64]
    """``[rows, columns]``, their sum is 1."""

    @classmethod
    def of(cls, labels: NDArray[np.int64], shape: str = "rectangle") -> Cells:
        """The cells of a pattern; for a circle they are divided further, and weighted by how much of each is inside.

        Args:
            labels: of a pattern.
            shape: ``rectangle``, or ``circle``, the one inscribed in the crop (eq. 9).
        """
        if shape == "rectangle":
            return cls(labels, np.full(labels.shape, 1 / labels.size))
        rows, columns = (-(-CIRCLE_CELLS // side) for side in labels.shape)
        fine = labels.repeat(rows, axis=0).repeat(columns, axis=1)
        weights = _share_inside_circle(*fine.shape)
        return cls(fine, weights / weights.sum())


def _share_inside_circle(rows: int, columns: int, samples: int = 8) -> NDArray[np.float64]:
    """Share of each of *rows* x *columns* equal cells of a square that lies inside the inscribed circle."""
    y = (np.arange(rows * samples) + 0.5) / (rows * samples) * 2 - 1
    x = (np.arange(columns * samples) + 0.5) / (columns * samples) * 2 - 1
    inside = y[:, None] ** 2 + x**2 <= 1
    return inside.reshape(rows, samples, columns, samples).mean(axis=(1, 3))


def summed_area_table(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums over all pixels above and left of each corner: ``[L, H, W]`` → ``[L, H + 1, W + 1]``."""
    table = np.zeros((scores.shape[0], scores.shape[1] + 1, scores.shape[2] + 1))
    np.cumsum(scores, axis=1, dtype=np.float64, out=table[:, 1:, 1:])
    np.cumsum(table[:, 1:, 1:], axis=2, out=table[:, 1:, 1:])
    return table


def pooled_scores(table: NDArray[np.float64], boxes: Boxes, cells: Cells) -> NDArray[np.float32]:
    """Composition-aware pooling, eq. 2: the weighted mean over a crop's cells of the means inside them.

    The cells' edges are rounded to whole pixels; a cell that has none left takes the value of the pixel it is in.

    Args:
        table: of the score map, see :func:`summed_area_table`.
        boxes: ``[N, 4]``.
        cells: of the model's pattern.

    Returns:
        Scores ``[N]``.
    """
    rows, columns = cells.labels.shape
    height, width = table.shape[1] - 1, table.shape[2] - 1
    top, bottom = cell_edges(boxes[:, 1], boxes[:, 3], rows, height)
    left, right = cell_edges(boxes[:, 0], boxes[:, 2], columns, width)
    flat = table.reshape(-1)
    channel = cells.labels * ((height + 1) * (width + 1))
    top, bottom = top * (width + 1), bottom * (width + 1)
    scores = np.zeros(len(boxes))
    by_row = 1 / (bottom - top).astype(np.float64) * (width + 1)
    by_column = 1 / (right - left).astype(np.float64)
    for row in range(rows):
        for column in range(columns):
            start, above, below = channel[row, column], top[:, row], bottom[:, row]
            first, last = left[:, column] + start, right[:, column] + start
            total = flat[below + last] - flat[below + first] - flat[above + last] + flat[above + first]
            scores += cells.weights[row, column] * total * by_row[:, row] * by_column[:, column]
    return scores.astype(np.float32)


def cell_edges(
    low: NDArray[np.floating], high: NDArray[np.floating], count: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First pixels, and those behind the last, of *count* equal cells of each interval ``[N]``, both ``[N, count]``."""
    share = cell_shares(count)
    low, high = low.astype(np.float64), high.astype(np.float64)
    edges = np.rint((low[:, None] + (high - low)[:, None] * share) * size).astype(np.int64)
    start = np.minimum(edges[:, :-1], size - 1)
    return start, np.maximum(edges[:, 1:], start + 1)


def cell_shares(count: int) -> NDArray[np.float64]:
    """Where the edges of *count* equal cells lie in an interval, ``[count + 1]`` from 0 to 1."""
    return np.linspace(0, 1, count + 1)
