"""Critical windows: windows whose sides touch faces.

If any window of some size cuts no face, then some critical window of that size cuts none either: the positions at
which a window cuts a face form a union of rectangles, and the window can be moved until it touches their edges.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.pixel_boxes import PixelBoxes
from autocrop.search.bounds import bounds_around
from autocrop.search.severity import lexicographic_rank, severity_of
from autocrop.search.subject_boxes import SubjectBoxes
from autocrop.search.window_sizes import MIN_RELATIVE_SIZE, WindowSizes

EVEN_SIZES = 11
"""Number of evenly spaced sizes tried, in addition to those that fit between the sides of faces."""
MAX_SIZES = 60
"""Largest number of sizes tried. It bounds the time that a photo of a crowd takes."""
MAX_WINDOWS = 100
"""Largest number of windows that touch faces. It bounds the time that a photo of a crowd takes."""


def critical_windows(subjects: SubjectBoxes, sizes: WindowSizes, circle: bool) -> PixelBoxes:
    """Find the least severe critical windows, and variants of them that keep away from the faces they touch.

    Args:
        subjects: subjects of the photo.
        sizes: sizes of the windows.
        circle: True if people and regions should be inside the circle of a square window.

    Returns:
        Windows ``[N, 4]`` in whole pixels.
    """
    positions = [
        _best_positions(size, faces, subjects)
        for faces in (subjects.roomy_faces, subjects.faces)
        for size in _sizes_to_try(faces, sizes)
    ]
    windows = np.concatenate(positions)
    windows = np.unique(windows[severity_of(windows, subjects, circle).lowest], axis=0)
    windows = windows[_evenly_spaced(len(windows), MAX_WINDOWS)]
    return np.concatenate([windows, *(_centered_between_faces(window, subjects)[None] for window in windows)])


def _sizes_to_try(faces: PixelBoxes, sizes: WindowSizes) -> NDArray[np.int64]:
    """List sizes ``[K, 2]``, largest first: some evenly spaced, and those that just fit between the sides of faces."""
    count = len(sizes.sizes)
    smallest = int(np.searchsorted(sizes.sizes[:, 0], MIN_RELATIVE_SIZE * sizes.sizes[-1, 0]))
    evenly = np.linspace(count - 1, min(smallest, count - 1), EVEN_SIZES)
    indices = set(evenly.round().astype(int).tolist())
    for axis in (0, 1):
        edges = np.unique([0, *faces[:, axis], *faces[:, axis + 2], sizes.photo[axis]])
        for first, second in itertools.combinations(edges, 2):
            index = int(np.searchsorted(sizes.sizes[:, axis], second - first))
            indices |= {near for near in (index, index - 1) if smallest <= near < count}
    largest_first = np.array(sorted(indices, reverse=True))
    return sizes.sizes[largest_first[_evenly_spaced(len(largest_first), MAX_SIZES)]]


def _best_positions(size: NDArray[np.int64], faces: PixelBoxes, subjects: SubjectBoxes) -> PixelBoxes:
    """Find the critical windows of one size that cut the fewest faces and then show the most people, ``[N, 4]``.

    A window that shows nobody is worse than one that cuts faces.
    """
    lefts, tops = (_positions_on_axis(axis, float(size[axis]), faces, subjects) for axis in (0, 1))
    contains_x, touches_x = _relations_on_axis(lefts, 0, float(size[0]), faces)
    contains_y, touches_y = _relations_on_axis(tops, 1, float(size[1]), faces)
    contained = contains_x @ contains_y.T  # [X, Y]: number of faces for each position
    touched = touches_x @ touches_y.T
    people = (contains_x * subjects.is_person) @ contains_y.T
    if not people.size:
        return np.empty((0, 4))
    shows_nobody = (people == 0) & subjects.is_person.any()
    rank = lexicographic_rank(shows_nobody, (touched - contained).astype(int), (people.max() - people).astype(int))
    x, y = np.nonzero(rank == rank.min())
    top_left = np.stack([lefts[x], tops[y]], axis=1)
    return np.concatenate([top_left, top_left + size], axis=1)


def _positions_on_axis(axis: int, length: float, faces: PixelBoxes, subjects: SubjectBoxes) -> NDArray[np.float64]:
    """List positions at which a window touches faces, the region or the photo's edge, or is centered on a face.

    Args:
        axis: 0 for the left sides of windows, 1 for their tops.
        length: width or height of the windows.
        faces: faces ``[F, 4]``.
        subjects: subjects of the photo.

    Returns:
        Positions ``[P]`` inside the photo at which the window can contain the region to keep.
    """
    low, high, end = faces[:, axis], faces[:, axis + 2], subjects.size[axis] - length
    region = [] if subjects.region is None else [subjects.region[axis], subjects.region[axis + 2] - length]
    touching = np.concatenate([[0, end], low, high, low - length, high - length, region])
    positions = np.unique(np.concatenate([touching, np.round((low + high - length) / 2)]))
    positions = positions[(positions >= 0) & (positions <= end)]
    if subjects.region is None:
        return positions
    return positions[(positions <= subjects.region[axis]) & (positions + length >= subjects.region[axis + 2])]


def _relations_on_axis(
    positions: NDArray[np.float64], axis: int, length: float, faces: PixelBoxes
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compare windows with faces along one axis.

    Returns:
        Two arrays ``[P, F]`` of 0 and 1: whether a window contains a face, and whether it overlaps the face at all.
    """
    start, end = positions[:, None], positions[:, None] + length
    low, high = faces[:, axis], faces[:, axis + 2]
    contains, touches = (start <= low) & (end >= high), (start < high) & (end > low)
    return contains.astype(np.float64), touches.astype(np.float64)


def _centered_between_faces(window: PixelBoxes, subjects: SubjectBoxes) -> PixelBoxes:
    """Move a window ``[4]`` to the middle of the positions at which it treats every face the same way."""
    size = window[2:] - window[:2]
    first, last = bounds_around(window, subjects).top_left_range(size)
    top_left = np.round((first + last) / 2)
    return np.concatenate([top_left, top_left + size])


def _evenly_spaced(count: int, limit: int) -> NDArray[np.intp]:
    """Select at most *limit* evenly spaced indices out of *count*."""
    return np.linspace(0, count - 1, min(count, limit)).astype(int)
