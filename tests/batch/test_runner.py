import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.runner import _not_worth_it, run
from autocrop.batch.targets import Target, make_targets
from autocrop.cli.console import Silent
from autocrop.cli.report import Report
from autocrop.errors import UsageError
from autocrop.images.padding import Fit
from autocrop.search.crop import Crop
from autocrop.search.subjects import Region

SQUARE = [Target("1x1", (1, 1))]


def crop_all(engine, photos, **options):
    """Run a batch and return its results."""
    options.setdefault("targets", SQUARE)
    return list(run(engine, Plan.make(photos, Options(**options))))


def test_outputs_lie_beside_the_photo(engine, photo):
    """photo.jpg gives photo_1x1.jpg, a square, and the photo itself is not touched."""
    before = photo.read_bytes()
    (result,) = crop_all(engine, [photo])
    assert result.status is Status.CROPPED
    assert result.output == photo.with_name("photo_1x1.jpg")
    with Image.open(result.output) as written:
        assert written.size == result.size == (result.crop.width, result.crop.height)
        assert written.width == written.height
    assert photo.read_bytes() == before


def test_one_analysis_for_several_targets(engine, photo, tmp_path):
    """A photo is encoded once, however many crops of it are wanted."""
    results = crop_all(engine, [photo], targets=make_targets(["1:1", "4:5"], ["90x160"]), output=tmp_path / "out")
    assert engine.encoded == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "photo_1x1.jpg",
        "photo_4x5.jpg",
        "photo_90x160.jpg",
    ]
    with Image.open(results[2].output) as written:
        assert written.size == (90, 160)


def test_size_never_enlarges_unless_told(engine, photo):
    """A crop smaller than the size asked for keeps its pixels, with its ratio."""
    (result,) = crop_all(engine, [photo], targets=make_targets([], ["4000x4000"]))
    assert result.size == (result.crop.width, result.crop.height)
    assert "smaller than 4000x4000" in result.notes[0]
    (result,) = crop_all(engine, [photo], targets=make_targets([], ["4000x4000"]), upscale=True, overwrite=True)
    assert result.size == (4000, 4000)


def test_a_defect_of_ours_costs_one_photo(engine, photo, capsys, monkeypatch):
    """It is named with what to do; --debug prints where it happened."""
    other = shutil.copy(photo, photo.with_name("other.jpg"))
    encode = engine.encode

    def breaks_once(image, aspect=None):
        monkeypatch.setattr(engine, "encode", encode)
        return 1 / 0

    monkeypatch.setattr(engine, "encode", breaks_once)
    failed, cropped = crop_all(engine, [photo, other])
    assert (failed.status, cropped.status) == (Status.FAILED, Status.CROPPED)
    assert "ZeroDivisionError: division by zero. Please report what --debug prints" in failed.reason
    Report(2, Silent(), debug=False).add(failed)
    assert "Traceback" not in capsys.readouterr().err
    Report(2, Silent(), debug=True).add(failed)
    messages = capsys.readouterr().err
    assert "Traceback" in messages
    assert "breaks_once" in messages


def test_existing_outputs_are_skipped(engine, photo):
    """The second run does not even analyze the photo; --overwrite does it again."""
    crop_all(engine, [photo])
    (result,) = crop_all(engine, [photo])
    assert result.status is Status.SKIPPED
    assert engine.encoded == 1
    (result,) = crop_all(engine, [photo], overwrite=True)
    assert result.status is Status.CROPPED


def test_a_bad_photo_fails_alone(engine, photo, tmp_path):
    """The others are cropped, and the bad one is named with the reason."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photo.read_bytes()[:9000])
    results = crop_all(engine, [bad, photo, tmp_path / "missing.jpg"])
    assert [r.status for r in results] == [Status.FAILED, Status.CROPPED, Status.FAILED]
    assert "bad.jpg is damaged" in results[0].reason
    assert "missing.jpg does not exist" in results[2].reason
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.jpg", "photo.jpg", "photo_1x1.jpg"]


def test_one_impossible_ratio_does_not_stop_the_others(engine, photo):
    """A ratio that the photo cannot have fails; the next one is written."""
    results = crop_all(engine, [photo], targets=make_targets(["1999:1000", "1:1"], []))
    assert [r.status for r in results] == [Status.FAILED, Status.CROPPED]


def test_top_writes_distinct_files(engine, photo, tmp_path):
    """--top 3 numbers the files, best first."""
    results = crop_all(engine, [photo], top=3, output=tmp_path / "out")
    assert [r.output.name for r in results] == ["photo_1x1_1.jpg", "photo_1x1_2.jpg", "photo_1x1_3.jpg"][: len(results)]
    assert len({r.crop.box for r in results}) == len(results) >= 2


def test_outputs_that_would_collide_get_distinct_names(engine, photo, tmp_path):
    """Two photos of one name from two folders do not overwrite each other."""
    other = tmp_path / "other" / "photo.jpg"
    other.parent.mkdir()
    other.write_bytes(photo.read_bytes())
    results = crop_all(engine, [photo, other], output=tmp_path / "out")
    assert [r.output.name for r in results] == ["photo_1x1.jpg", "photo_1x1-2.jpg"]
    assert all(r.status is Status.CROPPED for r in results)


def test_an_input_is_never_an_output(engine, photo):
    """Neither by -o, nor because another photo's output would have its name, not even with --overwrite."""
    with pytest.raises(UsageError, match="never overwrites"):
        crop_all(engine, [photo], output=photo, overwrite=True)
    second = photo.with_name("photo_1x1.jpg")
    second.write_bytes(photo.read_bytes())
    results = crop_all(engine, [photo, second], overwrite=True)
    assert second.read_bytes() == photo.read_bytes()
    assert [r.status for r in results] == [Status.SKIPPED, Status.SKIPPED]


def test_naming_all_files_again_breeds_no_crops_of_crops(engine, photo, tmp_path):
    """'autocrop *.jpg' a second time: the photo is done, and its crop is known for what it is."""
    crop_all(engine, [photo])
    for targets in (SQUARE, make_targets(["4:3"], [])):
        results = crop_all(engine, sorted(tmp_path.glob("*.jpg")), targets=targets, dry_run=targets != SQUARE)
        assert (results[0].path.name, results[0].status) == ("photo_1x1.jpg", Status.SKIPPED)
        assert len(results) == 2
    assert "looks like a crop of" in results[0].reason
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photo.jpg", "photo_1x1.jpg"]


def test_names_that_differ_by_case_are_two_photos(engine, photo, tmp_path):
    """Both are cropped, and to files that differ by more than case."""
    shutil.copy(photo, tmp_path / "PHOTO.jpg")
    results = crop_all(engine, [photo, tmp_path / "PHOTO.jpg"], output=tmp_path / "out")
    assert [r.output.name for r in results] == ["photo_1x1.jpg", "PHOTO_1x1-2.jpg"]


def test_a_suggestion_is_not_replaced(engine, photo, tmp_path):
    """Somebody deletes the first of three suggestions and edits the second: only the first is written again."""
    names = [r.output.name for r in crop_all(engine, [photo], top=3)]
    assert len(names) == 3
    (tmp_path / names[0]).unlink()
    (tmp_path / names[1]).write_text("edited")
    results = crop_all(engine, [photo], top=3)
    assert [r.status for r in results] == [Status.CROPPED, Status.SKIPPED, Status.SKIPPED]
    assert (tmp_path / names[1]).read_text() == "edited"


def test_an_error_of_ours_costs_one_photo(engine, photo, tmp_path, monkeypatch):
    """Whatever a photo provokes, the next one is cropped."""
    shutil.copy(photo, tmp_path / "second.jpg")
    encode = engine.encode

    def broken(image, aspect=None):
        monkeypatch.setattr(engine, "encode", encode)
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(engine, "encode", broken)
    results = crop_all(engine, [photo, tmp_path / "second.jpg"])
    assert [r.status for r in results] == [Status.FAILED, Status.CROPPED]
    assert "ZeroDivisionError" in results[0].reason


def test_sizes_in_awkward_numbers(engine, photo):
    """851:315 has no small terms; the crop is the nearest one, and the resize makes the size exact."""
    (result,) = crop_all(engine, [photo], targets=make_targets([], ["425x157"]))
    assert result.size == (425, 157)
    assert result.crop.width / result.crop.height == pytest.approx(425 / 157, rel=0.01)
    with Image.open(result.output) as written:
        assert written.size == (425, 157)


def test_frames_that_are_not_there_are_told(engine, tmp_path):
    """Of an animation the first frame is cropped, and the result says so."""
    frames = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in (0, 100, 200)]
    frames[0].save(tmp_path / "animated.gif", save_all=True, append_images=frames[1:])
    (result,) = crop_all(engine, [tmp_path / "animated.gif"])
    assert result.notes == ("only the first of 3 frames is kept",)


def test_a_folder_may_have_a_dot_in_its_name(engine, photo, tmp_path):
    """Only extensions of pictures make -o a file."""
    (result,) = crop_all(engine, [photo], output=tmp_path / "out.v2")
    assert result.output == tmp_path / "out.v2" / "photo_1x1.jpg"


def test_a_photo_named_twice_is_cropped_once(engine, photo):
    """Also when its path is written in two ways; the second mention is reported."""
    results = crop_all(engine, [photo, photo.parent / "." / "photo.jpg"])
    assert sorted(r.status for r in results) == [Status.CROPPED, Status.SKIPPED]


def test_one_file_cannot_hold_two_crops(engine, photo, tmp_path):
    """-o FILE with two ratios is refused before anything is done."""
    with pytest.raises(UsageError, match="one file"):
        crop_all(engine, [photo], targets=make_targets(["1:1", "4:3"], []), output=tmp_path / "out.jpg")


def test_output_file_chooses_the_format(engine, photo, tmp_path):
    """-o out.png writes a PNG."""
    (result,) = crop_all(engine, [photo], output=tmp_path / "out.png")
    with Image.open(result.output) as written:
        assert written.format == "PNG"


def test_dry_run_writes_nothing(engine, photo, tmp_path):
    """The crops are reported, and the folder stays as it was."""
    (result,) = crop_all(engine, [photo], dry_run=True)
    assert result.status is Status.FOUND
    row = result.to_dict("centered", "cpu")
    assert row["box"] == list(result.crop.box)
    assert row["space"] == "upright"
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]


def test_ratios_asked_for_twice_are_refused():
    """Their outputs would have one name."""
    with pytest.raises(UsageError, match="once"):
        make_targets(["4:3", "4x3"], [])


def test_palette_pictures_can_be_resized(engine, tmp_path):
    """Resizing a palette PNG goes through RGB."""
    path = tmp_path / "palette.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)).convert("P").save(path)
    (result,) = crop_all(engine, [path], targets=make_targets([], ["40x40"]))
    with Image.open(result.output) as written:
        assert written.size == (40, 40)


@pytest.mark.parametrize("jobs", [1, 2])
def test_stopped(engine, photo, tmp_path, monkeypatch, jobs):
    """Once it is told to stop, no photo is begun, and the results of all that were begun come, in order."""
    photos = [shutil.copy(photo, tmp_path / f"{number}.jpg") for number in range(9)]
    stop, begun, encode = threading.Event(), threading.Barrier(jobs), engine.encode

    def stops(image, aspect=None):
        begun.wait(10)
        stop.set()
        return encode(image, aspect)

    monkeypatch.setattr(engine, "encode", stops)
    plan = Plan.make(photos, Options(SQUARE, output=tmp_path / "out"))
    results = list(run(engine, plan, jobs, stop))
    assert [(r.path, r.status) for r in results] == [(path, Status.CROPPED) for path in photos[:jobs]]
    assert sorted((tmp_path / "out").iterdir()) == [r.output for r in results]


def test_no_crop_is_larger_than_a_photo_may_be(engine, photo):
    """Padding that would make it so fails alone, before memory is taken for it."""
    whole = [Region.parse("0%,0%,100%,100%")]
    options = {"targets": make_targets(["500:1", "1:1"], []), "keep": whole, "fit": Fit(), "max_pixels": 1_000_000}
    failed, cropped = crop_all(engine, [photo], **options)
    assert (failed.status, cropped.status) == (Status.FAILED, Status.CROPPED)
    assert "200000x400 are 80000000 pixels, and --max-pixels allows 1000000" in failed.reason


def test_a_side_that_is_too_long_for_the_format(engine, tmp_path):
    """Said as such, with the limit; other formats have none."""
    wide = tmp_path / "wide.png"
    Image.new("L", (17_000, 100)).save(wide)
    targets = make_targets([], ["16400x80"])
    (failed,) = crop_all(engine, [wide], targets=targets, format=".webp", upscale=True)
    assert failed.status is Status.FAILED
    assert "wide.png: 16400x80 pixels do not fit into a WEBP file, which allows 16383 pixels per side." in failed.reason
    assert crop_all(engine, [wide], targets=targets, upscale=True)[0].size == (16_400, 80)


@pytest.mark.parametrize(
    ("score", "limit", "says"),
    [
        (3.1, 0.2, "scores +0.10 against the whole photo, less than --min-gain 0.2"),
        (3.1999, 0.2, "scores +0.1999 against the whole photo, less than --min-gain 0.2"),
        (3.19996, 0.2, "scores +0.19996 against"),
        (2.999, 0.2, "scores +0.00 against"),
        (2.999, 0.0, "scores -0.001 against the whole photo, less than --min-gain 0"),
        (2.5, 0.2, "scores -0.50 against"),
    ],
)
def test_a_gain_that_is_too_small_looks_it(score, limit, says):
    """As many digits as make the sentence true, and no minus before a zero."""
    assert says in _not_worth_it(Crop((0, 0, 1, 1), score, None, 3.0, (9, 9)), limit)


def test_kept_photos_are_listed_once(engine, photo, capsys):
    """By their line where they have one, else by the summary."""
    others = [shutil.copy(photo, photo.with_name(f"{number}.jpg")) for number in range(22)]
    results = crop_all(engine, others, min_gain=99.0)
    for verbose in (True, False):
        report = Report(len(others), Silent(), verbose=verbose)
        for result in results:
            report.add(result)
        report.summary(1.0)
        assert capsys.readouterr().err.count(str(others[3])) == 1


def test_the_last_outcome_counts(engine, photo, tmp_path, capsys):
    """A photo that failed while it was half there, and was cropped later, has not failed."""
    report = Report(0, Silent())
    half = tmp_path / "half.jpg"
    half.write_bytes(photo.read_bytes()[:9000])
    other = tmp_path / "other.jpg"
    other.write_bytes(b"bad")
    for _ in range(2):
        for path in (half, other):
            report.again(path)
            for result in crop_all(engine, [path]):
                report.add(result)
        shutil.copy(photo, half)
    capsys.readouterr()
    report.summary(1.0)
    assert capsys.readouterr().err.startswith("1 cropped, 1 failed: 2 photos")


def test_prints_of_a_folder_stand_and_lie(engine, photo, tmp_path):
    """One preset for all: each photo's print is turned as the photo is, and the manifest says so."""
    with Image.open(photo) as image:
        image.rotate(90, expand=True).save(tmp_path / "standing.jpg")
    photos = [photo, tmp_path / "standing.jpg"]
    results = crop_all(engine, photos, targets=make_targets([], [], ["print-10x15cm"]), upscale=True)
    assert [result.size for result in results] == [(1772, 1181), (1181, 1772)]
    for result in results:
        with Image.open(result.output) as written:
            assert written.size == result.size
    assert [result.to_dict()["size"] for result in results] == [[1772, 1181], [1181, 1772]]
