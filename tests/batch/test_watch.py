from autocrop.batch.sources import Source
from autocrop.batch.watch import Watcher


def test_watcher_returns_complete_photos(tmp_path):
    """A photo is returned once when it has stopped growing, and again when it has changed."""
    path = tmp_path / "a.jpg"
    watcher = Watcher(lambda: [Source(photo) for photo in tmp_path.iterdir()])
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


def test_watcher_ignores_empty_and_deleted_files(tmp_path):
    """An empty file is about to be written, and a deleted one is forgotten: neither is returned."""
    (tmp_path / "a.jpg").touch()
    deleted = Source(tmp_path / "deleted.jpg")
    watcher = Watcher(lambda: [Source(tmp_path / "a.jpg"), deleted])
    assert [watcher.poll() for _ in range(3)] == [[], [], []]
