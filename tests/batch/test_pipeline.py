import json
import shutil

import numpy as np
import pytest
from PIL import Image

from autocrop.batch.manifest import MarkedRow, Row, read_rows
from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.runner import run
from autocrop.batch.targets import Target, make_targets
from autocrop.search.subjects import Region
from tests.helpers.batch import SQUARE, crop_all, names_in
from tests.helpers.photos import LEFT_FACE

TALL = Target("9x16", (9, 16))


def test_crop_is_written_next_to_the_photo(engine, photo):
    """photo.jpg gives a square photo_1x1.jpg, and the photo itself does not change."""
    before = photo.read_bytes()
    (result,) = crop_all(engine, [photo])
    assert result.status is Status.CROPPED
    assert result.output == photo.with_name("photo_1x1.jpg")
    with Image.open(result.output) as written:
        assert written.size == result.size == (result.crop.width, result.crop.height)
        assert written.width == written.height
    assert photo.read_bytes() == before


def test_photo_is_analyzed_once_for_all_targets(engine, photo, tmp_path):
    """A photo is encoded once, however many crops are made of it."""
    results = crop_all(engine, [photo], targets=make_targets(["1:1", "4:5"], ["90x160"]), output=tmp_path / "out")
    assert engine.encoded == 1
    assert names_in(tmp_path / "out") == ["photo_1x1.jpg", "photo_4x5.jpg", "photo_90x160.jpg"]
    with Image.open(results[2].output) as written:
        assert written.size == (90, 160)


def test_size_enlarges_only_with_upscale(engine, photo):
    """A crop that is smaller than its target's size keeps its pixels and its ratio, unless --upscale is given."""
    targets = make_targets([], ["4000x4000"])
    (result,) = crop_all(engine, [photo], targets=targets)
    assert result.size == (result.crop.width, result.crop.height)
    assert "smaller than 4000x4000" in result.notes[0]
    (result,) = crop_all(engine, [photo], targets=targets, upscale=True, overwrite=True)
    assert result.size == (4000, 4000)


def test_existing_outputs_are_skipped(engine, photo):
    """A second run does not even analyze the photo; --overwrite crops it again."""
    crop_all(engine, [photo])
    (result,) = crop_all(engine, [photo])
    assert result.status is Status.SKIPPED
    assert engine.encoded == 1
    (result,) = crop_all(engine, [photo], overwrite=True)
    assert result.status is Status.CROPPED


def test_damaged_photo_does_not_stop_the_others(engine, photo, tmp_path):
    """Damaged and missing photos fail with a reason, and the others are cropped."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photo.read_bytes()[:9000])
    results = crop_all(engine, [bad, photo, tmp_path / "missing.jpg"])
    assert [result.status for result in results] == [Status.FAILED, Status.CROPPED, Status.FAILED]
    assert "bad.jpg is damaged" in results[0].reason
    assert "missing.jpg does not exist" in results[2].reason
    assert names_in(tmp_path) == ["bad.jpg", "photo.jpg", "photo_1x1.jpg"]


def test_bug_does_not_abort_the_batch(engine, photo, monkeypatch):
    """An unexpected exception fails one photo, and the result keeps the exception for its traceback."""
    other = shutil.copy(photo, photo.with_name("other.jpg"))
    encode = engine.encode

    def fail_once(image, aspect=None):
        monkeypatch.setattr(engine, "encode", encode)
        return 1 / 0

    monkeypatch.setattr(engine, "encode", fail_once)
    failed, cropped = crop_all(engine, [photo, other])
    assert (failed.status, cropped.status) == (Status.FAILED, Status.CROPPED)
    assert "ZeroDivisionError: division by zero. Please report the output of --debug" in failed.reason
    assert isinstance(failed.error, ZeroDivisionError)


def test_impossible_ratio_does_not_stop_the_others(engine, photo):
    """A ratio that the photo cannot have fails, and the next one is cropped."""
    results = crop_all(engine, [photo], targets=make_targets(["1999:1000", "1:1"], []))
    assert [result.status for result in results] == [Status.FAILED, Status.CROPPED]


def test_top_writes_distinct_crops(engine, photo, tmp_path):
    """--top 3 numbers the files, best first, and their boxes differ."""
    results = crop_all(engine, [photo], top=3, output=tmp_path / "out")
    names = ["photo_1x1_1.jpg", "photo_1x1_2.jpg", "photo_1x1_3.jpg"]
    assert [result.output.name for result in results] == names[: len(results)]
    assert len({result.crop.box for result in results}) == len(results) >= 2


def test_size_without_an_exact_crop_is_reached(engine, photo):
    """425:157 has no small terms: the crop has nearly that ratio, and resizing makes the size exact."""
    (result,) = crop_all(engine, [photo], targets=make_targets([], ["425x157"]))
    assert result.size == (425, 157)
    assert result.crop.width / result.crop.height == pytest.approx(425 / 157, rel=0.01)
    with Image.open(result.output) as written:
        assert written.size == (425, 157)


def test_dropped_frames_are_noted(engine, tmp_path):
    """The first frame of an animation is cropped, and a note says so."""
    frames = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in (0, 100, 200)]
    frames[0].save(tmp_path / "animated.gif", save_all=True, append_images=frames[1:])
    (result,) = crop_all(engine, [tmp_path / "animated.gif"])
    assert result.notes == ("only the first of 3 frames is kept",)


def test_dry_run_writes_nothing(engine, photo, tmp_path):
    """A dry run reports the crops and leaves the folder as it is."""
    (result,) = crop_all(engine, [photo], dry_run=True)
    assert result.status is Status.FOUND
    row = result.to_dict("centered", "cpu")
    assert row["box"] == list(result.crop.box)
    assert row["space"] == "upright"
    assert names_in(tmp_path) == ["photo.jpg"]


def test_palette_picture_is_resized(engine, tmp_path):
    """Resizing converts a palette PNG to RGB."""
    path = tmp_path / "palette.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)).convert("P").save(path)
    (result,) = crop_all(engine, [path], targets=make_targets([], ["40x40"]))
    with Image.open(result.output) as written:
        assert written.size == (40, 40)


def test_padded_crops_are_limited_in_size(engine, photo):
    """A crop that padding would make too large fails before memory is allocated for it."""
    whole = [Region.parse("0%,0%,100%,100%")]
    options = {"targets": make_targets(["500:1", "1:1"], []), "keep": whole, "fit": "pad", "max_pixels": 1_000_000}
    failed, cropped = crop_all(engine, [photo], **options)
    assert (failed.status, cropped.status) == (Status.FAILED, Status.CROPPED)
    assert "200000x400 has 80000000 pixels, but --max-pixels allows 1000000" in failed.reason


def test_paper_sizes_match_each_photo(engine, photo, tmp_path):
    """A paper size is rotated to match each photo, and the row of JSON has the rotated size."""
    with Image.open(photo) as image:
        image.rotate(90, expand=True).save(tmp_path / "portrait.jpg")
    photos = [photo, tmp_path / "portrait.jpg"]
    results = crop_all(engine, photos, targets=make_targets([], [], ["print-10x15cm"]), upscale=True)
    assert [result.size for result in results] == [(1772, 1181), (1181, 1772)]
    for result in results:
        with Image.open(result.output) as written:
            assert written.size == result.size
    assert [result.to_dict()["size"] for result in results] == [[1772, 1181], [1181, 1772]]


def test_faces_are_not_cut(engine, pair):
    """If the model prefers to cut a face, another crop is found, with a note on who is left out; faces=False cuts."""
    engine.favorite = np.array([0.1, 0, 0.4, 1], np.float32)
    (guarded,) = crop_all(engine, [pair], targets=[TALL])
    assert "leaves out 1 of 2 people" in guarded.notes[0]
    assert guarded.crop.box[0] <= LEFT_FACE
    (unguarded,) = crop_all(engine, [pair], targets=[TALL], faces=False, overwrite=True)
    assert unguarded.notes == ()
    assert unguarded.crop.box[0] > LEFT_FACE


def test_region_that_does_not_fit_does_not_stop_the_others(engine, pair):
    """A ratio whose crops cannot hold a region fails, and a ratio that can is cropped."""
    targets = [TALL, Target("2x1", (2, 1))]
    results = crop_all(engine, [pair], targets=targets, keep=[Region.parse("10%,0%,80%,20%")])
    assert [result.status for result in results] == [Status.FAILED, Status.CROPPED]
    assert "--fit pad" in results[0].reason
    box = results[1].crop.box
    assert box[0] <= 120
    assert box[2] >= 1080


def test_min_gain_keeps_good_photos(engine, photo):
    """A photo whose best crop gains too little is kept with a reason, and its row is not written by apply."""
    (kept,) = crop_all(engine, [photo], targets=[Target("crop")], min_gain=3.0)
    assert kept.status is Status.KEPT
    assert "less than --min-gain 3" in kept.reason
    assert names_in(photo.parent) == ["photo.jpg"]
    row = kept.to_dict()
    assert row["status"] == "kept"
    assert row["score"] - row["score_full"] < 3
    assert list(read_rows([json.dumps(row)])) == [MarkedRow(photo, Status.KEPT, kept.reason)]
    (cropped,) = crop_all(engine, [photo], targets=[Target("crop")], min_gain=0.5)
    assert cropped.status is Status.CROPPED


@pytest.mark.parametrize(
    "options",
    [
        {"targets": [TALL], "fit": "blur"},
        {"targets": [TALL], "fit": "pad", "pad_color": "#203040"},
        {"targets": [SQUARE], "shape": "circle"},
    ],
)
def test_manifest_reproduces_padding_and_shape(engine, pair, tmp_path, options):
    """Applying the rows of a dry run writes the same bytes as cropping directly."""
    (direct,) = crop_all(engine, [pair], output=tmp_path / "direct", **options)
    (dry,) = crop_all(engine, [pair], output=tmp_path / "applied", dry_run=True, **options)
    (row,) = read_rows([json.dumps(dry.to_dict())])
    assert isinstance(row, Row)
    (applied,) = run(None, Plan.from_rows([row], Options(output=tmp_path / "applied", overwrite=True)))
    assert applied.status is Status.CROPPED, applied.reason
    assert applied.output.read_bytes() == direct.output.read_bytes()
    with Image.open(direct.output) as written:
        assert written.size == (direct.crop.width, direct.crop.height)


def test_circle_has_transparent_corners(engine, pair):
    """A circle is opaque in its center and transparent in its corners; that of a JPEG is written as a PNG."""
    (result,) = crop_all(engine, [pair], targets=make_targets([], [], [], "circle"), shape="circle")
    assert result.output.name == "pair_1x1.png"
    with Image.open(result.output) as written:
        assert written.mode == "RGBA"
        assert written.getpixel((0, 0))[3] == 0
        assert written.getpixel((written.width // 2, written.height // 2))[3] == 255


def test_padded_crop_is_resized(engine, pair):
    """A padded crop is resized to its target's size like any other."""
    (result,) = crop_all(engine, [pair], targets=make_targets([], ["270x480"]), fit="pad")
    assert result.crop.padding is not None
    with Image.open(result.output) as written:
        assert written.size == (270, 480)
