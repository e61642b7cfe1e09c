"""What every data set yields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autocrop.boxes import Boxes
from autocrop.errors import AutocropError


class DatasetError(AutocropError):
    """A data set that cannot be read; the message says what was looked for and where to get it."""


@dataclass(frozen=True)
class Votes:
    """Pairs of crops of one photo and how many people preferred each."""

    pairs: NDArray[np.float32]
    """``[P, 2, 4]``: the two crops of each pair, normalised xyxy."""
    counts: NDArray[np.int64]
    """``[P, 2]``: votes for the first and for the second."""

    @property
    def margin(self) -> NDArray[np.int64]:
        """``[P]``: votes for the first minus votes for the second."""
        return self.counts[:, 0] - self.counts[:, 1]


@dataclass(frozen=True)
class Sample:
    """One annotated photo."""

    path: Path
    width: int
    height: int
    boxes: Boxes
    """``[N, 4]``: annotated crops, or the best crops where there are no scores."""
    scores: NDArray[np.float32] | None = None
    """``[N]``: raw mean opinion scores, never normalised here. None: *boxes* are good crops."""
    votes: Votes | None = None

    @property
    def name(self) -> str:
        """File name of the photo."""
        return self.path.name

    @property
    def aspect(self) -> float:
        """Width of the photo divided by its height."""
        return self.width / self.height
