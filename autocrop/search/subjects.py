"""Faces and regions of a photo that its crops must respect."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.errors import AutocropError, UsageError
from autocrop.geometry.boxes import Boxes, PixelBox
from autocrop.geometry.pixel_boxes import contains, cuts, round_outward

ROUNDING = 1e-6
"""Tolerance in pixels for percentages that were converted to pixels."""

_NUMBER = r"\s*(\d+(?:\.\d+)?)(%?)\s*"
_REGION = re.compile(",".join([_NUMBER] * 4))


@dataclass(frozen=True)
class Region:
    """A part of a photo that every crop must contain, in pixels or in percent of the photo's size."""

    text: str
    """The region as the user wrote it, for messages."""
    box: tuple[float, float, float, float]
    """(left, top, right, bottom)."""
    percent: bool = False
    """True if the box is in percent of the photo's width and height."""

    @classmethod
    def parse(cls, text: str) -> Region:
        """Parse ``"X,Y,WIDTH,HEIGHT"`` in pixels or in percent: ``"10%,0%,50%,80%"``.

        Raises:
            UsageError: the text is not a region, or the region has no area.
        """
        match = _REGION.fullmatch(text)
        if match is None or len({*match.groups()[1::2]}) != 1:
            raise UsageError(
                f"'{text}' is not a valid region to keep. Write X,Y,WIDTH,HEIGHT, all in pixels (120,80,400,300) or "
                "all in percent of the photo (10%,0%,50%,80%)."
            )
        x, y, width, height = (float(number) for number in match.groups()[::2])
        if not width or not height:
            raise UsageError(f"The region to keep '{text}' is empty. Its width and height must be greater than 0.")
        return cls(text, (x, y, x + width, y + height), match[2] == "%")

    @classmethod
    def of_box(cls, box: Sequence[float]) -> Region:
        """Make a region from a box (left, top, right, bottom) in pixels.

        Raises:
            UsageError: the box is malformed, empty, or has negative coordinates.
        """
        if len(box) != 4 or not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
            raise UsageError(f"{box!r} is not a valid box to keep. Pass (left, top, right, bottom) in pixels.")
        left, top, right, bottom = (float(side) for side in box)
        return cls(f"{left:g},{top:g},{right - left:g},{bottom - top:g}", (left, top, right, bottom))

    def to_pixels(self, size: tuple[int, int]) -> PixelBox:
        """Find the smallest box in whole pixels that contains the region, in a photo of *size* (width, height).

        Raises:
            AutocropError: the region extends beyond the photo.
        """
        scale = np.array([*size, *size]) / 100 if self.percent else np.ones(4)
        left, top, right, bottom = np.array(self.box) * scale
        if right > size[0] + ROUNDING or bottom > size[1] + ROUNDING:
            raise AutocropError(
                f"The region to keep {self.text} extends beyond the photo, which is {size[0]}x{size[1]} pixels. "
                "Use percentages for photos of different sizes."
            )
        return (
            math.floor(left + ROUNDING),
            math.floor(top + ROUNDING),
            min(math.ceil(right - ROUNDING), size[0]),
            min(math.ceil(bottom - ROUNDING), size[1]),
        )


@dataclass(frozen=True)
class Subjects:
    """Faces and regions of one photo. An instance without any is falsy."""

    size: tuple[int, int]
    """(width, height) of the upright photo in pixels."""
    faces: Boxes
    """Detected faces, ``[N, 4]`` in [0, 1], see :func:`autocrop.search.face_detection.find_faces`."""
    keep: Sequence[PixelBox] = ()
    """Regions that every crop must contain, in pixels."""

    def __bool__(self) -> bool:
        return len(self.faces) > 0 or len(self.keep) > 0

    @property
    def scale(self) -> NDArray[np.float64]:
        """Factors ``[4]`` that convert normalized boxes to pixels: (width, height, width, height)."""
        return np.array([*self.size, *self.size], np.float64)

    def violations(self, box: PixelBox) -> int:
        """Count the faces that a box cuts and the regions that it does not contain."""
        window = np.array([box], np.float64)
        faces = round_outward(self.faces * self.scale, self.size)
        regions = np.array(self.keep, np.float64).reshape(-1, 4)
        return int(cuts(window, faces).sum() + (~contains(window, regions)).sum())
