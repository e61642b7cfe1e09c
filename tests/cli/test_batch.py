"""Many photos, as a user has them: folders, streams, interruptions, damaged files."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.command import autocrop
from tests.helpers.mutants import write_mutants

RATIOS = ("--ratio", "1:1", "--size", "200x250", "--preset", "instagram-story")


def contents(folder):
    """Digest and modification time of every file below *folder*."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in files
    }


@pytest.fixture
def album(photo):
    """Six photos in two folders, with captions; the folder."""
    folder = photo.parent / "album"
    (folder / "sub").mkdir(parents=True)
    with Image.open(photo) as image:
        for number in range(6):
            path = folder / ("sub" if number % 2 else ".") / f"p{number}.jpg"
            image.crop((number * 5, 0, number * 5 + 500, 400)).save(path)
            path.with_suffix(".txt").write_text(f"photo {number}")
    return folder


def popen(*arguments, cwd):
    return subprocess.Popen(
        [sys.executable, "-m", "autocrop", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_tree_and_the_same_tree_again(album):
    """Mirrored under -o with its captions; the second run skips all, and the files do not depend on --jobs."""
    done = autocrop("album", "-r", "-o", "one", *RATIOS, "--carry", "txt", "--jobs", "1", cwd=album.parent)
    assert done.returncode == 0, done.stderr
    assert "18 cropped: 6 photos in" in done.stderr
    assert (album.parent / "one/sub/p1_1x1.txt").read_text() == "photo 1"
    assert len(contents(album.parent / "one")) == 36
    again = autocrop("album", "-r", "-o", "one", *RATIOS, "--carry", "txt", cwd=album.parent)
    assert "18 skipped: 6 photos in" in again.stderr
    autocrop("album", "-r", "-o", "four", *RATIOS, "--carry", ".txt", "--jobs", "4", cwd=album.parent)
    assert contents(album.parent / "one") == contents(album.parent / "four")


def test_apply_writes_the_same_crops(album):
    """First --dry-run --json, then apply: byte for byte what cropping directly writes."""
    options = ("-r", *RATIOS, "--top", "2")
    autocrop("album", *options, "-o", "direct", cwd=album.parent)
    found = autocrop("album", *options, "--dry-run", "--json", cwd=album.parent)
    (album.parent / "crops.jsonl").write_text(found.stdout)
    done = autocrop("apply", "crops.jsonl", "-o", "applied", cwd=album.parent)
    assert done.returncode == 0, done.stderr
    assert contents(album.parent / "direct") == contents(album.parent / "applied")


def test_apply_fails_line_by_line(album):
    """A box that was edited is taken; rows that are no good fail alone, with their numbers."""
    found = autocrop("album", "-r", "--ratio", "1:1", "--dry-run", "--json", cwd=album.parent)
    rows = [json.loads(line) for line in found.stdout.splitlines()][:5]
    rows[0]["box"] = [10, 20, 110, 70]
    rows[1]["box"] = [0, 0, 5000, 10]
    rows[2]["photo"] = [1, 1]
    rows[3]["path"] = "album/missing.jpg"
    lines = [json.dumps(row) for row in rows]
    lines[4] = lines[4][:-9]
    (album.parent / "crops.jsonl").write_text("\n".join(lines))
    done = autocrop("apply", "crops.jsonl", "-o", "out", cwd=album.parent)
    assert done.returncode == 1
    for says in ("line 2: the box", "line 3: the photo has 500x400", "line 4: album/missing.jpg", "line 5: "):
        assert says in done.stderr
    with Image.open(album.parent / "out/p0_1x1.jpg") as written:
        assert written.size == (100, 50)
    assert [path.name for path in (album.parent / "out").iterdir()] == ["p0_1x1.jpg"]


def test_apply_from_another_folder(album):
    """One sentence that says so, and not one for each photo; where some are there, the others fail alone."""
    found = autocrop("album", "--ratio", "1:1", "--dry-run", "--json", cwd=album.parent)
    (album / "crops.jsonl").write_text(found.stdout)
    done = autocrop("apply", "crops.jsonl", "-o", "out", cwd=album)
    assert done.returncode == 2
    assert f"{Path('album/p0.jpg')}: its paths count from the current folder, {album}." in done.stderr
    assert done.stderr.count("\n") == 1
    (album / "p0.jpg").unlink()
    done = autocrop("apply", "album/crops.jsonl", "-o", "out", cwd=album.parent)
    assert "2 cropped, 1 failed" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_and_run_again(album):
    """Whenever the run dies: what is there is whole, and the next run completes it to what it would have been."""
    options = ("album", "-r", *RATIOS, "--carry", ".txt", "--jobs", "2")
    started = time.monotonic()
    autocrop(*options, "-o", "whole", cwd=album.parent)
    total = time.monotonic() - started
    whole = contents(album.parent / "whole")
    rng = random.Random(0)
    for number in range(2):
        out = album.parent / f"killed{number}"
        process = popen(*options, "-o", out, cwd=album.parent)
        time.sleep(rng.uniform(0.4 * total, 0.9 * total))
        process.kill()
        process.communicate()
        out.mkdir(exist_ok=True)
        left = {name: what for name, what in contents(out).items() if ".tmp" not in name}
        assert left.items() <= whole.items()
        (out / f".autocrop-{_machine()}-{process.pid}-12345678.tmp").write_bytes(b"half a crop")
        assert autocrop(*options, "-o", out, cwd=album.parent).returncode == 0
        assert contents(out) == whole


def _machine():
    from autocrop.images.files import _machine

    return _machine()


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_interrupted(album):
    """Ctrl-C: exit code 130, how to go on, and all that was done, also of the photos that were in work."""
    options = ("-r", *RATIOS, "-o", "out", "-v", "--top", "3", "--jobs", "2", "--json", "--contact-sheet", "sheet.html")
    process = popen("album", *options, cwd=album.parent)
    process.stderr.readline()  # the first crop is there
    process.send_signal(signal.SIGINT)
    rows, messages = process.communicate(timeout=30)
    assert process.returncode == 130, messages
    outputs = {json.loads(row)["output"] for row in rows.splitlines()}
    photos = {json.loads(row)["path"] for row in rows.splitlines()}
    left = f"Interrupted, {6 - len(photos)} of 6 photos to go. To go on, run the same command again"
    assert left in messages
    assert "Traceback" not in messages
    assert set(contents(album.parent / "out")) == {Path(output).relative_to("out").as_posix() for output in outputs}
    assert (album.parent / "sheet.html").read_text().count("<article") == len(photos)


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_interrupted_while_it_starts():
    """No traceback of an import."""
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


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_interrupted_twice(tmp_path):
    """The second Ctrl-C does not wait for the photos in work; no traceback, the same exit code."""
    photos = [tmp_path / f"{number}.jpg" for number in range(3)]
    Image.effect_noise((2500, 2000), 50).save(photos[0])
    for path in photos[1:]:
        shutil.copy(photos[0], path)
    process = popen(*photos, "-o", "out", *RATIOS, "--jobs", "2", cwd=tmp_path)
    process.stderr.readline()  # the first crop is there, and work on others has begun
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 130, messages
    assert "Traceback" not in messages
    assert "terminate" not in messages


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_watching_a_folder(photo, tmp_path):
    """A photo that arrives in two pieces is cropped once, when it is whole; Ctrl-C ends it with a summary and 0.

    One that comes so slowly that it fails before it is whole has not failed in the end.
    """
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "slow.jpg").write_bytes(photo.read_bytes()[:9000])
    process = popen(inbox, "--watch", "-o", tmp_path / "out", "--ratio", "1:1", cwd=tmp_path)
    assert "Watching" in process.stderr.readline()
    assert process.stderr.readline().startswith("failed: ")
    data = photo.read_bytes()
    (inbox / "slow.jpg").write_bytes(data)
    assert "slow_1x1.jpg" in process.stderr.readline()
    with (inbox / "new.jpg").open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        time.sleep(0.5)
        file.write(data[len(data) // 2 :])
    line = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert "new_1x1.jpg" in line
    assert process.returncode == 0, messages
    assert "2 cropped: 2 photos" in messages
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["new_1x1.jpg", "slow_1x1.jpg"]


def test_mutated_files(tmp_path):
    """Truncated, flipped, mislabeled, bombs: no crash, no traceback, each failure named, all good ones cropped."""
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
        assert "error of its own" not in row["reason"]


def run_binary(*arguments, cwd, content):
    return subprocess.run(
        [sys.executable, "-m", "autocrop", *arguments], cwd=cwd, input=content, capture_output=True, check=False
    )


def test_from_stdin_to_stdout(photo):
    """The same bytes as from file to file, nothing else on stdout; --format makes another format of it."""
    autocrop("photo.jpg", "--ratio", "1:1", cwd=photo.parent)
    done = run_binary("-", "--ratio", "1:1", "-o", "-", cwd=photo.parent, content=photo.read_bytes())
    assert done.stdout == photo.with_name("photo_1x1.jpg").read_bytes()
    assert b"standard input \xe2\x86\x92 -:" in done.stderr
    done = run_binary("-", "-o", "-", "--format", "png", "-q", cwd=photo.parent, content=photo.read_bytes())
    assert done.stdout.startswith(b"\x89PNG")
    assert sorted(path.name for path in photo.parent.iterdir()) == ["photo.jpg", "photo_1x1.jpg"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["-", "--ratio", "1:1"], 2, "Where shall the crop go?"),
        (["-", "photo.jpg", "-o", "-"], 2, "exactly one photo"),
        (["-", "-o", "-", "--ratio", "1:1", "--ratio", "4:3"], 2, "exactly one crop"),
        (["photo.jpg", "-o", "-", "--json"], 2, "both write to stdout"),
        (["-", "-o", "-"], 1, "standard input is not a photo"),
        (["--files-from", "missing.txt"], 2, "cannot be read"),
        (["photo.jpg", "--watch"], 2, "needs folders"),
        (["photo.jpg", "--preset", "instagram"], 2, "There is no preset"),
        (["photo.jpg", "--name", "{x}"], 2, "the fields are"),
        (["photo.jpg", "--fit", "pad"], 2, "Give a --ratio, --size or --preset, too"),
        (["apply", "missing.jsonl"], 2, "cannot be read"),
        (["apply", "photo.jpg"], 2, "no manifest"),
    ],
)
def test_wrong_usage_is_one_sentence(photo, arguments, code, says):
    """A sentence and an exit code; nothing is written."""
    done = run_binary(*arguments, cwd=photo.parent, content=b"no photo")
    assert done.returncode == code, done.stderr
    assert says in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert [path.name for path in photo.parent.iterdir()] == ["photo.jpg"]


def test_lists_of_files_from_stdin(album):
    """As find prints them; what the list has is cropped, and no more."""
    names = b"album/p0.jpg\0album/sub/p1.jpg\0"
    done = run_binary("--files-from", "-", "-o", "out", "--ratio", "1:1", cwd=album.parent, content=names)
    assert done.returncode == 0, done.stderr
    assert sorted(contents(album.parent / "out")) == ["p0_1x1.jpg", "p1_1x1.jpg"]


def test_many_photos_have_a_summary_and_no_lines(album):
    """Of more than twenty photos: counts, reasons and failures at the end, and not a line for each."""
    for number in range(25):
        shutil.copy(album / "p0.jpg", album / f"copy{number}.jpg")
    (album / "bad.jpg").write_bytes(b"bad")
    done = autocrop("album", "--size", "4000x4000", "-o", "out", cwd=album.parent)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("28 cropped, 1 failed: 29 photos in ")
    assert lines[1] == "Left out: 3 × no photo, 1 × subfolder (-r includes it)."
    names = ", ".join(str(Path("album") / f"copy{number}.jpg") for number in (0, 1, 10))
    assert lines[2] == f"  note: 28 × smaller than 4000x4000, since only --upscale enlarges: {names} and 25 more"
    assert lines[3].startswith(f"  failed: {Path('album/bad.jpg')} is not a photo")
    assert len(lines) == 4


def test_explanations_are_no_photos(photo):
    """What explain has written beside a photo is left out, and said so."""
    assert autocrop("explain", "photo.jpg", cwd=photo.parent).returncode == 0
    done = autocrop(".", "--ratio", "1:1", cwd=photo.parent)
    assert "Left out: 1 × picture of autocrop explain." in done.stderr
    names = sorted(path.name for path in photo.parent.iterdir())
    assert names == ["photo.jpg", "photo_1x1.jpg", "photo_explained.png"]


def test_debug_shows_what_failed_in_a_batch(photo):
    """The traceback of a photo's failure, while the others are cropped."""
    (photo.parent / "bad.jpg").write_bytes(photo.read_bytes()[:9000])
    done = autocrop("bad.jpg", "photo.jpg", "--debug", cwd=photo.parent)
    assert "Traceback" in done.stderr
    assert photo.with_name("photo_crop.jpg").exists()


def test_the_table_of_presets(tmp_path):
    """--preset list needs no photo."""
    done = autocrop("--preset", "list", cwd=tmp_path)
    assert "instagram-portrait   1080x1350" in done.stdout
