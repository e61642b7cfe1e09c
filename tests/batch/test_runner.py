import shutil
import threading

import pytest

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.runner import run
from tests.helpers.batch import SQUARE


@pytest.mark.parametrize("workers", [1, 2])
def test_stopped_run_finishes_photos_in_progress(engine, photo, tmp_path, monkeypatch, workers):
    """After a stop no photo is started, and the results of those in progress are yielded in order."""
    photos = [shutil.copy(photo, tmp_path / f"{number}.jpg") for number in range(9)]
    stop, started, encode = threading.Event(), threading.Barrier(workers), engine.encode

    def stop_when_all_have_started(image, aspect=None):
        started.wait(10)
        stop.set()
        return encode(image, aspect)

    monkeypatch.setattr(engine, "encode", stop_when_all_have_started)
    plan = Plan.from_photos(photos, Options([SQUARE], output=tmp_path / "out"))
    results = list(run(engine, plan, workers, stop))
    assert [(result.path, result.status) for result in results] == [(path, Status.CROPPED) for path in photos[:workers]]
    assert sorted((tmp_path / "out").iterdir()) == [result.output for result in results]
