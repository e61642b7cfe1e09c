"""FCDB, the Flickr Cropping Dataset (Chen et al., WACV 2017): one best crop a photo and ranked pairs of crops.

Files expected in the folder: ``images/``, ``cropping_training_set.json`` or ``cropping_testing_set.json``, and
``ranking_annotation.json`` where the votes are wanted. Photos gone from Flickr are left out.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from autocrop.datasets.base import DatasetError, Sample, Split, Votes, damaged, photo_size, read_json
from autocrop.geometry.boxes import from_pixels

SOURCE = "https://github.com/yiling-chen/flickr-cropping-dataset"

MEAN_CROP = np.array([[0.0667, 0.1157, 0.9442, 0.8649]], np.float32)
"""Mean best crop of the 1,135 photos of the ``train`` split: what a model that never looks at the photo would say."""


def load_fcdb(root: Path, split: str) -> Split:
    """Load ``train``, ``val`` or ``test``.

    FCDB itself has a training and a test list. ``val`` is the 200 photos of the training list that
    ``fcdb_val.txt`` beside this file names (drawn once at random, as in the papers); ``train`` is the rest.

    Returns:
        Samples in the order of the list: *boxes* is the best crop ``[1, 4]``; *votes* where there are any.

    Raises:
        DatasetError: a list is missing or damaged, or none of its photos is there.
    """
    annotations = root / ("cropping_testing_set.json" if split == "test" else "cropping_training_set.json")
    rows = _read_list(annotations)
    votes = root / "ranking_annotation.json"
    ranked = {_name(row): row.get("crops", []) for row in _read_list(votes)} if votes.is_file() else {}
    held_out = validation_names()
    samples, missing = [], []
    for row in rows:
        name = _name(row)
        if split != "test" and (name in held_out) != (split == "val"):
            continue
        size = photo_size(root / "images" / name)
        if size is None:
            missing.append(name)
            continue
        try:
            samples.append(_sample(root / "images" / name, size, row["crop"], ranked.get(name, [])))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            blamed = f"{annotations} or {votes}" if ranked else str(annotations)
            raise DatasetError(f"{blamed} is damaged at {name} ({error!r}). Get it again from {SOURCE}.") from error
    if not samples:
        raise DatasetError(
            f"None of the photos that {annotations} lists for the split '{split}' is in {root / 'images'}. "
            f"Download them from the addresses in the list ({SOURCE} says how)."
        )
    return Split(samples, missing)


def validation_names() -> frozenset[str]:
    """File names of the 200 photos of the ``val`` split."""
    return frozenset(resources.files("autocrop.datasets").joinpath("fcdb_val.txt").read_text().split())


def _read_list(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise DatasetError(f"FCDB's list {path} is missing. Get it from {SOURCE}, or give the folder that has it.")
    rows = read_json(path, SOURCE)
    known = isinstance(rows, list) and rows and all(isinstance(row, dict) and "url" in row for row in rows)
    if not known or not all("crop" in row or "crops" in row for row in rows):
        raise damaged(path, "rows without 'url' and 'crop' or 'crops'", SOURCE)
    return rows


def _name(row: dict[str, Any]) -> str:
    return str(row["url"]).rsplit("/", 1)[-1]


def _sample(path: Path, size: tuple[int, int], crop: list[float], pairs: list[dict[str, Any]]) -> Sample:
    best = _boxes([crop], size)
    if not pairs:
        return Sample(path, *size, best)
    both = _boxes([pair[f"crop_{i}"] for pair in pairs for i in (0, 1)], size)
    counts = np.array([[pair["vote_for_0"], pair["vote_for_1"]] for pair in pairs], np.int64)
    return Sample(path, *size, best, votes=Votes(both.reshape(-1, 2, 4), counts))


def _boxes(xywh: list[list[float]], size: tuple[int, int]) -> np.ndarray:
    """(x, y, w, h) in pixels as normalized boxes, clipped to the photo.

    Raises:
        ValueError: nothing is left of one.
    """
    array = np.array(xywh, np.float64)
    array[:, 2:] += array[:, :2]
    boxes = np.clip(from_pixels(array, *size), 0, 1)
    outside = ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if outside.any():
        raise ValueError(f"the crop {xywh[int(outside.argmax())]} lies outside the photo of {size[0]}x{size[1]} pixels")
    return boxes
