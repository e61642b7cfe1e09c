"""The file format of predictions."""

import json

import numpy as np
import pytest

from autocrop.datasets import Sample, Votes
from autocrop.datasets.gaicd import SCALE
from autocrop.evaluation.predictions import (
    Prediction,
    PredictionError,
    empty_prediction,
    load_predictions,
    save_predictions,
)

CROPS = np.array([[0, 0, 0.5, 0.5], [0.1, 0.1, 1, 1]], np.float32)


@pytest.fixture
def samples(tmp_path):
    """One photo with a best crop and votes, and one with scored crops."""
    votes = Votes(CROPS[None], np.array([[4, 1]]))
    return [
        Sample(tmp_path / "best.jpg", 300, 200, CROPS[:1], votes=votes),
        Sample(tmp_path / "scored.jpg", 300, 200, CROPS, np.array([2, 4], np.float32), scale=SCALE),
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions.jsonl"


def write(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))


def test_round_trip_is_exact(samples, path):
    """Reading a written file restores every number and type."""
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.random((5, 2, 2)), axis=1).reshape(5, 4).astype(np.float32)
    written = [
        Prediction("best.jpg", boxes, rng.random(5).astype("f4"), pairs=rng.random((1, 2)).astype("f4")),
        Prediction("scored.jpg", boxes[:0], boxes[:0, 0], annotated=rng.random(2).astype("f4")),
    ]
    save_predictions(path, samples, written)
    for before, after in zip(written, load_predictions(path, samples), strict=True):
        assert before.name == after.name
        for field in ("boxes", "scores", "annotated", "pairs"):
            one, other = getattr(before, field), getattr(after, field)
            assert (one is None and other is None) or (one.dtype == other.dtype and one.tolist() == other.tolist())


def test_errors_are_saved(samples, path):
    """The reason why a photo could not be read is restored, too."""
    save_predictions(path, samples, [empty_prediction("best.jpg"), empty_prediction("scored.jpg", "it is damaged")])
    assert load_predictions(path, samples)[1].error == "it is damaged"


def test_predictions_of_other_programs_are_read(samples, path):
    """Boxes may be in pixels of any size, and scores, order, folders and lines about other photos do not matter."""
    best = {"name": "some/where/best.jpg", "width": 150, "height": 100, "boxes": [[15, 10, 150, 100], [0, 0, 75, 50]]}
    write(path, {"name": "scored.jpg", "annotated_scores": [1, 2]}, "", best, {"name": "other.jpg", "boxes": "?"})
    first, second = load_predictions(path, samples)
    assert first.boxes == pytest.approx(CROPS[::-1])
    assert first.scores[0] > first.scores[1]
    assert (len(second.boxes), second.annotated.tolist()) == (0, [1, 2])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"Line 2 of .*predictions\.jsonl is not valid JSON"),
        ("[1]", "Line 2 .* is not a JSON object"),
        ({"boxes": []}, "Line 2 .* has no 'name'"),
        ({"name": "scored.jpg"}, "Lines 1 and 2 .* both for scored.jpg"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1]]}, r"Line 2 .* for best\.jpg: 'boxes' must be a list"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1], [0, 0, 1, 1]]}, "rows of different lengths"),
        ({"name": "best.jpg", "boxes": [["a", 0, 1, 1]]}, "something other than numbers"),
        ({"name": "best.jpg", "boxes": {"x": 1}}, "something other than numbers"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1, float("nan")]]}, "not finite"),
        ({"name": "best.jpg", "boxes": [[0.5, 0, 0.5, 1]]}, "left < right"),
        ({"name": "best.jpg", "boxes": [[0, 0, 150, 100]]}, "Add 'width' and 'height' if boxes are in pixels"),
        ({"name": "best.jpg", "boxes": [[0, 0, 150, 100]], "width": 100, "height": 100}, "extends beyond the photo"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1, 1]], "width": 100}, "must both be numbers of pixels"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1, 1]], "scores": [1, 2]}, "2 scores for 1 boxes"),
        ({"name": "best.jpg", "boxes": [], "pair_scores": [[1, 2], [3, 4]]}, "data set has 1 pairs"),
    ],
)
def test_invalid_lines_are_rejected(samples, path, row, message):
    """The error names the line, the photo and the problem."""
    write(path, {"name": "scored.jpg", "boxes": []}, row)
    with pytest.raises(PredictionError, match=message):
        load_predictions(path, samples)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"annotated_scores": [1, 2, 3]}, "3 annotated_scores, but the data set has 2"),
        ({"annotated_scores": [1, 2], "annotated": CROPS[::-1].tolist()}, "in another order"),
        ({"annotated_scores": [1, 2], "annotated": CROPS[:1].tolist()}, "not those of the data set"),
    ],
)
def test_scores_of_other_crops_are_rejected(samples, path, fields, message):
    """Scores must belong to the annotated crops of the data set, in the same order."""
    write(path, {"name": "best.jpg", "boxes": []}, {"name": "scored.jpg"} | fields)
    with pytest.raises(PredictionError, match=rf"Line 2 .*scored\.jpg: .*{message}"):
        load_predictions(path, samples)


def test_missing_photos_are_named(samples, path):
    """Every photo needs a line."""
    write(path, {"name": "best.jpg", "boxes": []})
    with pytest.raises(PredictionError, match=r"no line for 1 of the 2 photos: scored\.jpg\."):
        load_predictions(path, samples)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not text"])
def test_unreadable_file_is_rejected(samples, path, content):
    """A file that does not exist or is not UTF-8 text is an error."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PredictionError, match="cannot be read"):
        load_predictions(path, samples)
