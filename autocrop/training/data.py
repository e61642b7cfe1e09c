"""Training data: samples → decoded photos, augmentation and targets of each optimizer step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

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
from autocrop.training.targets import scored_views, target_crops, trim_margins

MIRROR_PROBABILITY = 0.5
"""Probability that a photo is mirrored: both directions are equally likely."""


@dataclass(frozen=True)
class Crops:
    """The crops of one photo in one step, as in :class:`~autocrop.models.Views`, but in numpy."""

    boxes: Boxes
    scores: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    pairs: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    preference: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    targets: Boxes | None = None

    def mirrored(self) -> Crops:
        """Return the crops of the mirrored photo."""
        targets = None if self.targets is None else bx.flip(self.targets)
        return dataclasses.replace(self, boxes=bx.flip(self.boxes), targets=targets)


class TrainingViews:
    """Batches of :class:`~autocrop.models.Views`, one per photo, in random order.

    Photos are decoded once, at the network's input size, and kept in memory: about 0.3 MB each. Every photo of every
    epoch has its own random generator, seeded by the recipe's seed, the epoch and the photo. So a run can be resumed
    at any epoch with the same batches, and several processes can each draw their share of a batch.

    Args:
        samples: training split.
        recipe: has the number of photos and crops per step, the seed, and the share of photos to trim.
        unlabeled: photos without annotations. One is drawn for each labeled photo; an empty sequence draws none.
        saliency: True to add a saliency map to each photo.
        cache: features of the frozen backbone, or None to train on pixels.
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
        # The color jitter of GAIC's authors, in torchvision's terms (docs/papers/index.md).
        self._jitter_colors = v2.ColorJitter(brightness=0.125, contrast=0.5, saturation=0.5, hue=0.05)

    def __len__(self) -> int:
        """Return the optimizer steps per epoch. Photos that do not fill a last batch are left out."""
        return len(self.samples) // self.batch

    def epoch(self, number: int, rank: int = 0, processes: int = 1) -> Iterator[list[Views]]:
        """Iterate over the batches of an epoch.

        Args:
            number: number of the epoch, from 0.
            rank: number of this process, from 0.
            processes: number of processes that share each batch. Each gets every *processes*-th photo.
        """
        order = np.random.default_rng([self.recipe.seed, number]).permutation(len(self.samples))
        for step in range(len(self)):
            batch = order[step * self.batch : (step + 1) * self.batch]
            yield [self._draw(int(index), number) for index in batch[rank::processes]]

    def _draw(self, index: int, epoch: int) -> Views:
        rng = np.random.default_rng([self.recipe.seed, epoch, index])
        # torchvision's transforms draw from torch's global generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            views = self._draw_labeled(self.samples[index], rng)
            if not self.unlabeled:
                return views
            return dataclasses.replace(views, unlabeled=self._draw_unlabeled(rng))

    def _draw_labeled(self, sample: Sample, rng: np.random.Generator) -> Views:
        pixels = self._decode(sample)
        if self._cache is None and rng.random() < self.recipe.trim:
            sample, pixels = trim_margins(sample, pixels, rng)
            pixels = preprocess.resize(pixels, self.recipe.side)
        boxes, scores = scored_views(sample, self.recipe.views, rng)
        crops = Crops(boxes, scores, targets=target_crops(sample))
        if sample.votes is not None:
            counts = sample.votes.counts
            crops = dataclasses.replace(
                crops,
                boxes=np.concatenate([boxes, sample.votes.pairs.reshape(-1, 4)]),
                pairs=len(boxes) + np.arange(2 * len(counts)).reshape(-1, 2),
                preference=(counts[:, 0] / counts.sum(axis=1)).astype(np.float32),
            )
        return self._views(pixels, crops, rng)

    def _draw_unlabeled(self, rng: np.random.Generator) -> Views:
        sample = self.unlabeled[int(rng.integers(len(self.unlabeled)))]
        anchors = grid_anchors(sample.aspect)
        anchors = anchors[rng.permutation(len(anchors))[: self.recipe.views]]
        return self._views(self._decode(sample), Crops(anchors), rng)

    def _views(self, pixels: NDArray[np.uint8], crops: Crops, rng: np.random.Generator) -> Views:
        """Augment and normalize a photo. Add cached features and saliency."""
        if rng.random() < MIRROR_PROBABILITY:
            pixels, crops = np.ascontiguousarray(pixels[:, ::-1]), crops.mirrored()
        image = torch.from_numpy(pixels.transpose(2, 0, 1))
        if self._cache is None:
            image = self._jitter_colors(image)
        image = v2.functional.normalize(image.float() / 255, preprocess.MEAN.tolist(), preprocess.STD.tolist())[None]
        return Views(
            image,
            boxes=torch.from_numpy(crops.boxes),
            scores=torch.from_numpy(crops.scores),
            pairs=torch.from_numpy(crops.pairs),
            preference=torch.from_numpy(crops.preference),
            maps=None if self._cache is None else self._cache.maps(pixels, image),
            saliency=torch.from_numpy(spectral_residual(pixels)) if self._saliency else None,
            targets=None if crops.targets is None else torch.from_numpy(crops.targets),
        )

    def _decode(self, sample: Sample) -> NDArray[np.uint8]:
        key = str(sample.path)
        if key not in self._decoded:
            self._decoded[key] = preprocess.resize(open_photo(sample.path).preview(), self.recipe.side)
        return self._decoded[key]
