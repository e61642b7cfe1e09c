import pytest

from tests.helpers.batch import names_in
from tests.helpers.command import autocrop, pipe


def test_photo_is_cropped_from_stdin_to_stdout(photo):
    """Stdout gets the same bytes as a file, and nothing else; --format converts them."""
    autocrop("photo.jpg", "--ratio", "1:1", cwd=photo.parent)
    done = pipe("-", "--ratio", "1:1", "-o", "-", cwd=photo.parent, content=photo.read_bytes())
    assert done.stdout == photo.with_name("photo_1x1.jpg").read_bytes()
    assert b"standard input \xe2\x86\x92 -:" in done.stderr
    done = pipe("-", "-o", "-", "--format", "png", "-q", cwd=photo.parent, content=photo.read_bytes())
    assert done.stdout.startswith(b"\x89PNG")
    assert names_in(photo.parent) == ["photo.jpg", "photo_1x1.jpg"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-", "--ratio", "1:1"], 2, "No output given"),
        (["-", "photo.jpg", "-o", "-"], 2, "exactly one photo"),
        (["-", "-o", "-", "--ratio", "1:1", "--ratio", "4:3"], 2, "exactly one crop"),
        (["photo.jpg", "-o", "-", "--json"], 2, "both write to stdout"),
        (["-", "--xmp"], 2, "--xmp"),
        (["-", "-o", "-"], 1, "standard input is not a photo"),
        (["-", "--files-from", "-"], 2, "not both"),
        (["apply", "photo.jpg"], 2, "not a manifest"),
    ],
)
def test_wrong_usage_is_reported(photo, arguments, code, message):
    """Wrong usage of a stream gets a message and an exit code, without a traceback, and no file is written."""
    done = pipe(*arguments, cwd=photo.parent, content=b"not a photo")
    assert done.returncode == code, done.stderr
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert names_in(photo.parent) == ["photo.jpg"]


def test_list_of_files_is_read_from_stdin(album):
    """--files-from - crops exactly the photos of a list such as find prints."""
    names = b"album/p0.jpg\0album/sub/p1.jpg\0"
    done = pipe("--files-from", "-", "-o", "out", "--ratio", "1:1", cwd=album.parent, content=names)
    assert done.returncode == 0, done.stderr
    assert names_in(album.parent / "out") == ["p0_1x1.jpg", "p1_1x1.jpg"]
