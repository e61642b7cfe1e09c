import datetime
import math

import pytest

from autocrop.batch.presets import PRESETS, preset
from autocrop.batch.targets import make_targets
from autocrop.errors import UsageError


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


@pytest.mark.parametrize(
    ("name", "lying", "standing"),
    [
        ("print-10x15cm", (1772, 1181), (1181, 1772)),
        ("print-a4", (3508, 2480), (2480, 3508)),
        ("instagram-portrait", (1080, 1350), (1080, 1350)),
    ],
)
def test_paper_is_turned_as_the_photo_is(name, lying, standing):
    """A banner is not; a square photo is neither."""
    (target,) = make_targets([], [], [name])
    for photo, size in (((3000, 2000), lying), ((2000, 3000), standing), ((2000, 2000), preset(name).size)):
        turned = target.facing(photo)
        assert turned.size == size
        assert turned.ratio == (size[0] // math.gcd(*size), size[1] // math.gcd(*size))
        assert turned.label == name
