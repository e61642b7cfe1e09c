"""The crop that a search returns."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.errors import AutocropError, UsageError
from autocrop.geometry.boxes import PixelBox
from autocrop.geometry.ratio import Ratio
from autocrop.images import Photo, Picture, as_image, open_photo, photo_from_memory, pixels
from autocrop.images.padding import Padding, circular, padded


@dataclass(frozen=True)
class Crop:
    """One crop of one photo."""

    box: PixelBox
    """(left, top, right, bottom) in pixels of the upright photo; right and bottom are exclusive."""
    score: float
    """Of the model; comparable within the photo."""
    ratio: Ratio | None
    """The ratio that was asked for, which the box has exactly; None where the model chose."""
    score_full: float
    """Of the whole photo, by the same model."""
    photo: tuple[int, int]
    """(width, height) of the upright photo."""
    notes: tuple[str, ...] = ()
    """What the crop could not respect, in words; usually nothing."""
    padding: Padding | None = None
    """What is added around the box, where no crop of that ratio would do."""
    shape: str = "rectangle"
    """Or ``circle``: what of the box is outside of it is transparent."""

    @property
    def width(self) -> int:
        """In pixels, padding included."""
        return self.box[2] - self.box[0] + (self.padding.left + self.padding.right if self.padding else 0)

    @property
    def height(self) -> int:
        """In pixels, padding included."""
        return self.box[3] - self.box[1] + (self.padding.top + self.padding.bottom if self.padding else 0)

    def apply(self, image: str | PathLike[str] | Image.Image | NDArray[np.uint8]) -> Image.Image:
        """Cut this crop out of the photo it was found in; EXIF orientation is applied first.

        Pillow has no 16-bit color: a crop of such a photo has 8. :meth:`save` keeps all 16.

        Raises:
            AutocropError: the photo cannot be read, or has another size than the one the crop was found in.
        """
        in_memory = isinstance(image, Image.Image | np.ndarray)
        photo = photo_from_memory(image) if in_memory else open_photo(Path(image))  # type: ignore[arg-type]
        return as_image(self.render(photo))

    def render(self, photo: Photo, size: tuple[int, int] | None = None) -> Picture:
        """Cut this crop out of an open photo, in its depth, padded and shaped, and resized to *size* if that is given.

        Raises:
            AutocropError: as :meth:`apply`.
        """
        if any(self.photo) and (photo.width, photo.height) != self.photo:
            raise AutocropError(
                f"This crop belongs to a photo of {self.photo[0]}x{self.photo[1]} pixels; "
                f"{photo.name} has {photo.width}x{photo.height}."
            )
        if self.padding is None:
            picture = photo.crop(self.box, size)
        else:
            picture = padded(photo.crop(self.box), self.padding)
            picture = pixels.crop_and_resize(picture, (0, 0, self.width, self.height), size)
        return circular(picture) if self.shape == "circle" else picture

    def save(self, photo: str | PathLike[str], output: str | PathLike[str], quality: int | None = None) -> None:
        """Cut this crop out of a photo file and write it with the photo's metadata and in its bit depth.

        Args:
            photo: the file in which the crop was found. It is never written to.
            output: its extension chooses the format. Another file of that name is replaced.
            quality: 1 to 100; by default a JPEG keeps the photo's own.

        Raises:
            AutocropError: as :meth:`apply`, or the file cannot be written, or is the photo.
        """
        if Path(output).exists() and Path(output).samefile(photo):
            raise UsageError(f"{output} is the photo itself, which autocrop does not overwrite. Choose another name.")
        opened = open_photo(Path(photo))
        opened.save(self.render(opened), Path(output), quality=quality)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        row: dict[str, Any] = {
            "box": list(self.box),
            "ratio": f"{self.ratio[0]}:{self.ratio[1]}" if self.ratio else None,
            "score": round(self.score, 4),
            "score_full": round(self.score_full, 4),
            "photo": list(self.photo),
            "space": "upright",
        }
        if self.padding is not None:
            sides = self.padding
            row["padding"] = [sides.left, sides.top, sides.right, sides.bottom]
            row |= {"fit": sides.fit.fill, "pad_color": sides.fit.color}
        if self.shape != "rectangle":
            row["shape"] = self.shape
        return row
