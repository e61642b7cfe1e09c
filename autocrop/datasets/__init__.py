"""Data sets as sequences of :class:`Sample`. One data set is one file here and one row in :data:`LOADERS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from autocrop.datasets.base import DatasetError, Sample, Votes
from autocrop.datasets.fcdb import load_fcdb

__all__ = ["LOADERS", "SPLITS", "TERMS", "DatasetError", "Sample", "Votes", "load"]

LOADERS: dict[str, Callable[[Path, str], list[Sample]]] = {"fcdb": load_fcdb}
SPLITS = ("train", "val", "test")
TERMS = {
    "fcdb": "FCDB (Chen et al., WACV 2017), training list. Annotations under the MIT licence; its authors intend the "
    "photos, which their photographers own, for research purposes only."
}
"""What a model card has to say of the data a model was trained on."""


def load(spec: str, split: str) -> Sequence[Sample]:
    """Load a split of the data set that ``NAME:PATH`` names, for example ``fcdb:~/data/fcdb``.

    Raises:
        DatasetError: the name is unknown, or files of the data set are missing or damaged.
    """
    name, colon, path = spec.partition(":")
    if not colon or not path or name not in LOADERS:
        known = ", ".join(f"{known}:PATH" for known in LOADERS)
        raise DatasetError(f"'{spec}' names no data set. Write one of: {known}.")
    if split not in SPLITS:
        raise DatasetError(f"There is no split '{split}'. Use one of: {', '.join(SPLITS)}.")
    return LOADERS[name](Path(path).expanduser(), split)
