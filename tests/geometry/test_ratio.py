"""Aspect ratios and sizes."""

import numpy as np
import pytest

from autocrop.errors import UsageError
from autocrop.geometry.ratio import as_ratio, parse_ratio, parse_size


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("4:3", (4, 3)),
        ("8x6", (4, 3)),
        ("1.91:1", (191, 100)),
        ("16/9", (16, 9)),
        (" 1.5 ", (3, 2)),
        ("1.7778", (16, 9)),
    ],
)
def test_parse_ratio_reduces_to_lowest_terms(text, ratio):
    """A ratio may have a colon, an x or a slash, decimals, or be a single number."""
    assert parse_ratio(text) == ratio


@pytest.mark.parametrize("text", ["banana", "0:3", "3:0", "", "4:", ":3", "-4:3", "4:3:2", "nan", "0"])
def test_parse_ratio_rejects_invalid_text(text):
    """The message quotes the text and shows a valid ratio."""
    with pytest.raises(UsageError, match=r"'.*' is not a valid aspect ratio.*4:3"):
        parse_ratio(text)


@pytest.mark.parametrize("text", ["1080", "0x10", "10x", "axb", "10x10x10"])
def test_parse_size_rejects_invalid_text(text):
    """The message quotes the text and shows a valid size."""
    with pytest.raises(UsageError, match=r"'.*' is not a valid size.*1080x1350"):
        parse_size(text)


@pytest.mark.parametrize(
    ("argument", "ratio"),
    [
        (None, None),
        ("3:2", (3, 2)),
        ((8, 6), (4, 3)),
        (1.5, (3, 2)),
        ((np.int64(4), 3.0), (4, 3)),
        (np.float32(1.777), (16, 9)),
    ],
)
def test_as_ratio_accepts_text_pairs_and_numbers(argument, ratio):
    """The Python API takes a ratio as text, a pair, a number, or None."""
    assert as_ratio(argument) == ratio


@pytest.mark.parametrize("argument", [0, -1.5, (0, 3), (4, -3), float("nan"), float("inf"), [4, 3], (4, 3, 2)])
def test_as_ratio_rejects_invalid_arguments(argument):
    """Ratios that are not positive, not finite or malformed raise."""
    with pytest.raises(UsageError, match="is not a valid aspect ratio"):
        as_ratio(argument)
