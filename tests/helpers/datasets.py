"""Tiny data sets of random noise in the formats of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from autocrop.geometry.candidates import grid_anchors


def write_photo(path: Path, width: int = 96, height: int = 64) -> None:
    """Write a photo of random noise, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def gaicd_rows(number: int, width: int = 96, height: int = 64) -> list[list[float]]:
    """Return rows ``x1 y1 x2 y2 score`` as in GAICD: grid anchors in pixels, MOS with two decimals, some unscored."""
    anchors = (grid_anchors(width / height) * (width, height, width, height)).astype(int)
    scores = np.random.default_rng(number).integers(100, 500, len(anchors)) / 100
    scores[::7] = -2
    return [[*map(int, anchor), float(score)] for anchor, score in zip(anchors, scores, strict=True)]


def write_gaicd(root: Path, counts: dict[str, int], nested: bool) -> list[str]:
    """Write GAICD with text files and return the names of the photos.

    Args:
        root: folder of the data set.
        counts: number of photos of each split.
        nested: write the text files to ``annotations/SPLIT`` instead of ``annotations``.
    """
    names = []
    for split, count in counts.items():
        for number in range(count):
            name = f"{split}{number}"
            write_photo(root / "images" / split / f"{name}.jpg")
            folder = root / "annotations" / split if nested else root / "annotations"
            folder.mkdir(parents=True, exist_ok=True)
            lines = [f"{y1} {x1} {y2} {x2} {score}" for x1, y1, x2, y2, score in gaicd_rows(number)]
            lines[1] += " 7 extra"
            (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
            names.append(f"{name}.jpg")
    return names


def write_gaicd_json(root: Path, training: int, test: int) -> None:
    """Write GAICD's JSON table and the lists of its splits, without photos."""
    root.mkdir(parents=True, exist_ok=True)
    lists = {"train": [f"{n}.jpg" for n in range(training)], "test": [f"t{n}.jpg" for n in range(test)]}
    table = {}
    for number, name in enumerate([*lists["train"], *lists["test"]]):
        rows = [row for row in gaicd_rows(number) if row[4] != -2]
        table[name] = {"bbox": [row[:4] for row in rows], "score": [row[4] for row in rows]}
    (root / "image_crop.json").write_text(json.dumps(table))
    (root / "original_data_split.json").write_text(json.dumps(lists))


CPC_CROPS = [[x, y, x + 40, y + 30] for x in (0, 10, 20, 30, 40, 50) for y in (0, 10, 20, 30)]
"""The 24 crops of each photo, xyxy in pixels."""


def write_cpc(root: Path, count: int) -> None:
    """Write CPC with *count* photos, scored by six annotators, and one more photo without annotation."""
    (root / "CollectedAnnotationsRaw").mkdir(parents=True)
    for number in range(count):
        write_photo(root / "images" / f"ava_{number}.jpg")
        scores = np.random.default_rng(number).integers(0, 5, (6, 24)).tolist()
        text = json.dumps(json.dumps({"scores": scores, "bboxes": CPC_CROPS}))
        (root / "CollectedAnnotationsRaw" / f"ava_{number}.jpg.txt").write_text(text)
    write_photo(root / "images" / "unannotated.jpg")


FLMS_CROPS = {
    "first.jpg": [[0, 0, 48, 32], [10, 5, 90, 60], [-1, -1, -1, -1]],
    "second.jpg": [[8, 8, 96, 64], [20, 0, 120, 64], [-1, -1, -1, -1]],
}
"""Crops of each photo, xyxy in pixels, including padding of -1 and one crop that exceeds its photo."""


def write_flms(root: Path, fields: tuple[str, str] = ("filename", "bbox")) -> None:
    """Write FLMS with a MATLAB file: a struct array [N, 1] of name and boxes (y1, x1, y2, x2)."""
    array = np.zeros((len(FLMS_CROPS), 1), [(field, object) for field in fields])
    for index, (name, crops) in enumerate(FLMS_CROPS.items()):
        write_photo(root / "image" / name)
        array[index, 0] = (name, np.array(crops, np.int16)[:, [1, 0, 3, 2]])
    savemat(root / "500_image_dataset.mat", {"img_gt": array})
