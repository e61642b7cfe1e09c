"""Predictions of a model for the photos of a data set, and their file format.

Our own models pass :class:`Prediction` objects to :mod:`autocrop.evaluation.evaluate`. Other programs write a file, in
the format that ``docs/guides/measuring.md`` describes.
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

MAX_NAMES = 5
"""Maximum number of photos that a message lists by name."""
BOX_TOLERANCE = 1e-3
"""Rounding tolerance: how far a box may extend beyond the photo, relative to its side, before it is clipped."""
CROP_TOLERANCE = 0.01
"""Tolerance for rounding to pixels: how far an annotated crop may differ from the data set's, relative to the
photo's side."""


class PredictionError(AutocropError):
    """A file of predictions that cannot be used. The message names the line or the photos."""


@dataclass(frozen=True)
class Prediction:
    """Crops and scores that a model predicts for one photo. Boxes are normalized xyxy."""

    name: str
    """File name of the photo."""
    boxes: Boxes
    """Predicted crops ``[K, 4]``, best first. K may be 0."""
    scores: NDArray[np.float32]
    """Scores ``[K]`` of *boxes*."""
    annotated: NDArray[np.float32] | None = None
    """Scores ``[N]`` of the sample's annotated crops, in their order, or None if they were not scored."""
    pairs: NDArray[np.float32] | None = None
    """Scores ``[P, 2]`` of the sample's voted pairs, or None if they were not scored."""
    error: str | None = None
    """Reason why the photo could not be read, or None."""


def empty_prediction(name: str, error: str | None = None) -> Prediction:
    """Return a prediction without boxes."""
    return Prediction(name, np.empty((0, 4), np.float32), np.empty(0, np.float32), error=error)


def save_predictions(path: Path, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> None:
    """Write predictions as JSON lines, one per photo. :func:`load_predictions` restores them exactly.

    Raises:
        AutocropError: the file cannot be written.
    """
    rows = [_to_row(sample, prediction) for sample, prediction in zip(samples, predictions, strict=True)]
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def load_predictions(path: Path, samples: Sequence[Sample]) -> list[Prediction]:
    """Read a JSON lines file that has a line for every photo. Lines about other photos are ignored.

    Returns:
        One prediction per sample, in the order of the samples.

    Raises:
        PredictionError: the file cannot be read, a line is not valid, or a photo has no line.
    """
    by_name = {sample.name: sample for sample in samples}
    first_line: dict[str, int] = {}
    predictions: dict[str, Prediction] = {}
    for number, row in _read_rows(path):
        name = row.get("name")
        if not isinstance(name, str) or not name:
            raise PredictionError(f"Line {number} of {path} has no 'name', the file name of the photo.")
        name = Path(name).name
        if name in first_line:
            raise PredictionError(f"Lines {first_line[name]} and {number} of {path} are both for {name}.")
        first_line[name] = number
        if name in by_name:
            try:
                predictions[name] = _from_row(row, by_name[name])
            except (ValueError, TypeError) as error:
                raise PredictionError(f"Line {number} of {path}, for {name}: {error}") from error
    missing = [name for name in by_name if name not in predictions]
    if missing:
        raise PredictionError(
            f"{path} has no line for {len(missing)} of the {len(by_name)} photos: {summarize_names(missing)}. "
            'Write a line for failed photos, too: {"name": "...", "error": "..."}.'
        )
    return [predictions[sample.name] for sample in samples]


def summarize_names(names: Sequence[str]) -> str:
    """List the first few names and the number of the others."""
    others = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + others


def check_all_or_none(names: Sequence[str], present: Sequence[bool], what: str) -> bool:
    """Check that something is present for all photos or for none.

    Args:
        names: names of the photos.
        present: for each photo, True if it is present.
        what: what is present, for the message.

    Returns:
        True if it is present for every photo, and there is at least one photo.

    Raises:
        AutocropError: it is present for some photos only.
    """
    if any(present) and not all(present):
        missing = [name for name, has in zip(names, present, strict=True) if not has]
        raise AutocropError(f"{len(missing)} of {len(names)} photos have no {what}, for example {missing[0]}.")
    return all(present) and bool(names)


def _to_row(sample: Sample, prediction: Prediction) -> dict[str, Any]:
    row: dict[str, Any] = {"name": prediction.name}
    if prediction.error is not None:
        return row | {"error": prediction.error}
    row |= {"boxes": prediction.boxes.tolist(), "scores": prediction.scores.tolist()}
    if prediction.annotated is not None:
        row |= {"annotated": sample.boxes.tolist(), "annotated_scores": prediction.annotated.tolist()}
    if prediction.pairs is not None:
        row["pair_scores"] = prediction.pairs.tolist()
    return row


def _read_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Read the objects of a JSON lines file with their line numbers, from 1."""
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
            raise PredictionError(f"Line {number} of {path} is not valid JSON ({error}).") from error
        if not isinstance(row, dict):
            raise PredictionError(f"Line {number} of {path} is not a JSON object.")
        rows.append((number, row))
    return rows


def _from_row(row: dict[str, Any], sample: Sample) -> Prediction:
    if row.get("error") is not None:
        return empty_prediction(sample.name, str(row["error"]))
    size = _photo_size(row)
    boxes = _to_boxes(row.get("boxes") or [], size, "boxes")
    if row.get("scores") is not None:
        scores = _to_numbers(row["scores"], "scores")
    else:
        scores = -np.arange(len(boxes), dtype=np.float32)  # boxes are sorted, best first
    if scores.shape != (len(boxes),):
        raise ValueError(f"{scores.size} scores for {len(boxes)} boxes.")
    return Prediction(sample.name, boxes, scores, _annotated_scores(row, sample, size), _pair_scores(row, sample))


def _annotated_scores(
    row: dict[str, Any], sample: Sample, size: tuple[float, float] | None
) -> NDArray[np.float32] | None:
    if row.get("annotated_scores") is None or sample.scores is None:
        return None
    scores = _to_numbers(row["annotated_scores"], "annotated_scores")
    if scores.shape != (len(sample.boxes),):
        raise ValueError(f"{scores.size} annotated_scores, but the data set has {len(sample.boxes)} scored crops.")
    if row.get("annotated") is not None:
        crops = _to_boxes(row["annotated"], size, "annotated")
        if crops.shape != sample.boxes.shape or np.abs(crops - sample.boxes).max() > CROP_TOLERANCE:
            raise ValueError("the crops in 'annotated' are not those of the data set, or are in another order.")
    return scores


def _pair_scores(row: dict[str, Any], sample: Sample) -> NDArray[np.float32] | None:
    if row.get("pair_scores") is None or sample.votes is None:
        return None
    scores = _to_numbers(row["pair_scores"], "pair_scores")
    if scores.shape != sample.votes.counts.shape:
        raise ValueError(
            f"pair_scores of shape {list(scores.shape)}, but the data set has {len(sample.votes.counts)} pairs."
        )
    return scores


def _photo_size(row: dict[str, Any]) -> tuple[float, float] | None:
    """Return the (width, height) that a row's boxes refer to, or None if they are normalized."""
    if "width" not in row and "height" not in row:
        return None
    width, height = row.get("width"), row.get("height")
    if not (isinstance(width, int | float) and isinstance(height, int | float) and width > 1 and height > 1):
        raise ValueError("'width' and 'height' must both be numbers of pixels, or both be left out.")
    return float(width), float(height)


def _to_boxes(value: Any, size: tuple[float, float] | None, key: str) -> Boxes:
    array = _to_numbers(value, key)
    if not array.size:
        return np.empty((0, 4), np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"'{key}' must be a list of [left, top, right, bottom].")
    if size is not None:
        array = (array.astype(np.float64) / np.tile(size, 2)).astype(np.float32)
    if array.min() < -BOX_TOLERANCE or array.max() > 1 + BOX_TOLERANCE:
        in_pixels = "Boxes are in pixels of a photo with this 'width' and 'height'."
        hint = in_pixels if size is not None else "Add 'width' and 'height' if boxes are in pixels."
        raise ValueError(f"a box in '{key}' extends beyond the photo. {hint}")
    return as_boxes(np.clip(array, 0, 1))


def _to_numbers(value: Any, key: str) -> NDArray[np.float32]:
    try:
        array = np.array(value, np.float32)
    except (ValueError, TypeError) as error:
        raise ValueError(f"'{key}' contains something other than numbers, or rows of different lengths.") from error
    if not np.isfinite(array).all():
        raise ValueError(f"'{key}' contains numbers that are not finite.")
    return array
