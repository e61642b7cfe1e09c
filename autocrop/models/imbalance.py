"""Imbalanced regression: the methods that C2C is compared with (CBLNet, Table 2), for the four sides of a crop.

Few crops are tight: the sides of most lie near the photo's edges. Each method makes more of the rare ones, by its own
paper and as CBLNet's paper describes its use here. ``docs/models.md`` has what either leaves open.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.interpolate import PchipInterpolator
from torch import Tensor, nn

from autocrop.models.losses import sum_over_processes

BINS = 20
"""Bins of a side's location: 0.05 of the photo each."""
LEAST_COUNT = 5.0
"""A bin counts at least this many samples when its weight is computed (Yang et al., ICML 2021)."""
LEAST_VARIANCE = 1e-6
"""Of a feature in a bin, from which on FDS scales it."""
KERNEL_SIZE, KERNEL_SIGMA = 5, 2.0
"""Of the Gaussian that smooths distributions, in bins (Yang et al., ICML 2021)."""


def bin_of(location: Tensor) -> Tensor:
    """Bin of each location in [0, 1]."""
    return (location * BINS).long().clamp(0, BINS - 1)


def gaussian_kernel() -> Tensor:
    """The smoothing kernel ``[KERNEL_SIZE]``; it sums to one."""
    offset = torch.arange(KERNEL_SIZE) - KERNEL_SIZE // 2
    kernel = torch.exp(-0.5 * (offset / KERNEL_SIGMA) ** 2)
    return kernel / kernel.sum()


def smoothed(rows: Tensor) -> Tensor:
    """Rows ``[R, BINS]`` convolved with the kernel, mirrored at both ends."""
    padded = F.pad(rows[:, None], (KERNEL_SIZE // 2, KERNEL_SIZE // 2), mode="reflect")
    return F.conv1d(padded, gaussian_kernel().to(rows)[None, None])[:, 0]


class InverseFrequency(nn.Module):
    """Weights of samples: the inverse of how many are in their bin, a mean of one over the training split.

    Args:
        power: of the counts: 1 for their inverse, 0.5 for the square root of it (SQINV, Yang et al.).
        smooth: smooth the counts first, which is label distribution smoothing (LDS, Yang et al., ICML 2021).
    """

    weight: Tensor

    def __init__(self, power: float = 1.0, smooth: bool = False) -> None:
        super().__init__()
        self.power, self.smooth = power, smooth
        self.register_buffer("weight", torch.ones(4, BINS))

    def prepare(self, targets: Tensor) -> None:
        """Count the sides ``[N, 4]`` of the training split."""
        bins = bin_of(targets)
        counts = torch.stack([torch.bincount(side, minlength=BINS) for side in bins.T]).float()
        density = smoothed(counts) if self.smooth else counts
        weight = density.clamp(min=LEAST_COUNT) ** -self.power
        mean = weight.gather(1, bins.T).mean(dim=1, keepdim=True)
        self.weight.copy_(weight / mean)

    def forward(self, targets: Tensor) -> Tensor:
        """Weights ``[B, 4]`` of the sides *targets* ``[B, 4]``."""
        return self.weight.gather(1, bin_of(targets).T).T


def focal_weight(error: Tensor, mu: float, psi: float) -> Tensor:
    """Focal-R (Yang et al., after Lin et al., ICCV 2017): σ(|μ e|)^ψ, by which an error e counts."""
    return torch.sigmoid((mu * error).abs()) ** psi


class FeatureSmoothing(nn.Module):
    """Feature distribution smoothing (FDS, Yang et al., ICML 2021): calibrate features by those of nearby targets.

    Mean and variance of each side's features are kept for every bin, as running averages over epochs, and smoothed
    over bins. In training a feature is moved from its bin's statistics to the smoothed ones. Statistics are gathered
    during an epoch and used from the next one on.

    Args:
        channels: of a feature.
        momentum: of the running averages.
    """

    count: Tensor
    total: Tensor
    squares: Tensor
    mean: Tensor
    variance: Tensor
    seen: Tensor

    def __init__(self, channels: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("count", torch.zeros(4, BINS))
        for name in ("total", "squares", "mean"):
            self.register_buffer(name, torch.zeros(4, BINS, channels))
        self.register_buffer("variance", torch.ones(4, BINS, channels))
        self.register_buffer("seen", torch.zeros(4, BINS, dtype=torch.bool))

    @torch.no_grad()
    def gather(self, features: Tensor, targets: Tensor) -> None:
        """Take notice of features ``[B, 4, C]`` of the sides *targets* ``[B, 4]``."""
        for side, bins in enumerate(bin_of(targets).T):
            values = features[:, side].detach().float()
            self.count[side].index_add_(0, bins, torch.ones_like(bins, dtype=torch.float))
            self.total[side].index_add_(0, bins, values)
            self.squares[side].index_add_(0, bins, values.square())

    @torch.no_grad()
    def update(self) -> None:
        """Make the statistics of what all processes gathered part of the running averages, and forget it."""
        for buffer in (self.count, self.total, self.squares):
            sum_over_processes(buffer)
        there = self.count > 0
        count = self.count.clamp(min=1)[..., None]
        mean = self.total / count
        variance = (self.squares / count - mean.square()).clamp(min=0) * (count / (count - 1).clamp(min=1))
        keep = torch.where(self.seen, self.momentum, 0.0)[..., None]
        self.mean.copy_(torch.where(there[..., None], keep * self.mean + (1 - keep) * mean, self.mean))
        self.variance.copy_(torch.where(there[..., None], keep * self.variance + (1 - keep) * variance, self.variance))
        self.seen |= there
        for buffer in (self.count, self.total, self.squares):
            buffer.zero_()

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Features ``[B, 4, C]`` as they would be if nearby targets had similar ones; as they are, at first."""
        sides, bins = torch.arange(4, device=features.device).expand(len(features), 4), bin_of(targets)
        known = self.seen[sides, bins][..., None]
        mean, variance = self._smoothed(self.mean), self._smoothed(self.variance)
        scale = (variance / self.variance.clamp(min=LEAST_VARIANCE)).clamp(0.1, 10).sqrt()
        scale = torch.where(self.variance > LEAST_VARIANCE, scale, 1.0)  # that of a single sample says nothing
        moved = (features - self.mean[sides, bins]) * scale[sides, bins] + mean[sides, bins]
        return torch.where(known, moved, features)

    def _smoothed(self, statistics: Tensor) -> Tensor:
        """Statistics ``[4, BINS, C]`` smoothed over those bins that have any."""
        channels = statistics.shape[2]
        rows = (statistics * self.seen[..., None]).transpose(1, 2).reshape(-1, BINS)
        share = smoothed(self.seen.float())[:, :, None]
        summed = smoothed(rows).reshape(4, channels, BINS).transpose(1, 2)
        return torch.where(share > 0, summed / share.clamp(min=1e-6), statistics)


class SyntheticSamples(nn.Module):
    """SMOGN (Branco et al., 2017) on features: new samples between rare ones, or near one of them.

    How rare a location is, the relevance φ, comes from the box plot of the training split: 0 at the median, and 1 at
    those whiskers that values lie beyond, by a monotone cubic between. A rare sample (φ ≥ *threshold*) is paired with
    one of its nearest rare neighbors of the batch. If that one is near enough, half the median of all distances, the
    new sample lies between the two; otherwise it is the rare one with Gaussian noise. No target moves by more than
    *largest_shift*, and features go no further than their target.

    Args:
        threshold: relevance from which on a sample is rare.
        neighbors: that may be chosen.
        noise: standard deviation, as a share of the batch's.
        largest_shift: of a target, as a share of the photo's side.
    """

    knots: Tensor
    relevance: Tensor

    def __init__(
        self, threshold: float = 0.8, neighbors: int = 5, noise: float = 0.02, largest_shift: float = 0.1
    ) -> None:
        super().__init__()
        self.threshold, self.neighbors, self.noise, self.largest_shift = threshold, neighbors, noise, largest_shift
        self.register_buffer("relevance", torch.zeros(4, 1001))

    def prepare(self, targets: Tensor) -> None:
        """Draw the box plots of the sides ``[N, 4]`` of the training split."""
        grid = torch.linspace(0, 1, 1001, dtype=torch.float64)
        for side, values in enumerate(targets.T.double().cpu()):
            low, middle, high = torch.quantile(values, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
            reach = 1.5 * (high - low)
            inside = values[(values >= low - reach) & (values <= high + reach)]
            first, last = inside.min().item(), inside.max().item()
            ends = [(first, float(values.min() < first)), (middle, 0.0), (last, float(values.max() > last))]
            knots = [knot for i, knot in enumerate(ends) if i == 1 or abs(knot[0] - middle) > 1e-3]
            phi = torch.zeros(1001, dtype=torch.float64)
            if len(knots) > 1:
                x, y = zip(*knots, strict=True)
                phi = torch.from_numpy(PchipInterpolator(x, y, extrapolate=False)(grid.clamp(x[0], x[-1])))
            self.relevance[side].copy_(phi)

    def rare(self, targets: Tensor) -> Tensor:
        """Which of the sides *targets* ``[B, 4]`` are rare, ``[B, 4]``."""
        index = (targets * 1000).round().long().clamp(0, 1000)
        return self.threshold <= self.relevance.gather(1, index.T).T

    def forward(self, features: Tensor, targets: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """New features ``[M, ...]`` and targets ``[M]`` of one side, one for each rare sample of the batch.

        Args:
            features: ``[B, ...]`` of that side.
            targets: ``[B, 4]``.
            side: 0 to 3 for left, top, right and bottom.
        """
        rare = self.rare(targets)[:, side]
        values, places = features[rare], targets[rare, side]
        count = len(values)
        if count < 2:
            return values[:0], places[:0]
        with torch.no_grad():
            flat = values.flatten(1)
            distance = torch.cdist(flat, flat)
            near_enough = distance.median(dim=1).values / 2
            distance.fill_diagonal_(torch.inf)
            nearest = distance.topk(min(self.neighbors, count - 1), largest=False).indices
            chosen = nearest.gather(1, torch.randint(nearest.shape[1], (count, 1), device=values.device))[:, 0]
            between = distance.gather(1, chosen[:, None])[:, 0] < near_enough
            distance_apart = (places[chosen] - places).abs().clamp(min=1e-6)
            share = torch.rand(count, device=values.device).minimum(self.largest_shift / distance_apart)
            jitter = self.noise * targets[:, side].std() * torch.randn(count, device=values.device)
            shift = torch.where(between, share * (places[chosen] - places), jitter)
            new_places = (places + shift.clamp(-self.largest_shift, self.largest_shift)).clamp(0, 1)
        share, between = (part.reshape(-1, *[1] * (values.ndim - 1)) for part in (share, between))
        interpolated = values + share * (values[chosen] - values)
        noisy = values + self.noise * features.std() * torch.randn_like(values)
        return torch.where(between, interpolated, noisy), new_places
