"""Fixtures and settings shared by all tests. They need neither a network connection nor a data set."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from tests.helpers.engines import CenteredEngine
from tests.helpers.samples import SAMPLES

# Every run tries the same examples, and a slow machine does not fail them.
settings.register_profile("autocrop", derandomize=True, deadline=None)
settings.load_profile("autocrop")

# A shell that runs the tests in the background makes them, and the programs that they interrupt, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def samples():
    """Paths of the repository's sample photos."""
    return sorted(path for path in SAMPLES.glob("*.jpg") if path.stem != "examples")


@pytest.fixture
def photo(tmp_path):
    """A copy of a sample photo, alone in a folder."""
    path = tmp_path / "photo.jpg"
    path.write_bytes((SAMPLES / "coffee.jpg").read_bytes())
    return path


@pytest.fixture
def engine():
    """An engine without weights that has a favorite box."""
    return CenteredEngine()


@pytest.fixture
def tiny_fcdb(tmp_path):
    """Six photos in FCDB's format: four for training, and two that fcdb_val.txt names for validation."""
    from autocrop.datasets.fcdb import validation_names

    root = tmp_path / "fcdb"
    (root / "images").mkdir(parents=True)
    names = [f"{number}_train_b.jpg" for number in range(4)] + sorted(validation_names())[:2]
    rng = np.random.default_rng(0)
    rows, ranked = [], []
    for number, name in enumerate(names):
        width, height = (96, 64) if number % 2 else (64, 96)
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(root / "images" / name)
        url = f"https://example.org/{number}/{name}"
        rows.append({"url": url, "flickr_photo_id": number, "crop": [8, 4, 40, 48]})
        pair = {"crop_0": [0, 0, 32, 32], "crop_1": [16, 16, 48, 48], "vote_for_0": 1, "vote_for_1": 4}
        ranked.append(
            {"url": url, "flickr_photo_id": number, "crops": [pair, pair | {"vote_for_0": 3, "vote_for_1": 2}]}
        )
    rows.append({"url": "https://example.org/gone.jpg", "flickr_photo_id": 99, "crop": [0, 0, 10, 10]})
    (root / "cropping_training_set.json").write_text(json.dumps(rows))
    (root / "ranking_annotation.json").write_text(json.dumps(ranked))
    return root
