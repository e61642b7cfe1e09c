import json
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.batch import digests, names_in
from tests.helpers.command import autocrop

RATIOS = ("--ratio", "1:1", "--size", "200x250", "--preset", "instagram-story")


@pytest.mark.slow
def test_apply_writes_the_same_crops(album):
    """Applying the manifest of a dry run writes the same bytes as cropping directly."""
    options = ("-r", *RATIOS, "--top", "2")
    autocrop("album", *options, "-o", "direct", cwd=album.parent)
    dry = autocrop("album", *options, "--dry-run", "--json", cwd=album.parent)
    (album.parent / "crops.jsonl").write_text(dry.stdout)
    done = autocrop("apply", "crops.jsonl", "-o", "applied", cwd=album.parent)
    assert done.returncode == 0, done.stderr
    assert digests(album.parent / "direct") == digests(album.parent / "applied")


def test_invalid_rows_do_not_stop_the_others(album):
    """An edited box is used in the ratio of its row; invalid rows fail with their line numbers."""
    dry = autocrop("album", "-r", "--ratio", "1:1", "--dry-run", "--json", cwd=album.parent)
    rows = [json.loads(line) for line in dry.stdout.splitlines()][:5]
    rows[0]["box"] = [10, 20, 110, 70]
    rows[1]["box"] = [0, 0, 5000, 10]
    rows[2]["photo"] = [1, 1]
    rows[3]["path"] = "album/missing.jpg"
    lines = [json.dumps(row) for row in rows]
    lines[4] = lines[4][:-9]
    (album.parent / "crops.jsonl").write_text("\n".join(lines))
    done = autocrop("apply", "crops.jsonl", "-o", "out", cwd=album.parent)
    assert done.returncode == 1
    for message in ("line 2: the box", "line 3: the photo has 500x400", "line 4: album/missing.jpg", "line 5: "):
        assert message in done.stderr
    with Image.open(album.parent / "out/p0_1x1.jpg") as written:
        assert written.size == (50, 50)
    assert "fitted to 1:1: the box in the manifest was 100x50" in done.stderr
    assert names_in(album.parent / "out") == ["p0_1x1.jpg"]


def test_marked_rows_are_counted(album):
    """Rows marked as rejected or kept are not written, and the summary counts them, with --json as well."""
    dry = autocrop("album", "-r", "--ratio", "1:1", "--dry-run", "--json", cwd=album.parent)
    rows = [json.loads(line) for line in dry.stdout.splitlines()]
    for row, status in zip(rows, ("skip", "skip", "rejected", "kept"), strict=False):
        row["status"] = status
    many = rows + [{"path": f"album/{number}.jpg", "status": "kept"} for number in range(30)]
    (album.parent / "crops.jsonl").write_text("\n".join(map(json.dumps, many)))
    done = autocrop("apply", "crops.jsonl", "-o", "out", "--json", cwd=album.parent)
    assert done.returncode == 0, done.stderr
    assert "2 cropped, 31 kept, 3 skipped: 36 photos" in done.stderr
    assert "skipped: 2 × marked as skipped in the manifest" in done.stderr
    assert "skipped: 1 × marked as rejected in the manifest" in done.stderr
    assert done.stderr.count("skipped: album") == 0  # that many rows are summarized, not listed
    statuses = [json.loads(line)["status"] for line in done.stdout.splitlines()]
    assert sorted(statuses) == ["cropped"] * 2 + ["kept"] * 31 + ["skipped"] * 3
    assert len(digests(album.parent / "out")) == 2


def test_wrong_folder_is_reported_once(album):
    """If none of the photos exist, one message names the current folder; if only some are missing, only those fail."""
    dry = autocrop("album", "--ratio", "1:1", "--dry-run", "--json", cwd=album.parent)
    (album / "crops.jsonl").write_text(dry.stdout)
    done = autocrop("apply", "crops.jsonl", "-o", "out", cwd=album)
    assert done.returncode == 2
    assert f"the first one is {Path('album/p0.jpg')}." in done.stderr
    assert f"not in {album}." in done.stderr
    assert done.stderr.count("\n") == 1
    (album / "p0.jpg").unlink()
    done = autocrop("apply", "album/crops.jsonl", "-o", "out", cwd=album.parent)
    assert "2 cropped, 1 failed" in done.stderr
