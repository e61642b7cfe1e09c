"""FCDB, the Flickr Cropping Dataset (Chen et al., WACV 2017): one best crop per photo, and votes on pairs of crops.

The folder must contain ``images/``, ``cropping_training_set.json`` or ``cropping_testing_set.json``, and optionally
``ranking_annotation.json`` for the votes. Photos that are no longer on Flickr are left out.
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
"""Mean best crop of the 1,135 photos of the ``train`` split: the prediction of a model that ignores the photo."""


def load_fcdb(root: Path, split: str) -> Split:
    """Load ``train``, ``val`` or ``test``.

    FCDB has a training list and a test list. ``val`` consists of 200 photos of the training list, drawn once at
    random as in the papers and listed in ``fcdb_val.txt`` next to this module; ``train`` is the rest.

    Returns:
        Samples in the order of the list, with the best crop ``[1, 4]`` and the votes, if available.

    Raises:
        DatasetError: a list is missing or damaged, or none of its photos exists.
    """
    annotations = root / ("cropping_testing_set.json" if split == "test" else "cropping_training_set.json")
    rows = _read_list(annotations)
    votes = root / "ranking_annotation.json"
    pairs = {_name(row): row.get("crops", []) for row in _read_list(votes)} if votes.is_file() else {}
    validation = validation_names()
    samples, missing = [], []
    for row in rows:
        name = _name(row)
        if split != "test" and (name in validation) != (split == "val"):
            continue
        size = photo_size(root / "images" / name)
        if size is None:
            missing.append(name)
            continue
        try:
            samples.append(_sample(root / "images" / name, size, row["crop"], pairs.get(name, [])))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            files = f"{annotations} or {votes}" if pairs else str(annotations)
            raise DatasetError(
                f"{files} is damaged at {name} ({error!r}). Download the annotations again from {SOURCE}."
            ) from error
    if not samples:
        raise DatasetError(
            f"None of the photos in the {split} split were found in {root / 'images'}. They are listed in "
            f"{annotations}. Download them from the URLs in the list, as described at {SOURCE}."
        )
    return Split(samples, missing)


def validation_names() -> frozenset[str]:
    """Return the file names of the 200 photos of the ``val`` split."""
    return frozenset(resources.files("autocrop.datasets").joinpath("fcdb_val.txt").read_text().split())


def _read_list(path: Path) -> list[dict[str, Any]]:
    """Read a list of photos and check that each row has a URL and crops."""
    if not path.is_file():
        raise DatasetError(
            f"FCDB's list {path} is missing. Download it from {SOURCE}, or choose the folder that contains it."
        )
    rows = read_json(path, SOURCE)
    has_urls = isinstance(rows, list) and rows and all(isinstance(row, dict) and "url" in row for row in rows)
    if not has_urls or not all("crop" in row or "crops" in row for row in rows):
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
    """Convert (x, y, w, h) in pixels to normalized boxes, clipped to the photo.

    Raises:
        ValueError: a crop lies outside the photo.
    """
    array = np.array(xywh, np.float64)
    array[:, 2:] += array[:, :2]
    boxes = np.clip(from_pixels(array, *size), 0, 1)
    outside = ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if outside.any():
        raise ValueError(f"the crop {xywh[int(outside.argmax())]} lies outside the photo of {size[0]}x{size[1]} pixels")
    return boxes
