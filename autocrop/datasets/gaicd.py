"""GAICD, the Grid Anchor based Image Cropping Dataset (Zeng et al., CVPR 2019 and TPAMI 2020).

A photo has some 86 crops, and each crop a mean opinion score (MOS). Read are version 1 (1,036 training and 200 test
photos) and version 2 (2,636, 200 and 500), in any of these forms:

- ``images/SPLIT/NAME.jpg`` with text files ``annotations/NAME.txt`` or ``annotations/SPLIT/NAME.txt``, whose rows are
  ``y1 x1 y2 x2 score``, the row first;
- ``image_crop.json``, ``{name: {"bbox": [[x1, y1, x2, y2], ...], "score": [...]}}``, in the place of the text files;
- ``original_data_split.json``, ``{"train": [name, ...], "test": [...]}``, which says what belongs to a split; the
  photos may then lie in ``images/`` itself.

Coordinates are pixels of the photo. A score of -2 marks a crop that breaks a rule and was not scored: it is left out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from autocrop.datasets.base import DatasetError, Scale, Split, damaged, held_out, photo_size, read_json, scored_sample

SOURCE = "https://github.com/HuiZeng/Grid-Anchor-based-Image-Cropping-Pytorch"
SCALE = Scale(good=4.0, gap=0.9)
UNSCORED = -2.0
VALIDATION = 36
"""Training photos that are ``val`` in version 1, which has no such split (set prediction, section 4.1)."""
SUFFIXES = (".jpg", ".jpeg", ".png")

Rows = tuple[list[list[float]], list[float]]
"""Crops (x1, y1, x2, y2) in pixels, and scores."""


def load_gaicd(root: Path, split: str) -> Split:
    """Load ``train``, ``val`` or ``test``; *scores* are raw MOS, 1 to 5.

    Version 1 has no ``val``: 36 training photos take its place and are left out of ``train``.

    Raises:
        DatasetError: the split is not there, none of its photos is, or an annotation is damaged.
    """
    table_path = root / "image_crop.json"
    table = read_json(table_path, SOURCE) if table_path.is_file() else None
    if table is not None and not isinstance(table, dict):
        raise damaged(table_path, "no table of photos", SOURCE)
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
            f"GAICD's split '{split}' lists {len(missing)} photos, and none of them is there together with its "
            f"annotation. Photos are looked for in {root / 'images'} and its folders train, val and test, annotations "
            f"in {table_path} and {root / 'annotations'}. Get the data set from {SOURCE}; photos that lie elsewhere "
            f"can be linked to {root / 'images'}."
        )
    return Split(samples, missing)


def _names(root: Path, split: str) -> frozenset[str]:
    """File names of the photos that belong to a split, whether they are there or not."""
    listed = _listed(root)
    has_val = "val" in listed if listed else any((root / kind / "val").is_dir() for kind in ("images", "annotations"))
    source = split if has_val or split == "test" else "train"
    names = frozenset(listed.get(source, [])) if listed else _in_folders(root, source)
    if not names:
        raise DatasetError(
            f"GAICD's split '{source}' is not in {root}: looked for photos in {root / 'images' / source}, for "
            f"annotations in {root / 'annotations' / source} and for {root / 'original_data_split.json'}. "
            f"Get the data set from {SOURCE}."
        )
    if has_val or split == "test":
        return names
    drawn = held_out(names, VALIDATION)
    return drawn if split == "val" else names - drawn


def _listed(root: Path) -> dict[str, list[str]]:
    """Names of each split's photos by ``original_data_split.json``; empty where that file is not there."""
    path = root / "original_data_split.json"
    if not path.is_file():
        return {}
    listed = read_json(path, SOURCE)
    if not isinstance(listed, dict) or not {"train", "test"} <= listed.keys():
        raise damaged(path, "no lists 'train' and 'test'", SOURCE)
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in listed.values()):
        raise damaged(path, "lists that do not hold names", SOURCE)
    return listed


def _in_folders(root: Path, source: str) -> frozenset[str]:
    """Names of the photos in a split's folder, and of those that its annotation folder has a file for."""
    photos, texts = root / "images" / source, root / "annotations" / source
    found = {path.name for path in photos.iterdir() if path.suffix.lower() in SUFFIXES} if photos.is_dir() else set()
    stems = {Path(name).stem for name in found}
    annotated = {path.stem for path in texts.glob("*.txt")} if texts.is_dir() else set()
    return frozenset(found | {f"{stem}.jpg" for stem in annotated - stems})


def _photo(root: Path, split: str, name: str) -> tuple[Path, tuple[int, int] | None]:
    """Path of a photo and its size; the size is None where it is in none of the possible places."""
    for folder in (*_folders(split), "."):
        path = root / "images" / folder / name
        if path.is_file():
            return path, photo_size(path)
    return root / "images" / name, None


def _annotation(root: Path, split: str, name: str) -> Path | None:
    """The text file about a photo."""
    texts = [root / "annotations" / folder / f"{Path(name).stem}.txt" for folder in (*_folders(split), ".")]
    return next((path for path in texts if path.is_file()), None)


def _folders(split: str) -> tuple[str, ...]:
    """Folders that may hold a split; version 1 keeps what is ``val`` here among the training photos."""
    return ("val", "train") if split == "val" else (split,)


def _rows(row: dict[str, Any]) -> Rows:
    crops, scores = row["bbox"], [float(score) for score in row["score"]]
    if len(crops) != len(scores):
        raise ValueError(f"{len(scores)} scores for {len(crops)} crops")
    kept = [index for index, score in enumerate(scores) if score != UNSCORED]
    return [crops[index] for index in kept], [scores[index] for index in kept]


def _read_text(path: Path) -> Rows:
    """Rows of ``y1 x1 y2 x2 score``; tokens that are no numbers, and what follows the score, are passed over."""
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
