"""What to search for in a photo."""

from __future__ import annotations

from dataclasses import dataclass

from autocrop.errors import UsageError
from autocrop.geometry.composition import CROP_SHAPES
from autocrop.geometry.ratio import Ratio
from autocrop.images.padding import Fit


@dataclass(frozen=True)
class CropRequest:
    """The kind of crops to find in a photo.

    Raises:
        UsageError: *top* is not positive, the shape is unknown, or the ratio of a circle is not 1:1.
    """

    ratio: Ratio | None = None
    """Aspect ratio of the crops; None lets the model choose."""
    top: int = 1
    """Largest number of distinct crops to return."""
    exact: bool = True
    """The crops' pixels have the ratio exactly. If False, they may be off by one pixel where exactness would cost more
    than a hundredth of the crop, because a resize follows."""
    shape: str = "rectangle"
    """``rectangle`` or ``circle``; a circle needs the ratio 1:1."""
    fit: Fit | None = None
    """How to pad a crop if no crop of the ratio shows all people and contains all regions; None never pads."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"top must be at least 1, not {self.top}.")
        if self.shape not in CROP_SHAPES:
            raise UsageError(f"Unknown shape '{self.shape}'. Use one of: {', '.join(CROP_SHAPES)}.")
        if self.shape == "circle" and self.ratio != (1, 1):
            raise UsageError("A circle needs the ratio 1:1.")
