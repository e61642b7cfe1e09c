"""Find the best crops of a photo: encode once → candidates → score → consensus → refine → exact pixels.

A single highest score is a poor estimate: scores are noisy, and near the best crop they are nearly flat. So each of
the two stages ends with the mean of its best crops, weighted by the softmax of their scores. ``docs/search.md`` has
the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.engines import Engine, Features, Proposals
from autocrop.errors import AutocropError
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import FULL_FRAME, Boxes, PixelBox
from autocrop.geometry.candidates import coarse_anchors, dense_anchors, neighbors, ratio_windows
from autocrop.geometry.ratio import Ratio
from autocrop.images.padding import Fit, Padding
from autocrop.search.analysis import Analysis
from autocrop.search.constraints import SOME, Guard, Limits
from autocrop.search.crop import Crop
from autocrop.search.request import CropRequest

BEST = 8
"""Candidates of stage one that have a say in its consensus."""
SAME_VIEW = 0.5
"""They must overlap the best one by this IoU: the mean of two different views of a photo is neither."""
TEMPERATURE = 0.12
"""Of the softmax over scores; scores are on the scale of MOS, 1 to 5."""
WORTH_EXACT = 0.01
"""Share of a window's width that may be given up for an exact ratio where a resize follows anyway."""
DISTINCT = 0.75
"""Two crops that overlap by more than this IoU are not two suggestions but one."""
SNAP = 0.02
"""A margin narrower than this share of the photo's side is no crop worth making: two in five sides of people's crops
lie on the photo's own edge."""
KEEP_PICTURE = 0.3
"""Added to the score of a window of a fixed ratio: this times the logarithm of its area. Given a ratio, people keep
more of the picture than the scores alone would."""


ANY_CROP = CropRequest()


@dataclass(frozen=True)
class Scorer:
    """Scores crops of one photo."""

    engine: Engine
    features: Features
    shape: str = "rectangle"

    def score(self, boxes: Boxes) -> NDArray[np.float32]:
        """Score boxes ``[N, 4]``; ``[N]``, higher is better."""
        return self.engine.score(self.features, boxes, self.shape)


def find_crops(engine: Engine, analysis: Analysis, request: CropRequest = ANY_CROP) -> list[Crop]:
    """Find the best crops of a photo, in the order in which they were found: the first is the best.

    Args:
        engine: made the analysis.
        analysis: of the photo.
        request: what to find.

    Raises:
        AutocropError: the photo is too small for an exact crop of the ratio, or no crop holds the regions to keep.
    """
    size, ratio = analysis.size, request.ratio
    if ratio and request.exact:
        try:
            bx.exact_ratio_pixels(FULL_FRAME[0], *size, ratio)  # before the search, not after it
        except ValueError as error:
            raise AutocropError(str(error)) from error
    scorer = Scorer(engine, analysis.features, request.shape if request.shape in engine.shapes else "rectangle")
    guard = Guard(analysis.subjects, ratio, request.exact, request.shape == "circle") if analysis.subjects else None
    if guard is not None and ratio and request.fit and guard.best >= SOME:  # in this order: the best takes time
        return [_padded_crop(scorer, guard, ratio, request.fit, request.shape)]
    if guard is not None:
        guard.check_keep()
    boxes, scores = find_boxes(scorer, ratio[0] / ratio[1] if ratio else None, request.top, guard)
    whole = float(scorer.score(FULL_FRAME)[0])
    crops = []
    for box, score in zip(boxes, scores, strict=True):
        rounded = _pixels(box, size, ratio, request.exact) if guard is None else bx.to_pixels(box, *size)
        notes = () if guard is None else guard.notes(rounded)
        crops.append(Crop(rounded, float(score), ratio, whole, size, notes, shape=request.shape))
    return crops


def _padded_crop(scorer: Scorer, guard: Guard, ratio: Ratio, fit: Fit, shape: str) -> Crop:
    """All people and regions, on a canvas of the ratio that is larger than the photo."""
    canvas, contents = guard.on_canvas()
    scores = scorer.score(bx.from_pixels(contents, *guard.size))
    left, top, right, bottom = (int(side) for side in contents[np.argmax(scores)])
    x, y = (canvas[0] - (right - left)) // 2, (canvas[1] - (bottom - top)) // 2
    padding = Padding(x, y, canvas[0] - (right - left) - x, canvas[1] - (bottom - top) - y, fit)
    whole = float(scorer.score(FULL_FRAME)[0])
    note = f"padded: no {ratio[0]}:{ratio[1]} crop holds all that it should"
    return Crop((left, top, right, bottom), float(scores.max()), ratio, whole, guard.size, (note,), padding, shape)


def _pixels(box: NDArray[np.float32], size: tuple[int, int], ratio: Ratio | None, exact: bool) -> PixelBox:
    """One normalized box in whole pixels, of exactly *ratio* if that is asked for or costs next to nothing."""
    nearest = bx.to_pixels(box, *size)
    if ratio is None or (not exact and (size[0] < ratio[0] or size[1] < ratio[1])):
        return nearest
    left, top, right, bottom = bx.exact_ratio_pixels(box, *size, ratio)
    if exact or right - left >= (1 - WORTH_EXACT) * (nearest[2] - nearest[0]):
        return left, top, right, bottom
    return nearest


def find_boxes(
    scorer: Scorer, ratio: float | None = None, top: int = 1, guard: Guard | None = None
) -> tuple[Boxes, NDArray[np.float32]]:
    """Two-stage search.

    A model that proposes crops has its proposals taken as they are: the one that agrees best with all of them, then
    the most confident of the others. Otherwise, and for a ratio, stage one scores coarse candidates; the best and
    those that show about the same view give a consensus. Stage two scores finer candidates around it, whose consensus
    is the crop. For the next crop the candidates that overlap one already found are left out.

    With a guard, a crop that does not respect the photo's subjects is looked for again among those candidates that
    respect them best, and a consensus is made of those alone that show and leave out the same people.

    Args:
        scorer: of the photo.
        ratio: aspect of the crops, in pixels; None lets the model choose.
        top: how many clearly different crops to return at most.
        guard: of this photo and ratio; the crops are then in whole pixels already.

    Returns:
        Boxes ``[K, 4]`` and their scores ``[K]``, K <= top, in the order in which they were found; K >= 1.
    """
    own = scorer.engine.propose(scorer.features) if ratio is None else None
    if own is None:
        own = Proposals(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    proposed, confidence = own.boxes, own.confidence
    # Whoever proposes crops is asked for them first; the anchors serve those who want more than were proposed.
    candidates = coarse_anchors() if ratio is None else ratio_windows(scorer.features.aspect, ratio)
    candidates = np.concatenate([proposed, candidates])
    scores = _scores(scorer, candidates, ratio)
    found = np.empty((0, 4), np.float32)
    while len(found) < top:
        left = _distinct(candidates, found, ratio)
        if left[: len(proposed)].any():
            # The first crop is what the proposals agree on; the others are to be different, and each good by itself.
            worth = confidence if len(found) else scores[: len(proposed)]
            best = np.argmax(np.where(left[: len(proposed)], worth, -np.inf))
            box: Boxes | None = _snapped(proposed[[best]], free=True)
        else:
            box = _search(scorer, candidates[left], scores[left], found, ratio) if left.any() else None
        if guard is not None:
            box = None if box is None else guard.rounded(box)
            if box is None or not guard.respects(box):
                box = _guarded_search(scorer, guard, found, ratio)
        if box is None:
            break
        found = np.concatenate([found, box])
    return found, scorer.score(found)


def _distinct(candidates: Boxes, found: Boxes, ratio: float | None) -> NDArray[np.bool_]:
    """Which candidates may begin the search for another crop than those found."""
    left = bx.iou(candidates, found).max(axis=1, initial=0) <= DISTINCT
    if len(found) and ratio is None:
        left &= bx.area(candidates) < 1 - SNAP  # the whole photo is no suggestion how to crop it
    return left


def _search(
    scorer: Scorer,
    candidates: Boxes,
    scores: NDArray[np.float32],
    found: Boxes,
    ratio: float | None,
    guard: Guard | None = None,
) -> Boxes:
    """The best crop ``[1, 4]`` that begins at one of the candidates."""
    seed = candidates[[np.argmax(scores)]]
    limits = None if guard is None else guard.limits(seed)
    box = _refined(scorer, _view(candidates, scores, limits), ratio, limits)
    box = _snapped(box, free=ratio is None)
    if guard is not None and limits is not None:
        box = guard.settled(box, limits, seed)
    if len(found) and bx.iou(box, found).max() > DISTINCT:
        # It drifted back to a crop that is there already: keep the candidate that it started from instead.
        return seed
    return box


def _guarded_search(scorer: Scorer, guard: Guard, found: Boxes, ratio: float | None) -> Boxes | None:
    """The best crop ``[1, 4]`` that respects the photo's subjects as well as any can; None for no further one."""
    kindest = guard.kindest(_distinct(guard.candidates, found, ratio), first=not len(found))
    if not kindest.any():
        return None
    candidates = guard.candidates[kindest]
    return _search(scorer, candidates, _scores(scorer, candidates, ratio), found, ratio, guard)


def _scores(scorer: Scorer, boxes: Boxes, ratio: float | None) -> NDArray[np.float32]:
    preference = 0.0 if ratio is None else KEEP_PICTURE
    return (scorer.score(boxes) + preference * np.log(bx.area(boxes))).astype(np.float32)


def _view(candidates: Boxes, scores: NDArray[np.float32], limits: Limits | None) -> Boxes:
    """Consensus ``[1, 4]`` of the best candidates that show about the same as the very best."""
    order = np.argsort(-scores, kind="stable")[:BEST]
    same = bx.iou(candidates[order[:1]], candidates[order])[0] >= SAME_VIEW
    if limits is not None:
        same &= limits.hold(candidates[order])
    return consensus(candidates[order[same]], scores[order[same]])


def _refined(scorer: Scorer, box: Boxes, ratio: float | None, limits: Limits | None) -> Boxes:
    """Stage two: consensus ``[1, 4]`` of the finer candidates around a crop ``[1, 4]``."""
    if ratio is None:
        dense = dense_anchors()
        around = dense[bx.iou(box, dense)[0] >= SAME_VIEW]
        if limits is not None:
            around = limits.clipped(around)
    else:
        around = neighbors(box)
        if limits is not None:
            around = limits.shifted(around)
    around = np.concatenate([box, around])
    return _view(around, _scores(scorer, around, ratio), limits)


def _snapped(box: Boxes, free: bool) -> Boxes:
    """The crop ``[1, 4]`` without trifling trims: sides go to the edge, or a box of fixed aspect to its full size."""
    if free:
        return np.where(box < SNAP, 0, np.where(box > 1 - SNAP, 1, box)).astype(np.float32)
    half = (box[:, 2:] - box[:, :2]) / 2
    longest = 2 * half.max()
    if longest < 1 - SNAP:
        return box
    center, half = (box[:, :2] + box[:, 2:]) / 2, half / longest
    return bx.shift_inside(np.concatenate([center - half, center + half], axis=1))


def consensus(boxes: Boxes, scores: NDArray[np.float32]) -> Boxes:
    """Mean of the boxes ``[N, 4]``, weighted by the softmax of their scores ``[N]``, as ``[1, 4]``.

    A mean of boxes of one aspect has that aspect, and lies inside the photo as they do.
    """
    weights = np.exp((scores - scores.max()) / TEMPERATURE)
    return (weights / weights.sum() @ boxes)[None].astype(np.float32)
