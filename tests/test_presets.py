import datetime

import pytest

from autocrop.errors import UsageError
from autocrop.plan import make_targets
from autocrop.presets import PRESETS, preset


def test_a_preset_is_a_size_with_a_name():
    """The target has the size, its ratio, and the preset's name for the file."""
    (target,) = make_targets([], [], ["Instagram-Portrait"])
    assert (target.label, target.size, target.ratio) == ("instagram-portrait", (1080, 1350), (4, 5))


def test_unknown_presets_are_named():
    """With one that may have been meant."""
    with pytest.raises(UsageError, match="Did you mean 'instagram-story'"):
        preset("instagram-stori")


def test_the_table_is_sound():
    """Every size is one; what was looked up says where and when, in a past that a date can name."""
    for row in PRESETS.values():
        assert min(row.size) > 0
        assert bool(row.source) == bool(row.checked)
        if row.checked:
            datetime.date.fromisoformat(row.checked)
