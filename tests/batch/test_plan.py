import json
import shutil

import pytest

from autocrop.batch.manifest import read_rows
from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.sources import Source
from autocrop.batch.targets import make_targets
from autocrop.errors import UsageError
from tests.helpers.batch import crop_all, names_in


def test_photo_added_again_gets_the_same_job(photo, tmp_path):
    """While a folder is watched, a changed photo gets the same outputs again."""
    plan = Plan(Options(output=tmp_path / "out"), repeatable=True)
    plan.add([Source(photo)])
    (first,) = plan.jobs()
    plan.add([Source(photo)])
    assert list(plan.jobs()) == [first]


def test_photo_named_twice_is_cropped_once(engine, photo):
    """A second mention of a photo, in another spelling of its path, is skipped."""
    results = crop_all(engine, [photo, photo.parent / "." / "photo.jpg"])
    assert sorted(result.status for result in results) == [Status.CROPPED, Status.SKIPPED]


def test_output_file_takes_one_photo(photo, tmp_path):
    """-o FILE with two photos is rejected."""
    other = shutil.copy(photo, tmp_path / "other.jpg")
    with pytest.raises(UsageError, match="one file, but there are 2 photos"):
        Plan.from_photos([photo, other], Options(output=tmp_path / "out.jpg"))


def test_marked_rows_have_results_and_no_jobs(photo, tmp_path):
    """Marked rows of a manifest are counted, and their photos are protected like those of other rows."""
    other = shutil.copy(photo, tmp_path / "other.jpg")
    rows = [
        {"path": str(photo), "box": [0, 0, 5, 5]},
        {"path": str(photo), "box": [0, 0, 9, 9], "status": "skip"},
        {"path": str(other), "status": "kept", "reason": "gains too little"},
    ]
    plan = Plan.from_rows(read_rows(map(json.dumps, rows)), Options(output=tmp_path / "out"))
    assert (len(plan), plan.photos) == (1, 2)
    assert other in plan.inputs
    skipped, kept = plan.take_early_results()
    assert (skipped.path, skipped.status, skipped.reason) == (
        photo,
        Status.SKIPPED,
        "marked as skipped in the manifest",
    )
    assert (kept.path, kept.status, kept.reason) == (other, Status.KEPT, "gains too little")


def test_named_crops_are_not_cropped_again(engine, photo, tmp_path):
    """Running 'autocrop *.jpg' again skips the crop of an earlier run, also for another ratio."""
    crop_all(engine, [photo])
    for targets, dry_run in ((make_targets(["1:1"], []), False), (make_targets(["4:3"], []), True)):
        results = crop_all(engine, sorted(tmp_path.glob("*.jpg")), targets=targets, dry_run=dry_run)
        assert (results[0].path.name, results[0].status) == ("photo_1x1.jpg", Status.SKIPPED)
        assert len(results) == 2
    assert "looks like a crop of" in results[0].reason
    assert names_in(tmp_path) == ["photo.jpg", "photo_1x1.jpg"]
