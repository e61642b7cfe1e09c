import numpy as np
import pytest
from PIL import Image

import autocrop
from autocrop.engines import Features
from autocrop.errors import AutocropError, UsageError
from autocrop.geometry import boxes as bx
from autocrop.search.constraints import Guard, dims
from autocrop.search.faces import NO_FACES, find_faces
from autocrop.search.subjects import Region, Subjects
from autocrop.search.two_stage import DISTINCT
from tests.helpers.engines import CenteredEngine
from tests.helpers.samples import SAMPLES
from tests.helpers.search import find_crops

RATIOS = [(1, 1), (4, 5), (9, 16), (16, 9), (3, 1), (191, 100), (2, 3), None]


def find(engine, size, faces, ratio=None, keep=(), **options):
    """Crops of a photo of which only the faces, boxes in pixels, are known."""
    subjects = Subjects(size, bx.from_pixels(faces, *size), keep)
    return find_crops(engine, Features(None, size[0] / size[1]), size, ratio, subjects=subjects, **options)


def relations(windows, faces):
    """Which faces are wholly inside, and which wholly outside of pixel windows."""
    w, f = np.asarray(windows, float).reshape(-1, 1, 4), np.asarray(faces, float).reshape(1, -1, 4)
    inside = (w[..., :2] <= f[..., :2]).all(-1) & (w[..., 2:] >= f[..., 2:]).all(-1)
    outside = (w[..., :2] >= f[..., 2:]).any(-1) | (w[..., 2:] <= f[..., :2]).any(-1)
    return inside, outside


def every_window(size, ratio, places=30, sizes=16):
    """Windows of a ratio all over the photo, from half of the largest upwards."""
    steps = dims(size, ratio)
    steps = steps[steps[:, 0] >= 0.5 * steps[-1, 0]]
    windows = []
    for width, height in steps[np.linspace(0, len(steps) - 1, min(len(steps), sizes)).astype(int)]:
        x, y = np.meshgrid(
            np.unique(np.linspace(0, size[0] - width, places).round()),
            np.unique(np.linspace(0, size[1] - height, places).round()),
        )
        windows.append(np.stack([x.ravel(), y.ravel(), x.ravel() + width, y.ravel() + height], 1))
    return np.concatenate(windows)


@pytest.mark.parametrize("seed", range(120))
def test_no_face_is_cut_where_a_window_exists_that_cuts_none(seed):
    """Random groups, some partly out of the picture, in photos of any shape; and people stay where they can.

    Of the windows that cut nobody those count that show somebody: a crop without people is no answer to a portrait.
    """
    rng = np.random.default_rng(seed)
    size = int(rng.integers(300, 3000)), int(rng.integers(300, 3000))
    count = int(rng.integers(1, 9))
    heights = rng.uniform(0.03, 0.5) * min(size) * rng.uniform(0.3, 1, count)
    widths = heights * rng.uniform(0.6, 0.9, count)
    left, top = rng.uniform(-0.3 * widths, size[0] - 0.7 * widths), rng.uniform(-0.2 * heights, size[1] - 0.8 * heights)
    faces = np.clip(np.stack([left, top, left + widths, top + heights], 1), 0, [*size, *size]).round()
    ratio = RATIOS[seed % len(RATIOS)]
    crops = find(CenteredEngine(np.sort(rng.random((2, 2)), axis=0).ravel()), size, faces, ratio, top=3)
    inside, outside = relations([crop.box for crop in crops], faces)
    tall = faces[:, 3] - faces[:, 1]
    main = tall >= 0.5 * max(tall.max(), 0.08 * min(size))
    windows = np.array([[0, 0, *size]]) if ratio is None else every_window(size, ratio)
    within, without = relations(windows, faces)
    clean = (within | without).all(axis=1)
    if (clean & (within[:, main].any(axis=1) | ~main.any())).any():
        assert (inside | outside).all(), [crop.notes for crop in crops]
        assert inside[:, main].any(axis=1).all() or not main.any()
    if (clean & within[:, main].all(axis=1)).any():
        assert inside[0, main].all()
        assert crops[0].notes == ()
    for crop in crops:
        assert ratio is None or crop.width * ratio[1] == crop.height * ratio[0]


@pytest.mark.parametrize("ratio", ["1:1", "9:16", "16:9", "4:5", None])
def test_group_photos(ratio):
    """Composites of real faces through detector, model and search: none is cut, and all are in where they fit."""
    person = Image.open(SAMPLES / "astronaut.jpg").convert("RGB").crop((120, 20, 330, 240))
    rng = np.random.default_rng(7)
    cropper = autocrop.Cropper()
    for _ in range(4):
        size = (900, 600) if rng.random() < 0.5 else (600, 900)
        photo, marked = Image.new("RGB", size, tuple(int(c) for c in rng.integers(40, 200, 3))), []
        for _ in range(int(rng.integers(1, 4))):
            scale = float(rng.uniform(0.5, 1.1))
            copy = person.resize((round(210 * scale), round(220 * scale)))
            x, y = (int(rng.integers(0, size[axis] - copy.size[axis])) for axis in (0, 1))
            face = np.array([58, 43, 148, 156]) * scale + (x, y, x, y)
            mine = np.array([[x, y, x + copy.width, y + copy.height]])
            if not marked or relations(mine, marked)[1].all():
                photo.paste(copy, (x, y))
                marked.append(face)
        assert len(find_faces(np.asarray(photo))) == len(marked)
        (crop,) = cropper.find(photo, ratio)
        inside, outside = relations(crop.box, marked)
        windows = np.array([[0, 0, *size]]) if ratio is None else every_window(size, crop.ratio)
        # The detector's boxes and the marked ones differ by a pixel or two, and its own are what it can go by.
        room = np.array([-4, -4, 4, 4])
        within, without = relations(windows, np.array(marked) + room)
        clean = (within | without).all(axis=1)
        if (clean & within.any(axis=1)).any():
            assert (inside | outside).all(), (crop, marked)
        if (clean & within.all(axis=1)).any():
            assert inside.all(), (crop, marked)


def test_the_guard_changes_nothing_where_there_is_nothing_to_guard(engine):
    """No faces, or faces that the crop shows whole anyway: the crop is the same, for any ratio."""
    for ratio in RATIOS:
        plain = find_crops(engine, Features(None, 1.5), (1500, 1000), ratio, top=3)
        assert find(engine, (1500, 1000), np.empty((0, 4)), ratio, top=3) == plain
        middle = [(plain[0].box[0] + plain[0].box[2]) / 2, (plain[0].box[1] + plain[0].box[3]) / 2] * 2
        face = np.add(middle, (-20, -25, 20, 25))
        assert find(engine, (1500, 1000), [face], ratio)[0].box == plain[0].box


def test_passers_by_may_be_left_out_but_are_not_cut(engine):
    """A small face at the edge of the best crop is wholly in or wholly out, and the large one is in."""
    engine.favorite = np.array([0.2, 0.1, 0.7, 0.9], np.float32)
    large, small = [500, 300, 700, 560], [1040, 400, 1070, 440]
    for ratio in (None, (1, 1)):
        (crop,) = find(engine, (1500, 1000), [large, small], ratio)
        inside, outside = relations(crop.box, [large, small])
        assert inside[0, 0]
        assert (inside | outside).all()


def test_a_group_wider_than_the_window_is_told():
    """Nine people in a row and 9:16: some are whole, the others are out, and a note says what keeps all."""
    faces = [[60 + 160 * k, 400, 150 + 160 * k, 510] for k in range(9)]
    (crop,) = find(CenteredEngine(), (1500, 1000), faces, (9, 16))
    inside, outside = relations(crop.box, faces)
    assert inside.sum() >= 3
    assert (inside | outside).all()
    assert "leaves out" in crop.notes[0]
    assert "--fit pad" in crop.notes[0]


def test_a_face_too_wide_for_the_ratio_is_cut_evenly():
    """Nothing can be done but to show its middle, and to say so."""
    (crop, *others) = find(CenteredEngine((0.6, 0, 1, 1)), (1500, 1000), [[300, 50, 1100, 950]], (9, 16), top=3)
    assert not others
    assert (crop.box[0] + crop.box[2]) / 2 == pytest.approx(700, abs=3)
    assert "cuts a face" in crop.notes[0]


def test_suggestions_stay_distinct():
    """With people to keep there may be fewer, but they differ, and none cuts anybody."""
    faces = [[650, 350, 750, 480], [900, 380, 990, 500]]
    for ratio in (None, (1, 1), (3, 2)):
        crops = find(CenteredEngine(), (1500, 1000), faces, ratio, top=5)
        boxes = bx.from_pixels([crop.box for crop in crops], 1500, 1000)
        overlaps = bx.iou(boxes, boxes)
        np.fill_diagonal(overlaps, 0)
        assert len(crops) >= 2
        assert overlaps.max() <= DISTINCT + 0.005
        inside, outside = relations([crop.box for crop in crops], faces)
        assert (inside | outside).all()


@pytest.mark.parametrize("ratio", RATIOS)
def test_what_must_stay_stays(engine, ratio):
    """Regions far from what the model likes are in every crop, to the pixel."""
    region = (1290, 801, 1399, 950)
    for crop in find(engine, (1500, 1000), np.empty((0, 4)), ratio, keep=[region], top=3):
        assert relations(crop.box, region)[0].all()


def test_regions_wider_than_the_ratio_are_an_error(engine):
    """The message says how large the largest crop is, and what to do."""
    with pytest.raises(AutocropError, match=r"1000x400 pixels.*largest is 558x992.*--fit pad"):
        find(engine, (1500, 1000), np.empty((0, 4)), (9, 16), keep=[(100, 100, 600, 500), (900, 200, 1100, 300)])


def test_sizes_in_awkward_numbers_hold_faces_too(engine):
    """Crops for a resize may be off the ratio by a pixel, and cut nobody either."""
    face = [700, 100, 960, 400]
    (crop,) = find(engine, (1500, 1000), [face], (425, 157), exact=False)
    assert relations(crop.box, face)[0].all()
    assert crop.width / crop.height == pytest.approx(425 / 157, rel=0.01)


def test_regions_are_read():
    """Pixels, or percent of any photo's size."""
    assert Region.parse("10,20,300,400").to_pixels((1000, 1000)) == (10, 20, 310, 420)
    assert Region.parse(" 10%, 0%,50%, 33.3% ").to_pixels((500, 300)) == (50, 0, 300, 100)
    assert Region.parse("0%,0%,100%,100%").to_pixels((333, 77)) == (0, 0, 333, 77)
    for wrong in ("", "1,2,3", "1,2,3,4,5", "10%,2,3,4", "a,b,c,d", "-1,0,4,4", "1,2,0,4"):
        with pytest.raises(UsageError, match="region"):
            Region.parse(wrong)
    with pytest.raises(AutocropError, match="reaches beyond the photo"):
        Region.parse("900,0,200,10").to_pixels((1000, 1000))
    for wrong in ((1, 2, 3), (5, 5, 5, 9), (-1, 0, 4, 4)):
        with pytest.raises(UsageError, match="no box"):
            Region.of_box(wrong)


def test_from_python(photo):
    """Cropper keeps regions and guards faces unless told otherwise."""
    (crop,) = autocrop.Cropper().find(photo, ratio="1:1", keep=[(0, 0, 120, 120)])
    assert crop.box[:2] == (0, 0)
    with pytest.raises(AutocropError, match="keep"):
        autocrop.Cropper().find(photo, ratio="9:16", keep=[(0, 0, 600, 120)])
    picture = Image.new("RGB", (900, 400), (90, 120, 90))
    picture.paste(Image.open(SAMPLES / "astronaut.jpg").resize((400, 400)), (250, 0))
    unguarded = autocrop.Cropper(faces=False).find(picture, ratio="3:1")[0]
    guarded = autocrop.Cropper().find(picture, ratio="3:1")[0]
    face = find_faces(np.asarray(picture)) * (900, 400, 900, 400)
    assert relations(guarded.box, face)[0].all()
    assert not Subjects((9, 9), NO_FACES)
    assert unguarded.ratio == guarded.ratio == (3, 1)


def test_circles_hold_people():
    """A guard for avatars prefers squares whose circle holds the face, to the corners of its box."""
    size, face = (1500, 1000), [1180, 60, 1380, 320]
    guard = Guard(Subjects(size, bx.from_pixels([face], *size)), (1, 1), circle=True)
    kinds = guard.kindest(np.ones(len(guard.candidates), bool), first=True)
    windows = guard.candidates[kinds] * np.array([*size, *size])
    center, radius = (windows[:, :2] + windows[:, 2:]) / 2, (windows[:, 2] - windows[:, 0]) / 2
    for corner in ((1180, 60), (1380, 60), (1180, 320), (1380, 320)):
        assert (np.hypot(*(center - corner).T) <= radius + 1e-3).all()
