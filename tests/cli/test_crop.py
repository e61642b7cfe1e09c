"""The crop command in a fresh process: files, streams and exit codes."""

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
from tests.helpers.photos import write_pair


def test_photo_is_cropped(photo):
    """The command writes photo_4x3.jpg with exactly that ratio, and one line to stderr."""
    done = autocrop("photo.jpg", "--ratio", "4:3", cwd=photo.parent)
    assert done.returncode == 0, done.stderr
    with Image.open(photo.with_name("photo_4x3.jpg")) as written:
        assert written.width * 3 == written.height * 4
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "photo_4x3.jpg" in done.stderr


def test_cropping_imports_no_torch(photo):
    """Cropping with the real model on the CPU does not import torch."""
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


def test_options_can_come_first(photo):
    """The command crop can be left out if the first argument is an option."""
    assert autocrop("--ratio", "1:1", "photo.jpg", cwd=photo.parent).returncode == 0
    assert photo.with_name("photo_1x1.jpg").exists()


def test_json_prints_one_object_per_crop(photo):
    """Stdout has JSON lines only, each with all keys that programs need."""
    done = autocrop("photo.jpg", "--ratio", "1:1", "--ratio", "3:2", "--json", "--dry-run", cwd=photo.parent)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["ratio"] for row in rows] == ["1:1", "3:2"]
    required = {"path", "width", "height", "box", "ratio", "score", "score_full", "model", "device", "space"}
    assert all(required <= row.keys() for row in rows)
    assert [p.name for p in photo.parent.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.jpg"], 1, "missing.jpg does not exist"),
        (["text.jpg"], 1, "text.jpg is not a photo"),
        (["empty.jpg"], 1, "empty.jpg is empty"),
        (["cut.jpg"], 1, "cut.jpg is damaged or cut short"),
        (["small.png"], 1, "small.png is 31x31 pixels, too small"),
        (["nothing"], 2, "No photos found in nothing"),
        (["photo.jpg", "--ratio", "0:3"], 2, "'0:3' is not a valid aspect ratio"),
        (["photo.jpg", "--ratio", "banana"], 2, "'banana' is not a valid aspect ratio"),
        (["photo.jpg", "--size", "big"], 2, "'big' is not a valid size"),
        (["photo.jpg", "--model", "none"], 2, "Unknown model 'none'"),
        (["photo.jpg", "--device", "tpu"], 2, "Unknown device 'tpu'"),
        (["photo.jpg", "--weights", "nowhere"], 1, "nowhere"),
        (["photo.jpg", "--weights", "text.jpg"], 1, "manifest.json is missing"),
        (["photo.jpg", "-o", "photo.jpg"], 2, "never overwritten"),
        (["photo.jpg", "-o", "out.psd"], 2, "'.psd' is not a format"),
        (["photo.jpg", "-o", "out.xyz"], 2, "'.xyz' is not a format"),
        (["corp", "photo.jpg"], 2, "Did you mean 'crop'?"),
        (["https://example.org/a.jpg"], 1, "is a web address"),
        (["photo.jpg", "--weights", "x", "--model", "vrn"], 2, "--weights and --model both choose a model"),
        (["photo.jpg", "--ratio", "99999999:1"], 1, "photo.jpg: A photo of 600x400 pixels is too small for a crop"),
        (["photo.jpg", "--nonsense"], 2, "No such option"),
        (["--ratio", "1:1"], 2, "No photos given"),
        (["--files-from", "missing.txt"], 2, "Cannot read"),
        (["apply", "missing.jsonl"], 2, "Cannot read"),
        (["photo.jpg", "--watch"], 2, "needs folders"),
        ([".", "--watch", "-o", "-"], 2, "-o - is one stream"),
        (["photo.jpg", "--xmp", "-o", "x.png"], 2, "-o x.png is a picture"),
        (["photo.jpg", "--preset", "instagram"], 2, "Unknown preset"),
        (["photo.jpg", "--name", "{x}"], 2, "Available fields"),
        (["photo.jpg", "--fit", "pad"], 2, "--fit needs a --ratio, --size or --preset"),
        (["photo.jpg", "--ratio", "1:1", "--fit", "stretch"], 2, "pad, blur"),
        (["photo.jpg", "--ratio", "1:1", "--pad-color", "red"], 2, "--pad-color needs --fit pad"),
        (["photo.jpg", "--ratio", "1:1", "--fit", "pad", "--pad-color", "purplish"], 2, "color"),
        (["photo.jpg", "--ratio", "1:1", "--keep", "1,2,3"], 2, "X,Y,WIDTH,HEIGHT"),
        (["photo.jpg", "--ratio", "1:1", "--shape", "circle", "--lossless"], 2, "--lossless"),
        (["photo.jpg", "--ratio", "1:1", "--fit", "pad", "--xmp"], 2, "--xmp"),
    ],
)
def test_invalid_input_is_reported(photo, arguments, code, message):
    """Invalid input gets a message and an exit code, without a traceback, and no file is written."""
    folder = photo.parent
    (folder / "text.jpg").write_text("not a photo")
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes(photo.read_bytes()[:20_000])
    Image.new("RGB", (31, 31)).save(folder / "small.png")
    (folder / "nothing" / "deeper").mkdir(parents=True)
    before = sorted(p.name for p in folder.iterdir())
    done = autocrop(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.skipif(os.name == "nt", reason="folder permissions differ on Windows")
def test_unwritable_folder_is_reported(photo):
    """A photo whose output folder is not writable fails with a message."""
    locked = photo.parent / "locked"
    if os.geteuid() == 0:  # root can write anywhere, except into a file
        locked.write_text("")
    else:
        locked.mkdir()
        locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = autocrop("photo.jpg", "-o", f"locked{os.sep}", cwd=photo.parent)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_prints_the_traceback(photo):
    """--debug prints the traceback of an error."""
    done = autocrop("photo.jpg", "--ratio", "0:3", "--debug", cwd=photo.parent)
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_bad_photo_does_not_stop_the_others(photo):
    """Two good photos are cropped, the bad one is counted as failed, and the exit code is 1."""
    (photo.parent / "bad.jpg").write_text("bad")
    (photo.parent / "good.jpg").write_bytes(photo.read_bytes())
    done = autocrop("photo.jpg", "bad.jpg", "good.jpg", "-o", "out", cwd=photo.parent)
    assert done.returncode == 1
    assert "2 cropped, 1 failed: 3 photos in" in done.stderr
    assert sorted(p.name for p in (photo.parent / "out").iterdir()) == ["good_crop.jpg", "photo_crop.jpg"]


def test_unreadable_photo_does_not_stop_the_others(photo, monkeypatch, capsys):
    """A named photo without read permission fails, and the others are cropped."""
    other = photo.with_name("secret.jpg")
    other.write_bytes(photo.read_bytes())
    access, opening = os.access, Path.open

    def open_unless_secret(path, *arguments, **options):
        if path == other:
            raise PermissionError(13, "Permission denied")
        return opening(path, *arguments, **options)

    # Simulated, because root, who may run the tests, can read all files.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(os.fsdecode(path)) != other and access(path, mode))
    monkeypatch.setattr(Path, "open", open_unless_secret)
    monkeypatch.setattr(sys, "argv", ["autocrop", str(other), str(photo), "--ratio", "1:1"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert f"failed: {other} cannot be read (Permission denied)." in capsys.readouterr().err
    assert photo.with_name("photo_1x1.jpg").exists()


def test_quiet_prints_errors_only(photo):
    """-q prints nothing if nothing fails."""
    done = autocrop("photo.jpg", "-q", cwd=photo.parent)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("ratio", [["--ratio", "4:3"], ["--ratio", "9:16"], []])
def test_orientations_give_the_same_crop(photo, ratio):
    """The pixels of a crop do not depend on how the camera was held."""
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


def test_file_named_like_a_command(photo):
    """A command takes precedence over a file of that name, with a note; ./models is the file."""
    (photo.parent / "models").write_bytes(photo.read_bytes())
    done = autocrop("models", "list", cwd=photo.parent)
    assert "write ./models" in done.stderr
    done = autocrop("./models", "-o", "out.jpg", cwd=photo.parent)
    assert done.returncode == 0, done.stderr


def test_help_is_fast(tmp_path):
    """Printing help takes less than 0.3 s, or less than 2.5 times the import of typer and rich."""
    # Measuring coverage would slow down the start.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}

    def seconds(*command):
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=tmp_path, check=True, capture_output=True, env=environment)
        return time.perf_counter() - started

    help_time = min(seconds("-m", "autocrop", "--help") for _ in range(5))
    import_time = min(seconds("-c", "import typer, rich") for _ in range(5))
    assert help_time < max(0.3, 2.5 * import_time)


def test_help_imports_nothing_heavy(tmp_path):
    """Printing help imports neither numpy nor OpenCV, Pillow or torch."""
    code = (
        "import sys, autocrop.cli\n"
        "loaded = {'numpy', 'cv2', 'PIL', 'torch', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_presets_are_listed(tmp_path):
    """--preset list prints the presets and needs no photo."""
    done = autocrop("--preset", "list", cwd=tmp_path)
    assert "instagram-portrait   1080x1350" in done.stdout


def test_crop_is_padded(tmp_path):
    """--fit blur pads a crop that cannot show all people to exactly the ratio."""
    write_pair(tmp_path / "pair.jpg")
    done = autocrop("pair.jpg", "--ratio", "9:16", "--fit", "blur", "--json", cwd=tmp_path)
    row = json.loads(done.stdout)
    assert row["fit"] == "blur"
    assert row["padding"][1] > 0
    assert row["width"] * 16 == row["height"] * 9


def test_region_is_kept(tmp_path):
    """--keep keeps a region in the crop."""
    write_pair(tmp_path / "pair.jpg")
    done = autocrop("pair.jpg", "--ratio", "1:1", "--keep", "1100,0,100,100", "--no-face-guard", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["box"][2] == 1200


def test_kept_photo_is_reported(tmp_path):
    """--min-gain reports a photo that it leaves uncropped, and exits with 0."""
    write_pair(tmp_path / "pair.jpg")
    done = autocrop("pair.jpg", "--min-gain", "9", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.startswith("kept: pair.jpg: ")
