"""The command as a user runs it: a fresh process, its files, its streams and its exit code."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from autocrop.cli import main
from tests.helpers.command import autocrop
from tests.helpers.files import stored


def test_the_first_command(photo):
    """Autocrop photo.jpg --ratio 4:3 writes photo_4x3.jpg of that ratio and says so in one line on stderr."""
    done = autocrop("photo.jpg", "--ratio", "4:3", cwd=photo.parent)
    assert done.returncode == 0, done.stderr
    with Image.open(photo.with_name("photo_4x3.jpg")) as written:
        assert written.width * 3 == written.height * 4
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "photo_4x3.jpg" in done.stderr


def test_cropping_imports_no_torch(photo):
    """In a fresh process, with the real model on the CPU, torch stays out of sys.modules."""
    code = (
        "import sys; sys.argv = ['autocrop', 'photo.jpg', '--ratio', '1:1']\n"
        "from autocrop.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'cv2' in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=photo.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert photo.with_name("photo_1x1.jpg").exists()


def test_options_may_come_first(photo):
    """Autocrop --ratio 1:1 photo.jpg is crop, too."""
    assert autocrop("--ratio", "1:1", "photo.jpg", cwd=photo.parent).returncode == 0
    assert photo.with_name("photo_1x1.jpg").exists()


def test_json_is_one_object_a_crop(photo):
    """Stdout holds nothing but JSON lines, each with all that a program needs."""
    done = autocrop("photo.jpg", "--ratio", "1:1", "--ratio", "3:2", "--json", "--dry-run", cwd=photo.parent)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["ratio"] for row in rows] == ["1:1", "3:2"]
    wanted = {"path", "width", "height", "box", "ratio", "score", "score_full", "model", "device", "space"}
    assert all(wanted <= row.keys() for row in rows)
    assert [p.name for p in photo.parent.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["missing.jpg"], 1, "missing.jpg does not exist"),
        (["text.jpg"], 1, "text.jpg is not a photo"),
        (["empty.jpg"], 1, "empty.jpg is empty"),
        (["cut.jpg"], 1, "cut.jpg is damaged or cut short"),
        (["small.png"], 1, "small.png is 31x31 pixels, too small"),
        (["nothing"], 2, "no photo in nothing"),
        (["photo.jpg", "--ratio", "0:3"], 2, "'0:3' is not a valid aspect ratio"),
        (["photo.jpg", "--ratio", "banana"], 2, "'banana' is not a valid aspect ratio"),
        (["photo.jpg", "--size", "big"], 2, "'big' is not a valid size"),
        (["photo.jpg", "--model", "none"], 2, "Unknown model 'none'"),
        (["photo.jpg", "--device", "tpu"], 2, "Unknown device 'tpu'"),
        (["photo.jpg", "--weights", "nowhere"], 1, "nowhere"),
        (["photo.jpg", "--weights", "text.jpg"], 1, "manifest.json is missing"),
        (["photo.jpg", "-o", "photo.jpg"], 2, "never overwrites"),
        (["photo.jpg", "-o", "out.psd"], 2, "'.psd' is not a format"),
        (["photo.jpg", "-o", "out.xyz"], 2, "'.xyz' is not a format"),
        (["corp", "photo.jpg"], 2, "Did you mean 'crop'?"),
        (["https://example.org/a.jpg"], 1, "is a web address"),
        (["photo.jpg", "--weights", "x", "--model", "vrn"], 2, "Leave out --model"),
        (["photo.jpg", "--ratio", "99999999:1"], 1, "photo.jpg: A photo of 600x400 pixels has no crop"),
        (["photo.jpg", "--nonsense"], 2, "No such option"),
    ],
)
def test_bad_input_is_one_sentence(photo, arguments, code, says):
    """A clear sentence, the right exit code, no traceback, no file written."""
    folder = photo.parent
    (folder / "text.jpg").write_text("not a photo")
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes(photo.read_bytes()[:20_000])
    Image.new("RGB", (31, 31)).save(folder / "small.png")
    (folder / "nothing" / "deeper").mkdir(parents=True)
    before = sorted(p.name for p in folder.iterdir())
    done = autocrop(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.skipif(os.name == "nt", reason="folders have other permissions there")
def test_an_unwritable_folder_is_named(photo):
    """The photo fails with a sentence; nothing is left behind."""
    locked = photo.parent / "locked"
    if os.geteuid() == 0:  # root may write anywhere, except to what is no folder
        locked.write_text("")
    else:
        locked.mkdir()
        locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = autocrop("photo.jpg", "-o", f"locked{os.sep}", cwd=photo.parent)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(photo):
    """What a maintainer needs is there when asked for."""
    done = autocrop("photo.jpg", "--ratio", "0:3", "--debug", cwd=photo.parent)
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_one_bad_photo_of_three(photo):
    """The good ones are cropped, the bad one named, the exit code says that something failed."""
    (photo.parent / "bad.jpg").write_text("bad")
    (photo.parent / "good.jpg").write_bytes(photo.read_bytes())
    done = autocrop("photo.jpg", "bad.jpg", "good.jpg", "-o", "out", cwd=photo.parent)
    assert done.returncode == 1
    assert "2 cropped, 1 failed: 3 photos in" in done.stderr
    assert sorted(p.name for p in (photo.parent / "out").iterdir()) == ["good_crop.jpg", "photo_crop.jpg"]


def test_a_photo_that_may_not_be_read_fails_alone(photo, monkeypatch, capsys):
    """Also where it is named itself; the others are cropped."""
    other = photo.with_name("secret.jpg")
    other.write_bytes(photo.read_bytes())
    access, opening = os.access, Path.open

    def may_open(path, *arguments, **options):
        if path == other:
            raise PermissionError(13, "Permission denied")
        return opening(path, *arguments, **options)

    # For root, as whom the tests may run, there are no such files.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(os.fsdecode(path)) != other and access(path, mode))
    monkeypatch.setattr(Path, "open", may_open)
    monkeypatch.setattr(sys, "argv", ["autocrop", str(other), str(photo), "--ratio", "1:1"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert f"failed: {other} cannot be read (Permission denied)." in capsys.readouterr().err
    assert photo.with_name("photo_1x1.jpg").exists()


def test_quiet_prints_errors_only(photo):
    """-q is silent where all goes well."""
    done = autocrop("photo.jpg", "-q", cwd=photo.parent)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("ratio", [["--ratio", "4:3"], ["--ratio", "9:16"], []])
def test_the_eight_orientations_give_the_same_crop(photo, ratio):
    """However the camera was held, the pixels of the crop are the same."""
    with Image.open(photo) as upright:
        for orientation in range(1, 9):
            image, exif = stored(upright, orientation)
            image.save(photo.parent / f"turned{orientation}.png", exif=exif)
    names = [f"turned{orientation}.png" for orientation in range(1, 9)]
    done = autocrop(*names, *ratio, "-o", "out", cwd=photo.parent)
    assert done.returncode == 0, done.stderr
    crops = [Image.open(path).convert("RGB") for path in sorted((photo.parent / "out").iterdir())]
    assert len(crops) == 8
    assert len({(crop.size, crop.tobytes()) for crop in crops}) == 1


def test_a_file_with_the_name_of_a_verb(photo):
    """'autocrop train' is the command and says so; './train' is the file."""
    (photo.parent / "models").write_bytes(photo.read_bytes())
    done = autocrop("models", "list", cwd=photo.parent)
    assert "write ./models" in done.stderr
    done = autocrop("./models", "-o", "out.jpg", cwd=photo.parent)
    assert done.returncode == 0, done.stderr


def test_help_is_quick(tmp_path):
    """The whole process takes less than 0.3 s, or 2.5 times what importing its two libraries takes."""

    def seconds(*command):
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=tmp_path, check=True, capture_output=True)
        return time.perf_counter() - started

    helped = min(seconds("-m", "autocrop", "--help") for _ in range(5))
    imported = min(seconds("-c", "import typer, rich") for _ in range(5))
    assert helped < max(0.3, 2.5 * imported)


def test_help_imports_nothing_heavy(tmp_path):
    """Neither numpy nor OpenCV nor Pillow is needed to print help."""
    code = (
        "import sys, autocrop.cli\n"
        "loaded = {'numpy', 'cv2', 'PIL', 'torch', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
