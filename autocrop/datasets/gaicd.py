"""GAICD, the Grid Anchor based Image Cropping Dataset (Zeng et al., CVPR 2019 and TPAMI 2020).

Each photo has about 86 crops, each with a mean opinion score (MOS). Supported are version 1 (1,036 training and 200
test photos) and version 2 (2,636 training, 200 validation and 500 test photos), in any of these layouts:

- ``images/SPLIT/NAME.jpg`` with text files ``annotations/NAME.txt`` or ``annotations/SPLIT/NAME.txt``, whose rows are
  ``y1 x1 y2 x2 score`` (y before x);
- ``image_crop.json``, ``{name: {"bbox": [[x1, y1, x2, y2], ...], "score": [...]}}``, instead of the text files;
- ``original_data_split.json``, ``{"train": [name, ...], "test": [...]}``, which defines the splits, so that the photos
  may also be in ``images/`` itself.

Coordinates are pixels of the photo. A score of -2 marks a crop that violates a constraint and was not scored. Such
crops are left out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from autocrop.datasets.base import DatasetError, Scale, Split, damaged, held_out, photo_size, read_json, scored_sample

SOURCE = "https://github.com/HuiZeng/Grid-Anchor-based-Image-Cropping-Pytorch"
SCALE = Scale(good=4.0, gap=0.9)
UNSCORED = -2.0
"""Score of crops that violate a constraint."""
VALIDATION = 36
"""Size of the ``val`` split in version 1, which defines none (set prediction, section 4.1)."""
SUFFIXES = (".jpg", ".jpeg", ".png")

Rows = tuple[list[list[float]], list[float]]
"""Crops, xyxy in pixels, and their scores."""


def load_gaicd(root: Path, split: str) -> Split:
    """Load ``train``, ``val`` or ``test``, with raw MOS from 1 to 5.

    Version 1 has no ``val`` split: 36 training photos take its place and are left out of ``train``.

    Raises:
        DatasetError: the split does not exist, none of its photos exists, or an annotation is damaged.
    """
    table_path = root / "image_crop.json"
    table = read_json(table_path, SOURCE) if table_path.is_file() else None
    if table is not None and not isinstance(table, dict):
        raise damaged(table_path, "not a table of photos", SOURCE)
    samples, missing = [], []
    for name in sorted(_names(root, split)):
        path, size = _photo(root, split, name)
        annotation = table_path if table is not None else _annotation(root, split, name)
        if size is None or annotation is None or (table is not None and name not in table):
            missing.append(name)
            continue
        try:
            crops, scores = _rows(table[name]) if table is not None else _read_text(annotation)
            if scores:
                samples.append(scored_sample(path, size, crops, scores, SCALE))
            else:
                missing.append(name)
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(annotation, f"{name}: {error!r}", SOURCE) from error
    if not samples:
        raise DatasetError(
            f"None of the {len(missing)} photos in GAICD's {split} split have both an image and an annotation. Photos "
            f"are expected in {root / 'images'} or its subfolders train, val, and test, and annotations in "
            f"{table_path} or {root / 'annotations'}. Download the data set from {SOURCE}, "
            f"or link your copy of the photos to {root / 'images'}."
        )
    return Split(samples, missing)


def _names(root: Path, split: str) -> frozenset[str]:
    """Return the file names of the photos of a split, whether or not they exist."""
    listed = _listed(root)
    has_val = "val" in listed if listed else any((root / kind / "val").is_dir() for kind in ("images", "annotations"))
    source = split if has_val or split == "test" else "train"
    names = frozenset(listed.get(source, [])) if listed else _in_folders(root, source)
    if not names:
        raise DatasetError(
            f"GAICD's {source} split was not found in {root}, which contains neither photos in "
            f"{root / 'images' / source}, nor annotations in {root / 'annotations' / source}, nor "
            f"{root / 'original_data_split.json'}. Download the data set from {SOURCE}."
        )
    if has_val or split == "test":
        return names
    validation = held_out(names, VALIDATION)
    return validation if split == "val" else names - validation


def _listed(root: Path) -> dict[str, list[str]]:
    """Read the names of each split's photos from ``original_data_split.json``; empty if it does not exist."""
    path = root / "original_data_split.json"
    if not path.is_file():
        return {}
    listed = read_json(path, SOURCE)
    if not isinstance(listed, dict) or not {"train", "test"} <= listed.keys():
        raise damaged(path, "'train' or 'test' is missing", SOURCE)
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in listed.values()):
        raise damaged(path, "a split is not a list of names", SOURCE)
    return listed


def _in_folders(root: Path, source: str) -> frozenset[str]:
    """Return the names of the photos that have a file in the image folder or the annotation folder of a split."""
    photos, texts = root / "images" / source, root / "annotations" / source
    names = {path.name for path in photos.iterdir() if path.suffix.lower() in SUFFIXES} if photos.is_dir() else set()
    stems = {Path(name).stem for name in names}
    annotated = {path.stem for path in texts.glob("*.txt")} if texts.is_dir() else set()
    return frozenset(names | {f"{stem}.jpg" for stem in annotated - stems})


def _photo(root: Path, split: str, name: str) -> tuple[Path, tuple[int, int] | None]:
    """Return the path and the size of a photo; the size is None if the photo does not exist or cannot be opened."""
    for folder in (*_folders(split), "."):
        path = root / "images" / folder / name
        if path.is_file():
            return path, photo_size(path)
    return root / "images" / name, None


def _annotation(root: Path, split: str, name: str) -> Path | None:
    """Return the text file with the annotations of a photo, or None if it does not exist."""
    texts = [root / "annotations" / folder / f"{Path(name).stem}.txt" for folder in (*_folders(split), ".")]
    return next((path for path in texts if path.is_file()), None)


def _folders(split: str) -> tuple[str, ...]:
    """Return the folders that may contain a split. In version 1, ``val`` is part of ``train``."""
    return ("val", "train") if split == "val" else (split,)


def _rows(row: dict[str, Any]) -> Rows:
    """Return the scored crops in a row of ``image_crop.json``."""
    crops, scores = row["bbox"], [float(score) for score in row["score"]]
    if len(crops) != len(scores):
        raise ValueError(f"{len(scores)} scores for {len(crops)} crops")
    scored = [index for index, score in enumerate(scores) if score != UNSCORED]
    return [crops[index] for index in scored], [scores[index] for index in scored]


def _read_text(path: Path) -> Rows:
    """Read the scored crops from rows of ``y1 x1 y2 x2 score``.

    Tokens that are not numbers, and numbers after the score, are ignored.
    """
    crops, scores = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        values = [value for token in line.split() if (value := _number(token)) is not None]
        if len(values) < 5:
            raise ValueError(f"line {number} is not 'y1 x1 y2 x2 score'")
        y1, x1, y2, x2, score = values[:5]
        if score != UNSCORED:
            crops.append([x1, y1, x2, y2])
            scores.append(score)
    return crops, scores


def _number(token: str) -> float | None:
    try:
        value = float(token)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
