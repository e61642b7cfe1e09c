import pytest

from autocrop.datasets import DatasetError, load
from tests.helpers.datasets import write_photo


def test_folder_lists_all_photos_without_labels(tmp_path):
    """Every split contains all photos of the folder but not of subfolders; unreadable photos are missing."""
    write_photo(tmp_path / "b.png", 80, 60)
    write_photo(tmp_path / "a.jpg")
    write_photo(tmp_path / "deeper" / "c.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no photo")
    for split in ("train", "test"):
        samples = load(f"folder:{tmp_path}", split)
        assert [sample.name for sample in samples] == ["a.jpg", "b.png"]
        assert samples.missing == ["broken.jpg"]
    assert (samples[1].width, samples[1].height) == (80, 60)
    assert samples[0].boxes.shape == (0, 4)
    assert samples[0].scores is None


def test_folder_without_photos_is_rejected(tmp_path):
    """An empty folder and a missing folder are errors."""
    with pytest.raises(DatasetError, match="contains no readable photo"):
        load(f"folder:{tmp_path}", "train")
    with pytest.raises(DatasetError, match=r"The folder .* does not exist"):
        load(f"folder:{tmp_path / 'none'}", "train")
