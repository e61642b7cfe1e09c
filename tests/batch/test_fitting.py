import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autocrop.batch.fitting import fit_to_target
from autocrop.batch.manifest import read_rows
from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.runner import run
from autocrop.batch.targets import Target, make_targets
from autocrop.errors import AutocropError
from autocrop.images.padding import Padding
from autocrop.search.crop import Crop
from autocrop.search.request import CropRequest
from autocrop.search.snapping import round_to_pixels
from tests.helpers.batch import crop_all

SIDES = st.integers(1, 3000)
TERMS = st.integers(1, 60)


def crop_of(box, **options):
    """A crop of a large photo."""
    return Crop(box, 0.0, None, 0.0, (9000, 9000), **options)


def apply_rows(folder, *rows, **options):
    """Write the crops of manifest rows to a folder."""
    return list(run(None, Plan.from_rows(read_rows(map(json.dumps, rows)), Options(output=folder, **options))))


@given(st.tuples(SIDES, SIDES), st.tuples(TERMS, TERMS), st.integers(0, 500), st.integers(0, 500))
def test_box_is_fitted_to_the_exact_ratio(size, ratio, left, top):
    """Without a size, the new box is the largest of exactly the ratio inside the old one, and centered in it."""
    (width, height), target = size, Target("x", Fraction(*ratio).as_integer_ratio())
    a, b = target.ratio
    crop = crop_of((left, top, left + width, top + height))
    if width < a or height < b:
        with pytest.raises(AutocropError, match="too small for a crop of exactly"):
            fit_to_target(crop, target)
        return
    fitted = fit_to_target(crop, target)
    steps = min(width // a, height // b)
    assert (fitted.width, fitted.height) == (steps * a, steps * b)
    for start, end, first, last in zip(crop.box[:2], crop.box[2:], fitted.box[:2], fitted.box[2:], strict=True):
        assert start <= first < last <= end
        assert abs((first - start) - (end - last)) <= 1
    assert (fitted == crop) == (width * b == height * a)
    assert fit_to_target(fitted, target) == fitted


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
def test_box_of_a_sized_row_keeps_nearly_all_that_fits(box, size):
    """With a size, the new box is inside the old one, off by at most a pixel, and loses at most a hundredth."""
    (width, height), target = box, Target("x", None, size)
    crop = crop_of((7, 9, 7 + width, 9 + height))
    fitted = fit_to_target(crop, target)
    scale = min(Fraction(width, size[0]), Fraction(height, size[1]))
    for old, new, ideal in zip(box, (fitted.width, fitted.height), (size[0] * scale, size[1] * scale), strict=True):
        assert new <= old
        assert float(0.99 * ideal) - 1 <= new <= ideal + 1
    assert fitted.box[0] >= 7
    assert fitted.box[1] >= 9
    assert fit_to_target(fitted, target) == fitted


@given(
    position=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    share=st.floats(0.05, 1),
    photo=st.tuples(SIDES, SIDES),
    size=st.tuples(SIDES, SIDES),
    exact=st.booleans(),
)
def test_boxes_of_the_search_are_never_changed(position, share, photo, size, exact):
    """A box that the search rounded to pixels, exactly or within a pixel, is used as it is."""
    (x, y), (width, height), ratio = position, photo, Fraction(*size).as_integer_ratio()
    if exact and (width < ratio[0] or height < ratio[1]):
        return
    scale = share * min(width / size[0], height / size[1])
    w, h = scale * size[0] / width, scale * size[1] / height
    window = [x * (1 - w), y * (1 - h), x * (1 - w) + w, y * (1 - h) + h]
    crop = crop_of(round_to_pixels(window, photo, CropRequest(ratio, exact=exact)))
    assert fit_to_target(crop, Target("x", ratio, None if exact else size)) is crop


@pytest.mark.parametrize(
    ("crop", "target"),
    [
        (crop_of((0, 0, 70, 50)), Target("crop")),
        (crop_of((0, 0, 70, 50), padding=Padding(0, 10, 0, 10)), Target("1x1", (1, 1))),
        (crop_of((0, 0, 50, 50), shape="circle"), Target("1x1", (1, 1))),
    ],
)
def test_other_boxes_are_not_changed(crop, target):
    """Crops of any shape, crops with padding, and square boxes of circles are used as they are."""
    assert fit_to_target(crop, target) is crop


def test_edited_box_is_not_squeezed(photo, tmp_path):
    """A square box in a row with a size of 4:5 is cropped to 4:5, not squeezed, and a note says so."""
    row = {"path": str(photo), "name": "a.png", "box": [0, 0, 300, 300], "size": [160, 200], "ratio": "4:5"}
    (result,) = apply_rows(tmp_path / "out", row)
    assert result.crop.box == (30, 0, 270, 300)
    assert result.notes == ("fitted to 4:5: the box in the manifest was 300x300",)
    exact = {**row, "box": [30, 0, 270, 300], "name": "b.png"}
    (expected,) = apply_rows(tmp_path / "out", exact)
    assert expected.notes == ()
    assert result.output.read_bytes() == expected.output.read_bytes()


def test_edited_box_has_the_ratio_of_its_name(photo, tmp_path):
    """A box edited to another ratio is written in the ratio of its row; a box too small for it fails with its line."""
    row = {"path": str(photo), "name": "a_4x5.jpg", "box": [10, 20, 113, 70], "ratio": "4:5"}
    cropped, failed = apply_rows(tmp_path / "out", row, {**row, "name": "b.jpg", "box": [0, 0, 3, 9]})
    with Image.open(cropped.output) as written:
        assert written.size == (40, 50)
    assert failed.status is Status.FAILED
    assert failed.reason.startswith("line 2: the box [0, 0, 3, 9] of 3x9 pixels is too small")


def test_edited_circle_is_round(pair, tmp_path):
    """A circle whose box is no longer square is cut from the largest square inside it."""
    row = {"path": str(pair), "name": "a.png", "box": [0, 0, 300, 200], "ratio": "1:1", "shape": "circle"}
    (result,) = apply_rows(tmp_path / "out", row)
    assert result.crop.box == (50, 0, 250, 200)
    with Image.open(result.output) as written:
        assert written.size == (200, 200)


def test_boxes_of_a_dry_run_are_not_changed(engine, photo, tmp_path):
    """Rows of a dry run are written without a note, including sizes that no exact box has."""
    targets = make_targets(["4:5", "1.91:1"], ["425x157", "160x200"], ["print-10x15cm"])
    dry = crop_all(engine, [photo], targets=targets, dry_run=True)
    applied = apply_rows(tmp_path / "out", *(result.to_dict() for result in dry))
    assert [result.crop.box for result in applied] == [result.crop.box for result in dry]
    assert not any("fitted" in note for result in applied for note in result.notes)
