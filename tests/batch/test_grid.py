import numpy as np
import pytest

from autocrop.batch.results import Status
from tests.helpers.batch import crop_all
from tests.helpers.photos import LEFT_FACE


@pytest.mark.parametrize("shift", np.linspace(0, 0.1, 7))
def test_alignment_cuts_no_face(engine, pair, shift):
    """A lossless crop is aligned to the grid position that leaves people whole."""
    engine.favorite = np.array([shift, 0, 0.5 + shift, 1], np.float32)
    (result,) = crop_all(engine, [pair], lossless=True)
    assert result.status is Status.CROPPED
    assert result.crop.box[0] <= LEFT_FACE
    assert not any("cuts" in note for note in result.notes)
