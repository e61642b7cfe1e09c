import pytest

from autocrop.datasets import LOADERS, TERMS, DatasetError, load


@pytest.mark.parametrize(
    ("spec", "split"), [("fcdb", "train"), ("none:x", "train"), ("fcdb:", "val"), ("fcdb:x", "all")]
)
def test_load_rejects_unknown_names(spec, split):
    """The error for an unknown data set or split lists the available ones."""
    with pytest.raises(DatasetError, match=r"fcdb:PATH|train, val, test"):
        load(spec, split)


def test_every_data_set_has_terms():
    """Each data set has an entry in TERMS, which model cards quote."""
    assert TERMS.keys() == LOADERS.keys()
