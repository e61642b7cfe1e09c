"""An engine that proposes crops."""

from __future__ import annotations

import numpy as np
from PIL import Image

from autocrop.datasets import Sample
from autocrop.engines import Proposals
from autocrop.geometry.proposals import proposal_scores, ranked
from tests.helpers.engines import CenteredEngine

PROPOSED = np.array([[0.1, 0.1, 0.9, 0.9], [0.12, 0.1, 0.9, 0.9], [0, 0, 0.5, 0.6], [0.4, 0.3, 1, 1]], np.float32)
CONFIDENCE = np.array([0.8, 0.7, 0.2, 0.4], np.float32)


class ProposingEngine(CenteredEngine):
    """A model that proposes the same crops for every photo. The default proposals include two near-duplicates."""

    network = "setpred"

    def __init__(self, proposed=PROPOSED, confidence=CONFIDENCE):
        super().__init__()
        self._proposed = proposed
        self._confidence = confidence
        self._photos = 0

    def score(self, features, boxes, shape="rectangle"):
        return proposal_scores(self._proposed, self._confidence, boxes)

    def propose(self, features):
        return Proposals(*ranked(self._proposed, self._confidence))

    def maps(self, features):
        """Return boundary features that are equal for groups of four photos, as a model's may coincide."""
        self._photos += 1
        return {"boundaries": np.random.default_rng(self._photos // 4).random((4, 3, 2), np.float32)}


def write_samples_near_proposal(folder):
    """Write nine photos; the best crop of each is near the first of :data:`PROPOSED`. Return their samples."""
    samples = []
    rng = np.random.default_rng(0)
    for number in range(9):
        path = folder / f"{number}.png"
        Image.new("RGB", (90, 60), (20 * number, 90, 60)).save(path)
        best = np.clip(PROPOSED[:1] + rng.normal(0, 0.05, (1, 4)), 0, 1).astype(np.float32)
        samples.append(Sample(path, 90, 60, best))
    return samples
