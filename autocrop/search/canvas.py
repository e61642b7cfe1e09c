"""The canvas of a padded crop: its size, and the part of the photo to place on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autocrop.geometry.pixel_boxes import PixelBoxes, cuts, union
from autocrop.geometry.ratio import Ratio
from autocrop.search.subject_boxes import SubjectBoxes

SUBJECT_ROOM = 0.9
"""Room around the people on a padded canvas, relative to the mean width and height of their faces.

It is larger than in other crops, since the canvas is enlarged anyway: there is room for hair and shoulders.
"""
POSITIONS = 13
"""Number of candidate positions along each axis for the part of the photo to place on the canvas."""


@dataclass(frozen=True)
class Canvas:
    """A canvas, which may be larger than the photo."""

    size: tuple[int, int]
    """(width, height) in pixels."""
    contents: PixelBoxes
    """Candidate parts ``[N, 4]`` of the photo to place on the canvas. None of them cuts a face."""


def smallest_canvas(subjects: SubjectBoxes, ratio: Ratio) -> Canvas:
    """Find the smallest canvas of a ratio that shows all people and contains all regions."""
    essential = _essential_with_room(subjects)
    while True:
        canvas = math.ceil(max((essential[2:] - essential[:2]) / ratio)) * np.array(ratio)
        contents = _contents(essential, canvas, subjects)
        cut = cuts(contents, subjects.roomy_faces)
        uncut = ~cut.any(axis=1)
        if uncut.any():
            return Canvas((int(canvas[0]), int(canvas[1])), contents[uncut])
        middle = len(contents) // 2
        extended = union(np.concatenate([essential[None], subjects.roomy_faces[cut[middle]]]))
        assert extended is not None
        essential = extended


def _essential_with_room(subjects: SubjectBoxes) -> PixelBoxes:
    """Find the box ``[4]`` of all people and regions, with room around the people."""
    essential, people = subjects.essential(), subjects.people
    if not len(people):
        return essential
    room = SUBJECT_ROOM * (people[:, 2:] - people[:, :2]).mean(axis=0)
    return np.clip(np.round(essential + np.concatenate([-room, room])), 0, [*subjects.size, *subjects.size])


def _contents(essential: PixelBoxes, canvas: PixelBoxes, subjects: SubjectBoxes) -> PixelBoxes:
    """List the largest parts ``[N, 4]`` of the photo that fit on the canvas and contain the essential box."""
    shown = np.minimum(canvas, subjects.size)
    first = np.maximum(essential[2:] - shown, 0)
    last = np.minimum(essential[:2], subjects.size - shown)
    x, y = (np.unique(np.linspace(first[axis], last[axis], POSITIONS).round()) for axis in (0, 1))
    top_left = np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1)
    return np.concatenate([top_left, top_left + shown], axis=1)
