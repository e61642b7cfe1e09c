"""The interface between the search and whatever runs the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.boxes import Boxes


@dataclass(frozen=True)
class Features:
    """What an engine knows of one photo after encoding it."""

    maps: Any
    """The engine's own; only the engine that made it may look inside."""
    aspect: float
    """Width of the upright photo divided by its height."""


class Engine(Protocol):
    """A loaded model. Encode a photo once, then score as many crops of it as you like."""

    model: str
    """Name of the model, as in ``autocrop models list``."""
    device: str
    """``cpu`` or ``cuda``."""

    def encode(self, image: NDArray[np.uint8]) -> Features:
        """Analyze an upright photo, RGB ``[h, w, 3]`` of any size; resizing and normalization happen inside."""
        ...

    def score(self, features: Features, boxes: Boxes) -> NDArray[np.float32]:
        """Scores ``[N]`` of *boxes* ``[N, 4]``; higher is better, comparable within one photo."""
        ...


class ShapedEngine(Engine, Protocol):
    """An engine that can also score crops as other shapes than rectangles; what others lack, they need not have."""

    shapes: tuple[str, ...]
    """Which: ``("rectangle", "circle")``."""

    def score(self, features: Features, boxes: Boxes, shape: str = "rectangle") -> NDArray[np.float32]:
        """As :meth:`Engine.score`, of what the largest *shape* in each box shows."""
        ...


class OwnEngine(ShapedEngine, Protocol):
    """Our own engines, which let others look inside, and hold models that propose crops, too."""

    network: str
    """The paper's model, a key of ``autocrop.models.MODELS``."""

    def propose(self, features: Features) -> tuple[Boxes, NDArray[np.float32]] | None:
        """The crops ``[K, 4]`` that the model itself proposes, and its confidence in each ``[K]``, the best first.

        None for the models that only score crops.
        """
        ...

    def maps(self, features: Features) -> dict[str, NDArray[np.float32]]:
        """The features themselves, ``[C, h, w]`` by name (for ``explain.py``)."""
        ...
