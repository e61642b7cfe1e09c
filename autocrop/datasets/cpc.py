"""CPC, the Comparative Photo Composition data set (Wei et al., CVPR 2018): 24 scored crops per photo.

The folder, or ``CPCDataset/`` inside it (as the archive unpacks), must contain ``images/NAME.jpg`` and
``CollectedAnnotationsRaw/NAME.jpg.txt``. An annotation file is a JSON string that contains JSON:
``{"scores": [[24 numbers] per annotator], "bboxes": [[x1, y1, x2, y2] x 24]}``, in pixels of the photo.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from autocrop.datasets.base import DatasetError, Sample, Scale, Split, damaged, held_out, photo_size, scored_sample

SOURCE = "https://www3.cs.stonybrook.edu/~cvl/projects/wei2018goods/VPN_CVPR2018s.html"
SCALE = Scale(good=2.0, gap=0.3)
VALIDATION = 1000
"""Size of the ``val`` split (set prediction, section 4.1)."""


def load_cpc(root: Path, split: str) -> Split:
    """Load ``train`` or ``val``; ``val`` is selected by :func:`~autocrop.datasets.base.held_out`.

    The score of a crop is the mean over the annotators. Photos without an annotation file (CPC has a few) are not
    listed.

    Raises:
        DatasetError: the split is ``test``, files are missing, or an annotation is damaged.
    """
    if split == "test":
        raise DatasetError("CPC has no test split. Use the val split.")
    if (root / "CPCDataset").is_dir():
        root = root / "CPCDataset"
    annotations, images = root / "CollectedAnnotationsRaw", root / "images"
    names = frozenset(path.stem for path in annotations.glob("*.txt"))
    if not names:
        raise DatasetError(f"CPC's annotations were not found in {annotations}. Download the data set from {SOURCE}.")
    validation = held_out(names, VALIDATION)
    samples, missing = [], []
    for name in sorted(validation if split == "val" else names - validation):
        size = photo_size(images / name)
        if size is None:
            missing.append(name)
        else:
            samples.append(_sample(images / name, size, annotations / f"{name}.txt"))
    if not samples:
        raise DatasetError(
            f"None of the photos in the {split} split were found in {images}. Their annotations are in {annotations}. "
            f"Download the data set from {SOURCE}."
        )
    return Split(samples, missing)


def _sample(photo: Path, size: tuple[int, int], annotation: Path) -> Sample:
    try:
        table = json.loads(annotation.read_text(encoding="utf-8"))
        if isinstance(table, str):
            table = json.loads(table)
        crops = np.array(table["bboxes"], np.float64)
        scores = np.array(table["scores"], np.float64)
        if scores.ndim != 2 or not len(scores):
            raise ValueError("scores without annotators")
        return scored_sample(photo, size, crops, scores.mean(axis=0), SCALE)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(annotation, repr(error), SOURCE) from error
