"""Severity of a window: whether it cuts a face, leaves out people, or loses a region to keep.

The face guard: the search considers only the windows of the lowest severity that a photo allows, so a face is cut only
if every window cuts one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.pixel_boxes import PixelBoxes, contains, excludes
from autocrop.search.subject_boxes import SubjectBoxes


class Level(IntEnum):
    """What a window does to the photo's subjects, from best to worst."""

    SHOWS_EVERYONE = 0
    """All people are inside, and no face is cut."""
    LEAVES_OUT_PEOPLE = 1
    """Some people are inside, others are outside, and no face is cut."""
    CUTS_FACE = 2
    """A face is cut, or all people are outside. A crop without any people is no better than one that cuts a face."""
    LOSES_REGION = 3
    """A region to keep is not completely inside. Such a window must not be used."""


@dataclass(frozen=True)
class Severity:
    """Severity of N windows. Windows are compared by the fields in this order; smaller is better."""

    level: NDArray[np.int64]
    """:class:`Level` of each window, ``[N]``."""
    people_left_out: NDArray[np.int64]
    """Number of people outside each window, ``[N]``; 0 except at :attr:`Level.LEAVES_OUT_PEOPLE`."""
    outside_circle: NDArray[np.bool_]
    """True if a person or region extends beyond the window's circle, ``[N]``.

    Always False for rectangles, and except at :attr:`Level.SHOWS_EVERYONE`.
    """
    lacks_room: NDArray[np.bool_]
    """True if a face has less room around it than it should, ``[N]``; always False if a face is cut."""

    @functools.cached_property
    def rank(self) -> NDArray[np.int64]:
        """Integers in the order of severity, ``[N]``, comparable among these N windows only."""
        return lexicographic_rank(self.level, self.people_left_out, self.outside_circle, self.lacks_room)

    @property
    def is_none(self) -> NDArray[np.bool_]:
        """True for windows that show everyone, with room around the faces, and lose no region, ``[N]``."""
        return (self.level == Level.SHOWS_EVERYONE) & ~self.outside_circle & ~self.lacks_room

    @property
    def lowest(self) -> NDArray[np.bool_]:
        """True for the windows of the lowest severity, ``[N]``."""
        return self.rank == self.rank.min(initial=np.iinfo(np.int64).max)

    @property
    def best_level(self) -> Level:
        """Level of the best window; :attr:`Level.LOSES_REGION` if there are no windows."""
        return Level(self.level.min(initial=Level.LOSES_REGION))

    def __getitem__(self, selected: NDArray[np.bool_]) -> Severity:
        """Select some of the windows."""
        return Severity(
            self.level[selected],
            self.people_left_out[selected],
            self.outside_circle[selected],
            self.lacks_room[selected],
        )


def severity_of(windows: PixelBoxes, subjects: SubjectBoxes, circle: bool = False) -> Severity:
    """Compute the severity of windows.

    Args:
        windows: windows ``[N, 4]`` in whole pixels.
        subjects: subjects of the photo.
        circle: True if people and regions should be inside the circle that is inscribed in a square window.
    """
    cut, shown = _faces_in(windows, subjects.faces, subjects.is_person)
    roomy_cut, roomy_shown = _faces_in(windows, subjects.roomy_faces, subjects.is_person)
    people = int(subjects.is_person.sum())
    everyone_left_out = (shown == 0) & (people > 0)
    level = np.where(shown < people, Level.LEAVES_OUT_PEOPLE, Level.SHOWS_EVERYONE).astype(np.int64)
    level[cut | everyone_left_out] = Level.CUTS_FACE
    if subjects.region is not None:
        level[~contains(windows, subjects.region[None])[:, 0]] = Level.LOSES_REGION
    outside_circle = np.zeros(len(windows), bool)
    if circle:
        outside_circle = (level == Level.SHOWS_EVERYONE) & ~_circle_contains(windows, subjects)
    return Severity(
        level=level,
        people_left_out=np.where(level == Level.LEAVES_OUT_PEOPLE, people - shown, 0),
        outside_circle=outside_circle,
        lacks_room=(level < Level.CUTS_FACE) & (roomy_cut | (roomy_shown < shown)),
    )


def lexicographic_rank(*keys: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Combine arrays of integers >= 0 into one array that has their lexicographic order, most important key first."""
    sizes = [int(key.max(initial=0)) + 1 for key in keys]
    return np.ravel_multi_index([key.astype(np.int64) for key in keys], sizes)


def _faces_in(
    windows: PixelBoxes, faces: PixelBoxes, is_person: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Check whether each window cuts a face, ``[N]``, and count the people completely inside it, ``[N]``."""
    inside = contains(windows, faces)
    cut = np.any(~(inside | excludes(windows, faces)), axis=1)
    return cut, inside[:, is_person].sum(axis=1)


def _circle_contains(windows: PixelBoxes, subjects: SubjectBoxes) -> NDArray[np.bool_]:
    """Mark the square windows whose inscribed circle contains all people and regions, ``[N]``."""
    center, radius = (windows[:, :2] + windows[:, 2:]) / 2, (windows[:, 2] - windows[:, 0]) / 2
    inside = np.ones(len(windows), bool)
    for left, top, right, bottom in subjects.with_region(subjects.people):
        for corner in ((left, top), (right, top), (left, bottom), (right, bottom)):
            inside &= np.hypot(*(center - corner).T) <= radius
    return inside
