"""Composition patterns and composition-aware pooling (ASM-Net, Tu et al., AAAI 2020, section 3.1).

A pattern divides a crop into equal cells and assigns each cell to a partition. A score map has one channel per
partition. Composition-aware pooling averages, in each cell, the channel of the cell's partition. With summed-area
tables the cost does not depend on the size of a crop: thousands of crops take milliseconds.
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
"""Shapes of crops. A circle is the one inscribed in its square box."""
CIRCLE_CELLS = 24
"""Smallest number of cells per side over which a circle is pooled. Each cell is weighted by its share of the circle."""


def pattern(name: str) -> NDArray[np.int64]:
    """Make the partition labels ``[rows, columns]`` of a composition pattern. Labels start at 0 and have no gaps.

    Args:
        name: ``RxC`` for a grid of R rows and C columns, ``multi-rectangle`` for three rings, ``multi-rectangle-N``
            for N rings, ``multi-direction`` for eight sectors, or ``cross-rectangle`` for three rings in four
            quadrants.

    Raises:
        UsageError: the pattern is unknown.
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
    raise UsageError(f"Unknown composition pattern '{name}'. Use one of: {', '.join(PATTERNS)}.")


def _rings(count: int) -> NDArray[np.int64]:
    """Label concentric rings on a square grid of 2*count cells per side; 0 is the innermost."""
    y, x = np.abs(np.mgrid[: 2 * count, : 2 * count] - (count - 0.5))
    return np.maximum(y, x).astype(np.int64)


@dataclass(frozen=True)
class Cells:
    """Equal cells of a crop."""

    labels: NDArray[np.int64]
    """Channel of the score map that each cell reads, ``[rows, columns]``."""
    weights: NDArray[np.float64]
    """Weight of each cell in the crop's score, ``[rows, columns]``; they sum to 1."""

    @classmethod
    def of(cls, labels: NDArray[np.int64], shape: str = "rectangle") -> Cells:
        """Make the cells of a pattern for a shape of crop.

        The cells of a circle are divided further, and each is weighted by its share inside the circle (eq. 9).

        Args:
            labels: labels of a pattern, ``[rows, columns]``.
            shape: one of :data:`CROP_SHAPES`.
        """
        if shape == "rectangle":
            return cls(labels, np.full(labels.shape, 1 / labels.size))
        rows, columns = (-(-CIRCLE_CELLS // side) for side in labels.shape)
        fine = labels.repeat(rows, axis=0).repeat(columns, axis=1)
        weights = _share_inside_circle(*fine.shape)
        return cls(fine, weights / weights.sum())


def _share_inside_circle(rows: int, columns: int, samples: int = 8) -> NDArray[np.float64]:
    """Compute which share of each cell of a square lies inside the inscribed circle, ``[rows, columns]``."""
    y = (np.arange(rows * samples) + 0.5) / (rows * samples) * 2 - 1
    x = (np.arange(columns * samples) + 0.5) / (columns * samples) * 2 - 1
    inside = y[:, None] ** 2 + x**2 <= 1
    return inside.reshape(rows, samples, columns, samples).mean(axis=(1, 3))


def summed_area_table(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum all pixels above and to the left of each pixel corner: ``[L, H, W]`` → ``[L, H + 1, W + 1]``."""
    table = np.zeros((scores.shape[0], scores.shape[1] + 1, scores.shape[2] + 1))
    np.cumsum(scores, axis=1, dtype=np.float64, out=table[:, 1:, 1:])
    np.cumsum(table[:, 1:, 1:], axis=2, out=table[:, 1:, 1:])
    return table


def pooled_scores(table: NDArray[np.float64], boxes: Boxes, cells: Cells) -> NDArray[np.float32]:
    """Score crops by composition-aware pooling (eq. 2): the weighted mean of the means inside a crop's cells.

    The edges of cells are rounded to whole pixels. A cell smaller than a pixel takes the value of the pixel it is in.

    Args:
        table: summed-area table of the score map, from :func:`summed_area_table`.
        boxes: crops ``[N, 4]``.
        cells: cells of the model's pattern.

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
    """Divide each of N intervals in [0, 1] into *count* equal cells of whole pixels.

    Args:
        low: lower ends of the intervals, ``[N]``.
        high: upper ends of the intervals, ``[N]``.
        count: number of cells.
        size: number of pixels between 0 and 1.

    Returns:
        First pixel (inclusive) and last pixel (exclusive) of each cell, both ``[N, count]``.
    """
    shares = cell_shares(count)
    low, high = low.astype(np.float64), high.astype(np.float64)
    edges = np.rint((low[:, None] + (high - low)[:, None] * shares) * size).astype(np.int64)
    start = np.minimum(edges[:, :-1], size - 1)
    return start, np.maximum(edges[:, 1:], start + 1)


def cell_shares(count: int) -> NDArray[np.float64]:
    """Compute the edges of *count* equal cells of an interval, ``[count + 1]`` from 0 to 1."""
    return np.linspace(0, 1, count + 1)
