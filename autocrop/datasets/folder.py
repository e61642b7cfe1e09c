"""A plain folder of unlabeled photos, for models that can also learn from those."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autocrop.datasets.base import DatasetError, Sample, Split, photo_size
from autocrop.images import is_picture_name


def load_folder(root: Path, split: str = "train") -> Split:  # noqa: ARG001
    """Load all photos of a folder, without its subfolders. All splits are the same.

    Raises:
        DatasetError: the folder does not exist or contains no readable photo.
    """
    if not root.is_dir():
        raise DatasetError(f"The folder {root} does not exist.")
    samples, missing = [], []
    for path in sorted(path for path in root.iterdir() if path.is_file() and is_picture_name(path)):
        size = photo_size(path)
        if size is None:
            missing.append(path.name)
        else:
            samples.append(Sample(path, *size, np.empty((0, 4), np.float32)))
    if not samples:
        raise DatasetError(f"{root} contains no readable photo. Subfolders are not searched.")
    return Split(samples, missing)
