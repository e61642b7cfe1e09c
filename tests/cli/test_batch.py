"""Many photos in a fresh process: folders, interruptions, damaged files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from autocrop.images.files import _machine
from tests.helpers.batch import digests, names_in
from tests.helpers.command import autocrop, start
from tests.helpers.mutants import write_mutants

RATIOS = ("--ratio", "1:1", "--size", "200x250", "--preset", "instagram-story")


def test_tree_is_mirrored_and_skipped_the_second_time(album):
    """Outputs and captions mirror the tree; a second run skips all; outputs do not depend on --jobs."""
    done = autocrop("album", "-r", "-o", "one", *RATIOS, "--carry", "txt", "--jobs", "1", cwd=album.parent)
    assert done.returncode == 0, done.stderr
    assert "18 cropped: 6 photos in" in done.stderr
    assert (album.parent / "one/sub/p1_1x1.txt").read_text() == "photo 1"
    assert len(digests(album.parent / "one")) == 36
    again = autocrop("album", "-r", "-o", "one", *RATIOS, "--carry", "txt", cwd=album.parent)
    assert "18 skipped: 6 photos in" in again.stderr
    autocrop("album", "-r", "-o", "four", *RATIOS, "--carry", ".txt", "--jobs", "4", cwd=album.parent)
    assert digests(album.parent / "one") == digests(album.parent / "four")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL does not exist on Windows")
@pytest.mark.parametrize("fraction", [0.5, 0.8])
def test_killed_run_is_completed_by_the_next(album, fraction):
    """After a kill at any time all outputs are complete files, and the next run writes the missing ones."""
    options = ("album", "-r", *RATIOS, "--carry", ".txt", "--jobs", "2")
    started = time.monotonic()
    autocrop(*options, "-o", "complete", cwd=album.parent)
    duration = time.monotonic() - started
    complete = digests(album.parent / "complete")
    out = album.parent / "killed"
    process = start(*options, "-o", out, cwd=album.parent)
    time.sleep(fraction * duration)
    process.kill()
    process.communicate()
    out.mkdir(exist_ok=True)
    written = {name: digest for name, digest in digests(out).items() if ".tmp" not in name}
    assert written.items() <= complete.items()
    (out / f".autocrop-{_machine()}-{process.pid}-12345678.tmp").write_bytes(b"half a crop")
    assert autocrop(*options, "-o", out, cwd=album.parent).returncode == 0
    assert digests(out) == complete


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_interrupted_run_reports_photos_in_progress(album):
    """Ctrl-C exits with 130, reports all photos in progress, and says how to continue."""
    options = ("-r", *RATIOS, "-o", "out", "-v", "--top", "3", "--jobs", "2", "--json", "--contact-sheet", "sheet.html")
    process = start("album", *options, cwd=album.parent)
    process.stderr.readline()  # wait for the first crop
    process.send_signal(signal.SIGINT)
    rows, messages = process.communicate(timeout=30)
    assert process.returncode == 130, messages
    outputs = {json.loads(row)["output"] for row in rows.splitlines()}
    photos = {json.loads(row)["path"] for row in rows.splitlines()}
    assert f"Interrupted with {6 - len(photos)} of 6 photos to go. To continue, run the same command again" in messages
    assert "Traceback" not in messages
    assert set(digests(album.parent / "out")) == {Path(output).relative_to("out").as_posix() for output in outputs}
    assert (album.parent / "sheet.html").read_text().count("<article") == len(photos)


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_interrupted_start_prints_no_traceback():
    """Ctrl-C during the imports ends the process silently."""
    script = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "autocrop.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from autocrop.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_second_interrupt_does_not_wait(tmp_path):
    """A second Ctrl-C ends the process without finishing photos, without a traceback, and with the same exit code."""
    photos = [tmp_path / f"{number}.jpg" for number in range(3)]
    Image.effect_noise((2500, 2000), 50).save(photos[0])
    for path in photos[1:]:
        shutil.copy(photos[0], path)
    process = start(*photos, "-o", "out", *RATIOS, "--jobs", "2", cwd=tmp_path)
    process.stderr.readline()  # wait for the first crop; others are in progress
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 130, messages
    assert "Traceback" not in messages
    assert "terminate" not in messages


def test_mutated_files_are_handled(tmp_path):
    """Truncated, corrupted, mislabeled and hostile files fail with a message, and all good photos are cropped."""
    good, others = write_mutants(tmp_path, 80, seed=7)
    done = autocrop(tmp_path, "--ratio", "1:1", "-o", "out", "--json", "--jobs", "2", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    rows = {row["path"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {str(path) for path in good + others}
    assert {rows[str(path)]["status"] for path in good} == {"cropped"}
    failed = [row for row in rows.values() if row["status"] == "failed"]
    assert failed
    for row in failed:
        assert row["path"] in row["reason"]
        assert row["reason"] in done.stderr
        assert "internal error" not in row["reason"]


def test_many_photos_get_a_summary_instead_of_lines(album):
    """More than twenty photos get no lines, but a summary with counts, notes and failures."""
    for number in range(25):
        shutil.copy(album / "p0.jpg", album / f"copy{number}.jpg")
    (album / "bad.jpg").write_bytes(b"bad")
    done = autocrop("album", "--size", "4000x4000", "-o", "out", cwd=album.parent)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("28 cropped, 1 failed: 29 photos in ")
    assert lines[1] == "Ignored: 3 × not a photo, 1 × subfolder (-r searches it)."
    names = ", ".join(str(Path("album") / f"copy{number}.jpg") for number in (0, 1, 10))
    assert lines[2] == f"  note: 28 × smaller than 4000x4000; use --upscale to enlarge it: {names} and 25 more"
    assert lines[3].startswith(f"  failed: {Path('album/bad.jpg')} is not a photo")
    assert len(lines) == 4


def test_explanations_are_ignored(photo):
    """A picture that explain wrote next to a photo is not cropped, and counted as ignored."""
    assert autocrop("explain", "photo.jpg", cwd=photo.parent).returncode == 0
    done = autocrop(".", "--ratio", "1:1", cwd=photo.parent)
    assert "Ignored: 1 × picture from autocrop explain." in done.stderr
    assert names_in(photo.parent) == ["photo.jpg", "photo_1x1.jpg", "photo_explained.png"]


def test_debug_prints_tracebacks_in_a_batch(photo):
    """--debug prints the traceback of a photo's failure, and the others are cropped."""
    (photo.parent / "bad.jpg").write_bytes(photo.read_bytes()[:9000])
    done = autocrop("bad.jpg", "photo.jpg", "--debug", cwd=photo.parent)
    assert "Traceback" in done.stderr
    assert photo.with_name("photo_crop.jpg").exists()
