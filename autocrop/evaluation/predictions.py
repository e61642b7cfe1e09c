"""What a model says about the photos of a data set, and the file that keeps it. docs/metrics.md has the format.

Measuring goes through here whoever made the boxes: our own models hand their :class:`Prediction` to
:mod:`autocrop.evaluate` directly, any other program by way of the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autocrop.datasets import Sample
from autocrop.errors import AutocropError
from autocrop.geometry.boxes import Boxes, as_boxes
from autocrop.images import write_atomically

NAMED = 5
"""Photos that a message names; the rest are counted."""
OUTSIDE = 1e-3
"""Share of the photo's side by which a box may stick out; it is clipped."""
SAME_CROP = 0.01
"""Share of the photo's side by which an annotated crop may differ from the data set's: rounding to pixels."""


class PredictionError(AutocropError):
    """A file of predictions that cannot be scored; the message says which line or photo is at fault."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about one photo. Boxes are normalized xyxy."""

    name: str
    """File name of the photo."""
    boxes: Boxes
    """``[K, 4]``: crops it found, best first; K may be 0."""
    scores: NDArray[np.float32]
    """``[K]``: of *boxes*."""
    annotated: NDArray[np.float32] | None = None
    """``[N]``: scores of the sample's annotated crops, in their order; None where it did not score them."""
    pairs: NDArray[np.float32] | None = None
    """``[P, 2]``: scores of the sample's voted pairs."""
    error: str | None = None
    """Why there is nothing: the photo could not be read."""


def nothing(name: str, error: str | None = None) -> Prediction:
    """A prediction without boxes."""
    return Prediction(name, np.empty((0, 4), np.float32), np.empty(0, np.float32), error=error)


def save_predictions(path: Path, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> None:
    """Write one JSON object a line and photo, from which :func:`load_predictions` makes the very same predictions.

    Raises:
        AutocropError: the file cannot be written.
    """
    rows = [_row(sample, prediction) for sample, prediction in zip(samples, predictions, strict=True)]
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def _row(sample: Sample, prediction: Prediction) -> dict[str, Any]:
    row: dict[str, Any] = {"name": prediction.name}
    if prediction.error is not None:
        return row | {"error": prediction.error}
    row |= {"boxes": prediction.boxes.tolist(), "scores": prediction.scores.tolist()}
    if prediction.annotated is not None:
        row |= {"annotated": sample.boxes.tolist(), "annotated_scores": prediction.annotated.tolist()}
    if prediction.pairs is not None:
        row["pair_scores"] = prediction.pairs.tolist()
    return row


def load_predictions(path: Path, samples: Sequence[Sample]) -> list[Prediction]:
    """Read a file of predictions, by whatever program, for the photos of *samples*.

    Rows about other photos are passed over.

    Returns:
        One prediction a sample, in the order of the samples.

    Raises:
        PredictionError: the file cannot be read, a line is damaged or does not fit its photo, or a photo has none.
    """
    by_name = {sample.name: sample for sample in samples}
    found: dict[str, Prediction] = {}
    first_line: dict[str, int] = {}
    for number, row in _rows(path):
        name = row.get("name")
        if not isinstance(name, str) or not name:
            raise PredictionError(f"Line {number} of {path} has no 'name': the photo's file name.")
        name = Path(name).name
        if name in first_line:
            raise PredictionError(f"Lines {first_line[name]} and {number} of {path} are both about {name}.")
        first_line[name] = number
        if name in by_name:
            try:
                found[name] = _prediction(row, by_name[name])
            except (ValueError, TypeError) as error:
                raise PredictionError(f"Line {number} of {path}, about {name}: {error}") from error
    missing = [name for name in by_name if name not in found]
    if missing:
        raise PredictionError(
            f"{path} has no line about {len(missing)} of the {len(by_name)} photos: {named(missing)}. A photo that a "
            'program failed on gets a line, too: {"name": "...", "error": "..."}.'
        )
    return [found[sample.name] for sample in samples]


def named(names: Sequence[str]) -> str:
    """The first few of *names*, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a JSON lines file with the numbers of their lines, from 1."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise PredictionError(f"The predictions {path} cannot be read ({error}).") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise PredictionError(f"Line {number} of {path} is no JSON ({error}).") from error
        if not isinstance(row, dict):
            raise PredictionError(f"Line {number} of {path} is no JSON object.")
        rows.append((number, row))
    return rows


def _prediction(row: dict[str, Any], sample: Sample) -> Prediction:
    if row.get("error") is not None:
        return nothing(sample.name, str(row["error"]))
    size = _size(row)
    boxes = _boxes(row.get("boxes") or [], size, "boxes")
    # Without scores the rank says which box is better.
    scores = _numbers(row["scores"], "scores") if row.get("scores") is not None else -np.arange(len(boxes), dtype="f4")
    if scores.shape != (len(boxes),):
        raise ValueError(f"{scores.size} scores for {len(boxes)} boxes.")
    return Prediction(sample.name, boxes, scores, _annotated(row, sample, size), _pairs(row, sample))


def _annotated(row: dict[str, Any], sample: Sample, size: tuple[float, float] | None) -> NDArray[np.float32] | None:
    if row.get("annotated_scores") is None or sample.scores is None:
        return None
    scores = _numbers(row["annotated_scores"], "annotated_scores")
    if scores.shape != (len(sample.boxes),):
        raise ValueError(f"{scores.size} annotated_scores, but the data set has {len(sample.boxes)} scored crops.")
    if row.get("annotated") is not None:
        crops = _boxes(row["annotated"], size, "annotated")
        if crops.shape != sample.boxes.shape or np.abs(crops - sample.boxes).max() > SAME_CROP:
            raise ValueError("the crops in 'annotated' are not those of the data set, or in another order.")
    return scores


def _pairs(row: dict[str, Any], sample: Sample) -> NDArray[np.float32] | None:
    if row.get("pair_scores") is None or sample.votes is None:
        return None
    scores = _numbers(row["pair_scores"], "pair_scores")
    if scores.shape != sample.votes.counts.shape:
        raise ValueError(
            f"pair_scores of shape {list(scores.shape)}, but the data set has {len(sample.votes.counts)} pairs."
        )
    return scores


def _size(row: dict[str, Any]) -> tuple[float, float] | None:
    """(width, height) that the row's boxes are in pixels of; None where they are normalized."""
    if "width" not in row and "height" not in row:
        return None
    sides = [row.get(side) for side in ("width", "height")]
    if not all(isinstance(side, int | float) and side > 1 for side in sides):
        raise ValueError("'width' and 'height' must both be there, as numbers of pixels, or neither.")
    return float(sides[0]), float(sides[1])  # type: ignore[arg-type]


def _boxes(value: Any, size: tuple[float, float] | None, key: str) -> Boxes:
    array = _numbers(value, key)
    if not array.size:
        return np.empty((0, 4), np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"'{key}' must be a list of [left, top, right, bottom].")
    if size is not None:
        array = (array.astype(np.float64) / np.tile(size, 2)).astype(np.float32)
    if array.min() < -OUTSIDE or array.max() > 1 + OUTSIDE:
        of = "pixels of a photo of that width and height" if size else "in [0, 1] unless the line has width and height"
        raise ValueError(f"a box in '{key}' leaves the photo. Boxes are {of}.")
    return as_boxes(np.clip(array, 0, 1))


def _numbers(value: Any, key: str) -> NDArray[np.float32]:
    try:
        array = np.array(value, np.float32)
    except (ValueError, TypeError) as error:
        raise ValueError(f"'{key}' does not hold numbers, or rows of different length.") from error
    if not np.isfinite(array).all():
        raise ValueError(f"'{key}' has numbers that are not finite.")
    return array
