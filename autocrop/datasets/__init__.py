"""Data sets as sequences of :class:`Sample`.

To add one, add a loader module and entries in :data:`LOADERS` and :data:`TERMS`.
"""

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
"""Loader of each data set: takes the root folder and the name of a split."""
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
    "folder": "Private photos without annotations. Their terms are unknown.",
}
"""Description and terms of use of each data set, for model cards. ``unknown`` means that we found no statement by the
authors (docs/guides/datasets.md)."""


def load(spec: str, split: str) -> Split:
    """Load a split of a data set.

    Args:
        spec: ``NAME:PATH``, for example ``fcdb:~/data/fcdb``.
        split: ``train``, ``val`` or ``test``.

    Raises:
        DatasetError: the data set or split is unknown, or files are missing or damaged.
    """
    name, colon, path = spec.partition(":")
    if not colon or not path or name not in LOADERS:
        specs = ", ".join(f"{available}:PATH" for available in LOADERS)
        raise DatasetError(f"Unknown data set '{spec}'. Use one of: {specs}.")
    if split not in SPLITS:
        raise DatasetError(f"Unknown split '{split}'. Available splits: {', '.join(SPLITS)}.")
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DatasetError(f"The folder {root} of the data set '{name}' does not exist. See docs/guides/datasets.md.")
    return LOADERS[name](root, split)


def default_split(spec: str) -> str:
    """Return the split to evaluate on by default: ``val``, or ``test`` for FLMS, which has no other."""
    return "test" if spec.partition(":")[0] == "flms" else "val"
