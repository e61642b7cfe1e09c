"""What a crop must respect: faces that it must not cut, people who should stay, regions that must.

Numpy only. Everything is in whole pixels of the upright photo, so that what holds here holds in the file.
``docs/search.md`` states the rules.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.errors import AutocropError
from autocrop.geometry import boxes as bx
from autocrop.geometry import pixel_boxes as px
from autocrop.geometry.boxes import Boxes, PixelBox
from autocrop.geometry.candidates import coarse_anchors, ratio_windows
from autocrop.geometry.pixel_boxes import Pixels
from autocrop.geometry.ratio import Ratio
from autocrop.search.subjects import Subjects

MARGIN = 0.15
"""Room around a face, as a share of its width and height: the detector's box ends at the brow and the chin."""
HAIR = 0.35
"""Room above it instead, as a share of its height."""
CANVAS_ROOM = 0.9
"""More room, where the canvas is enlarged anyway, as a share of a face's width and height."""
MAIN = 0.5
"""A face at least this high, as a share of the highest one, belongs to the people whom the photo shows."""
SMALLEST_MAIN = 0.04
"""A face lower than this share of the photo's shorter side is a passer-by's: it is not cut, but may be left out."""
SMALLEST_WINDOW = 0.5
"""Of the sides of the largest window of a ratio: smaller ones are not looked for to avoid a cut."""
STEPS = 12
"""Of the windows to choose from, more than where only the scores matter: some place may be the one that cuts nobody."""
MOST_SIZES, MOST_WINDOWS = 60, 100
"""That are tried where no ordinary candidate respects everybody."""
ROUNDING = 1e-6
"""By which a normalized float32 may be off."""

WHOLE, TIGHT, SOME, CUT = 0.0, 1.0, 2.0, 4.0
"""Kinds of windows, best first: all people are whole with room around their faces; without that room; some people are
whole, the others left out (2 to 3, the share of them left out added); a face is cut, or nobody is left."""


@dataclass(frozen=True)
class Limits:
    """Bounds ``[4]`` in [0, 1] for the sides of a box.

    The boxes within them are a convex set: what averages boxes within them is within them, too.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def hold(self, boxes: Boxes) -> NDArray[np.bool_]:
        """Which of the boxes ``[N, 4]`` are within the limits, ``[N]``."""
        within: NDArray[np.bool_] = (boxes >= self.low - ROUNDING) & (boxes <= self.high + ROUNDING)
        return within[:, 0] & within[:, 1] & within[:, 2] & within[:, 3]

    def shifted(self, boxes: Boxes) -> Boxes:
        """The boxes moved within the limits without changing their size; those that are nowhere within are dropped."""
        size = boxes[:, 2:] - boxes[:, :2]
        first = np.maximum(self.low[:2], self.low[2:] - size)
        last = np.minimum(self.high[:2], self.high[2:] - size)
        start = np.minimum(np.maximum(boxes[:, :2], first), last)
        fits = (first <= last + ROUNDING).all(axis=1)
        return np.concatenate([start, start + size], axis=1)[fits].astype(np.float32)

    def clipped(self, boxes: Boxes) -> Boxes:
        """The boxes with their sides moved within the limits; those of which nothing is left are dropped."""
        clipped = np.clip(boxes, self.low, self.high).astype(np.float32)
        return clipped[(clipped[:, 2:] > clipped[:, :2]).all(axis=1)]


class Guard:
    """Candidate windows of one photo and one ratio, and how well each respects the photo's subjects.

    Args:
        subjects: of the photo.
        ratio: of the windows, exactly; None for any shape.
        exact: with a ratio: the windows are k·a by k·b pixels. Otherwise they may be a pixel off where exactness
            would cost more than a hundredth of a window.
        circle: people and regions should be inside the circle that a square window holds.
    """

    def __init__(
        self, subjects: Subjects, ratio: Ratio | None = None, exact: bool = True, circle: bool = False
    ) -> None:
        self.size = subjects.size
        self._photo = np.array([*self.size, *self.size], np.float64)
        self._ratio, self._circle = ratio, circle
        self._tight = px.round_outward(subjects.faces * self._photo, self._photo)
        size = self._tight[:, 2:] - self._tight[:, :2]
        grown = np.concatenate([self._tight[:, :2] - (MARGIN, HAIR) * size, self._tight[:, 2:] + MARGIN * size], axis=1)
        self._roomy = px.round_outward(grown, self._photo)
        heights = self._tight[:, 3] - self._tight[:, 1]
        highest = max(heights.max(initial=0), SMALLEST_MAIN * min(self.size) / MAIN)
        self._main = heights >= MAIN * highest
        self._keep = px.union(np.array(subjects.keep, np.float64).reshape(-1, 4))
        self._dims = np.empty((0, 2), np.int64) if ratio is None else dims(self.size, ratio, exact)

    @property
    def best(self) -> float:
        """The kind of the best candidates; infinite where none holds what must be kept."""
        return float(self._windows[1].min(initial=np.inf))

    @functools.cached_property
    def candidates(self) -> Boxes:
        """Where the search may begin, ``[N, 4]``; they are in whole pixels."""
        return (self._windows[0] / self._photo).astype(np.float32)

    def kindest(self, which: NDArray[np.bool_], first: bool) -> NDArray[np.bool_]:
        """Those of some candidates ``[N]`` that respect the subjects best; only a *first* crop may cut a face."""
        kinds = self._windows[1]
        best = kinds[which].min(initial=np.inf)
        return which & (kinds <= best + 1e-9) & (first or best < CUT)

    def rounded(self, box: Boxes) -> Boxes:
        """The box ``[1, 4]`` in whole pixels, of exactly the ratio."""
        if self._ratio is None:
            return bx.from_pixels(bx.to_pixels(box[0], *self.size), *self.size)
        return (self._fitted(box * self._photo) / self._photo).astype(np.float32)

    def respects(self, box: Boxes) -> bool:
        """Whether a box ``[1, 4]`` in whole pixels does all that could be wished for."""
        return bool(self._kinds(np.round(box * self._photo))[0] == WHOLE)

    def limits(self, seed: Boxes) -> Limits:
        """The limits within which a candidate ``[1, 4]`` keeps its kind.

        What it shows whole stays so, and what it leaves out stays out, on the same side. A candidate that cuts a face
        has no room.
        """
        window = np.round(seed[0] * self._photo)
        if self._kinds(window[None])[0] >= CUT:
            return Limits(window / self._photo, window / self._photo)
        low, high = self._bounds(window)
        return Limits(low / self._photo, high / self._photo)

    def settled(self, box: Boxes, limits: Limits, seed: Boxes) -> Boxes:
        """The box ``[1, 4]`` in whole pixels within the limits, of exactly the ratio.

        *seed*, the candidate that the limits are of, where there is none, or where rounding made it worse.
        """
        bounds = np.round(limits.low * self._photo), np.round(limits.high * self._photo)
        start, wanted = np.round(seed[0] * self._photo), box[0] * self._photo
        if self._ratio is None:
            window = np.clip(np.array(bx.to_pixels(box[0], *self.size), np.float64), *bounds)
        else:
            placed = self._placed(wanted, *bounds)
            window = start if placed is None else placed
        if self._kinds(window[None])[0] > self._kinds(start[None])[0] + 1e-9:
            window = start
        return (window[None] / self._photo).astype(np.float32)

    def notes(self, window: PixelBox) -> tuple[str, ...]:
        """What a crop does to people, in words; usually nothing."""
        pixels = np.array([window], np.float64)
        kind = self._kinds(pixels)[0]
        if self._circle and 0.5 <= kind < SOME:
            return ("not all that matters is inside the circle",)
        if kind < SOME or self._ratio is None:
            return ()
        name = f"{self._ratio[0]}:{self._ratio[1]}"
        if kind >= CUT:
            return (f"cuts a face: no {name} crop avoids it; --fit pad keeps all",)
        missing, people = (~px.relations(pixels, self._tight)[0][0] & self._main).sum(), self._main.sum()
        return (f"leaves out {missing} of {people} people: no {name} crop holds all; --fit pad keeps all",)

    def _kinds(self, windows: Pixels) -> NDArray[np.float64]:
        """The kind of each window, ``[N]``; infinite where it does not hold what must be kept."""
        kinds = np.full(len(windows), CUT)
        for faces, whole in ((self._tight, TIGHT), (self._roomy, WHOLE)):
            inside, outside = px.relations(windows, faces)
            clean = (inside | outside).all(axis=1)
            lost = 1 - inside[:, self._main].mean(axis=1) if self._main.any() else np.zeros(len(windows))
            kind = np.where(lost == 0, whole, SOME + 0.9 * lost + 0.001 * whole)
            kinds = np.where(clean & (lost < 1), np.minimum(kinds, kind), kinds)
        if self._keep is not None:
            kinds[~px.relations(windows, self._keep[None])[0][:, 0]] = np.inf
        if self._circle:
            # A face outside of the circle is worse than a face with little room.
            kinds = np.where(kinds <= TIGHT, kinds / 4 + np.where(self._in_circle(windows), 0, 0.5), kinds)
        return kinds

    def _bounds(self, window: Pixels) -> tuple[Pixels, Pixels]:
        """See :meth:`limits`; in pixels."""
        low, high = np.zeros(4), self._photo.copy()
        faces = self._roomy if self._respects(window, self._roomy) else self._tight
        inside, outside = (relation[0] for relation in px.relations(window[None], faces))
        for face in [*faces[inside], *([] if self._keep is None else [self._keep])]:
            high[:2], low[2:] = np.minimum(high[:2], face[:2]), np.maximum(low[2:], face[2:])
        for face in faces[outside]:
            side = int(np.concatenate([window[:2] - face[2:], face[:2] - window[2:]]).argmax())
            if side < 2:
                low[side] = max(low[side], face[side + 2])
            else:
                high[side] = min(high[side], face[side - 2])
        return low, high

    def _grown(self, windows: Pixels) -> Pixels:
        """The windows, extended until they hold the people and the regions to keep and cut nobody."""
        windows = windows.copy()
        for must in [*self._roomy[self._main], *([] if self._keep is None else [self._keep])]:
            _extend(windows, np.ones(len(windows), bool), must)
        for _ in range(len(self._roomy)):
            inside, outside = px.relations(windows, self._roomy)
            cut = ~(inside | outside)
            if not cut.any():
                break
            for index, face in enumerate(self._roomy):
                _extend(windows, cut[:, index], face)
        return windows

    def _essential(self) -> Pixels:
        """The box ``[4]`` of all people and regions to keep."""
        parts = [*self._roomy[self._main], *([] if self._keep is None else [self._keep])]
        union = px.union(np.array(parts or self._roomy, np.float64).reshape(-1, 4))
        return np.concatenate([[0, 0], self._photo[2:]]) if union is None else union

    def _respects(self, window: Pixels, faces: Pixels) -> bool:
        """Whether a window ``[4]`` cuts none of the faces."""
        inside, outside = px.relations(window[None], faces)
        return bool((inside | outside).all())

    def _in_circle(self, windows: Pixels) -> NDArray[np.bool_]:
        """Which square windows hold all people and regions to keep inside their circle, ``[N]``."""
        parts = [*self._tight[self._main], *([] if self._keep is None else [self._keep])]
        center, radius = (windows[:, :2] + windows[:, 2:]) / 2, (windows[:, 2] - windows[:, 0]) / 2
        inside = np.ones(len(windows), bool)
        for left, top, right, bottom in parts:
            for corner in ((left, top), (right, top), (left, bottom), (right, bottom)):
                inside &= np.hypot(*(center - corner).T) <= radius
        return inside

    def check_keep(self) -> None:
        """Check that there is a window that holds the regions to keep.

        Raises:
            AutocropError: there is none.
        """
        if self._ratio is not None and self._keep is not None and not self._holds_keep():
            (width, height), (most_wide, most_high) = self._keep[2:] - self._keep[:2], self._dims[-1]
            raise AutocropError(
                f"No {self._ratio[0]}:{self._ratio[1]} crop of this photo holds what --keep names ({width:.0f}x"
                f"{height:.0f} pixels): the largest is {most_wide}x{most_high}. Keep less, or add --fit pad."
            )

    def on_canvas(self) -> tuple[tuple[int, int], Pixels]:
        """The smallest canvas of the ratio for all people and regions to keep, which may be larger than the photo.

        Returns:
            Its (width, height), and ``[N, 4]``: parts of the photo that may lie on it. They cut nobody.
        """
        assert self._ratio is not None
        essential, main = self._essential(), self._tight[self._main]
        if len(main):  # a canvas grows as it must, so that there is room for hair and shoulders, too
            room = CANVAS_ROOM * (main[:, 2:] - main[:, :2]).mean(axis=0)
            essential = np.clip(np.round(essential + np.concatenate([-room, room])), 0, self._photo)
        while True:
            size = essential[2:] - essential[:2]
            canvas = math.ceil(max(size / self._ratio)) * np.array(self._ratio)
            shown = np.minimum(canvas, self._photo[:2])
            first = np.maximum(essential[2:] - shown, 0)
            last = np.minimum(essential[:2], self._photo[:2] - shown)
            x, y = (np.unique(np.linspace(first[axis], last[axis], 13).round()) for axis in (0, 1))
            start = np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1)
            contents = np.concatenate([start, start + shown], axis=1)
            inside, outside = px.relations(contents, self._roomy)
            cut = ~(inside | outside)
            if not cut.any(axis=1).all():
                return (int(canvas[0]), int(canvas[1])), contents[~cut.any(axis=1)]
            middle = len(contents) // 2
            grown = px.union(np.concatenate([essential[None], self._roomy[cut[middle]]]))
            assert grown is not None
            essential = grown

    def _holds_keep(self) -> bool:
        return self._keep is None or bool((self._dims >= self._keep[2:] - self._keep[:2]).all(axis=1).any())

    @functools.cached_property
    def _windows(self) -> tuple[Pixels, NDArray[np.float64]]:
        """The candidates ``[N, 4]`` and their kinds ``[N]``."""
        if self._ratio is None:  # anchors, extended where they would cut: the whole photo at worst
            windows = self._grown(np.round(coarse_anchors() * self._photo))
            return windows, self._kinds(windows)
        if not self._holds_keep():
            return np.empty((0, 4)), np.empty(0)
        wanted = ratio_windows(self.size[0] / self.size[1], self._ratio[0] / self._ratio[1], steps=STEPS)
        windows = np.unique(self._fitted(wanted * self._photo), axis=0)
        kinds = self._kinds(windows)
        if self._circle:
            windows = np.concatenate([windows, self._concentric()])
            kinds = self._kinds(windows)
        if kinds.min() > WHOLE and not (self._circle and kinds.min() < 0.5):
            windows = np.concatenate([windows, self._critical()])
            kinds = self._kinds(windows)
        if kinds.min() >= CUT:
            windows = self._least_harm(windows[kinds < np.inf])
            kinds = np.full(1, CUT)
        return windows[kinds < np.inf], kinds[kinds < np.inf]

    def _fitted(self, boxes: Pixels) -> Pixels:
        """The largest windows that fit into boxes of about the ratio, centered on them."""
        wanted = boxes[:, 2:] - boxes[:, :2] + 5e-4
        index = np.min([np.searchsorted(self._dims[:, axis], wanted[:, axis], "right") for axis in (0, 1)], axis=0)
        size = self._dims[np.maximum(index - 1, 0)]
        start = np.clip(np.round((boxes[:, :2] + boxes[:, 2:] - size) / 2), 0, self._photo[:2] - size)
        return np.concatenate([start, start + size], axis=1)

    def _placed(self, box: Pixels, low: Pixels, high: Pixels) -> Pixels | None:
        """The window nearest to *box* ``[4]`` in size and then in place that is within the bounds; None without one."""
        first = np.maximum(np.maximum(low[:2], low[2:] - self._dims), 0)
        last = np.minimum(np.minimum(high[:2], high[2:] - self._dims), self._photo[:2] - self._dims)
        possible = (first <= last).all(axis=1)
        if not possible.any():
            return None
        excess = (self._dims - (box[2:] - box[:2]) - 5e-4).max(axis=1)  # a larger one only if no smaller one will do
        index = int(np.where(possible, np.where(excess <= 0, -excess, excess + self._dims[-1].max()), np.inf).argmin())
        size = self._dims[index]
        start = np.clip(np.round((box[:2] + box[2:] - size) / 2), first[index], last[index])
        return np.concatenate([start, start + size])

    def _critical(self) -> Pixels:
        """Windows whose sides touch faces: if any window of such a size cuts nobody, one of these does not."""
        found = [self._best_places(size, faces) for faces in (self._roomy, self._tight) for size in self._sizes(faces)]
        windows = np.concatenate(found) if found else np.empty((0, 4))
        kinds = self._kinds(windows)
        windows = np.unique(windows[kinds <= kinds.min(initial=np.inf) + 1e-9], axis=0)
        windows = windows[np.linspace(0, len(windows) - 1, min(len(windows), MOST_WINDOWS)).astype(int)]
        if not len(windows):
            return windows
        centered = []
        for window in windows:  # as far from the faces on both sides as they allow, not touching them
            low, high = self._bounds(window)
            size = window[2:] - window[:2]
            first = np.maximum(np.maximum(low[:2], low[2:] - size), 0)
            last = np.minimum(np.minimum(high[:2], high[2:] - size), self._photo[:2] - size)
            middle = np.round((first + last) / 2)
            centered.append(np.concatenate([middle, middle + size]))
        return np.concatenate([windows, centered])

    def _sizes(self, faces: Pixels) -> NDArray[np.int64]:
        """Sizes of windows worth a try, the largest first: a scale, and those that fit between the sides of faces."""
        count = len(self._dims)
        lowest = int(np.searchsorted(self._dims[:, 0], SMALLEST_WINDOW * self._dims[-1, 0]))
        chosen = set(np.linspace(count - 1, min(lowest, count - 1), 11).round().astype(int).tolist())
        for axis in (0, 1):
            edges = np.unique([0, *faces[:, axis], *faces[:, axis + 2], self.size[axis]])
            for first, second in itertools.combinations(edges, 2):
                at_least = int(np.searchsorted(self._dims[:, axis], second - first))
                chosen |= {index for index in (at_least, at_least - 1) if lowest <= index < count}
        order = np.array(sorted(chosen, reverse=True))
        return self._dims[order[np.linspace(0, len(order) - 1, min(len(order), MOST_SIZES)).astype(int)]]

    def _best_places(self, size: NDArray[np.int64], faces: Pixels) -> Pixels:
        """Where windows of one size touch faces or the photo's edge, and cut fewest faces and show most people."""
        starts, holds, misses = [], [], []
        for axis in (0, 1):
            near, far, length = faces[:, axis], faces[:, axis + 2], float(size[axis])
            centers = (near + far - length) / 2
            held = [] if self._keep is None else [self._keep[axis], self._keep[axis + 2] - length]
            touching = np.concatenate([[0, self.size[axis] - length], near, far, near - length, far - length, held])
            places = np.unique(np.concatenate([touching, np.round(centers)]))
            places = places[(places >= 0) & (places <= self.size[axis] - length)]
            if self._keep is not None:
                places = places[(places <= self._keep[axis]) & (places + length >= self._keep[axis + 2])]
            starts.append(places)
            holds.append((places[:, None] <= near) & (places[:, None] + length >= far))
            misses.append((places[:, None] >= far) | (places[:, None] + length <= near))
        whole = holds[0].astype(np.float64) @ holds[1].T
        touched = (~misses[0]).astype(np.float64) @ (~misses[1]).T
        people = (holds[0] * self._main.astype(np.float64)) @ holds[1].T
        if not people.size:
            return np.empty((0, 4))
        # Cuts first; then people.  A window that shows nobody is worth less than one that cuts.
        worth = people - (len(faces) + 1) * (touched - whole) - (len(faces) + 1) ** 2 * (people == 0) * self._main.any()
        x, y = np.nonzero(worth >= worth.max() - 1e-9)
        corner = np.stack([starts[0][x], starts[1][y]], axis=1)
        return np.concatenate([corner, corner + size], axis=1)

    def _least_harm(self, windows: Pixels) -> Pixels:
        """Where every window cuts a face: the one ``[1, 4]`` that loses least of the faces, as central as may be."""
        faces = self._tight[self._main] if self._main.any() else self._tight
        shown = px.overlaps(windows, faces).sum(axis=1)
        best = windows[shown >= shown.max() - 0.01 * px.areas(faces).sum()]
        middle = (faces[:, :2] + faces[:, 2:]).mean(axis=0) / 2
        away = np.hypot(*((best[:, :2] + best[:, 2:]) / 2 - middle).T)
        return best[[np.lexsort((away, -px.areas(best)))[0]]]

    def _concentric(self) -> Pixels:
        """Square windows around the people and regions to keep, from the smallest whose circle holds them."""
        essential = self._essential()
        sides = self._dims[:, 0].astype(np.float64)
        least = max(np.hypot(*(essential[2:] - essential[:2])), SMALLEST_WINDOW * sides[-1])
        sides = sides[sides >= least]
        sides = sides[np.linspace(0, len(sides) - 1, min(len(sides), 24)).astype(int)][:, None]
        start = np.round((essential[:2] + essential[2:] - sides) / 2)
        start = np.clip(start, 0, self._photo[:2] - sides)
        return np.concatenate([start, start + sides], axis=1)


def dims(size: tuple[int, int], ratio: Ratio, exact: bool = True) -> NDArray[np.int64]:
    """All (width, height) ``[K, 2]`` that windows of a ratio may have in a photo, the smallest first.

    Args:
        size: (width, height) of the photo.
        ratio: width to height, in lowest terms.
        exact: only k·a by k·b. Otherwise sizes that are a fraction of a pixel off where k·a would be too coarse.
    """
    a, b = ratio
    largest = min(size[0] // a, size[1] // b)
    if exact or largest >= 100:
        steps = np.arange(1, largest + 1)
        return np.stack([steps * a, steps * b], axis=1)
    widths = np.arange(1, size[0] + 1)
    found = np.stack([widths, np.round(widths * b / a).astype(np.int64)], axis=1)
    return found[(found[:, 1] >= 1) & (found[:, 1] <= size[1])]


def _extend(windows: Pixels, which: NDArray[np.bool_], box: Pixels) -> None:
    """Extend some of the windows, in place, until they hold a box."""
    windows[which, :2] = np.minimum(windows[which, :2], box[:2])
    windows[which, 2:] = np.maximum(windows[which, 2:], box[2:])
