"""What every data set yields, and what all loaders need."""

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
    """A data set that cannot be read; the message says what was looked for and where to get it."""


@dataclass(frozen=True)
class Votes:
    """Pairs of crops of one photo and how many people preferred each."""

    pairs: NDArray[np.float32]
    """``[P, 2, 4]``: the two crops of each pair, normalized xyxy."""
    counts: NDArray[np.int64]
    """``[P, 2]``: votes for the first and for the second."""

    @property
    def margin(self) -> NDArray[np.int64]:
        """``[P]``: votes for the first minus votes for the second."""
        return self.counts[:, 0] - self.counts[:, 1]


@dataclass(frozen=True)
class Scale:
    """What the raw scores of a data set mean."""

    good: float
    """A crop of this score or more is a good one (set prediction)."""
    gap: float
    """Two crops whose scores differ by this or more are in a clear order (ASM-Net, section 4.2)."""


@dataclass(frozen=True)
class Sample:
    """One photo with its annotations; of an unlabeled one *boxes* is empty."""

    path: Path
    width: int
    height: int
    boxes: Boxes
    """``[N, 4]``: annotated crops, or the best crops where there are no scores."""
    scores: NDArray[np.float32] | None = None
    """``[N]``: raw mean opinion scores, never normalized here. None: *boxes* are good crops."""
    votes: Votes | None = None
    scale: Scale | None = None
    """Of *scores*; None where there are none."""

    @property
    def name(self) -> str:
        """File name of the photo, unique in its data set."""
        return self.path.name

    @property
    def aspect(self) -> float:
        """Width of the photo divided by its height."""
        return self.width / self.height


@dataclass(frozen=True)
class Split(Sequence[Sample]):
    """One split of a data set, as far as it is there."""

    samples: list[Sample]
    missing: list[str]
    """Names that the data set lists and that are left out: the photo is gone or cannot be opened, or nothing says
    what people think of it."""

    @property
    def listed(self) -> int:
        """How many photos the data set lists, here or not."""
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
    """(width, height) in pixels of the upright photo; None if no photo that can be opened is there."""
    try:
        photo = open_photo(path)
    except PhotoError:
        return None
    return photo.width, photo.height


def read_json(path: Path, source: str) -> Any:
    """What a JSON file holds.

    Raises:
        DatasetError: it cannot be read; the message says that it is to be had from *source*.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path, error, source) from error


def damaged(path: Path, error: object, source: str) -> DatasetError:
    """The exception for a file of a data set that is not what it should be."""
    return DatasetError(f"{path} is damaged ({error}). Get it again from {source}.")


def held_out(names: Iterable[str], most: int) -> frozenset[str]:
    """Draw the photos of a ``val`` split where the data set's authors name none: *most*, but at most a tenth.

    The digests of the names decide, so that a photo's split depends neither on the order of the names nor, but for
    the last ones drawn, on which others there are.
    """
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    return frozenset(ordered[: max(1, min(most, len(ordered) // 10))])


def scored_sample(path: Path, size: tuple[int, int], crops: ArrayLike, scores: ArrayLike, scale: Scale) -> Sample:
    """A photo of *size* with scored crops.

    Crops are clipped to the photo; one of which nothing is left is dropped, as nobody can have scored it.

    Args:
        path: of the photo.
        size: its (width, height), in pixels.
        crops: ``[N, 4]`` (x1, y1, x2, y2), in pixels.
        scores: ``[N]``.
        scale: of the scores.

    Raises:
        ValueError: the shapes do not match, there is no crop, or a number is not finite.
    """
    pixels, values = np.array(crops, np.float64), np.array(scores, np.float64)
    if values.ndim != 1 or pixels.shape != (len(values), 4):
        raise ValueError(f"scores of shape {list(values.shape)} for boxes of shape {list(pixels.shape)}")
    if not (np.isfinite(pixels).all() and np.isfinite(values).all()):
        raise ValueError("numbers that are not finite")
    boxes = np.clip(from_pixels(pixels, *size), 0, 1)
    there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if not there.any():
        raise ValueError(f"no crop inside the photo of {size[0]}x{size[1]} pixels")
    return Sample(path, *size, boxes[there], values[there].astype(np.float32), scale=scale)
