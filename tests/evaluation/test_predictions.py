import json

import numpy as np
import pytest

from autocrop.datasets import Sample, Votes
from autocrop.datasets.gaicd import SCALE
from autocrop.evaluation.predictions import Prediction, PredictionError, load_predictions, nothing, save_predictions

CROPS = np.array([[0, 0, 0.5, 0.5], [0.1, 0.1, 1, 1]], np.float32)


@pytest.fixture
def photos(tmp_path):
    """One with a best crop and votes, one with scored crops."""
    votes = Votes(CROPS[None], np.array([[4, 1]]))
    return [
        Sample(tmp_path / "best.jpg", 300, 200, CROPS[:1], votes=votes),
        Sample(tmp_path / "scored.jpg", 300, 200, CROPS, np.array([2, 4], np.float32), scale=SCALE),
    ]


@pytest.fixture
def file(tmp_path):
    """Where the predictions are."""
    return tmp_path / "said.jsonl"


def write(file, *rows):
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))


def test_round_trip_is_exact(photos, file):
    """Every number comes back bit for bit, and so does a failure."""
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.random((5, 2, 2)), axis=1).reshape(5, 4).astype(np.float32)
    said = [
        Prediction("best.jpg", boxes, rng.random(5).astype("f4"), pairs=rng.random((1, 2)).astype("f4")),
        Prediction("scored.jpg", boxes[:0], boxes[:0, 0], annotated=rng.random(2).astype("f4")),
    ]
    save_predictions(file, photos, said)
    for before, after in zip(said, load_predictions(file, photos), strict=True):
        assert before.name == after.name
        for field in ("boxes", "scores", "annotated", "pairs"):
            one, other = getattr(before, field), getattr(after, field)
            assert (one is None and other is None) or (one.dtype == other.dtype and one.tolist() == other.tolist())
    save_predictions(file, photos, [said[0], nothing("scored.jpg", "it is damaged")])
    assert load_predictions(file, photos)[1].error == "it is damaged"


def test_another_programs_boxes(photos, file):
    """Pixels of whatever size it worked at; no scores; a path; other photos, blank lines and another order."""
    best = {"name": "some/where/best.jpg", "width": 150, "height": 100, "boxes": [[15, 10, 150, 100], [0, 0, 75, 50]]}
    write(file, {"name": "scored.jpg", "annotated_scores": [1, 2]}, "", best, {"name": "other.jpg", "boxes": "?"})
    first, second = load_predictions(file, photos)
    assert first.boxes == pytest.approx(CROPS[::-1])
    assert first.scores[0] > first.scores[1]
    assert (len(second.boxes), second.annotated.tolist()) == (0, [1, 2])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"Line 2 of .*said\.jsonl is no JSON"),
        ("[1]", "Line 2 .* is no JSON object"),
        ({"boxes": []}, "Line 2 .* has no 'name'"),
        ({"name": "scored.jpg"}, "Lines 1 and 2 .* both about scored.jpg"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1]]}, r"Line 2 .* about best\.jpg: 'boxes' must be a list"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1], [0, 0, 1, 1]]}, "rows of different length"),
        ({"name": "best.jpg", "boxes": [["a", 0, 1, 1]]}, "does not hold numbers"),
        ({"name": "best.jpg", "boxes": {"x": 1}}, "does not hold numbers"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1, float("nan")]]}, "not finite"),
        ({"name": "best.jpg", "boxes": [[0.5, 0, 0.5, 1]]}, "left < right"),
        ({"name": "best.jpg", "boxes": [[0, 0, 150, 100]]}, "unless the line has width and height"),
        ({"name": "best.jpg", "boxes": [[0, 0, 150, 100]], "width": 100, "height": 100}, "leaves the photo"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1, 1]], "width": 100}, "must both be there"),
        ({"name": "best.jpg", "boxes": [[0, 0, 1, 1]], "scores": [1, 2]}, "2 scores for 1 boxes"),
        ({"name": "best.jpg", "boxes": [], "pair_scores": [[1, 2], [3, 4]]}, "data set has 1 pairs"),
    ],
)
def test_damaged_lines_are_named(photos, file, row, message):
    """Which line, which photo, and what is wrong."""
    write(file, {"name": "scored.jpg", "boxes": []}, row)
    with pytest.raises(PredictionError, match=message):
        load_predictions(file, photos)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"annotated_scores": [1, 2, 3]}, "3 annotated_scores, but the data set has 2"),
        ({"annotated_scores": [1, 2], "annotated": CROPS[::-1].tolist()}, "in another order"),
        ({"annotated_scores": [1, 2], "annotated": CROPS[:1].tolist()}, "not those of the data set"),
    ],
)
def test_scores_of_other_crops_are_refused(photos, file, fields, message):
    """Scores of the wrong crops would give a number, and a wrong one."""
    write(file, {"name": "best.jpg", "boxes": []}, {"name": "scored.jpg"} | fields)
    with pytest.raises(PredictionError, match=rf"Line 2 .*scored\.jpg: .*{message}"):
        load_predictions(file, photos)


def test_missing_photos_are_named(photos, file):
    """How many, and which; a file that cannot be read is a sentence, too."""
    write(file, {"name": "best.jpg", "boxes": []})
    with pytest.raises(PredictionError, match=r"no line about 1 of the 2 photos: scored\.jpg\."):
        load_predictions(file, photos)
    with pytest.raises(PredictionError, match="cannot be read"):
        load_predictions(file.parent / "none.jsonl", photos)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(PredictionError, match="cannot be read"):
        load_predictions(file, photos)
