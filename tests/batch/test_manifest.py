import json

import pytest

from autocrop.batch.manifest import Row, RowError, read_rows

GOOD = {"path": "a.jpg", "name": "a_1x1.jpg", "box": [1, 2, 11, 12], "photo": [20, 20], "label": "1x1", "size": [5, 5]}


def read(*rows):
    return list(read_rows(row if isinstance(row, str) else json.dumps(row) for row in rows))


def test_a_row_comes_back():
    """Box, size, label and name are those that were written; the line is its number in the file."""
    _, row = read("", {**GOOD, "path": "x.jpg"}, "", GOOD)
    assert (row.line, row.name, row.crop.box, row.crop.photo) == (4, "a_1x1.jpg", (1, 2, 11, 12), (20, 20))
    assert (row.target.label, row.target.size) == ("1x1", (5, 5))


def test_the_least_that_a_row_needs():
    """A photo and a box, as somebody may write them by hand."""
    (row,) = read({"path": "a.jpg", "box": [0, 0, 5, 5.0]})
    assert isinstance(row, Row)
    assert row.name == "a_crop.jpg"


def test_rows_without_a_box_that_say_why():
    """What was skipped or failed is no crop to write."""
    assert read({"path": "a.jpg", "status": "failed", "reason": "x"}, {"path": "a.jpg", "status": "skipped"}) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ({"box": [0, 0, 5, 5]}, '"path"'),
        ({"path": "a.jpg"}, '"box"'),
        ({**GOOD, "box": [5, 0, 5, 5]}, "no area"),
        ({**GOOD, "box": [-1, 0, 5, 5]}, "no area"),
        ({**GOOD, "box": [0, 0, 5]}, "4 whole numbers"),
        ({**GOOD, "box": [0, 0, 5, 5.5]}, "4 whole numbers"),
        ('{"path": "a.jpg", "box": [0, 0, 5, Infinity]}', "4 whole numbers"),
        ({**GOOD, "size": [0, 5]}, "size"),
        ({**GOOD, "name": "../a.jpg"}, "below the output folder"),
        ({**GOOD, "name": "/a.jpg"}, "below the output folder"),
    ],
)
def test_bad_rows_are_named_and_alone(row, says):
    """The line's number and what is wrong with it; the next row is none the worse."""
    bad, good = read(row, GOOD)
    assert isinstance(bad, RowError)
    assert "line 1" in str(bad)
    assert says in str(bad)
    assert isinstance(good, Row)
