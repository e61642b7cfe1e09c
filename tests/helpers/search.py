"""Searches in photos of which only the features and subjects are known."""

from __future__ import annotations

import numpy as np

from autocrop.engines import Features
from autocrop.search import two_stage
from autocrop.search.analysis import Analysis
from autocrop.search.faces import NO_FACES
from autocrop.search.request import CropRequest
from autocrop.search.subjects import Subjects


def find_crops(engine, features, size, ratio=None, top=1, *, exact=True, subjects=None, shape="rectangle", fit=None):
    """Find crops in a photo of *size* (width, height) without a picture."""
    subjects = Subjects(size, NO_FACES) if subjects is None else subjects
    features = Features(features.maps, size[0] / size[1])
    analysis = Analysis(size, np.zeros((8, 8, 3), np.uint8), features, subjects)
    return two_stage.find_crops(engine, analysis, CropRequest(ratio, top, exact, shape, fit))


def find_boxes(engine, features, ratio=None, top=1):
    """Find boxes in a photo without a picture."""
    return two_stage.find_boxes(two_stage.Scorer(engine, features), ratio, top)
