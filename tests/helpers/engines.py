"""Engines that need no weights."""

from __future__ import annotations

import numpy as np

from autocrop.engines import Features


class CenteredEngine:
    """An engine with a favorite box. The score of a crop falls with its distance from that box."""

    model = "centered"
    network = "centered"
    device = "cpu"
    shapes = ("rectangle",)

    def __init__(self, favorite=(0.2, 0.2, 0.7, 0.8)):
        self.favorite = np.array(favorite, np.float32)
        self.encoded = 0
        """Number of photos encoded so far."""

    def encode(self, image, aspect=None):
        self.encoded += 1
        return Features(None, aspect or image.shape[1] / image.shape[0])

    def propose(self, features):
        return None

    def maps(self, features):
        return {}

    def score(self, features, boxes, shape="rectangle"):
        return (5 - 10 * np.abs(boxes - self.favorite).mean(axis=1)).astype(np.float32)
