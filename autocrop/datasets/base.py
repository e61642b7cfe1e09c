"""The sample that every data set yields, and helpers that the loaders share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autocrop.errors import AutocropError, PhotoError
from autocrop.geometry.boxes import Boxes, from_pixels
from autocrop.images import open_photo


class DatasetError(AutocropError):
    """A data set cannot be read. The message says which files are needed and where to get them."""


@dataclass(frozen=True)
class Votes:
    """Votes on pairs of crops of one photo."""

    pairs: NDArray[np.float32]
    """``[P, 2, 4]``: the two crops of each pair, xyxy in [0, 1]."""
    counts: NDArray[np.int64]
    """``[P, 2]``: number of votes for the first and the second crop."""

    @property
    def margin(self) -> NDArray[np.int64]:
        """``[P]``: votes for the first crop minus votes for the second."""
        return self.counts[:, 0] - self.counts[:, 1]


@dataclass(frozen=True)
class Scale:
    """Thresholds on the raw scores of a data set."""

    good: float
    """Minimum score of a good crop (set prediction, section 4.3)."""
    gap: float
    """Minimum score difference of two crops that are in a clear order (ASM-Net, section 4.2)."""


@dataclass(frozen=True)
class Sample:
    """One photo with its annotations."""

    path: Path
    width: int
    """Width of the upright photo in pixels."""
    height: int
    """Height of the upright photo in pixels."""
    boxes: Boxes
    """``[N, 4]``: the scored crops, or the best crops if there are no scores. Empty for an unlabeled photo."""
    scores: NDArray[np.float32] | None = None
    """``[N]``: raw mean opinion scores, not normalized; None if *boxes* are best crops."""
    votes: Votes | None = None
    scale: Scale | None = None
    """Scale of *scores*; None if there are no scores."""

    @property
    def name(self) -> str:
        """File name of the photo, unique within its data set."""
        return self.path.name

    @property
    def aspect(self) -> float:
        """Width divided by height."""
        return self.width / self.height


@dataclass(frozen=True)
class Split(Sequence[Sample]):
    """The available photos of one split of a data set."""

    samples: list[Sample]
    missing: list[str]
    """Listed photos that are left out, because the photo or its annotation is missing or unreadable."""

    @property
    def listed(self) -> int:
        """Number of photos that the data set lists, available or not."""
        return len(self.samples) + len(self.missing)

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        return self.samples[index]


def photo_size(path: Path) -> tuple[int, int] | None:
    """Return (width, height) of the upright photo in pixels, or None if it does not exist or cannot be opened."""
    try:
        photo = open_photo(path)
    except PhotoError:
        return None
    return photo.width, photo.height


def read_json(path: Path, source: str) -> Any:
    """Parse a JSON file.

    Args:
        path: the file.
        source: where users can download it, for the error message.

    Raises:
        DatasetError: the file cannot be read or parsed.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path, error, source) from error


def damaged(path: Path, reason: object, source: str) -> DatasetError:
    """Create the exception for a file with invalid content."""
    return DatasetError(f"{path} is damaged ({reason}). Download it again from {source}.")


def held_out(names: Iterable[str], count: int) -> frozenset[str]:
    """Select the photos of a validation split for data sets that define none.

    Photos are selected by the hash of their name. Adding or removing photos changes the selection as little as
    possible, and their order does not matter.

    Args:
        names: file names of all photos.
        count: maximum number of photos; at most a tenth of all photos are selected, but at least one.
    """
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    return frozenset(ordered[: max(1, min(count, len(ordered) // 10))])


def scored_sample(path: Path, size: tuple[int, int], crops: ArrayLike, scores: ArrayLike, scale: Scale) -> Sample:
    """Create a sample with scored crops.

    Crops are clipped to the photo. Crops outside the photo are dropped, because nobody can have scored them.

    Args:
        path: path of the photo.
        size: (width, height) of the photo in pixels.
        crops: ``[N, 4]``, xyxy in pixels.
        scores: ``[N]``.
        scale: scale of the scores.

    Raises:
        ValueError: the shapes do not match, a number is not finite, or no crop is inside the photo.
    """
    pixels, values = np.array(crops, np.float64), np.array(scores, np.float64)
    if values.ndim != 1 or pixels.shape != (len(values), 4):
        raise ValueError(f"scores of shape {list(values.shape)} for boxes of shape {list(pixels.shape)}")
    if not (np.isfinite(pixels).all() and np.isfinite(values).all()):
        raise ValueError("numbers that are not finite")
    boxes = np.clip(from_pixels(pixels, *size), 0, 1)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if not inside.any():
        raise ValueError(f"no crop inside the photo of {size[0]}x{size[1]} pixels")
    return Sample(path, *size, boxes[inside], values[inside].astype(np.float32), scale=scale)
