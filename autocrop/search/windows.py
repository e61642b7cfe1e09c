"""Candidate windows of one photo that treat its faces, people and regions as well as possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.candidates import coarse_anchors, ratio_windows
from autocrop.geometry.pixel_boxes import PixelBoxes, areas, cuts, overlaps
from autocrop.search.critical_windows import critical_windows
from autocrop.search.severity import Level, Severity, severity_of
from autocrop.search.subject_boxes import SubjectBoxes
from autocrop.search.window_sizes import MIN_RELATIVE_SIZE, WindowSizes

STEPS = 12
"""Density of the windows, see :func:`~autocrop.geometry.candidates.ratio_windows`.

It is higher than in a search without subjects: only a few positions may avoid a cut.
"""
MAX_CONCENTRIC_WINDOWS = 24
"""Largest number of square windows centered on the people."""
HARM_TOLERANCE = 0.01
"""Share of the area of all faces that a more central window may lose if every window cuts a face."""


@dataclass(frozen=True)
class RatedWindows:
    """Windows and their severity."""

    windows: PixelBoxes
    """Windows ``[N, 4]`` in whole pixels."""
    severity: Severity
    """Severity of the N windows."""

    def __getitem__(self, selected: NDArray[np.bool_]) -> RatedWindows:
        """Select some of the windows."""
        return RatedWindows(self.windows[selected], self.severity[selected])


def windows_of_any_shape(subjects: SubjectBoxes) -> RatedWindows:
    """Extend the coarse anchors until they contain all people and regions and cut no face.

    At worst, a window becomes the whole photo.
    """
    windows = _extend_to_subjects(np.round(coarse_anchors() * subjects.scale), subjects)
    return RatedWindows(windows, severity_of(windows, subjects))


def windows_of_ratio(subjects: SubjectBoxes, sizes: WindowSizes, circle: bool) -> RatedWindows:
    """Collect windows of one ratio that contain the regions to keep.

    Critical windows are added to the regular ones if those do not treat everyone well. If every window cuts a face,
    only the least harmful one is returned.

    Args:
        subjects: subjects of the photo.
        sizes: sizes of the windows.
        circle: True if people and regions should be inside the circle of a square window.
    """

    def rated(windows: PixelBoxes) -> RatedWindows:
        return RatedWindows(windows, severity_of(windows, subjects, circle))

    if subjects.region is not None and not sizes.can_contain(subjects.region):
        return rated(np.empty((0, 4)))
    candidates = rated(_regular_windows(subjects, sizes, circle))
    if not _treats_everyone_well(candidates.severity, circle):
        candidates = rated(np.concatenate([candidates.windows, critical_windows(subjects, sizes, circle)]))
    candidates = candidates[candidates.severity.level < Level.LOSES_REGION]
    if candidates.severity.best_level == Level.CUTS_FACE:
        candidates = candidates[_least_harmful(candidates.windows, subjects)]
    return candidates


def _regular_windows(subjects: SubjectBoxes, sizes: WindowSizes, circle: bool) -> PixelBoxes:
    """Place windows evenly all over the photo, and for circles also around the people."""
    (width, height), (a, b) = subjects.size, sizes.ratio
    evenly_placed = ratio_windows(width / height, a / b, steps=STEPS)
    windows = np.unique(sizes.fit(evenly_placed * subjects.scale), axis=0)
    return np.concatenate([windows, _concentric_windows(subjects, sizes)]) if circle else windows


def _treats_everyone_well(severity: Severity, circle: bool) -> bool:
    """Return True if a window shows everyone with room around the faces. In a circle, they need no room."""
    good = (severity.level == Level.SHOWS_EVERYONE) & ~severity.outside_circle
    return bool((good if circle else good & ~severity.lacks_room).any())


def _extend_to_subjects(windows: PixelBoxes, subjects: SubjectBoxes) -> PixelBoxes:
    """Extend windows ``[N, 4]`` until they contain all people and regions and cut no face."""
    windows = windows.copy()
    for box in subjects.with_region(subjects.roomy_people):
        _extend(windows, np.ones(len(windows), bool), box)
    for _ in subjects.roomy_faces:  # including one face may cut another
        cut = cuts(windows, subjects.roomy_faces)
        if not cut.any():
            break
        for index, face in enumerate(subjects.roomy_faces):
            _extend(windows, cut[:, index], face)
    return windows


def _extend(windows: PixelBoxes, selected: NDArray[np.bool_], box: PixelBoxes) -> None:
    """Extend the selected windows, in place, until they contain a box ``[4]``."""
    windows[selected, :2] = np.minimum(windows[selected, :2], box[:2])
    windows[selected, 2:] = np.maximum(windows[selected, 2:], box[2:])


def _concentric_windows(subjects: SubjectBoxes, sizes: WindowSizes) -> PixelBoxes:
    """Center square windows on the people and regions, from the smallest whose circle contains them to the largest."""
    essential = subjects.essential()
    sides = sizes.sizes[:, 0].astype(np.float64)
    diagonal = np.hypot(*(essential[2:] - essential[:2]))
    sides = sides[sides >= max(diagonal, MIN_RELATIVE_SIZE * sides[-1])]
    sides = sides[np.linspace(0, len(sides) - 1, min(len(sides), MAX_CONCENTRIC_WINDOWS)).astype(int)][:, None]
    top_left = np.round((essential[:2] + essential[2:] - sides) / 2)
    top_left = np.clip(top_left, 0, subjects.size - sides)
    return np.concatenate([top_left, top_left + sides], axis=1)


def _least_harmful(windows: PixelBoxes, subjects: SubjectBoxes) -> NDArray[np.bool_]:
    """Return a mask ``[N]`` of the one window that shows most of the people's faces.

    Among windows that show about the same, it is the largest, and then the most central one.
    """
    faces = subjects.people if subjects.is_person.any() else subjects.faces
    shown = overlaps(windows, faces).sum(axis=1)
    best = np.nonzero(shown >= shown.max() - HARM_TOLERANCE * areas(faces).sum())[0]
    center = (faces[:, :2] + faces[:, 2:]).mean(axis=0) / 2
    distance = np.hypot(*((windows[best, :2] + windows[best, 2:]) / 2 - center).T)
    selected = np.zeros(len(windows), bool)
    selected[best[np.lexsort((distance, -areas(windows[best])))[0]]] = True
    return selected
