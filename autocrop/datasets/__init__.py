"""Data sets as sequences of :class:`Sample`. One data set is one file here and one row in :data:`LOADERS`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autocrop.datasets.base import DatasetError, Sample, Scale, Split, Votes
from autocrop.datasets.cpc import load_cpc
from autocrop.datasets.fcdb import load_fcdb
from autocrop.datasets.flms import load_flms
from autocrop.datasets.folder import load_folder
from autocrop.datasets.gaicd import load_gaicd

__all__ = [
    "LOADERS",
    "SPLITS",
    "TERMS",
    "DatasetError",
    "Sample",
    "Scale",
    "Split",
    "Votes",
    "default_split",
    "load",
    "load_folder",
]

LOADERS: dict[str, Callable[[Path, str], Split]] = {
    "fcdb": load_fcdb,
    "gaicd": load_gaicd,
    "cpc": load_cpc,
    "flms": load_flms,
    "folder": load_folder,
}
SPLITS = ("train", "val", "test")
TERMS = {
    "fcdb": "FCDB (Chen et al., WACV 2017), training list. Annotations under the MIT license; its authors intend the "
    "photos, which their photographers own, for research purposes only.",
    "gaicd": "GAICD (Zeng et al., CVPR 2019 and TPAMI 2020), training split. Its authors' code is under the MIT "
    "license; the terms of the annotations and of the photos are unknown.",
    "cpc": "CPC (Wei et al., CVPR 2018), all photos but those held out for validation. The terms of the annotations "
    "and of the photos are unknown.",
    "flms": "FLMS (Fang et al., ACM MM 2014), for testing only. The terms of the annotations and of the photos are "
    "unknown.",
    "folder": "A folder of photos of whoever trained the model, without annotations. Their terms are unknown.",
}
"""What a model card has to say of the data a model was trained on; unknown is what no page of its authors was found to
say (docs/datasets.md)."""


def load(spec: str, split: str) -> Split:
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
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root} to read the data set '{name}' from. docs/datasets.md says more.")
    return LOADERS[name](root, split)


def default_split(spec: str) -> str:
    """The split to measure on where none is named: ``val``, or ``test`` where the data set has nothing else."""
    return "test" if spec.partition(":")[0] == "flms" else "val"
