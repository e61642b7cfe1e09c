"""The order of windows by what they do to faces, people and regions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.search.severity import Level, lexicographic_rank, severity_of
from autocrop.search.subject_boxes import SubjectBoxes
from autocrop.search.subjects import Subjects

# A row of two people and a passer-by, and a region to keep, in a photo of 1000x1000 pixels.
FACES = np.array([[0.2, 0.4, 0.3, 0.5], [0.5, 0.4, 0.6, 0.5], [0.8, 0.4, 0.84, 0.44]], np.float32)
SUBJECTS = SubjectBoxes.of(Subjects((1000, 1000), FACES, [(520, 300, 540, 320)]))
BEST_TO_WORST = {
    "everyone with room": (100, 300, 900, 600),
    "everyone without room": (200, 300, 900, 600),
    "one person with room": (400, 300, 700, 600),
    "one person without room": (500, 300, 700, 600),
    "a face is cut": (250, 300, 900, 600),
    "nobody": (310, 300, 495, 600),
}


def test_windows_are_ordered_from_everyone_to_nobody():
    """Room matters less than people, people less than cuts, and nothing as much as a region."""
    subjects = SubjectBoxes.of(Subjects((1000, 1000), FACES))
    rank = severity_of(np.array(list(BEST_TO_WORST.values()), float), subjects).rank
    assert rank.argsort(kind="stable").tolist() == [0, 1, 2, 3, 4, 5]
    assert (np.diff(rank)[:4] > 0).all()
    assert rank[4] == rank[5]
    severity = severity_of(np.array(list(BEST_TO_WORST.values()), float), SUBJECTS)
    assert severity.level[5] == Level.LOSES_REGION
    assert severity.rank.argmax() == 5


def test_severity_describes_each_window():
    """Levels, people who are left out, and room are those of the windows."""
    severity = severity_of(np.array(list(BEST_TO_WORST.values()), float), SUBJECTS)
    levels = [Level.SHOWS_EVERYONE] * 2 + [Level.LEAVES_OUT_PEOPLE] * 2 + [Level.CUTS_FACE, Level.LOSES_REGION]
    assert severity.level.tolist() == levels
    assert severity.people_left_out.tolist() == [0, 0, 1, 1, 0, 0]
    assert severity.lacks_room.tolist() == [False, True, False, True, False, False]
    assert severity.is_none.tolist() == [True] + [False] * 5
    assert severity.lowest.tolist() == [True] + [False] * 5
    assert severity.best_level == Level.SHOWS_EVERYONE


def test_without_windows_no_window_is_good():
    """An empty selection has the worst level."""
    severity = severity_of(np.empty((0, 4)), SUBJECTS)
    assert severity.best_level == Level.LOSES_REGION
    assert severity.lowest.shape == (0,)


def test_a_circle_must_contain_the_corners_of_faces():
    """In a square around a face, the circle decides before the room does."""
    subjects = SubjectBoxes.of(Subjects((1000, 1000), FACES[:1]))
    around, beside, narrow = (100, 300, 400, 600), (180, 360, 480, 660), (195, 395, 305, 505)
    windows = np.array([around, beside, narrow], float)
    assert severity_of(windows, subjects, circle=True).outside_circle.tolist() == [False, True, True]
    assert severity_of(windows, subjects, circle=True).rank.argsort().tolist() == [0, 1, 2]
    assert not severity_of(windows, subjects).outside_circle.any()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), min_size=1, max_size=20))
def test_the_rank_has_the_order_of_the_keys(rows):
    """Ranks compare as tuples do."""
    rank = lexicographic_rank(*(np.array(key) for key in zip(*rows, strict=True)))
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            assert (rank[i] < rank[j]) == (first < second)


@pytest.mark.parametrize("height", [0.09, 0.11])
def test_people_are_the_faces_at_least_half_as_high_as_the_tallest(height):
    """Smaller faces belong to passers-by."""
    faces = np.array([[0.1, 0.1, 0.3, 0.3], [0.5, 0.1, 0.6, 0.1 + height]], np.float32)
    boxes = SubjectBoxes.of(Subjects((1000, 1000), faces))
    assert boxes.is_person.tolist() == [True, height > 0.1]
