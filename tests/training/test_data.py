"""Batches of training views."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from autocrop.datasets import Sample, load
from autocrop.geometry import boxes as bx
from autocrop.training.data import TrainingViews
from tests.helpers.training import RECIPE


def test_batches_depend_only_on_seed_and_epoch(tiny_fcdb):
    """Drawing an epoch again gives the same crops; another epoch has others."""
    batches = TrainingViews(load(f"fcdb:{tiny_fcdb}", "train"), RECIPE)
    first, again, other = (next(batches.epoch(number)) for number in (3, 3, 4))
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a.boxes, b.boxes) for a, b in zip(first, other, strict=True))


def test_crops_of_mirrored_photos_are_mirrored(tmp_path):
    """Half of the photos are mirrored. Their scores and targets match the pixels that are shown."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[8:40, 12:48] = 255  # the best crop
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    best = np.array([[12 / 96, 8 / 64, 48 / 96, 40 / 64]], np.float32)
    recipe = dataclasses.replace(RECIPE, views=32, side=0)
    batches = TrainingViews([Sample(tmp_path / "photo.png", 96, 64, best)], recipe)
    lefts = set()
    for views in (view for number in range(12) for batch in batches.epoch(number) for view in batch):
        shown = white_box(views.image[0].mean(dim=0).numpy())
        assert views.targets.numpy() == pytest.approx(shown, abs=0.01)
        assert views.scores.numpy() == pytest.approx(1 + 4 * bx.iou(views.boxes.numpy(), shown)[:, 0], abs=0.15)
        assert (views.boxes[:, 0] < views.boxes[:, 2]).all()
        lefts.add(round(float(shown[0, 0]), 1))
    assert lefts == {0.1, 0.5}


def white_box(gray):
    """Find the bounding box of the bright pixels of an image, normalized, ``[1, 4]``."""
    y, x = np.nonzero(gray > (gray.min() + gray.max()) / 2)
    height, width = gray.shape
    box = [x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height]
    return np.array([box], np.float32)
