"""The Python API: what ``import autocrop`` offers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from autocrop import weights
from autocrop.engines import load_model
from autocrop.errors import UsageError
from autocrop.geometry.boxes import as_boxes, from_pixels
from autocrop.geometry.ratio import Ratio, as_ratio
from autocrop.images import Photo, open_photo, photo_from_memory
from autocrop.images.padding import AUTO, Fit
from autocrop.search.analysis import analyze
from autocrop.search.crop import Crop
from autocrop.search.request import CropRequest
from autocrop.search.subjects import Region
from autocrop.search.two_stage import find_crops

Picture = str | PathLike[str] | Image.Image | NDArray[np.uint8]
"""A path, a Pillow image, or an RGB array ``[h, w, 3]`` uint8."""


class Cropper:
    """A loaded model, ready for any number of photos; threads may share it.

    Args:
        model: a name from :func:`list_models`; None for the default model.
        device: ``"auto"`` (CUDA where torch sees it, else the CPU), ``"cpu"`` or ``"cuda"``.
        weights: a folder that ``autocrop models export`` wrote, or a checkpoint, instead of the model's own files.
        faces: look for faces, and cut none where another crop of that ratio cuts none.

    Raises:
        AutocropError: the model cannot be loaded; the message says what to do.
    """

    def __init__(
        self,
        model: str | None = None,
        device: str = "auto",
        weights: str | PathLike[str] | None = None,
        faces: bool = True,
    ) -> None:
        self._faces = faces
        self._engine = load_model(model, device, Path(weights) if weights is not None else None)

    @property
    def model(self) -> str:
        """Name of the model in use."""
        return self._engine.model

    @property
    def device(self) -> str:
        """``"cpu"`` or ``"cuda"``."""
        return self._engine.device

    def find(
        self,
        image: Picture,
        ratio: str | float | Ratio | None = None,
        top: int = 1,
        keep: Sequence[Sequence[float]] = (),
        shape: str = "rectangle",
        fit: str | None = None,
        pad_color: str = AUTO,
    ) -> list[Crop]:
        """Find the best crops of a photo, in the order in which they were found: the first is the best.

        Args:
            image: a path, a Pillow image, or an RGB array ``[h, w, 3]`` uint8. EXIF orientation is applied.
            ratio: ``"4:3"``, ``(4, 3)`` or a number; None lets the model choose the shape.
            top: how many clearly different crops to return at most.
            keep: boxes (left, top, right, bottom) in pixels of the upright photo that every crop must hold.
            shape: ``"rectangle"``, or ``"circle"`` for a square whose corners are transparent.
            fit: where no crop of the ratio shows all people whole, or holds what to keep: ``"pad"`` or ``"blur"``
                give one crop on a larger canvas instead.
            pad_color: of ``"pad"``, as CSS has colors; ``"auto"`` is the mean of the edges that it touches.

        Raises:
            AutocropError: the photo cannot be read, or has no crop of that ratio, or none that holds what to keep.
        """
        wanted = (1, 1) if ratio is None and shape == "circle" else as_ratio(ratio)
        request = CropRequest(wanted, top, shape=shape, fit=Fit(fit, pad_color) if fit else None)
        regions = [Region.of_box(box) for box in keep]
        return find_crops(self._engine, analyze(self._engine, _photo(image), faces=self._faces, keep=regions), request)

    def score(self, image: Picture, boxes: ArrayLike) -> NDArray[np.float32]:
        """Score crops of a photo; higher is better, comparable within that photo only.

        Args:
            image: as for :meth:`find`.
            boxes: ``[N, 4]``, (left, top, right, bottom) in pixels of the upright photo.

        Returns:
            ``[N]``.

        Raises:
            AutocropError: the photo cannot be read, or the boxes are malformed.
        """
        photo = _photo(image)
        pixels = np.asarray(boxes, np.float64)
        if not pixels.size:
            return np.empty(0, np.float32)
        if pixels.ndim != 2 or pixels.shape[1] != 4:
            raise UsageError(f"Boxes must have the shape [N, 4]; got {list(pixels.shape)}.")
        try:
            normalized = as_boxes(from_pixels(pixels, photo.width, photo.height))
        except ValueError as error:
            raise UsageError(str(error)) from error
        return self._engine.score(self._engine.encode(photo.preview()), normalized)


def crop(image: Picture, ratio: str | float | Ratio | None = None) -> Crop:
    """The best crop of a photo by the default model, which is loaded once.

    Args:
        image: a path, a Pillow image, or an RGB array ``[h, w, 3]`` uint8.
        ratio: ``"4:3"``, ``(4, 3)`` or a number; None lets the model choose the shape.

    Raises:
        AutocropError: the photo cannot be read, or has no crop of that ratio.
    """
    return _default_cropper().find(image, ratio)[0]


def list_models() -> list[str]:
    """Names of the models that this version knows, the default one first."""
    return list(weights.manifest())


@functools.cache
def _default_cropper() -> Cropper:
    return Cropper()


def _photo(image: Picture) -> Photo:
    if isinstance(image, Image.Image | np.ndarray):
        return photo_from_memory(image)
    return open_photo(Path(image))
