"""Reading checkpoints."""

import pytest

torch = pytest.importorskip("torch")

from autocrop.errors import AutocropError
from autocrop.models.checkpoint import load_checkpoint


@pytest.mark.parametrize("content", ["text", {"model": {}}], ids=["no torch file", "other torch file"])
def test_other_files_are_refused(content, tmp_path):
    """The error names a file that is not a checkpoint of autocrop."""
    path = tmp_path / "file.pt"
    if isinstance(content, str):
        path.write_text(content)
    else:
        torch.save(content, path)
    with pytest.raises(AutocropError, match=r"file\.pt is .*checkpoint"):
        load_checkpoint(path)
