"""Imbalanced regression: the methods that CBLNet's paper compares C2C with (Table 2), applied to the sides of a crop.

Few crops are tight, so most sides lie near the edges of the photo. Each method gives rare locations more influence, as
described in its own paper and in CBLNet's. ``docs/papers/cblnet-c2c.md`` explains our decisions where these are silent.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.interpolate import PchipInterpolator
from torch import Tensor, nn

from autocrop.models.all_reduce import sum_over_processes

BINS = 20
"""Number of bins for the location of a side; each covers 0.05 of the photo."""
MIN_COUNT = 5.0
"""Smallest count of a bin used to compute its weight (Yang et al., ICML 2021)."""
MIN_VARIANCE = 1e-6
"""Features with a smaller variance in their bin are shifted but not scaled: one sample does not define a variance."""
KERNEL_SIZE, KERNEL_SIGMA = 5, 2.0
"""Size and standard deviation, in bins, of the Gaussian smoothing kernel (Yang et al., ICML 2021)."""
RELEVANCE_STEPS = 1000
"""Resolution of the tabulated relevance function: steps of 0.001 of the photo."""


def bin_of(location: Tensor) -> Tensor:
    """Return the bin index of each location in [0, 1]."""
    return (location * BINS).long().clamp(0, BINS - 1)


def gaussian_kernel() -> Tensor:
    """Return the smoothing kernel ``[KERNEL_SIZE]``, normalized to a sum of one."""
    offset = torch.arange(KERNEL_SIZE) - KERNEL_SIZE // 2
    kernel = torch.exp(-0.5 * (offset / KERNEL_SIGMA) ** 2)
    return kernel / kernel.sum()


def smooth_over_bins(rows: Tensor) -> Tensor:
    """Convolve rows ``[R, BINS]`` with the smoothing kernel, with reflection at both ends."""
    padded = F.pad(rows[:, None], (KERNEL_SIZE // 2, KERNEL_SIZE // 2), mode="reflect")
    return F.conv1d(padded, gaussian_kernel().to(rows)[None, None])[:, 0]


class InverseFrequency(nn.Module):
    """Inverse reweighting (INV): weights samples by the inverse frequency of their bin, with a mean weight of one.

    Args:
        power: exponent of the counts; 0.5 for square-root inverse reweighting (SQINV, Yang et al., ICML 2021).
        smooth: smooth the counts first (label distribution smoothing, LDS, Yang et al., ICML 2021).
    """

    weight: Tensor

    def __init__(self, power: float = 1.0, smooth: bool = False) -> None:
        super().__init__()
        self.power, self.smooth = power, smooth
        self.register_buffer("weight", torch.ones(4, BINS))

    def prepare(self, targets: Tensor) -> None:
        """Compute the weights from the sides ``[N, 4]`` of the training split."""
        bins = bin_of(targets)  # [N, 4]
        counts = torch.stack([torch.bincount(side, minlength=BINS) for side in bins.T]).float()  # [4, BINS]
        density = smooth_over_bins(counts) if self.smooth else counts
        weight = density.clamp(min=MIN_COUNT) ** -self.power
        mean = weight.gather(1, bins.T).mean(dim=1, keepdim=True)  # [4, 1]
        self.weight.copy_(weight / mean)

    def forward(self, targets: Tensor) -> Tensor:
        """Return the weights ``[B, 4]`` of the sides *targets* ``[B, 4]``."""
        return self.weight.gather(1, bin_of(targets).T).T


def focal_weight(error: Tensor, mu: float, psi: float) -> Tensor:
    """Weight σ(|μ e|)^ψ of an error e in Focal-R (Yang et al., ICML 2021, after Lin et al., ICCV 2017)."""
    return torch.sigmoid((mu * error).abs()) ** psi


class FeatureSmoothing(nn.Module):
    """Feature distribution smoothing (FDS, Yang et al., ICML 2021).

    Keeps the mean and variance of the features of each side and bin as running averages over epochs. In training,
    features are calibrated: moved from the statistics of their bin to those smoothed over neighboring bins. The
    statistics gathered in one epoch take effect in the next.

    Args:
        channels: C, number of channels of a feature.
        momentum: momentum of the running averages.
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
        """Add features ``[B, 4, C]`` of the sides *targets* ``[B, 4]`` to the statistics of this epoch."""
        for side, bins in enumerate(bin_of(targets).T):
            values = features[:, side].detach().float()  # [B, C]
            self.count[side].index_add_(0, bins, torch.ones_like(bins, dtype=torch.float))
            self.total[side].index_add_(0, bins, values)
            self.squares[side].index_add_(0, bins, values.square())

    @torch.no_grad()
    def update(self) -> None:
        """Merge the statistics of this epoch, from all processes, into the running averages and reset them."""
        for buffer in (self.count, self.total, self.squares):
            sum_over_processes(buffer)
        occupied = self.count > 0  # [4, BINS]
        count = self.count.clamp(min=1)[..., None]  # [4, BINS, 1]
        mean = self.total / count
        variance = (self.squares / count - mean.square()).clamp(min=0) * (count / (count - 1).clamp(min=1))
        keep = torch.where(self.seen, self.momentum, 0.0)[..., None]
        for average, value in ((self.mean, mean), (self.variance, variance)):
            average.copy_(torch.where(occupied[..., None], keep * average + (1 - keep) * value, average))
        self.seen |= occupied
        for buffer in (self.count, self.total, self.squares):
            buffer.zero_()

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Calibrate features ``[B, 4, C]`` of the sides *targets* ``[B, 4]``; bins without statistics are unchanged."""
        sides, bins = torch.arange(4, device=features.device).expand(len(features), 4), bin_of(targets)
        known = self.seen[sides, bins][..., None]  # [B, 4, 1]
        mean, variance = self._smoothed(self.mean), self._smoothed(self.variance)  # [4, BINS, C]
        scale = (variance / self.variance.clamp(min=MIN_VARIANCE)).clamp(0.1, 10).sqrt()
        scale = torch.where(self.variance > MIN_VARIANCE, scale, 1.0)
        calibrated = (features - self.mean[sides, bins]) * scale[sides, bins] + mean[sides, bins]
        return torch.where(known, calibrated, features)

    def _smoothed(self, statistics: Tensor) -> Tensor:
        """Smooth statistics ``[4, BINS, C]`` over the bins that have any."""
        channels = statistics.shape[2]
        rows = (statistics * self.seen[..., None]).transpose(1, 2).reshape(-1, BINS)  # [4 * C, BINS]
        share = smooth_over_bins(self.seen.float())[:, :, None]  # [4, BINS, 1]
        summed = smooth_over_bins(rows).reshape(4, channels, BINS).transpose(1, 2)  # [4, BINS, C]
        return torch.where(share > 0, summed / share.clamp(min=1e-6), statistics)


class SyntheticSamples(nn.Module):
    """SMOGN (Branco et al., 2017) on features: creates synthetic samples between, or near, rare ones.

    The relevance φ of a location follows from the box plot of the training split: a monotone cubic that is 0 at the
    median and 1 at each whisker beyond which there are outliers. A rare sample (φ >= *threshold*) is paired with a
    random one of its nearest rare neighbors in the batch. If their distance is less than half the median distance,
    the synthetic sample is interpolated between the two; otherwise it is the rare sample plus Gaussian noise. No
    target moves by more than *largest_shift*, and features move in proportion.

    Args:
        threshold: smallest relevance of a rare sample.
        neighbors: number of nearest neighbors to choose from.
        noise: standard deviation of the noise, relative to that of the batch.
        largest_shift: largest shift of a target, relative to the side of the photo.
    """

    relevance: Tensor

    def __init__(
        self, threshold: float = 0.8, neighbors: int = 5, noise: float = 0.02, largest_shift: float = 0.1
    ) -> None:
        super().__init__()
        self.threshold, self.neighbors, self.noise, self.largest_shift = threshold, neighbors, noise, largest_shift
        self.register_buffer("relevance", torch.zeros(4, RELEVANCE_STEPS + 1))

    def prepare(self, targets: Tensor) -> None:
        """Tabulate the relevance function of each side from the sides ``[N, 4]`` of the training split."""
        for side, values in enumerate(targets.T.double().cpu()):
            self.relevance[side].copy_(relevance_function(values))

    def rare(self, targets: Tensor) -> Tensor:
        """Return which of the sides *targets* ``[B, 4]`` are rare, as a mask ``[B, 4]``."""
        index = (targets * RELEVANCE_STEPS).round().long().clamp(0, RELEVANCE_STEPS)
        return self.threshold <= self.relevance.gather(1, index.T).T

    def forward(self, features: Tensor, targets: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Create one synthetic sample for each of the M rare samples of one side, if there are at least two.

        Args:
            features: ``[B, ...]``, features of that side.
            targets: ``[B, 4]``, locations of all sides.
            side: 0 to 3 for left, top, right and bottom.

        Returns:
            Features ``[M, ...]`` and targets ``[M]``.
        """
        rare = self.rare(targets)[:, side]  # [B]
        values, locations = features[rare], targets[rare, side]  # [M, ...], [M]
        if len(values) < 2:
            return values[:0], locations[:0]
        with torch.no_grad():
            partner, interpolate = self._pair(values)
            distance = (locations[partner] - locations).abs().clamp(min=1e-6)
            share = torch.rand(len(values), device=values.device).minimum(self.largest_shift / distance)
            jitter = self.noise * targets[:, side].std() * torch.randn(len(values), device=values.device)
            shift = torch.where(interpolate, share * (locations[partner] - locations), jitter)
            new_locations = (locations + shift.clamp(-self.largest_shift, self.largest_shift)).clamp(0, 1)
        share, interpolate = (part.reshape(-1, *[1] * (values.ndim - 1)) for part in (share, interpolate))  # [M, 1...]
        interpolated = values + share * (values[partner] - values)
        noisy = values + self.noise * features.std() * torch.randn_like(values)
        return torch.where(interpolate, interpolated, noisy), new_locations

    def _pair(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Pair each rare sample ``[M, ...]`` with a random near one.

        Returns:
            ``[M]``, index of the partner, and ``[M]``, True where it is near enough to interpolate.
        """
        flat = values.flatten(1)
        distance = torch.cdist(flat, flat)  # [M, M]
        near_enough = distance.median(dim=1).values / 2  # [M]
        distance.fill_diagonal_(torch.inf)
        nearest = distance.topk(min(self.neighbors, len(values) - 1), largest=False).indices
        choice = torch.randint(nearest.shape[1], (len(values), 1), device=values.device)
        partner = nearest.gather(1, choice)[:, 0]
        return partner, distance.gather(1, partner[:, None])[:, 0] < near_enough


def relevance_function(values: Tensor) -> Tensor:
    """Tabulate the relevance φ of locations in [0, 1] (Branco et al., 2017), see :class:`SyntheticSamples`.

    Args:
        values: ``[N]``, float64, locations in the training split.

    Returns:
        ``[RELEVANCE_STEPS + 1]``, float64; zero everywhere if both whiskers coincide with the median.
    """
    low, median, high = torch.quantile(values, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
    reach = 1.5 * (high - low)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    first, last = inside.min().item(), inside.max().item()  # the whiskers
    knots = [(first, float(values.min() < first)), (median, 0.0), (last, float(values.max() > last))]
    # The interpolation needs distinct knots.
    knots = [knot for i, knot in enumerate(knots) if i == 1 or abs(knot[0] - median) > 1e-3]
    if len(knots) == 1:
        return torch.zeros(RELEVANCE_STEPS + 1, dtype=torch.float64)
    x, y = zip(*knots, strict=True)
    grid = torch.linspace(0, 1, RELEVANCE_STEPS + 1, dtype=torch.float64)
    return torch.from_numpy(PchipInterpolator(x, y, extrapolate=False)(grid.clamp(x[0], x[-1])))
