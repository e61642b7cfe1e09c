"""Faces and regions that crops must respect."""

import numpy as np
import pytest

from autocrop.errors import AutocropError, UsageError
from autocrop.search.face_detection import NO_FACES
from autocrop.search.subjects import Region, Subjects


@pytest.mark.parametrize(
    ("text", "size", "box"),
    [
        ("10,20,300,400", (1000, 1000), (10, 20, 310, 420)),
        (" 10%, 0%,50%, 33.3% ", (500, 300), (50, 0, 300, 100)),
        ("0%,0%,100%,100%", (333, 77), (0, 0, 333, 77)),
    ],
)
def test_regions_are_parsed_and_rounded_outward(text, size, box):
    """A region is in pixels, or in percent of the photo's size."""
    assert Region.parse(text).to_pixels(size) == box


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "10%,2,3,4", "a,b,c,d", "-1,0,4,4", "1,2,0,4"])
def test_invalid_regions_are_rejected(text):
    """Malformed regions and regions without an area raise."""
    with pytest.raises(UsageError, match="region"):
        Region.parse(text)


@pytest.mark.parametrize("box", [(1, 2, 3), (5, 5, 5, 9), (-1, 0, 4, 4)])
def test_invalid_boxes_to_keep_are_rejected(box):
    """Malformed boxes and boxes without an area raise."""
    with pytest.raises(UsageError, match="not a valid box"):
        Region.of_box(box)


def test_regions_beyond_the_photo_are_rejected():
    """A region must lie inside the photo."""
    with pytest.raises(AutocropError, match="extends beyond the photo"):
        Region.parse("900,0,200,10").to_pixels((1000, 1000))


def test_subjects_without_faces_and_regions_are_falsy():
    """Subjects are truthy if there is a face or a region."""
    assert not Subjects((9, 9), NO_FACES)
    assert Subjects((9, 9), NO_FACES, [(0, 0, 4, 4)])
    assert Subjects((9, 9), np.array([[0, 0, 1, 1]], np.float32))


def test_violations_count_cut_faces_and_lost_regions():
    """Faces that are completely inside or outside do not count; regions must be inside."""
    faces = np.array([[0.1, 0.1, 0.2, 0.2], [0.45, 0.1, 0.55, 0.2], [0.8, 0.1, 0.9, 0.2]], np.float32)
    subjects = Subjects((100, 100), faces, [(0, 0, 10, 10), (60, 60, 70, 70)])
    assert subjects.violations((0, 0, 50, 50)) == 2
    assert subjects.violations((0, 0, 70, 70)) == 0
