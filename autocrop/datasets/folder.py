"""A plain folder of photos: nobody said which crops are good. For training that also learns from unlabeled photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autocrop.datasets.base import DatasetError, Sample, Split, photo_size
from autocrop.images import is_picture_name


def load_folder(root: Path, split: str = "train") -> Split:  # noqa: ARG001
    """Load the photos that lie in a folder, not those in folders inside it; every split is all of them.

    Raises:
        DatasetError: there is no such folder, or no photo in it.
    """
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root}.")
    samples, missing = [], []
    for path in sorted(path for path in root.iterdir() if path.is_file() and is_picture_name(path)):
        size = photo_size(path)
        if size is None:
            missing.append(path.name)
        else:
            samples.append(Sample(path, *size, np.empty((0, 4), np.float32)))
    if not samples:
        raise DatasetError(f"No photo that can be opened lies in {root}; folders inside it are not searched.")
    return Split(samples, missing)
