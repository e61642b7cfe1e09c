import shutil

import pytest

from autocrop.batch.results import Result, Status
from autocrop.cli.console import NoProgress, OutputStyle
from autocrop.cli.report import Report
from tests.helpers.batch import crop_all


def failure(path):
    """A failed result with a traceback."""
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        return Result(path, Status.FAILED, reason="division by zero", error=error)


@pytest.mark.parametrize("debug", [False, True])
def test_debug_prints_tracebacks_of_failures(photo, capsys, debug):
    """--debug prints where a photo failed."""
    Report(2, NoProgress(), OutputStyle(debug=debug)).add(failure(photo))
    messages = capsys.readouterr().err
    assert ("Traceback" in messages) == debug
    assert ("in failure" in messages) == debug


def test_kept_photos_are_listed_once(engine, photo, capsys):
    """A kept photo is listed by its line or, if there are no lines, in the summary."""
    photos = [shutil.copy(photo, photo.with_name(f"{number}.jpg")) for number in range(22)]
    results = crop_all(engine, photos, min_gain=99.0)
    for verbose in (True, False):
        report = Report(len(photos), NoProgress(), OutputStyle(verbose=verbose))
        for result in results:
            report.add(result)
        report.summary(1.0)
        assert capsys.readouterr().err.count(str(photos[3])) == 1


def test_last_outcome_of_a_photo_counts(engine, photo, tmp_path, capsys):
    """A photo that failed while it was incomplete, and was cropped later, does not count as failed."""
    report = Report(0, NoProgress(), OutputStyle())
    incomplete = tmp_path / "incomplete.jpg"
    incomplete.write_bytes(photo.read_bytes()[:9000])
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"bad")
    for _ in range(2):
        for path in (incomplete, bad):
            report.retry(path)
            for result in crop_all(engine, [path]):
                report.add(result)
        shutil.copy(photo, incomplete)
    capsys.readouterr()
    report.summary(1.0)
    assert capsys.readouterr().err.startswith("1 cropped, 1 failed: 2 photos")
