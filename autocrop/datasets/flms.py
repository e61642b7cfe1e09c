"""FLMS (Fang et al., ACM MM 2014): 500 photos with up to ten good crops each, for testing only.

The folder must contain the photos in ``image/`` or ``images/`` and the annotations: either ``500_image_dataset.mat``,
which requires scipy, or ``flms.json`` or ``image_crop.json``, ``{name: [[x1, y1, x2, y2], ...]}`` in pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autocrop.datasets.base import DatasetError, Sample, Split, damaged, photo_size, read_json
from autocrop.geometry.boxes import from_pixels

SOURCE = "http://fangchen.org/proj_page/FLMS_mm14/index.html"
CONVERTED, ORIGINAL = ("flms.json", "image_crop.json"), "500_image_dataset.mat"

Crops = dict[str, NDArray[np.float64]]
"""Good crops of each photo, ``[K, 4]``, xyxy in pixels, including padding rows."""


def load_flms(root: Path, split: str) -> Split:
    """Load ``test``, the only split. Each sample has K <= 10 good crops ``[K, 4]`` and no scores.

    As in the loaders of the papers, rows with a negative number, which pad the crops of a photo to ten, and the few
    crops that exceed the photo by more than a pixel are dropped.

    Raises:
        DatasetError: the split is not ``test``, scipy is missing, or files are missing or damaged.
    """
    if split != "test":
        raise DatasetError("FLMS only has a test split. Use the test split.")
    images = root / "images" if (root / "images").is_dir() else root / "image"
    samples, missing = [], []
    for name, crops in sorted(_annotations(root).items()):
        size = photo_size(images / name)
        if size is not None:
            crops = crops[(crops >= 0).all(axis=1) & (crops <= np.tile(size, 2) + 1).all(axis=1)]
            boxes = np.clip(from_pixels(crops, *size), 0, 1)
            boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
        if size is None or not len(boxes):
            missing.append(name)
        else:
            samples.append(Sample(images / name, *size, boxes))
    if not samples:
        raise DatasetError(f"No FLMS photos were found in {images}. Download them from {SOURCE}.")
    return Split(samples, missing)


def _annotations(root: Path) -> Crops:
    for path in (root / name for name in CONVERTED):
        if path.is_file():
            return _read_converted(path)
    if not (root / ORIGINAL).is_file():
        names = " or ".join((ORIGINAL, *CONVERTED))
        raise DatasetError(f"FLMS's annotations are missing: {root} contains no {names}. Download them from {SOURCE}.")
    return _read_mat(root / ORIGINAL)


def _read_converted(path: Path) -> Crops:
    table = read_json(path, SOURCE)
    try:
        return {name: _crops(crops) for name, crops in table.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged(path, repr(error), SOURCE) from error


def _read_mat(path: Path) -> Crops:
    """Read MATLAB's ``img_gt``, a struct array ``[500, 1]`` of file name and boxes (y1, x1, y2, x2) padded with -1."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DatasetError(
            f'Reading {path} requires scipy. Install it with: pip install "autocrop-photo[torch]". '
            f"Or convert the file to {CONVERTED[0]} on another machine (docs/guides/datasets.md)."
        ) from error
    try:
        table = {}
        for row in loadmat(path)["img_gt"].ravel():
            # The loaders of the papers use the positions of the fields. Prefer the names if they are as documented.
            by_name = {"filename", "bbox"} <= set(row.dtype.names or ())
            name, crops = (row["filename"], row["bbox"]) if by_name else (row[0], row[1])
            table[str(np.ravel(name)[0])] = _crops(crops)[:, [1, 0, 3, 2]]
    except Exception as error:  # scipy raises many types of exceptions for damaged files
        raise damaged(path, repr(error), SOURCE) from error
    return table


def _crops(crops: Any) -> NDArray[np.float64]:
    """Convert crops to an array ``[K, 4]``.

    Raises:
        ValueError: the shape is different.
    """
    array = np.array(crops, np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes of shape {list(array.shape)}")
    return array
