"""From samples to the views of a training step: small decoded photos kept in memory, augmentation, targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from autocrop import boxes as bx
from autocrop.boxes import Boxes
from autocrop.datasets import Sample
from autocrop.engines import preprocess
from autocrop.images import open_photo
from autocrop.models.base import Views
from autocrop.training.targets import scored_views, trimmed


class TrainingViews:
    """Batches of :class:`Views`, one photo each, in an order that only the seed and the epoch decide.

    Photos are decoded once, at the network's input size, and kept: about 0.3 MB each. That a run can be resumed at
    any epoch with the very same batches is why every epoch has its own random generator.

    Args:
        samples: the training split.
        views: scored crops a photo and step.
        batch: photos a step; the last ones of an epoch that fill no batch are left for another epoch.
        seed: of everything random here.
        trim: share of photos that are trimmed at their edges, see :func:`~autocrop.training.targets.trimmed`.
    """

    def __init__(self, samples: Sequence[Sample], views: int, batch: int, seed: int = 0, trim: float = 0.0) -> None:
        self.samples = samples
        self.views = views
        self.batch = min(batch, len(samples))
        self.seed = seed
        self.trim = trim
        self._decoded: dict[int, NDArray[np.uint8]] = {}
        # The jitter of GAIC's authors, in torchvision's terms (docs/models.md).
        self._colours = v2.ColorJitter(brightness=0.125, contrast=0.5, saturation=0.5, hue=0.05)

    def __len__(self) -> int:
        """Steps an epoch."""
        return len(self.samples) // self.batch

    def epoch(self, number: int) -> Iterator[list[Views]]:
        """The batches of epoch *number*, counted from 0."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(len(self.samples))
        for step in range(len(self)):
            yield [self._draw(index, rng) for index in order[step * self.batch : (step + 1) * self.batch]]

    def _draw(self, index: int, rng: np.random.Generator) -> Views:
        sample, pixels = self.samples[index], self._decode(index)
        if rng.random() < self.trim:
            sample, pixels = trimmed(sample, pixels, rng)
            pixels = preprocess.resize(pixels)
        boxes, scores = scored_views(sample, self.views, rng)
        pairs, preference = np.empty((0, 2), np.int64), np.empty(0, np.float32)
        if sample.votes is not None:
            pairs = len(boxes) + np.arange(2 * len(sample.votes.counts)).reshape(-1, 2)
            preference = (sample.votes.counts[:, 0] / sample.votes.counts.sum(axis=1)).astype(np.float32)
            boxes = np.concatenate([boxes, sample.votes.pairs.reshape(-1, 4)])
        image, boxes = self._augmented(torch.from_numpy(pixels.transpose(2, 0, 1)), boxes, rng)
        mean, std = preprocess.MEAN.tolist(), preprocess.STD.tolist()
        image = v2.functional.normalize(image.float() / 255, mean, std)[None]
        to_tensor = torch.from_numpy
        return Views(image, to_tensor(boxes), to_tensor(scores), to_tensor(pairs), to_tensor(preference))

    def _augmented(self, image: torch.Tensor, boxes: Boxes, rng: np.random.Generator) -> tuple[torch.Tensor, Boxes]:
        if rng.random() < 0.5:
            image, boxes = image.flip(-1), bx.flip(boxes)
        return self._colours(image), boxes

    def _decode(self, index: int) -> NDArray[np.uint8]:
        if index not in self._decoded:
            self._decoded[index] = preprocess.resize(open_photo(self.samples[index].path).preview())
        return self._decoded[index]
