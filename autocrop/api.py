"""The Python API: what ``import autocrop`` provides."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autocrop import weights
from autocrop.engines import load_model
from autocrop.errors import UsageError
from autocrop.geometry.boxes import as_boxes, from_pixels
from autocrop.geometry.ratio import Ratio, as_ratio
from autocrop.images.padding import AUTO, Fit
from autocrop.search.analysis import analyze
from autocrop.search.crop import Crop
from autocrop.search.image_source import ImageSource, to_photo
from autocrop.search.request import CropRequest
from autocrop.search.subjects import Region
from autocrop.search.two_stage import find_crops


class Cropper:
    """A loaded model that finds crops in any number of photos.

    Threads may share it. On the CPU, one network per core works at a time, at most 8, and further threads wait. Memory
    does not grow with the number of threads.

    >>> cropper = autocrop.Cropper(model="asmnet")
    >>> for path in Path("photos").glob("*.jpg"):
    ...     best, *others = cropper.find(path, ratio="1:1", top=3)
    ...     best.save(path, Path("crops") / path.name)

    Args:
        model: a name from :func:`list_models`; None for the default model.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``, which is CUDA if torch is installed and finds a GPU.
        weights: a folder that ``autocrop models export`` wrote, or a checkpoint, instead of *model*.
        faces: detect faces, and avoid crops that cut them.

    Raises:
        AutocropError: the model cannot be loaded. The message says what to do.
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
        """Name of the model."""
        return self._engine.model

    @property
    def device(self) -> str:
        """``"cpu"`` or ``"cuda"``."""
        return self._engine.device

    def find(
        self,
        image: ImageSource,
        ratio: str | float | Ratio | None = None,
        top: int = 1,
        keep: Sequence[Sequence[float]] = (),
        shape: str = "rectangle",
        fit: str | None = None,
        pad_color: str = AUTO,
    ) -> list[Crop]:
        """Find the best crops of a photo.

        >>> cropper.find("portrait.jpg", ratio="16:9", fit="blur")

        Args:
            image: a path, bytes, a binary file, a Pillow image, or an RGB array ``[h, w, 3]`` uint8. EXIF orientation
                is applied first.
            ratio: ``"4:3"``, ``(4, 3)`` or a number; None lets the model choose the shape.
            top: largest number of distinct crops to return.
            keep: boxes (left, top, right, bottom) in pixels of the upright photo that every crop must contain.
            shape: ``"rectangle"``, or ``"circle"`` for a square whose corners are transparent.
            fit: if no crop of the ratio shows all people and contains the boxes to keep, return one crop on a larger
                canvas. ``"pad"`` fills the canvas with a color, ``"blur"`` with the blurred photo.
            pad_color: color for ``"pad"``: a CSS name or code, or ``"auto"`` for the mean color of the photo's edge.

        Returns:
            At least one crop. The first is the best, and the others follow in the order in which they were found.

        Raises:
            AutocropError: the photo cannot be read, the arguments conflict, or no crop has the ratio and contains the
                boxes to keep.
        """
        reduced_ratio = (1, 1) if ratio is None and shape == "circle" else as_ratio(ratio)
        request = CropRequest(reduced_ratio, top, shape=shape, fit=_fit(fit, pad_color, reduced_ratio))
        regions = [Region.of_box(box) for box in keep]
        analysis = analyze(self._engine, to_photo(image), faces=self._faces, keep=regions)
        return find_crops(self._engine, analysis, request)

    def score(self, image: ImageSource, boxes: ArrayLike) -> NDArray[np.float32]:
        """Score crops of a photo.

        >>> cropper.score("photo.jpg", [(0, 0, 600, 400), (100, 50, 500, 350)])
        array([3.1, 3.4], dtype=float32)

        Args:
            image: a path, bytes, a binary file, a Pillow image, or an RGB array ``[h, w, 3]`` uint8. EXIF orientation
                is applied first.
            boxes: crops ``[N, 4]``, (left, top, right, bottom) in pixels of the upright photo.

        Returns:
            Scores ``[N]``; higher is better. Only scores of the same photo are comparable.

        Raises:
            AutocropError: the photo cannot be read, or the boxes are malformed.
        """
        photo = to_photo(image)
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


def crop(image: ImageSource, ratio: str | float | Ratio | None = None) -> Crop:
    """Find the best crop of a photo with the default model, which is loaded on the first call.

    >>> autocrop.crop("photo.jpg", ratio="4:3").save("photo.jpg", "cropped.jpg")

    Args:
        image: a path, bytes, a binary file, a Pillow image, or an RGB array ``[h, w, 3]`` uint8. EXIF orientation
            is applied first.
        ratio: ``"4:3"``, ``(4, 3)`` or a number; None lets the model choose the shape.

    Raises:
        AutocropError: the photo cannot be read, or is too small for a crop of the ratio.
    """
    return _default_cropper().find(image, ratio)[0]


def list_models() -> list[str]:
    """List the names of the available models, starting with the default model.

    >>> autocrop.list_models()
    ['vrn', 'safrc', 'asmnet', 'cblnet', 'setpred']
    """
    return list(weights.manifest())


@functools.cache
def _default_cropper() -> Cropper:
    return Cropper()


def _fit(fit: str | None, pad_color: str, ratio: Ratio | None) -> Fit | None:
    """Combine the padding arguments.

    Raises:
        UsageError: they conflict with each other or with the ratio.
    """
    if fit != "pad" and pad_color != AUTO:
        raise UsageError("pad_color is the color of fit='pad'. Pass both.")
    if fit is not None and ratio is None:
        raise UsageError("fit pads a crop to a ratio. Pass both.")
    return None if fit is None else Fit(fit, pad_color)
