"""Faces, regions, circles and canvases through the batch, the manifest and the command line."""

import json

import numpy as np
import pytest
from PIL import Image

from autocrop.batch.manifest import Row, read_rows
from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.runner import run
from autocrop.batch.targets import Target, make_targets
from autocrop.errors import UsageError
from autocrop.images.padding import Fit
from autocrop.search.subjects import Region
from tests.helpers.command import autocrop
from tests.helpers.samples import SAMPLES

TALL = Target("9x16", (9, 16))


@pytest.fixture
def pair(tmp_path):
    """One astronaut at the left edge of a wide photo, one at the right."""
    person = Image.open(SAMPLES / "astronaut.jpg").convert("RGB").crop((90, 10, 350, 330))
    photo = Image.new("RGB", (1200, 600), (90, 120, 90))
    photo.paste(person, (30, 200))
    photo.paste(person, (910, 180))
    photo.save(tmp_path / "pair.jpg", quality=92)
    return tmp_path / "pair.jpg"


def crop_all(engine, photos, **options):
    """Run a batch and return its results."""
    return list(run(engine, Plan.make(photos, Options(**options))))


def test_faces_are_guarded_unless_told_otherwise(engine, pair):
    """The favorite box cuts the left face; the guard finds another; the note says what is left out."""
    engine.favorite = np.array([0.1, 0, 0.4, 1], np.float32)
    (guarded,) = crop_all(engine, [pair], targets=[TALL])
    assert "leaves out 1 of 2 people" in guarded.notes[0]
    assert guarded.crop.box[0] <= 118  # where the left face begins
    (free,) = crop_all(engine, [pair], targets=[TALL], faces=False, overwrite=True)
    assert free.notes == ()
    assert free.crop.box[0] > 118


def test_a_region_that_does_not_fit_fails_alone(engine, pair):
    """The other ratio is cropped, and so is the photo in which the region fits."""
    targets = [TALL, Target("2x1", (2, 1))]
    results = crop_all(engine, [pair], targets=targets, keep=[Region.parse("10%,0%,80%,20%")])
    assert [result.status for result in results] == [Status.FAILED, Status.CROPPED]
    assert "--fit pad" in results[0].reason
    box = results[1].crop.box
    assert box[0] <= 120
    assert box[2] >= 1080


def test_photos_that_are_good_as_they_are(engine, photo):
    """With --min-gain they are kept: nothing is written, and the result says why; apply passes over them."""
    (kept,) = crop_all(engine, [photo], targets=[Target("crop")], min_gain=3.0)
    assert kept.status is Status.KEPT
    assert "less than --min-gain 3" in kept.reason
    assert [path.name for path in photo.parent.iterdir()] == ["photo.jpg"]
    row = kept.to_dict()
    assert row["status"] == "kept"
    assert row["score"] - row["score_full"] < 3
    assert list(read_rows([json.dumps(row)])) == []
    (cropped,) = crop_all(engine, [photo], targets=[Target("crop")], min_gain=0.5)
    assert cropped.status is Status.CROPPED


def test_a_manifest_has_canvas_and_shape(engine, pair, tmp_path):
    """What a dry run found, apply writes: the same pixels as directly."""
    for options in (
        {"targets": [TALL], "fit": Fit("blur")},
        {"targets": [TALL], "fit": Fit("pad", "#203040")},
        {"targets": [Target("1x1", (1, 1))], "shape": "circle"},
    ):
        (direct,) = crop_all(engine, [pair], output=tmp_path / "direct", overwrite=True, **options)
        (dry,) = crop_all(engine, [pair], output=tmp_path / "applied", dry_run=True, **options)
        (row,) = read_rows([json.dumps(dry.to_dict())])
        assert isinstance(row, Row)
        (applied,) = run(None, Plan.from_rows([row], Options(output=tmp_path / "applied", overwrite=True)))
        assert applied.status is Status.CROPPED, applied.reason
        assert applied.output.read_bytes() == direct.output.read_bytes()
        assert Image.open(direct.output).size == (direct.crop.width, direct.crop.height)
    (broken,) = read_rows([json.dumps(dry.to_dict() | {"shape": "star"})])
    assert "circle" in str(broken)
    (broken,) = read_rows([json.dumps(dry.to_dict() | {"padding": [0, -1, 0, 0]})])
    assert "padding" in str(broken)


def test_circles_are_written_where_they_can_be(engine, pair, tmp_path):
    """A JPEG's circle is a PNG; formats without transparency and other ratios are refused at once."""
    (result,) = crop_all(engine, [pair], targets=make_targets([], [], [], "circle"), shape="circle")
    assert result.output.name == "pair_1x1.png"
    with Image.open(result.output) as written:
        assert written.mode == "RGBA"
        assert written.getpixel((0, 0))[3] == 0
        assert written.getpixel((written.width // 2, written.height // 2))[3] == 255
    for options in ({"format": ".jpg"}, {"output": tmp_path / "out.jpg"}):
        with pytest.raises(UsageError, match="transparency"):
            crop_all(engine, [pair], targets=[Target("1x1", (1, 1))], shape="circle", **options)
    with pytest.raises(UsageError, match="4x3"):
        make_targets(["4:3"], [], [], "circle")
    with pytest.raises(UsageError, match="no shape 'star'"):
        make_targets([], [], [], "star")


def test_a_size_with_a_canvas_is_reached(engine, pair):
    """The padded crop is resized as any other."""
    (result,) = crop_all(engine, [pair], targets=make_targets([], ["270x480"]), fit=Fit())
    assert result.crop.padding is not None
    with Image.open(result.output) as written:
        assert written.size == (270, 480)


def test_the_grid_of_a_jpeg_cuts_no_face(engine, pair):
    """A lossless crop is moved to the grid of blocks on the side where people stay whole."""
    for shift in np.linspace(0, 0.1, 7):
        engine.favorite = np.array([shift, 0, 0.5 + shift, 1], np.float32)
        (result,) = crop_all(engine, [pair], targets=[Target("1x1", (1, 1))], lossless=True, overwrite=True)
        assert result.status is Status.CROPPED
        assert result.crop.box[0] <= 118
        assert not any("cuts" in note for note in result.notes)


def test_options_that_do_not_go_together(pair):
    """Each is refused with a sentence before anything is done."""
    for arguments, text in (
        (["--fit", "stretch"], "pad, blur"),
        (["--pad-color", "red"], "Give both"),
        (["--fit", "pad", "--pad-color", "purplish"], "color"),
        (["--keep", "1,2,3"], "X,Y,WIDTH,HEIGHT"),
        (["--shape", "circle", "--lossless"], "--lossless"),
        (["--fit", "pad", "--xmp"], "--xmp"),
    ):
        done = autocrop("pair.jpg", "--ratio", "1:1", *arguments, cwd=pair.parent)
        assert done.returncode == 2, arguments
        assert text in done.stderr
    assert [path.name for path in pair.parent.iterdir()] == ["pair.jpg"]


def test_from_the_command_line(pair):
    """--fit blur pads, --keep keeps, --min-gain tells of what it kept."""
    done = autocrop("pair.jpg", "--ratio", "9:16", "--fit", "blur", "--json", cwd=pair.parent)
    row = json.loads(done.stdout)
    assert row["fit"] == "blur"
    assert row["padding"][1] > 0
    assert row["width"] * 16 == row["height"] * 9
    done = autocrop(
        "pair.jpg", "--ratio", "1:1", "--keep", "1100,0,100,100", "--no-face-guard", "--json", cwd=pair.parent
    )
    assert json.loads(done.stdout)["box"][2] == 1200
    done = autocrop("pair.jpg", "--min-gain", "9", cwd=pair.parent)
    assert done.returncode == 0
    assert done.stderr.startswith("kept: pair.jpg: ")
