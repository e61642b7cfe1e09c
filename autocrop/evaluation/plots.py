"""The plots of the papers: what a model's crops have in common, seen over a whole data set.

Needs matplotlib and, for the map of boundary features, scikit-learn; both come with the extra ``torch``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autocrop.datasets import Sample
from autocrop.engines import Engine, Features
from autocrop.errors import AutocropError
from autocrop.evaluation import metrics
from autocrop.evaluation.predictions import Prediction
from autocrop.geometry import boxes as bx
from autocrop.geometry.boxes import Boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = ("left", "top", "right", "bottom")
BINS = 10
"""Of a side's location, in the plot of errors."""
NEAR_IOU = 0.85
"""A proposal has the quality of a scored crop that it overlaps by this IoU (set prediction, section 3.2.1)."""
FEWEST_POINTS, MOST_POINTS = 8, 1000
"""Photos from which on a map of their boundary features says anything, and at most so many of them are in it."""


@dataclass
class Inside:
    """What the plots need of a model beside its predictions; :meth:`look` is called with every photo."""

    engine: Engine
    best: list[NDArray[np.float32]] = field(default_factory=list)
    """The best crop ``[4]`` of each photo looked at."""
    boundaries: list[NDArray[np.float32]] = field(default_factory=list)
    """Boundary features ``[4, D]`` of each of them, if the model has such (CBLNet)."""
    quality: list[NDArray[np.float32]] = field(default_factory=list)
    """Of the proposals of each of them, as far as it is known, if the model has several (set prediction)."""
    validity: list[NDArray[np.float32]] = field(default_factory=list)
    """The model's confidence in those proposals."""

    def look(self, sample: Sample, features: Features) -> None:
        """Take what the plots need of one photo."""
        self.best.append(best_crop(sample))
        maps = self.engine.maps(features)
        if "boundaries" in maps:
            self.boundaries.append(maps["boundaries"].reshape(4, -1))
        proposed = self.engine.propose(features)
        if proposed is not None and len(proposed.boxes) > 1:
            quality, known = proposal_quality(proposed.boxes, sample)
            self.quality.append(quality[known])
            self.validity.append(proposed.confidence[known])


def best_crop(sample: Sample) -> NDArray[np.float32]:
    """The crop ``[4]`` that people liked best: the first of several, where none has a score."""
    first = 0 if sample.scores is None else int(np.argmax(sample.scores))
    return sample.boxes[first].astype(np.float32)


def proposal_quality(proposals: Boxes, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Quality ``[K]`` of proposals, and of which it is known.

    With scored crops that of the crop which a proposal overlaps most, if by :data:`NEAR_IOU` or more. With best crops
    the IoU with the nearest one, on the same scale: ``1 + 4 · IoU``.
    """
    overlap = bx.iou(proposals, sample.boxes)
    if sample.scores is None:
        return 1 + 4 * overlap.max(axis=1), np.ones(len(proposals), bool)
    return sample.scores[overlap.argmax(axis=1)], overlap.max(axis=1) >= NEAR_IOU


def draw(
    folder: Path, samples: Sequence[Sample], predictions: Sequence[Prediction], inside: Inside | None = None
) -> list[Path]:
    """Draw every plot that the predictions and the model allow.

    - ``boundaries.png``: predicted against true location of each side, with the mean of the true ones: a trivial
      solution predicts the mean whatever the photo (CBLNet, Figure 2 a and b).
    - ``errors.png``: error over the true location, and how many sides lie there (Figure 2 c to f).
    - ``features.png``: boundary features in two dimensions by t-SNE, colored by the location of the side, the lighter
      the nearer to the photo's edge (Figure 6); CBLNet only.
    - ``validity.png``: confidence over quality of every proposal (set prediction, Figure 7); set prediction only.

    Args:
        folder: is made if it does not exist.
        samples: the photos.
        predictions: one for each.
        inside: of the model; None for predictions from a file.

    Returns:
        The files written.

    Raises:
        AutocropError: there is nothing to draw.
    """
    both = [(best_crop(s), p.boxes[0]) for s, p in zip(samples, predictions, strict=True) if len(p.boxes)]
    plots: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {}
    if both:
        truth, found = (np.stack(part) for part in zip(*both, strict=True))
        plots["boundaries"] = (_boundaries, (truth, found))
        plots["errors"] = (_errors, (truth, found))
    if inside is not None and len(inside.boundaries) >= FEWEST_POINTS:
        plots["features"] = (_features, (np.stack(inside.best), np.stack(inside.boundaries)))
    if inside is not None and inside.validity:
        plots["validity"] = (_validity, (np.concatenate(inside.quality), np.concatenate(inside.validity)))
    if not plots:
        raise AutocropError("There is nothing to plot: no box was found. With gaicd and cpc, add --top 1.")
    folder.mkdir(parents=True, exist_ok=True)
    return [_drawn(folder / f"{name}.png", paint, values) for name, (paint, values) in plots.items()]


def _drawn(path: Path, paint: Callable[..., None], values: tuple[Any, ...]) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = 1 if paint is _validity else 4
    figure = Figure(figsize=(16, 4.6) if panels == 4 else (6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    paint(axes, *values)
    figure.savefig(path, dpi=100)
    return path


def _boundaries(axes: Sequence[Axes], truth: Boxes, found: Boxes) -> None:
    for side, panel in enumerate(axes):
        actual, said = truth[:, side], found[:, side]
        panel.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as people did")
        panel.axhline(actual.mean(), color="tab:orange", linestyle="--", label="always the mean")
        panel.scatter(actual, said, s=10, alpha=0.5, color="tab:blue")
        panel.set(title=f"{SIDES[side]} (r = {metrics.pearson(said, actual):.2f})", xlabel="people", xlim=(-0.03, 1.03))
        panel.set(ylim=(-0.03, 1.03), aspect="equal")
    axes[0].set_ylabel("model")
    axes[0].legend(fontsize="small")


def _errors(axes: Sequence[Axes], truth: Boxes, found: Boxes) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    for side, panel in enumerate(axes):
        place = np.clip((truth[:, side] * BINS).astype(int), 0, BINS - 1)
        error = np.abs(found[:, side] - truth[:, side])
        count = np.bincount(place, minlength=BINS)
        mean = np.bincount(place, error, minlength=BINS) / np.maximum(count, 1)
        panel.bar(edges[:-1], count, 1 / BINS, align="edge", color="0.85", label="photos")
        panel.set(title=SIDES[side], xlabel="people's location", xlim=(0, 1))
        second = panel.twinx()
        there = count > 0
        second.plot(edges[:-1][there] + 0.5 / BINS, mean[there], marker="o", color="tab:red")
        second.set_ylim(0, max(0.05, 1.1 * float(mean.max())))
        second.tick_params(axis="y", colors="tab:red")
        if side == len(axes) - 1:
            second.set_ylabel("mean error, as a share of the photo", color="tab:red")
    axes[0].set_ylabel("photos")


def _features(axes: Sequence[Axes], best: Boxes, boundaries: NDArray[np.float32]) -> None:
    from sklearn.manifold import TSNE

    if len(best) > MOST_POINTS:
        chosen = np.random.default_rng(0).permutation(len(best))[:MOST_POINTS]
        best, boundaries = best[chosen], boundaries[chosen]
    inset = np.abs(best - [0, 0, 1, 1])
    perplexity = min(30.0, (len(best) - 1) / 3)
    for side, panel in enumerate(axes):
        values = boundaries[:, side]
        unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        # Exact: scikit-learn's Barnes-Hut tree crashes the process where points coincide.
        flat = TSNE(perplexity=perplexity, init="random", method="exact", random_state=0).fit_transform(unit)
        points = panel.scatter(
            flat[:, 0], flat[:, 1], c=inset[:, side], s=12, cmap="viridis_r", vmin=0, vmax=inset.max()
        )
        panel.set(title=f"{SIDES[side]} boundary", xticks=[], yticks=[])
    axes[-1].figure.colorbar(points, ax=axes[-1], label="distance of people's side from the photo's")


def _validity(axes: Sequence[Axes], quality: NDArray[np.float32], validity: NDArray[np.float32]) -> None:
    axes[0].scatter(quality, validity, s=6, alpha=0.3)
    title = f"{len(quality)} proposals (r = {metrics.pearson(validity, quality):.2f})"
    axes[0].set(title=title, xlabel="quality, 1 to 5", ylabel="validity", xlim=(0.9, 5.1), ylim=(0, 1.02))
