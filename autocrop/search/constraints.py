"""The face guard: crops do not cut faces, show the people, and contain the regions to keep.

The search uses only :class:`Constraints`. The rules are in these modules:

- ``severity.py`` decides how badly a window treats faces, people and regions.
- ``windows.py`` and ``critical_windows.py`` collect the windows that treat them best.
- ``bounds.py`` limits how far such a window may move before it treats them differently.
- ``canvas.py`` makes room for everyone if a crop may be padded.

``docs/search.md`` states the rules.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from autocrop.errors import AutocropError
from autocrop.geometry.boxes import Boxes, PixelBox, from_pixels, to_pixels
from autocrop.geometry.pixel_boxes import PixelBoxes
from autocrop.search.bounds import Bounds, bounds_around
from autocrop.search.canvas import Canvas, smallest_canvas
from autocrop.search.request import CropRequest
from autocrop.search.severity import Level, Severity, severity_of
from autocrop.search.subject_boxes import SubjectBoxes
from autocrop.search.subjects import Subjects
from autocrop.search.window_sizes import WindowSizes
from autocrop.search.windows import RatedWindows, windows_of_any_shape, windows_of_ratio


class Constraints:
    """Constraints that the subjects of a photo put on its crops.

    Boxes are normalized; those called windows are in whole pixels.

    Args:
        subjects: faces and regions of the photo.
        request: the kind of crops. For a circle, people and regions should be inside the circle.
    """

    def __init__(self, subjects: Subjects, request: CropRequest) -> None:
        self.size = subjects.size
        self._subjects = SubjectBoxes.of(subjects)
        self._circle = request.shape == "circle"
        self._sizes = None if request.ratio is None else WindowSizes.of(subjects.size, request.ratio, request.exact)

    @property
    def best_level(self) -> Level:
        """Level of the best candidate; :attr:`Level.LOSES_REGION` if there are no candidates."""
        return self._windows.severity.best_level

    @functools.cached_property
    def candidates(self) -> Boxes:
        """Windows from which a search may start, ``[N, 4]``. Each contains the regions to keep."""
        return self._normalize(self._windows.windows)

    def narrow_to_least_severe(self, selected: NDArray[np.bool_], first: bool) -> NDArray[np.bool_]:
        """Narrow a selection of candidates to those of the lowest severity.

        Args:
            selected: True for the candidates to choose from, ``[N]``.
            first: True for the first crop of a photo, which may cut a face if every crop does. Further crops may not.

        Returns:
            True for the chosen candidates, ``[N]``.
        """
        severity = self._windows.severity[selected]
        chosen = np.zeros(len(selected), bool)
        if first or severity.best_level < Level.CUTS_FACE:
            chosen[selected] = severity.lowest
        return chosen

    def fit(self, box: Boxes) -> Boxes:
        """Fit the largest window ``[1, 4]`` into a box ``[1, 4]``, or round a box of any shape to whole pixels."""
        if self._sizes is None:
            return from_pixels(to_pixels(box[0], *self.size), *self.size)
        return self._normalize(self._sizes.fit(box * self._subjects.scale))

    def are_met_by(self, window: Boxes) -> bool:
        """Return True if a window ``[1, 4]`` treats all subjects as well as possible."""
        severity = self._severity(self._to_pixels(window))
        return bool(severity.is_none[0])

    def bounds_around(self, window: Boxes) -> Bounds:
        """Find the bounds within which a candidate ``[1, 4]`` keeps its severity.

        A candidate that cuts a face must stay as it is.
        """
        pixels = self._to_pixels(window)
        bounds = Bounds(pixels[0], pixels[0])
        if self._severity(pixels).best_level < Level.CUTS_FACE:
            bounds = bounds_around(pixels[0], self._subjects)
        return Bounds(bounds.low / self._subjects.scale, bounds.high / self._subjects.scale)

    def settle(self, box: Boxes, bounds: Bounds, seed: Boxes) -> Boxes:
        """Turn a box ``[1, 4]`` into a window within bounds.

        Args:
            box: result of the search within the bounds.
            bounds: bounds of the seed, from :meth:`bounds_around`.
            seed: candidate ``[1, 4]`` from which the search started.

        Returns:
            The window ``[1, 4]``, or *seed* if no window is within the bounds or rounding increased the severity.
        """
        window = self._round_within(box[0], bounds)
        if window is None:
            return self._normalize(self._to_pixels(seed))
        windows = np.concatenate([window[None], self._to_pixels(seed)])
        rank = self._severity(windows).rank
        return self._normalize(windows[[int(rank[0] > rank[1])]])

    def notes(self, window: PixelBox) -> tuple[str, ...]:
        """Describe what a crop does to people, if there is anything to report."""
        pixels = np.array([window], np.float64)
        severity = self._severity(pixels)
        if severity.outside_circle[0]:
            return ("a face or a region to keep extends beyond the circle",)
        if severity.level[0] < Level.LEAVES_OUT_PEOPLE or self._sizes is None:
            return ()
        ratio = f"{self._sizes.ratio[0]}:{self._sizes.ratio[1]}"
        if severity.level[0] >= Level.CUTS_FACE:
            return (f"cuts a face: every {ratio} crop does; use --fit pad",)
        left_out, people = severity.people_left_out[0], len(self._subjects.people)
        return (f"leaves out {left_out} of {people} people: no {ratio} crop shows all of them; use --fit pad",)

    def check_regions_fit(self) -> None:
        """Check that a crop can contain the regions to keep.

        Raises:
            AutocropError: the regions are larger than the largest crop of the ratio.
        """
        region, sizes = self._subjects.region, self._sizes
        if region is None or sizes is None or sizes.can_contain(region):
            return
        (width, height), (max_width, max_height) = region[2:] - region[:2], sizes.largest
        raise AutocropError(
            f"No {sizes.ratio[0]}:{sizes.ratio[1]} crop of this photo can contain the regions to keep, which span "
            f"{width:.0f}x{height:.0f} pixels: the largest is {max_width}x{max_height}. Keep smaller regions, or use "
            "--fit pad."
        )

    def smallest_canvas(self) -> Canvas:
        """Find the smallest canvas of the ratio for all people and regions; it may be larger than the photo."""
        assert self._sizes is not None
        return smallest_canvas(self._subjects, self._sizes.ratio)

    @functools.cached_property
    def _windows(self) -> RatedWindows:
        """Candidates in pixels."""
        if self._sizes is None:
            return windows_of_any_shape(self._subjects)
        return windows_of_ratio(self._subjects, self._sizes, self._circle)

    def _severity(self, windows: PixelBoxes) -> Severity:
        return severity_of(windows, self._subjects, self._circle)

    def _round_within(self, box: NDArray[np.float32], bounds: Bounds) -> PixelBoxes | None:
        """Round a box ``[4]`` to a window ``[4]`` within bounds, or return None if there is no such window."""
        scale = self._subjects.scale
        low, high = np.round(bounds.low * scale), np.round(bounds.high * scale)
        if self._sizes is None:
            return np.clip(np.array(to_pixels(box, *self.size), np.float64), low, high)
        return self._sizes.nearest(box * scale, Bounds(low, high))

    def _to_pixels(self, windows: Boxes) -> PixelBoxes:
        return np.round(windows * self._subjects.scale)

    def _normalize(self, windows: PixelBoxes) -> Boxes:
        return from_pixels(windows, *self.size)
