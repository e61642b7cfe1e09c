"""Requests that make no sense."""

import pytest

from autocrop.errors import UsageError
from autocrop.search.request import CropRequest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top": 0}, "top must be at least 1, not 0"),
        ({"shape": "star"}, "Unknown shape 'star'. Use one of: rectangle, circle"),
        ({"shape": "circle"}, "A circle needs the ratio 1:1"),
        ({"shape": "circle", "ratio": (4, 3)}, "A circle needs the ratio 1:1"),
    ],
)
def test_invalid_requests_are_rejected(arguments, message):
    """The message says what is wrong."""
    with pytest.raises(UsageError, match=message):
        CropRequest(**arguments)
