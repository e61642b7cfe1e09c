import json
from pathlib import Path

import pytest

from autocrop.batch.manifest import MarkedRow, Row, RowError, read_rows
from autocrop.batch.results import Status

VALID = {"path": "a.jpg", "name": "a_1x1.jpg", "box": [1, 2, 11, 12], "photo": [20, 20], "label": "1x1", "size": [5, 5]}


def read(*rows):
    return list(read_rows(row if isinstance(row, str) else json.dumps(row) for row in rows))


def test_row_is_parsed():
    """Box, size, label and name are those of the line, and its number is counted from 1."""
    _, row = read("", {**VALID, "path": "x.jpg"}, "", VALID)
    assert (row.line, row.name, row.crop.box, row.crop.photo) == (4, "a_1x1.jpg", (1, 2, 11, 12), (20, 20))
    assert (row.target.label, row.target.size) == ("1x1", (5, 5))


def test_row_needs_only_path_and_box():
    """A row that somebody wrote by hand may have a path and a box only."""
    (row,) = read({"path": "a.jpg", "box": [0, 0, 5, 5.0]})
    assert isinstance(row, Row)
    assert row.name == "a_crop.jpg"


def test_failed_rows_without_a_box_are_left_out():
    """Failed crops are not written, unless somebody added a box."""
    failed = {"path": "a.jpg", "status": "failed", "reason": "x"}
    assert read(failed) == []
    (row,) = read({**failed, "box": [0, 0, 5, 5]})
    assert isinstance(row, Row)


@pytest.mark.parametrize(
    ("mark", "status", "reason"),
    [
        ("skip", Status.SKIPPED, "marked as skipped in the manifest"),
        ("rejected", Status.SKIPPED, "marked as rejected in the manifest"),
        ("kept", Status.KEPT, "marked as kept in the manifest"),
    ],
)
def test_status_marks_rows_that_are_not_written(mark, status, reason):
    """A row marked with skip, rejected or kept is not written, even if it has a box, which need not be valid."""
    expected = MarkedRow(Path("a.jpg"), status, reason)
    assert read({**VALID, "status": mark}, {"path": "a.jpg", "status": mark, "box": "none"}) == [expected] * 2


def test_skipped_rows_are_written_if_they_have_a_box():
    """An earlier run found the crop, but its output existed. Applied to another folder, it can be written."""
    (row,) = read({**VALID, "status": "skipped"})
    assert isinstance(row, Row)
    reason = "marked as skipped in the manifest"
    assert read({"path": "a.jpg", "status": "skipped"}) == [MarkedRow(Path("a.jpg"), Status.SKIPPED, reason)]


def test_kept_row_keeps_its_reason():
    """The reason of the run that kept a photo is reported again."""
    (row,) = read({"path": "a.jpg", "status": "kept", "reason": "gains too little"})
    assert row == MarkedRow(Path("a.jpg"), Status.KEPT, "gains too little")


@pytest.mark.parametrize("status", ["found", "cropped", 3, None, ["skip"]])
def test_other_statuses_are_written(status):
    """Any other status is for readers."""
    (row,) = read({**VALID, "status": status})
    assert isinstance(row, Row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ({"box": [0, 0, 5, 5]}, '"path"'),
        ({"status": "rejected"}, '"path"'),
        ({"path": "a.jpg"}, '"box"'),
        ({**VALID, "box": [5, 0, 5, 5]}, "no area"),
        ({**VALID, "box": [-1, 0, 5, 5]}, "no area"),
        ({**VALID, "box": [0, 0, 5]}, "4 whole numbers"),
        ({**VALID, "box": [0, 0, 5, 5.5]}, "4 whole numbers"),
        ('{"path": "a.jpg", "box": [0, 0, 5, Infinity]}', "4 whole numbers"),
        ({**VALID, "size": [0, 5]}, "size"),
        ({**VALID, "name": "../a.jpg"}, "inside the output folder"),
        ({**VALID, "name": "/a.jpg"}, "inside the output folder"),
        ({**VALID, "shape": "star"}, "circle"),
        ({**VALID, "padding": [0, -1, 0, 0]}, "padding"),
    ],
)
def test_invalid_row_does_not_stop_the_others(row, message):
    """An invalid row becomes an error with its line number and the reason; the next row is read."""
    invalid, valid = read(row, VALID)
    assert isinstance(invalid, RowError)
    assert "line 1" in str(invalid)
    assert message in str(invalid)
    assert isinstance(valid, Row)
