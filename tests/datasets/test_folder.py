import pytest

from autocrop.datasets import LOADERS, TERMS, DatasetError, load
from tests.helpers.datasets import write_photo


def test_photos_without_labels(tmp_path):
    """All that lie in the folder itself, whatever the split; what only looks like a photo is counted as missing."""
    write_photo(tmp_path / "b.png", 80, 60)
    write_photo(tmp_path / "a.jpg")
    write_photo(tmp_path / "deeper" / "c.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no photo")
    for split in ("train", "test"):
        found = load(f"folder:{tmp_path}", split)
        assert [sample.name for sample in found] == ["a.jpg", "b.png"]
        assert found.missing == ["broken.jpg"]
    assert (found[1].width, found[1].height) == (80, 60)
    assert found[0].boxes.shape == (0, 4)
    assert found[0].scores is None


def test_no_photos_are_a_sentence(tmp_path):
    """An empty folder, and none at all."""
    with pytest.raises(DatasetError, match="No photo that can be opened"):
        load(f"folder:{tmp_path}", "train")
    with pytest.raises(DatasetError, match="There is no folder"):
        load(f"folder:{tmp_path / 'none'}", "train")


def test_every_data_set_has_terms():
    """A model card must say something true of each."""
    assert TERMS.keys() == LOADERS.keys()
