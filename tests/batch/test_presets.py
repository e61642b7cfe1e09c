import datetime
import math

import pytest

from autocrop.batch.presets import PRESETS, find_preset
from autocrop.batch.targets import make_targets
from autocrop.errors import UsageError


def test_preset_makes_a_target():
    """The target of a preset has its size, the ratio of that size, and its name as the label."""
    (target,) = make_targets([], [], ["Instagram-Portrait"])
    assert (target.label, target.size, target.ratio) == ("instagram-portrait", (1080, 1350), (4, 5))


def test_unknown_preset_suggests_a_similar_one():
    """The error for an unknown name suggests a similar one."""
    with pytest.raises(UsageError, match="Did you mean 'instagram-story'"):
        find_preset("instagram-stori")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_are_valid(preset):
    """Sizes are positive, and a size with a source has a valid date."""
    assert min(preset.size) > 0
    assert bool(preset.source) == bool(preset.checked)
    if preset.checked:
        datetime.date.fromisoformat(preset.checked)


@pytest.mark.parametrize(
    ("name", "landscape", "portrait"),
    [
        ("print-10x15cm", (1772, 1181), (1181, 1772)),
        ("print-a4", (3508, 2480), (2480, 3508)),
        ("instagram-portrait", (1080, 1350), (1080, 1350)),
    ],
)
def test_paper_sizes_match_the_orientation(name, landscape, portrait):
    """A paper size is rotated to match the photo, other sizes are not; a square photo leaves all as they are."""
    (target,) = make_targets([], [], [name])
    for photo, size in (((3000, 2000), landscape), ((2000, 3000), portrait), ((2000, 2000), find_preset(name).size)):
        oriented = target.oriented_like(photo)
        assert oriented.size == size
        assert oriented.ratio == (size[0] // math.gcd(*size), size[1] // math.gcd(*size))
        assert oriented.label == name
