"""What a photo shows that its crops must respect: faces, and regions that must stay in."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autocrop.errors import AutocropError, UsageError
from autocrop.geometry import pixel_boxes as px
from autocrop.geometry.boxes import Boxes, PixelBox

_NUMBER = r"\s*(\d+(?:\.\d+)?)(%?)\s*"


_REGION = re.compile(",".join([_NUMBER] * 4))


@dataclass(frozen=True)
class Region:
    """A part of a photo that must stay in, as somebody names it: in pixels, or in percent of any photo's size."""

    text: str
    box: tuple[float, float, float, float]
    """(left, top, right, bottom)."""
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> Region:
        """``"X,Y,WIDTH,HEIGHT"`` in pixels, or each in percent: ``"10%,0%,50%,80%"``.

        Raises:
            UsageError: it is neither, or has no area.
        """
        match = _REGION.fullmatch(text)
        if match is None or len({*match.groups()[1::2]}) != 1:
            raise UsageError(
                f"'{text}' is no region to keep. Write X,Y,WIDTH,HEIGHT, all in pixels (120,80,400,300) or all in "
                "percent of the photo (10%,0%,50%,80%)."
            )
        x, y, width, height = (float(number) for number in match.groups()[::2])
        if not width or not height:
            raise UsageError(f"The region to keep '{text}' has no area.")
        return cls(text, (x, y, x + width, y + height), match[2] == "%")

    @classmethod
    def of_box(cls, box: Sequence[float]) -> Region:
        """A box (left, top, right, bottom) in pixels.

        Raises:
            UsageError: it is no box.
        """
        if len(box) != 4 or not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
            raise UsageError(f"{box!r} is no box to keep: give (left, top, right, bottom) in pixels.")
        left, top, right, bottom = (float(side) for side in box)
        return cls(f"{left:g},{top:g},{right - left:g},{bottom - top:g}", (left, top, right, bottom))

    def to_pixels(self, size: tuple[int, int]) -> PixelBox:
        """The smallest whole pixels that hold it in a photo of *size*.

        Raises:
            AutocropError: the region reaches beyond the photo.
        """
        scale = np.array([*size, *size]) / 100 if self.percent else np.ones(4)
        left, top, right, bottom = np.array(self.box) * scale
        if right > size[0] + 1e-6 or bottom > size[1] + 1e-6:
            raise AutocropError(
                f"The region to keep {self.text} reaches beyond the photo, which is {size[0]}x{size[1]} pixels. "
                "For photos of several sizes give it in percent."
            )
        return (
            math.floor(left + 1e-6),
            math.floor(top + 1e-6),
            min(math.ceil(right - 1e-6), size[0]),
            min(math.ceil(bottom - 1e-6), size[1]),
        )


@dataclass(frozen=True)
class Subjects:
    """What a photo shows that crops must respect.

    Attributes:
        size: (width, height) of the upright photo, in pixels.
        faces: ``[N, 4]`` in [0, 1], as :func:`autocrop.search.faces.find_faces` gives them.
        keep: boxes in pixels that must stay in.
    """

    size: tuple[int, int]
    faces: Boxes
    keep: Sequence[PixelBox] = ()

    def __bool__(self) -> bool:
        return len(self.faces) > 0 or len(self.keep) > 0

    def harmed(self, box: PixelBox) -> int:
        """How many faces a box cuts, and how many of the regions to keep it does not hold."""
        photo, window = np.array([*self.size, *self.size], np.float64), np.array([box], np.float64)
        inside, outside = px.relations(window, px.round_outward(self.faces * photo, photo))
        held, _ = px.relations(window, np.array(self.keep, np.float64).reshape(-1, 4))
        return int((~(inside | outside)).sum() + (~held).sum())
