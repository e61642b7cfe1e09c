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
def test_ratios_as_people_write_them(text, ratio):
    """Colon, x, slash, decimals and a single number, in lowest terms."""
    assert parse_ratio(text) == ratio


@pytest.mark.parametrize("text", ["banana", "0:3", "3:0", "", "4:", ":3", "-4:3", "4:3:2", "nan", "0"])
def test_what_is_no_ratio_is_named(text):
    """The message quotes what was written and shows what would do."""
    with pytest.raises(UsageError, match=r"'.*' is no aspect ratio.*4:3"):
        parse_ratio(text)


@pytest.mark.parametrize("text", ["1080", "0x10", "10x", "axb", "10x10x10"])
def test_what_is_no_size_is_named(text):
    """The message shows what would do."""
    with pytest.raises(UsageError, match="1080x1350"):
        parse_size(text)


@pytest.mark.parametrize(
    ("given", "ratio"),
    [
        (None, None),
        ("3:2", (3, 2)),
        ((8, 6), (4, 3)),
        (1.5, (3, 2)),
        ((np.int64(4), 3.0), (4, 3)),
        (np.float32(1.777), (16, 9)),
    ],
)
def test_ratios_of_the_python_api(given, ratio):
    """Text, a pair, a number, or none."""
    assert as_ratio(given) == ratio


@pytest.mark.parametrize("given", [0, -1.5, (0, 3), (4, -3), float("nan"), float("inf"), [4, 3], (4, 3, 2)])
def test_impossible_ratios_of_the_python_api(given):
    """They raise the one error that users are meant to read."""
    with pytest.raises(UsageError):
        as_ratio(given)
