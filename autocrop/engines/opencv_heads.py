"""Heads of the CPU engine: they score crops from the feature maps of a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from autocrop.errors import AutocropError
from autocrop.geometry.boxes import Boxes
from autocrop.geometry.composition import CROP_SHAPES, Cells, pattern, pooled_scores, summed_area_table
from autocrop.geometry.proposals import proposal_scores

Maps = dict[str, NDArray[np.float32]]
"""Feature maps by name."""


class Head(Protocol):
    """The part of a model that scores crops."""

    shapes: tuple[str, ...]
    """Shapes of crops that the head distinguishes."""

    def prepare(self, maps: Maps) -> Any:
        """Compute, once per photo, what :meth:`score` needs from the feature maps, each ``[1, C, h, w]``."""
        ...

    def score(self, prepared: Any, boxes: Boxes, shape: str) -> NDArray[np.float32]:
        """Score boxes ``[N, 4]`` as crops of a shape, ``[N]``."""
        ...


class GraphHead:
    """A head that is an ONNX graph: the inputs are the feature maps and the boxes (VRN, SAFRC)."""

    shapes: tuple[str, ...] = ("rectangle",)

    def __init__(self, path: Path) -> None:
        self._graph = read_graph(path)

    def prepare(self, maps: Maps) -> Maps:
        """See :class:`Head`: the graph reads the feature maps as they are."""
        return maps

    def score(self, prepared: Maps, boxes: Boxes, shape: str) -> NDArray[np.float32]:  # noqa: ARG002
        """See :class:`Head`."""
        for name, values in prepared.items():
            self._graph.setInput(values, name)
        self._graph.setInput(boxes, "boxes")
        return np.asarray(self._graph.forward(), np.float32).reshape(-1)


class PoolingHead:
    """Composition-aware pooling of a score map (ASM-Net), see :mod:`autocrop.geometry.composition`."""

    shapes: tuple[str, ...] = CROP_SHAPES

    def __init__(self, pattern_name: str) -> None:
        self._cells = {shape: Cells.of(pattern(pattern_name), shape) for shape in CROP_SHAPES}

    def prepare(self, maps: Maps) -> NDArray[np.float64]:
        """See :class:`Head`: the summed-area table of the score map."""
        return summed_area_table(maps["scores"][0])

    def score(self, prepared: NDArray[np.float64], boxes: Boxes, shape: str) -> NDArray[np.float32]:
        """See :class:`Head`."""
        return pooled_scores(prepared, boxes, self._cells[shape])


class ProposalHead:
    """Overlap with the crops that the encoder proposes (CBLNet, set prediction)."""

    shapes: tuple[str, ...] = ("rectangle",)

    def prepare(self, maps: Maps) -> tuple[Boxes, NDArray[np.float32]]:
        """See :class:`Head`: the proposals and their confidence."""
        return maps["boxes"][0], maps["confidence"][0]

    def score(self, prepared: tuple[Boxes, NDArray[np.float32]], boxes: Boxes, shape: str) -> NDArray[np.float32]:  # noqa: ARG002
        """See :class:`Head`."""
        return proposal_scores(*prepared, boxes)


def read_graph(path: Path) -> cv2.dnn.Net:
    """Read an ONNX file.

    Raises:
        AutocropError: OpenCV cannot read the file.
    """
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise AutocropError(
            f"{path} is not an ONNX graph that OpenCV can read. Export the model again with: autocrop models export"
        ) from error
