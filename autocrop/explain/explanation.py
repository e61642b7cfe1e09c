"""From a photo to the picture that explains its crops."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from autocrop.engines import Engine
from autocrop.errors import UsageError
from autocrop.explain.drawing import draw
from autocrop.explain.heat_maps import heat_maps
from autocrop.images import Photo, write_atomically
from autocrop.search.analysis import analyze
from autocrop.search.crop import Crop
from autocrop.search.request import CropRequest
from autocrop.search.two_stage import find_crops

FOUR_CROPS = CropRequest(top=4)
"""The best crop and three runners-up, of any shape."""


@dataclass(frozen=True)
class Explanation:
    """Crops of a photo, and the picture that explains them."""

    crops: list[Crop]
    """The crops in the picture, best first."""
    picture: Image.Image
    """RGB picture, :data:`~autocrop.explain.drawing.WIDTH` pixels wide."""

    def save(self, path: Path) -> None:
        """Write the picture as a PNG.

        Raises:
            PhotoError: the file cannot be written.
        """
        content = io.BytesIO()
        self.picture.save(content, "PNG")
        write_atomically(path, content.getvalue())


def explain_photo(
    engine: Engine, photo: Photo, request: CropRequest = FOUR_CROPS, *, faces: bool = True
) -> Explanation:
    """Find crops of a photo, and explain them.

    Args:
        engine: a loaded model.
        photo: an open photo.
        request: the kind of crops to find.
        faces: detect faces. If False, crops may cut them.

    Raises:
        AutocropError: the photo is damaged, or is too small for a crop of the ratio.
    """
    analysis = analyze(engine, photo, faces=faces)
    crops = find_crops(engine, analysis, request)
    return Explanation(crops, draw(analysis.preview, crops, heat_maps(engine, analysis.features)))


def check_output(output: Path, photo: Path, overwrite: bool = False) -> None:
    """Check that an explanation of a photo may be written to a file.

    Raises:
        UsageError: the file is not a PNG, is the photo itself, or exists and must not be overwritten.
    """
    if output.suffix.lower() != ".png":
        raise UsageError(f"{output} is not a PNG file. Choose a name that ends in .png.")
    if output.exists() and photo.exists() and output.samefile(photo):
        raise UsageError(f"{output} is the photo itself. Choose another name with -o.")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} already exists. Choose another name with -o, or replace it with --overwrite.")
