"""From samples to the views of a training step: small decoded photos kept in memory, augmentation, targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from autocrop.datasets import Sample
from autocrop.engines import preprocess
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes
from autocrop.geometry.candidates import grid_anchors
from autocrop.images import open_photo
from autocrop.models import Recipe, Views
from autocrop.training.feature_cache import FeatureCache
from autocrop.training.saliency import spectral_residual
from autocrop.training.targets import scored_views, target_crops, trimmed


class TrainingViews:
    """Batches of :class:`Views`, one photo each, in an order that only the seed and the epoch decide.

    Photos are decoded once, at the network's input size, and kept: about 0.3 MB each. Every photo of every epoch has
    its own random generator: a run can be resumed at any epoch with the very same batches, and several processes can
    each draw their share of a batch.

    Args:
        samples: the training split.
        recipe: says how many views and photos a step has, the seed, and how many photos are trimmed.
        unlabeled: photos without annotations, one for each labeled one; empty for none.
        saliency: add a saliency map to each photo's views.
        cache: of the frozen backbone's features; None to let the network look at pixels.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        recipe: Recipe,
        unlabeled: Sequence[Sample] = (),
        saliency: bool = False,
        cache: FeatureCache | None = None,
    ) -> None:
        self.samples = samples
        self.unlabeled = unlabeled
        self.recipe = recipe
        self.batch = min(recipe.batch, len(samples))
        self._saliency = saliency
        self._cache = cache
        self._decoded: dict[str, NDArray[np.uint8]] = {}
        # The jitter of GAIC's authors, in torchvision's terms (docs/models.md).
        self._colors = v2.ColorJitter(brightness=0.125, contrast=0.5, saturation=0.5, hue=0.05)

    def __len__(self) -> int:
        """Steps an epoch."""
        return len(self.samples) // self.batch

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Iterator[list[Views]]:
        """The batches of epoch *number*, counted from 0; the last photos that fill no batch are left out.

        Args:
            number: of the epoch.
            rank: of this process.
            world: how many processes share each batch; each gets every *world*-th photo of it.
        """
        order = np.random.default_rng([self.recipe.seed, number]).permutation(len(self.samples))
        for step in range(len(self)):
            chosen = order[step * self.batch : (step + 1) * self.batch]
            yield [self._draw(int(index), number) for index in chosen[rank::world]]

    def _draw(self, index: int, epoch: int) -> Views:
        seed = [self.recipe.seed, epoch, index]
        rng = np.random.default_rng(seed)
        # torchvision's transforms draw from torch's own generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            views = self._labeled(self.samples[index], rng)
            if not self.unlabeled:
                return views
            other = self.unlabeled[int(rng.integers(len(self.unlabeled)))]
            anchors = grid_anchors(other.aspect)
            anchors = anchors[rng.permutation(len(anchors))[: self.recipe.views]]
            empty = np.empty(0, np.float32)
            unlabeled = self._views(self._decode(other), rng, anchors, empty, np.empty((0, 2), np.int64), empty)
        return dataclasses.replace(views, unlabeled=unlabeled)

    def _labeled(self, sample: Sample, rng: np.random.Generator) -> Views:
        pixels = self._decode(sample)
        if self._cache is None and rng.random() < self.recipe.trim:
            sample, pixels = trimmed(sample, pixels, rng)
            pixels = preprocess.resize(pixels, self.recipe.side)
        boxes, scores = scored_views(sample, self.recipe.views, rng)
        pairs, preference = np.empty((0, 2), np.int64), np.empty(0, np.float32)
        if sample.votes is not None:
            pairs = len(boxes) + np.arange(2 * len(sample.votes.counts)).reshape(-1, 2)
            preference = (sample.votes.counts[:, 0] / sample.votes.counts.sum(axis=1)).astype(np.float32)
            boxes = np.concatenate([boxes, sample.votes.pairs.reshape(-1, 4)])
        return self._views(pixels, rng, boxes, scores, pairs, preference, target_crops(sample))

    def _views(
        self,
        pixels: NDArray[np.uint8],
        rng: np.random.Generator,
        boxes: Boxes,
        scores: NDArray[np.float32],
        pairs: NDArray[np.int64],
        preference: NDArray[np.float32],
        good: Boxes | None = None,
    ) -> Views:
        """Augment and normalize a photo, and add what the model wants beside it."""
        if rng.random() < 0.5:
            pixels, boxes = np.ascontiguousarray(pixels[:, ::-1]), bx.flip(boxes)
            good = None if good is None else bx.flip(good)
        saliency = torch.from_numpy(spectral_residual(pixels)) if self._saliency else None
        image = torch.from_numpy(pixels.transpose(2, 0, 1))
        if self._cache is None:
            image = self._colors(image)
        image = v2.functional.normalize(image.float() / 255, preprocess.MEAN.tolist(), preprocess.STD.tolist())[None]
        maps = self._cache.maps(pixels, image) if self._cache is not None else None
        scored, compared, preferred = map(torch.from_numpy, (scores, pairs, preference))
        return Views(
            image,
            torch.from_numpy(boxes),
            scored,
            compared,
            preferred,
            maps,
            saliency,
            targets=None if good is None else torch.from_numpy(good),
        )

    def _decode(self, sample: Sample) -> NDArray[np.uint8]:
        name = str(sample.path)
        if name not in self._decoded:
            self._decoded[name] = preprocess.resize(open_photo(sample.path).preview(), self.recipe.side)
        return self._decoded[name]
