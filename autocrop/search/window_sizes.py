"""Sizes that windows of an aspect ratio may have in a photo, in whole pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.pixel_boxes import PixelBoxes
from autocrop.geometry.ratio import Ratio
from autocrop.search.bounds import Bounds

MIN_RELATIVE_SIZE = 0.5
"""Smallest window tried when avoiding a cut, relative to the largest window of that ratio."""
MIN_EXACT_SIZES = 100
"""Smallest number of exact sizes that is fine enough: with fewer, neighboring sizes differ by over a hundredth."""
ROUNDING = 5e-4
"""Float32 rounding tolerance in pixels: a side of 1200 pixels may arrive as 1199.9999."""


@dataclass(frozen=True)
class WindowSizes:
    """All sizes of windows of one ratio in one photo."""

    photo: tuple[int, int]
    """(width, height) of the photo."""
    ratio: Ratio
    """Width to height of the windows, in lowest terms."""
    sizes: NDArray[np.int64]
    """(width, height) of the windows, ``[K, 2]``, smallest first."""

    @classmethod
    def of(cls, photo: tuple[int, int], ratio: Ratio, exact: bool = True) -> WindowSizes:
        """List the sizes of windows of a ratio.

        Args:
            photo: (width, height) of the photo.
            ratio: width to height, in lowest terms (a, b).
            exact: allow only k·a by k·b pixels. Otherwise sizes may be a fraction of a pixel off if there are fewer
                than :data:`MIN_EXACT_SIZES` exact ones.
        """
        a, b = ratio
        largest = min(photo[0] // a, photo[1] // b)
        if exact or largest >= MIN_EXACT_SIZES:
            multiples = np.arange(1, largest + 1)
            return cls(photo, ratio, np.stack([multiples * a, multiples * b], axis=1))
        widths = np.arange(1, photo[0] + 1)
        sizes = np.stack([widths, np.round(widths * b / a).astype(np.int64)], axis=1)
        return cls(photo, ratio, sizes[(sizes[:, 1] >= 1) & (sizes[:, 1] <= photo[1])])

    @property
    def largest(self) -> tuple[int, int]:
        """(width, height) of the largest window."""
        return int(self.sizes[-1, 0]), int(self.sizes[-1, 1])

    def can_contain(self, box: PixelBoxes) -> bool:
        """Return True if a window can contain a box ``[4]``."""
        return bool((self.sizes >= box[2:] - box[:2]).all(axis=1).any())

    def fit(self, boxes: PixelBoxes) -> PixelBoxes:
        """Fit the largest windows into boxes ``[N, 4]`` of about the ratio, and center them there."""
        available = boxes[:, 2:] - boxes[:, :2] + ROUNDING
        index = np.min([np.searchsorted(self.sizes[:, axis], available[:, axis], "right") for axis in (0, 1)], axis=0)
        size = self.sizes[np.maximum(index - 1, 0)]
        top_left = np.clip(np.round((boxes[:, :2] + boxes[:, 2:] - size) / 2), 0, self.photo - size)
        return np.concatenate([top_left, top_left + size], axis=1)

    def nearest(self, box: PixelBoxes, bounds: Bounds) -> PixelBoxes | None:
        """Find the window ``[4]`` within bounds that is nearest to a box ``[4]`` in size, then in position.

        A window larger than the box is chosen only if no smaller one is within the bounds.

        Returns:
            The window, or None if no window is within the bounds.
        """
        first, last = bounds.top_left_range(self.sizes)
        possible = (first <= last).all(axis=1)
        if not possible.any():
            return None
        excess = (self.sizes - (box[2:] - box[:2]) - ROUNDING).max(axis=1)
        distance = np.where(excess <= 0, -excess, excess + self.sizes[-1].max())
        index = int(np.where(possible, distance, np.inf).argmin())
        size = self.sizes[index]
        top_left = np.clip(np.round((box[:2] + box[2:] - size) / 2), first[index], last[index])
        return np.concatenate([top_left, top_left + size])
