"""The canvas of padded crops."""

import numpy as np
import pytest

from autocrop.search.canvas import smallest_canvas
from autocrop.search.subject_boxes import SubjectBoxes
from autocrop.search.subjects import Subjects
from tests.helpers.search import inside_and_outside

FACES = np.array([[0.05, 0.4, 0.15, 0.55], [0.85, 0.4, 0.95, 0.55], [0.5, 0.1, 0.53, 0.14]], np.float32)


@pytest.mark.parametrize("ratio", [(1, 1), (9, 16), (4, 5)])
def test_the_canvas_has_room_for_everyone(ratio):
    """The canvas has the ratio, and every part of the photo that may lie on it shows all people and cuts no face."""
    subjects = SubjectBoxes.of(Subjects((1500, 1000), FACES))
    canvas = smallest_canvas(subjects, ratio)
    assert canvas.size[0] * ratio[1] == canvas.size[1] * ratio[0]
    assert (canvas.contents[:, 2:] - canvas.contents[:, :2] <= canvas.size).all()
    assert canvas.contents.min() >= 0
    assert (canvas.contents[:, 2:] <= (1500, 1000)).all()
    inside, outside = inside_and_outside(canvas.contents, subjects.roomy_faces)
    assert inside[:, subjects.is_person].all()
    assert (inside | outside).all()


def test_the_canvas_of_a_region_is_not_larger_than_needed():
    """Without people, the canvas just contains the region to keep."""
    no_faces = np.empty((0, 4), np.float32)
    subjects = SubjectBoxes.of(Subjects((1500, 1000), no_faces, [(100, 100, 1400, 200)]))
    assert smallest_canvas(subjects, (1, 1)).size == (1300, 1300)
