"""Constraints: crops cut no faces, show the people, and contain the regions to keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import autocrop
from autocrop.engines import Features
from autocrop.errors import AutocropError
from autocrop.geometry import boxes as bx
from autocrop.search.constraints import Constraints
from autocrop.search.face_detection import find_faces
from autocrop.search.request import CropRequest
from autocrop.search.subjects import Subjects
from autocrop.search.two_stage import DISTINCT_IOU
from tests.helpers.engines import CenteredEngine
from tests.helpers.samples import SAMPLES
from tests.helpers.search import find_crops, find_crops_of_faces, inside_and_outside, windows_everywhere

RATIOS = [(1, 1), (4, 5), (9, 16), (16, 9), (3, 1), (191, 100), (2, 3), None]
NO_FACES = np.empty((0, 4))


@st.composite
def groups(draw):
    """A photo's size, and the faces of a group in it, in pixels; some are partly outside the photo."""
    size = np.array([draw(st.integers(300, 3000)), draw(st.integers(300, 3000))])
    tallest = draw(st.floats(0.03, 0.5)) * size.min()
    faces = []
    for _ in range(draw(st.integers(1, 8))):
        height = tallest * draw(st.floats(0.3, 1))
        face_size = np.array([height * draw(st.floats(0.6, 0.9)), height])
        place = np.array([draw(st.floats(0, 1)), draw(st.floats(0, 1))])
        hidden_before, hidden_after = np.array([0.3, 0.2]), np.array([0.3, 0.2])
        top_left = -hidden_before * face_size + place * (size - (1 - hidden_before - hidden_after) * face_size)
        faces.append(np.clip([*top_left, *(top_left + face_size)], 0, [*size, *size]).round())
    return (int(size[0]), int(size[1])), np.array(faces)


@st.composite
def favorites(draw):
    """A box that an engine prefers."""
    sides = np.array([[draw(st.floats(0, 1)), draw(st.floats(0, 1))] for _ in range(2)])
    return np.sort(sides, axis=0).ravel()


@settings(max_examples=150)
@given(groups(), favorites(), st.sampled_from(RATIOS))
def test_crops_cut_a_face_only_if_every_window_does(group, favorite, ratio):
    """If some window cuts no face and shows somebody, so do the crops. If it shows everyone, so does the first crop."""
    size, faces = group
    crops = find_crops_of_faces(CenteredEngine(favorite), size, faces, ratio, top=3)
    inside, outside = inside_and_outside([crop.box for crop in crops], faces)
    heights = faces[:, 3] - faces[:, 1]
    is_person = heights >= 0.5 * max(heights.max(), 0.08 * min(size))
    window_inside, window_outside = inside_and_outside(windows_everywhere(size, ratio), faces)
    cuts_nobody = (window_inside | window_outside).all(axis=1)
    if (cuts_nobody & (window_inside[:, is_person].any(axis=1) | ~is_person.any())).any():
        assert (inside | outside).all(), [crop.notes for crop in crops]
        assert inside[:, is_person].any(axis=1).all() or not is_person.any()
    if (cuts_nobody & window_inside[:, is_person].all(axis=1)).any():
        assert inside[0, is_person].all()
        assert crops[0].notes == ()
    for crop in crops:
        assert ratio is None or crop.width * ratio[1] == crop.height * ratio[0]


@st.composite
def pictures(draw):
    """A picture of one to three people who do not overlap, and the boxes of their faces in pixels."""
    person = Image.open(SAMPLES / "astronaut.jpg").convert("RGB").crop((120, 20, 330, 240))
    face_in_person = np.array([58, 43, 148, 156])
    size = draw(st.sampled_from([(900, 600), (600, 900)]))
    picture = Image.new("RGB", size, draw(st.tuples(*[st.integers(40, 200)] * 3)))
    people = []
    for _ in range(draw(st.integers(1, 3))):
        scale = draw(st.floats(0.5, 1.1))
        copy = person.resize((round(210 * scale), round(220 * scale)))
        x, y = (draw(st.integers(0, size[axis] - copy.size[axis])) for axis in (0, 1))
        box = [x, y, x + copy.width, y + copy.height]
        if not people or inside_and_outside([box], [other for other, _ in people])[1].all():
            picture.paste(copy, (x, y))
            people.append((box, face_in_person * scale + (x, y, x, y)))
    return picture, np.array([face for _, face in people])


@pytest.mark.parametrize("ratio", ["1:1", "9:16", "16:9", "4:5", None])
@settings(max_examples=5)
@given(pictures())
def test_detected_faces_are_not_cut(ratio, picture_and_faces):
    """Crops of pictures with real faces, from detector to pixels, cut no face and show everyone if a window can."""
    picture, faces = picture_and_faces
    assert len(find_faces(np.asarray(picture))) == len(faces)
    (crop,) = autocrop.Cropper().find(picture, ratio)
    inside, outside = inside_and_outside(crop.box, faces)
    # The detected boxes differ from the true ones by a pixel or two.
    room = np.array([-4, -4, 4, 4])
    window_inside, window_outside = inside_and_outside(windows_everywhere(picture.size, crop.ratio), faces + room)
    cuts_nobody = (window_inside | window_outside).all(axis=1)
    if (cuts_nobody & window_inside.any(axis=1)).any():
        assert (inside | outside).all(), (crop, faces)
    if (cuts_nobody & window_inside.all(axis=1)).any():
        assert inside.all(), (crop, faces)


@pytest.mark.parametrize("ratio", RATIOS)
def test_constraints_that_are_met_change_nothing(engine, ratio):
    """Without faces, or if the crop shows the only face anyway, the crop is the same as without constraints."""
    plain = find_crops(engine, Features(None, 1.5), (1500, 1000), ratio, top=3)
    assert find_crops_of_faces(engine, (1500, 1000), NO_FACES, ratio, top=3) == plain
    center = [(plain[0].box[0] + plain[0].box[2]) / 2, (plain[0].box[1] + plain[0].box[3]) / 2] * 2
    face = np.add(center, (-20, -25, 20, 25))
    assert find_crops_of_faces(engine, (1500, 1000), [face], ratio)[0].box == plain[0].box


@pytest.mark.parametrize("ratio", [None, (1, 1)])
def test_passers_by_may_be_left_out_but_not_cut(engine, ratio):
    """A small face at the edge of the best crop is inside or outside, and the large face is inside."""
    engine.favorite = np.array([0.2, 0.1, 0.7, 0.9], np.float32)
    large, small = [500, 300, 700, 560], [1040, 400, 1070, 440]
    (crop,) = find_crops_of_faces(engine, (1500, 1000), [large, small], ratio)
    inside, outside = inside_and_outside(crop.box, [large, small])
    assert inside[0, 0]
    assert (inside | outside).all()


def test_a_note_reports_people_who_are_left_out(engine):
    """A 9:16 crop of nine people in a row shows some of them, cuts none, and the note suggests padding."""
    faces = [[60 + 160 * k, 400, 150 + 160 * k, 510] for k in range(9)]
    (crop,) = find_crops_of_faces(engine, (1500, 1000), faces, (9, 16))
    inside, outside = inside_and_outside(crop.box, faces)
    assert inside.sum() >= 3
    assert (inside | outside).all()
    assert f"leaves out {9 - inside.sum()} of 9 people" in crop.notes[0]
    assert "--fit pad" in crop.notes[0]


def test_a_face_too_wide_for_the_ratio_is_centered():
    """If every crop cuts a face, there is only one crop, which shows the middle of the face and has a note."""
    engine = CenteredEngine((0.6, 0, 1, 1))
    (crop, *others) = find_crops_of_faces(engine, (1500, 1000), [[300, 50, 1100, 950]], (9, 16), top=3)
    assert not others
    assert (crop.box[0] + crop.box[2]) / 2 == pytest.approx(700, abs=3)
    assert "cuts a face" in crop.notes[0]


@pytest.mark.parametrize("ratio", [None, (1, 1), (3, 2)])
def test_constrained_crops_are_distinct(engine, ratio):
    """Several crops of a photo with people differ from each other, and none cuts a face."""
    faces = [[650, 350, 750, 480], [900, 380, 990, 500]]
    crops = find_crops_of_faces(engine, (1500, 1000), faces, ratio, top=5)
    boxes = bx.from_pixels([crop.box for crop in crops], 1500, 1000)
    overlaps = bx.iou(boxes, boxes)
    np.fill_diagonal(overlaps, 0)
    assert len(crops) >= 2
    assert overlaps.max() <= DISTINCT_IOU + 0.005
    inside, outside = inside_and_outside([crop.box for crop in crops], faces)
    assert (inside | outside).all()


@pytest.mark.parametrize("ratio", RATIOS)
def test_crops_contain_the_regions_to_keep(engine, ratio):
    """Every crop contains a region to the pixel, even far from what the model prefers."""
    region = (1290, 801, 1399, 950)
    for crop in find_crops_of_faces(engine, (1500, 1000), NO_FACES, ratio, keep=[region], top=3):
        assert inside_and_outside(crop.box, region)[0].all()


def test_regions_too_large_for_the_ratio_are_rejected(engine):
    """The message names the size of the regions, the size of the largest crop, and what to do."""
    with pytest.raises(AutocropError, match=r"1000x400 pixels.*largest is 558x992.*--fit pad"):
        find_crops_of_faces(engine, (1500, 1000), NO_FACES, (9, 16), keep=[(100, 100, 600, 500), (900, 200, 1100, 300)])


def test_inexact_crops_show_faces_too(engine):
    """A crop that will be resized may be a pixel off the ratio, and it does not cut faces either."""
    face = [700, 100, 960, 400]
    (crop,) = find_crops_of_faces(engine, (1500, 1000), [face], (425, 157), exact=False)
    assert inside_and_outside(crop.box, face)[0].all()
    assert crop.width / crop.height == pytest.approx(425 / 157, rel=0.01)


def test_the_circle_contains_the_face():
    """For circular crops, the best candidates are squares whose circle contains the corners of the face's box."""
    size, face = (1500, 1000), [1180, 60, 1380, 320]
    subjects = Subjects(size, bx.from_pixels([face], *size))
    constraints = Constraints(subjects, CropRequest((1, 1), shape="circle"))
    best = constraints.narrow_to_least_severe(np.ones(len(constraints.candidates), bool), first=True)
    windows = constraints.candidates[best] * np.array([*size, *size])
    center, radius = (windows[:, :2] + windows[:, 2:]) / 2, (windows[:, 2] - windows[:, 0]) / 2
    for corner in ((1180, 60), (1380, 60), (1180, 320), (1380, 320)):
        assert (np.hypot(*(center - corner).T) <= radius + 1e-3).all()
