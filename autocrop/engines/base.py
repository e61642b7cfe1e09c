"""The interface of an engine, through which the search scores crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.boxes import Boxes


@dataclass(frozen=True)
class Features:
    """Features of one photo, from :meth:`Engine.encode`."""

    maps: Any
    """Feature maps in a format of the engine that made them. :meth:`Engine.maps` converts them to arrays."""
    aspect: float
    """Width of the upright photo divided by its height."""


@dataclass(frozen=True)
class Proposals:
    """Crops that a model proposes, most confident first."""

    boxes: Boxes
    """Proposed crops, ``[K, 4]``."""
    confidence: NDArray[np.float32]
    """Confidence in each proposal, ``[K]`` in [0, 1]."""


class Engine(Protocol):
    """A loaded model. Encode a photo once, then score any number of crops of it. Threads may share an engine."""

    model: str
    """Name of the model, as in ``autocrop models list``."""
    network: str
    """Name of the network, a key of ``autocrop.models.MODELS``."""
    device: str
    """``cpu`` or ``cuda``."""
    shapes: tuple[str, ...]
    """Shapes of crops that :meth:`score` distinguishes, for example ``("rectangle", "circle")``."""

    def encode(self, image: NDArray[np.uint8], aspect: float | None = None) -> Features:
        """Encode an upright photo.

        Args:
            image: RGB ``[h, w, 3]`` of any size. The engine resizes and normalizes it.
            aspect: width divided by height of the full-size photo. Pass it if *image* is a reduced copy, whose
                rounded sides have a slightly different aspect. Default: the aspect of *image*.
        """
        ...

    def score(self, features: Features, boxes: Boxes, shape: str = "rectangle") -> NDArray[np.float32]:
        """Score crops; higher is better, comparable within one photo.

        Args:
            features: features of the photo, from :meth:`encode`.
            boxes: crops ``[N, 4]``.
            shape: one of :attr:`shapes`. The score is that of the largest such shape inside each box.

        Returns:
            Scores ``[N]``.
        """
        ...

    def propose(self, features: Features) -> Proposals | None:
        """Return the crops that the model itself proposes, or None if it only scores crops."""
        ...

    def maps(self, features: Features) -> dict[str, NDArray[np.float32]]:
        """Return the feature maps by name, each ``[C, h, w]``, for visualization."""
        ...
