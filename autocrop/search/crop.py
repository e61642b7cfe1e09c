"""The crop that a search returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from PIL import Image

from autocrop.errors import AutocropError, UsageError
from autocrop.geometry.boxes import PixelBox
from autocrop.geometry.composition import CROP_SHAPES
from autocrop.geometry.ratio import Ratio, as_ratio
from autocrop.images import Photo, Picture, as_image, pixels
from autocrop.images.padding import Padding, circular, padded
from autocrop.search.crop_fields import parse_box, parse_integers, parse_padding
from autocrop.search.image_source import ImageSource, to_photo


@dataclass(frozen=True)
class Crop:
    """A crop of a photo.

    >>> crop = autocrop.crop("photo.jpg", ratio="4:3")
    >>> crop.box
    (0, 96, 1200, 996)
    >>> crop.save("photo.jpg", "cropped.jpg")
    """

    box: PixelBox
    """(left, top, right, bottom) in pixels of the upright photo; right and bottom are exclusive."""
    score: float
    """Score of the crop; higher is better, comparable within one photo."""
    ratio: Ratio | None
    """Requested ratio, (width, height) in lowest terms; None if the model chose the shape."""
    score_full: float
    """Score of the whole photo by the same model."""
    photo: tuple[int, int]
    """(width, height) of the upright photo in pixels."""
    notes: tuple[str, ...] = ()
    """Compromises, such as a cut face; usually empty."""
    padding: Padding | None = None
    """Padding around the box if no crop of the ratio shows everyone; usually None."""
    shape: str = "rectangle"
    """``rectangle`` or ``circle``. Outside the circle, the crop is transparent."""

    @property
    def width(self) -> int:
        """Width in pixels, including padding."""
        return self.box[2] - self.box[0] + (self.padding.left + self.padding.right if self.padding else 0)

    @property
    def height(self) -> int:
        """Height in pixels, including padding."""
        return self.box[3] - self.box[1] + (self.padding.top + self.padding.bottom if self.padding else 0)

    def apply(self, image: ImageSource) -> Image.Image:
        """Cut this crop out of its photo. EXIF orientation is applied first.

        Pillow does not support 16-bit color, so a crop of a photo with 16 bits per channel has 8. :meth:`save` keeps
        all 16.

        Args:
            image: the photo: a path, bytes, a binary file, a Pillow image, or an RGB array ``[h, w, 3]`` uint8.

        Raises:
            AutocropError: the photo cannot be read, or does not have the size of the crop's photo.
        """
        return as_image(self.render(to_photo(image)))

    def render(self, photo: Photo, size: tuple[int, int] | None = None) -> Picture:
        """Cut this crop out of an open photo, pad it, shape it, and resize it. The bit depth stays the same.

        Args:
            photo: the photo.
            size: (width, height) to resize to; None does not resize.

        Raises:
            AutocropError: the photo cannot be read, or does not have the size of the crop's photo.
        """
        if any(self.photo) and (photo.width, photo.height) != self.photo:
            raise AutocropError(
                f"This crop belongs to a photo of {self.photo[0]}x{self.photo[1]} pixels, but {photo.name} has "
                f"{photo.width}x{photo.height}. Find a crop of this photo first."
            )
        if self.padding is None:
            picture = photo.crop(self.box, size)
        else:
            picture = padded(photo.crop(self.box), self.padding)
            picture = pixels.crop_and_resize(picture, (0, 0, self.width, self.height), size)
        return circular(picture) if self.shape == "circle" else picture

    def save(self, photo: ImageSource, output: str | PathLike[str], quality: int | None = None) -> None:
        """Cut this crop out of a photo, and write it with the photo's metadata and bit depth.

        Args:
            photo: the photo: a path, bytes, a binary file, a Pillow image, or an RGB array. It is not changed.
            output: path of the output; the extension determines the format. An existing file is replaced.
            quality: 1 to 100. By default, a JPEG keeps the quality of the photo.

        Raises:
            AutocropError: the photo cannot be read or does not have the size of the crop's photo, or the output
                cannot be written or is the photo itself.
        """
        if isinstance(photo, str | PathLike) and Path(output).exists() and Path(output).samefile(photo):
            raise UsageError(
                f"{output} is the photo itself, and autocrop never overwrites photos. Choose another name."
            )
        opened = to_photo(photo)
        opened.save(self.render(opened), Path(output), quality=quality)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Crop:
        """Make a crop from the result of :meth:`to_dict`. Its scores have four decimals, and it has no notes.

        >>> autocrop.Crop.from_dict(json.loads(text)).save("photo.jpg", "cropped.jpg")

        Args:
            row: the dictionary. Other keys, such as those of ``autocrop --json``, are ignored.

        Raises:
            UsageError: a value is missing or malformed.
        """
        try:
            width, height = parse_integers(row, "photo", 2) or (0, 0)
            shape = row.get("shape", "rectangle")
            if shape not in CROP_SHAPES:
                raise ValueError(f'"shape" must be one of {", ".join(CROP_SHAPES)}')
            return cls(
                parse_box(row),
                float(row["score"]),
                as_ratio(row["ratio"]),
                float(row["score_full"]),
                (width, height),
                padding=parse_padding(row),
                shape=shape,
            )
        except KeyError as error:
            raise UsageError(f'This is not a crop from Crop.to_dict: "{error.args[0]}" is missing.') from error
        except (AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"This is not a crop from Crop.to_dict: {error}.") from error

    def to_dict(self) -> dict[str, Any]:
        """Convert the crop to JSON types, as ``autocrop --json`` prints them."""
        row: dict[str, Any] = {
            "box": list(self.box),
            "ratio": f"{self.ratio[0]}:{self.ratio[1]}" if self.ratio else None,
            "score": round(self.score, 4),
            "score_full": round(self.score_full, 4),
            "photo": list(self.photo),
            "space": "upright",
        }
        if self.padding is not None:
            padding = self.padding
            row["padding"] = [padding.left, padding.top, padding.right, padding.bottom]
            row |= {"fit": padding.fit.fill, "pad_color": padding.fit.color}
        if self.shape != "rectangle":
            row["shape"] = self.shape
        return row
