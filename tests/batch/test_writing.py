import os
import shutil

import pytest
from PIL import Image

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.sources import Sources
from autocrop.batch.targets import make_targets
from autocrop.batch.writing import Writer
from autocrop.errors import UsageError
from tests.helpers.batch import crop_all


def reason_to_skip(photos, options, file, photo):
    plan = Plan.from_photos(photos, options)
    return Writer(options, plan.inputs).reason_to_skip(file, photo)


def test_earlier_crop_in_a_folder_can_be_replaced(photo, tmp_path):
    """--overwrite replaces a crop that was found among the photos, but never one that the user named as an input."""
    crop = tmp_path / "photo_crop.jpg"
    shutil.copy(photo, crop)
    options = Options(overwrite=True)
    assert reason_to_skip(Sources().find([tmp_path]), options, crop, photo) == ""
    assert "never overwritten" in reason_to_skip([photo, crop], options, crop, photo)


def test_older_outputs_are_replaced_with_update(photo, tmp_path):
    """An output that is older than its photo is replaced with --update only."""
    output = tmp_path / "photo_crop.jpg"
    shutil.copy2(photo, output)
    assert "--overwrite" in reason_to_skip([photo], Options(), output, photo)
    os.utime(output, (0, 0))
    assert "older than its photo" in reason_to_skip([photo], Options(), output, photo)
    assert reason_to_skip([photo], Options(update=True), output, photo) == ""


def test_inputs_are_never_overwritten(engine, photo):
    """An input is not overwritten by -o, nor by another photo's crop, even with --overwrite."""
    with pytest.raises(UsageError, match="never overwritten"):
        crop_all(engine, [photo], output=photo, overwrite=True)
    second = photo.with_name("photo_1x1.jpg")
    second.write_bytes(photo.read_bytes())
    results = crop_all(engine, [photo, second], overwrite=True)
    assert second.read_bytes() == photo.read_bytes()
    assert [result.status for result in results] == [Status.SKIPPED, Status.SKIPPED]


def test_existing_suggestions_are_not_replaced(engine, photo, tmp_path):
    """If the first of three suggestions was deleted and the second edited, only the first is written again."""
    names = [result.output.name for result in crop_all(engine, [photo], top=3)]
    assert len(names) == 3
    (tmp_path / names[0]).unlink()
    (tmp_path / names[1]).write_text("edited")
    results = crop_all(engine, [photo], top=3)
    assert [result.status for result in results] == [Status.CROPPED, Status.SKIPPED, Status.SKIPPED]
    assert (tmp_path / names[1]).read_text() == "edited"


def test_output_file_chooses_the_format(engine, photo, tmp_path):
    """-o out.png writes a PNG."""
    (result,) = crop_all(engine, [photo], output=tmp_path / "out.png")
    with Image.open(result.output) as written:
        assert written.format == "PNG"


def test_side_length_is_limited_by_the_format(engine, tmp_path):
    """A side that is too long for the format fails with its limit; another format takes it."""
    wide = tmp_path / "wide.png"
    Image.new("L", (17_000, 100)).save(wide)
    targets = make_targets([], ["16400x80"])
    (failed,) = crop_all(engine, [wide], targets=targets, format=".webp", upscale=True)
    assert failed.status is Status.FAILED
    assert "wide.png: 16400x80 pixels do not fit into a WEBP file, which allows 16383 pixels per side." in failed.reason
    assert crop_all(engine, [wide], targets=targets, upscale=True)[0].size == (16_400, 80)
