"""The two-stage search for the best crops of a photo.

features → candidates → scores → consensus → refined candidates → scores → consensus → exact pixels.

The single highest score is a poor estimate: scores are noisy, and near the best crop they are nearly flat. So each
stage ends with a consensus, the mean of its best crops weighted by the softmax of their scores. ``docs/search.md`` has
the measurements.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.engines import Engine, Features, Proposals
from autocrop.errors import AutocropError
from autocrop.geometry.boxes import FULL_FRAME, Boxes, area, exact_ratio_pixels, from_pixels, iou, to_pixels
from autocrop.geometry.candidates import coarse_anchors, dense_anchors, neighbors, ratio_windows
from autocrop.images.padding import Padding
from autocrop.search.analysis import Analysis
from autocrop.search.bounds import Bounds
from autocrop.search.consensus import SAME_VIEW_IOU, view_consensus
from autocrop.search.constraints import Constraints
from autocrop.search.crop import Crop
from autocrop.search.request import CropRequest
from autocrop.search.severity import Level
from autocrop.search.snapping import MIN_MARGIN, round_to_pixels, snap_sides, snap_size

DISTINCT_IOU = 0.75
"""Largest IoU of two crops that count as different suggestions."""
AREA_PREFERENCE = 0.3
"""Factor of the logarithm of a crop's area, which is added to its score if the ratio is fixed.

People who crop to a given ratio keep more of the picture than the scores alone suggest.
"""

ANY_CROP = CropRequest()


@dataclass(frozen=True)
class Scorer:
    """Scores crops of one photo."""

    engine: Engine
    features: Features
    """Features of the photo, from this engine."""
    shape: str = "rectangle"
    """Shape of the crops; the engine must support it."""

    def score(self, boxes: Boxes) -> NDArray[np.float32]:
        """Score boxes ``[N, 4]``; higher is better, ``[N]``."""
        return self.engine.score(self.features, boxes, self.shape)


def find_crops(engine: Engine, analysis: Analysis, request: CropRequest = ANY_CROP) -> list[Crop]:
    """Find the best crops of a photo.

    Args:
        engine: the engine that made the analysis.
        analysis: analysis of the photo.
        request: the kind of crops to find.

    Returns:
        At least one crop. The first is the best, and the others follow in the order in which they were found.

    Raises:
        AutocropError: the photo is too small for an exact crop of the ratio, or no crop can contain the regions to
            keep.
    """
    _check_size(analysis.size, request)
    shape = request.shape if request.shape in engine.shapes else "rectangle"
    scorer = Scorer(engine, analysis.features, shape)
    constraints = Constraints(analysis.subjects, request) if analysis.subjects else None
    if constraints is not None:
        if request.ratio and request.fit and constraints.best_level >= Level.LEAVES_OUT_PEOPLE:
            return [_padded_crop(scorer, constraints, request)]
        constraints.check_regions_fit()
    aspect = request.ratio[0] / request.ratio[1] if request.ratio else None
    boxes, scores = find_boxes(scorer, aspect, request.top, constraints)
    score_full = float(scorer.score(FULL_FRAME)[0])

    def crop(box: NDArray[np.float32], score: np.float32) -> Crop:
        pixels = round_to_pixels(box, analysis.size, request) if constraints is None else to_pixels(box, *analysis.size)
        notes = () if constraints is None else constraints.notes(pixels)
        return Crop(pixels, float(score), request.ratio, score_full, analysis.size, notes, shape=request.shape)

    return [crop(box, score) for box, score in zip(boxes, scores, strict=True)]


def _check_size(size: tuple[int, int], request: CropRequest) -> None:
    """Check, before the search, that a photo is large enough for an exact crop of the ratio.

    Raises:
        AutocropError: the photo is too small.
    """
    if request.ratio and request.exact:
        try:
            exact_ratio_pixels(FULL_FRAME[0], *size, request.ratio)
        except ValueError as error:
            raise AutocropError(str(error)) from error


def _padded_crop(scorer: Scorer, constraints: Constraints, request: CropRequest) -> Crop:
    """Make a crop of all people and regions on a canvas that is larger than the photo."""
    assert request.ratio is not None
    assert request.fit is not None
    canvas = constraints.smallest_canvas()
    scores = scorer.score(from_pixels(canvas.contents, *constraints.size))
    left, top, right, bottom = (int(side) for side in canvas.contents[np.argmax(scores)])
    empty_x, empty_y = canvas.size[0] - (right - left), canvas.size[1] - (bottom - top)
    left_padding, top_padding = empty_x // 2, empty_y // 2
    padding = Padding(left_padding, top_padding, empty_x - left_padding, empty_y - top_padding, request.fit)
    return Crop(
        box=(left, top, right, bottom),
        score=float(scores.max()),
        ratio=request.ratio,
        score_full=float(scorer.score(FULL_FRAME)[0]),
        photo=constraints.size,
        notes=(f"padded: no {request.ratio[0]}:{request.ratio[1]} crop shows all people and regions to keep",),
        padding=padding,
        shape=request.shape,
    )


def find_boxes(
    scorer: Scorer, ratio: float | None = None, top: int = 1, constraints: Constraints | None = None
) -> tuple[Boxes, NDArray[np.float32]]:
    """Find the best crops of a photo as normalized boxes.

    Stage one scores coarse candidates. The best of them and those that show about the same view form a consensus.
    Stage two scores finer candidates around it, and their consensus is the crop. For the next crop, candidates that
    overlap an earlier crop are left out.

    If the model proposes crops and the ratio is free, its proposals are returned unchanged: first the one that agrees
    best with all of them, then the most confident ones.

    A crop that violates the constraints is searched for again among the least severe candidates. Its consensus
    includes only boxes that show and leave out the same people.

    Args:
        scorer: scorer of the photo.
        ratio: aspect of the crops in pixels; None lets the model choose.
        top: largest number of distinct crops to return.
        constraints: constraints for this photo and ratio. With them, the boxes are whole pixels.

    Returns:
        Boxes ``[K, 4]`` and scores ``[K]`` in the order in which they were found, with 1 <= K <= top.
    """
    search = _Search(scorer, ratio, constraints)
    boxes = np.empty((0, 4), np.float32)
    while len(boxes) < top:
        box = search.next_box(boxes)
        if box is None:
            break
        boxes = np.concatenate([boxes, box])
    return boxes, scorer.score(boxes)


@dataclass(frozen=True)
class _Search:
    """Search for crops of one photo and one ratio."""

    scorer: Scorer
    ratio: float | None
    constraints: Constraints | None

    @functools.cached_property
    def proposals(self) -> Proposals:
        """Crops that the model proposes, if the ratio is free."""
        proposals = self.scorer.engine.propose(self.scorer.features) if self.ratio is None else None
        return Proposals(np.empty((0, 4), np.float32), np.empty(0, np.float32)) if proposals is None else proposals

    @functools.cached_property
    def candidates(self) -> Boxes:
        """Candidates of stage one ``[N, 4]``: proposals first, then anchors in case more crops are requested."""
        coarse = coarse_anchors() if self.ratio is None else ratio_windows(self.scorer.features.aspect, self.ratio)
        return np.concatenate([self.proposals.boxes, coarse])

    @functools.cached_property
    def scores(self) -> NDArray[np.float32]:
        """Scores of the candidates, ``[N]``."""
        return self.score(self.candidates)

    def score(self, boxes: Boxes) -> NDArray[np.float32]:
        """Score boxes ``[N, 4]``, with a preference for large ones if the ratio is fixed, ``[N]``."""
        preference = 0.0 if self.ratio is None else AREA_PREFERENCE
        return (self.scorer.score(boxes) + preference * np.log(area(boxes))).astype(np.float32)

    def next_box(self, earlier: Boxes) -> Boxes | None:
        """Find the best crop ``[1, 4]`` that differs from earlier ones ``[K, 4]``; None if there are no more."""
        box = self._unconstrained_box(earlier)
        if self.constraints is None:
            return box
        if box is not None:
            box = self.constraints.fit(box)
        if box is not None and self.constraints.are_met_by(box):
            return box
        return self._constrained_box(self.constraints, earlier)

    def _unconstrained_box(self, earlier: Boxes) -> Boxes | None:
        """Find the next crop ``[1, 4]`` without regard to the subjects."""
        distinct = self._distinct(self.candidates, earlier)
        if distinct[: len(self.proposals.boxes)].any():
            return self._best_proposal(distinct[: len(self.proposals.boxes)], first=not len(earlier))
        if not distinct.any():
            return None
        candidates, scores = self.candidates[distinct], self.scores[distinct]
        box = self._two_stages(candidates, scores, None)
        # A crop that drifted back to an earlier one is replaced by the candidate from which it started.
        return box if _overlaps_none(box, earlier)[0] else candidates[[np.argmax(scores)]]

    def _constrained_box(self, constraints: Constraints, earlier: Boxes) -> Boxes | None:
        """Find the next crop ``[1, 4]`` that treats the subjects as well as possible."""
        distinct = self._distinct(constraints.candidates, earlier)
        candidates = constraints.candidates[constraints.narrow_to_least_severe(distinct, first=not len(earlier))]
        if not len(candidates):
            return None
        scores = self.score(candidates)
        seed = candidates[[np.argmax(scores)]]
        bounds = constraints.bounds_around(seed)
        box = constraints.settle(self._two_stages(candidates, scores, bounds), bounds, seed)
        return box if _overlaps_none(box, earlier)[0] else seed

    def _best_proposal(self, distinct: NDArray[np.bool_], first: bool) -> Boxes:
        """Select the proposal ``[1, 4]`` that agrees best with all proposals, or, for later crops, the most confident.

        Later crops should differ from the first one, and each should be good by itself.
        """
        proposals = self.proposals
        preference = self.scores[: len(proposals.boxes)] if first else proposals.confidence
        return snap_sides(proposals.boxes[[np.argmax(np.where(distinct, preference, -np.inf))]])

    def _distinct(self, candidates: Boxes, earlier: Boxes) -> NDArray[np.bool_]:
        """Mark the candidates that differ from earlier crops, ``[N]``."""
        distinct = _overlaps_none(candidates, earlier)
        if len(earlier) and self.ratio is None:
            distinct &= area(candidates) < 1 - MIN_MARGIN  # the whole photo is not a useful second suggestion
        return distinct

    def _two_stages(self, candidates: Boxes, scores: NDArray[np.float32], bounds: Bounds | None) -> Boxes:
        """Find the best crop ``[1, 4]`` near the best of the candidates, within bounds."""
        refined = self._refine(view_consensus(candidates, scores, bounds), bounds)
        box = view_consensus(refined, self.score(refined), bounds)
        return snap_sides(box) if self.ratio is None else snap_size(box)

    def _refine(self, box: Boxes, bounds: Bounds | None) -> Boxes:
        """List finer candidates around a box ``[1, 4]``: the box itself and N others within bounds, ``[1 + N, 4]``."""
        if self.ratio is None:
            dense = dense_anchors()
            around = dense[iou(box, dense)[0] >= SAME_VIEW_IOU]
            around = around if bounds is None else bounds.clip(around)
        else:
            around = neighbors(box)
            around = around if bounds is None else bounds.shift(around)
        return np.concatenate([box, around])


def _overlaps_none(boxes: Boxes, earlier: Boxes) -> NDArray[np.bool_]:
    """Mark the boxes ``[N, 4]`` that differ from all earlier crops ``[K, 4]``, ``[N]``."""
    return iou(boxes, earlier).max(axis=1, initial=0) <= DISTINCT_IOU
