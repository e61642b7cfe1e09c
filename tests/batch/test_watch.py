from autocrop.batch.sources import Source
from autocrop.batch.watch import Watcher


def test_photos_are_given_when_they_are_complete(tmp_path):
    """Not while they grow, once when they stand still, and again when they change."""
    path = tmp_path / "a.jpg"
    watcher = Watcher(lambda: [Source(found) for found in tmp_path.iterdir()])
    assert watcher.poll() == []
    path.write_bytes(b"1")
    assert watcher.poll() == []
    path.write_bytes(b"12")
    assert watcher.poll() == []
    assert watcher.poll() == [Source(path)]
    assert watcher.poll() == []
    path.write_bytes(b"123")
    assert watcher.poll() == []
    assert watcher.poll() == [Source(path)]


def test_empty_and_vanished_files(tmp_path):
    """A file of no bytes is one that is about to be written; one that has gone is forgotten."""
    (tmp_path / "a.jpg").touch()
    gone = Source(tmp_path / "gone.jpg")
    watcher = Watcher(lambda: [Source(tmp_path / "a.jpg"), gone])
    assert [watcher.poll() for _ in range(3)] == [[], [], []]
