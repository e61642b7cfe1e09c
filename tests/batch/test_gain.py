import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.batch.gain import reason_to_keep
from autocrop.search.crop import Crop


def crop(score, score_full=3.0):
    return Crop((0, 0, 1, 1), score, None, score_full, (9, 9))


@pytest.mark.parametrize(
    ("score", "min_gain", "message"),
    [
        (3.1, 0.2, "gains +0.10, less than --min-gain 0.2"),
        (3.1999, 0.2, "gains +0.1999, less than --min-gain 0.2"),
        (3.19996, 0.2, "gains +0.19996, "),
        (2.999, 0.2, "gains +0.00, "),
        (2.999, 0.0, "gains -0.001, less than --min-gain 0"),
        (2.5, 0.2, "gains -0.50, "),
    ],
)
def test_small_gain_is_explained(score, min_gain, message):
    """The gain is printed with enough digits to look smaller than the limit, and without a minus before zero."""
    assert message in reason_to_keep(crop(score), min_gain)


@given(st.floats(1, 5), st.floats(1, 5), st.floats(-1, 1))
def test_printed_gain_is_below_the_limit(score, score_full, min_gain):
    """A reason is given if and only if the gain is below the limit, and the printed gain is then below it, too."""
    reason = reason_to_keep(crop(score, score_full), min_gain)
    assert bool(reason) == (score - score_full < min_gain)
    if reason:
        assert float(reason.split()[4].rstrip(",")) < min_gain
