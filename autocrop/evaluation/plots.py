"""The papers' plots, which compare a model's predictions with people's choices over a whole data set.

Requires matplotlib and, for the map of boundary features, scikit-learn. The extra ``torch`` installs both.
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
"""Bins of the position of a side in the plot of errors: tenths of the photo."""
QUALITY_IOU = 0.85
"""Minimum IoU of a proposal with a scored crop to have the same quality (set prediction, section 3.2.1)."""
MIN_POINTS = 8
"""Minimum number of photos for a map of boundary features. Fewer would show no structure."""
MAX_POINTS = 1000
"""Maximum number of photos in that map. Exact t-SNE takes quadratic time."""
MAX_PERPLEXITY = 30.0
"""Maximum perplexity of t-SNE: scikit-learn's default. It must be less than the number of points."""


@dataclass
class PlotRecorder:
    """Records what the plots need besides predictions. Call :meth:`record` with every photo."""

    engine: Engine
    best: list[NDArray[np.float32]] = field(default_factory=list)
    """Best crop ``[4]`` of each photo."""
    boundaries: list[NDArray[np.float32]] = field(default_factory=list)
    """Boundary features ``[4, D]`` of each photo, if the model has them (CBLNet)."""
    quality: list[NDArray[np.float32]] = field(default_factory=list)
    """Quality of the proposals of each photo where it is known, if the model makes several (set prediction)."""
    validity: list[NDArray[np.float32]] = field(default_factory=list)
    """Confidence of the model in those proposals."""

    def record(self, sample: Sample, features: Features) -> None:
        """Record one photo."""
        self.best.append(best_crop(sample))
        maps = self.engine.maps(features)
        if "boundaries" in maps:
            self.boundaries.append(maps["boundaries"].reshape(4, -1))
        proposals = self.engine.propose(features)
        if proposals is not None and len(proposals.boxes) > 1:
            quality, is_known = proposal_quality(proposals.boxes, sample)
            self.quality.append(quality[is_known])
            self.validity.append(proposals.confidence[is_known])


def best_crop(sample: Sample) -> NDArray[np.float32]:
    """Return the crop ``[4]`` with the highest score or, without scores, the first best crop."""
    index = 0 if sample.scores is None else int(np.argmax(sample.scores))
    return sample.boxes[index].astype(np.float32)


def proposal_quality(proposals: Boxes, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rate proposals by people's choices.

    If crops have scores, the quality of a proposal is the score of the crop with the highest IoU, and is known if that
    IoU is at least :data:`QUALITY_IOU`. Otherwise it is ``1 + 4 · IoU`` with the nearest best crop, on the same scale.

    Returns:
        Quality ``[K]``, and ``[K]`` True where it is known.
    """
    overlap = bx.iou(proposals, sample.boxes)
    if sample.scores is None:
        return 1 + 4 * overlap.max(axis=1), np.ones(len(proposals), bool)
    return sample.scores[overlap.argmax(axis=1)], overlap.max(axis=1) >= QUALITY_IOU


def draw_plots(
    folder: Path, samples: Sequence[Sample], predictions: Sequence[Prediction], recorder: PlotRecorder | None = None
) -> list[Path]:
    """Draw every plot for which there is data.

    - ``boundaries.png``: predicted over true position of each side, with the mean of the true positions. A trivial
      model predicts this mean for every photo (CBLNet, Figure 2 a and b).
    - ``errors.png``: mean error over true position, and the number of sides there (CBLNet, Figure 2 c to f).
    - ``features.png``: boundary features in two dimensions by t-SNE, colored by the distance of the side from the
      photo's edge (CBLNet, Figure 6). CBLNet only.
    - ``validity.png``: confidence over quality of every proposal (set prediction, Figure 7). Set prediction only.

    Args:
        folder: folder for the plots. It is created if it does not exist.
        samples: photos.
        predictions: one for each photo.
        recorder: records of the model, or None for predictions from a file.

    Returns:
        Paths of the files written.

    Raises:
        AutocropError: there is no data for any plot.
    """
    pairs = [(best_crop(s), p.boxes[0]) for s, p in zip(samples, predictions, strict=True) if len(p.boxes)]
    plots: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {}
    if pairs:
        targets, predicted = (np.stack(part) for part in zip(*pairs, strict=True))
        plots["boundaries"] = (_plot_boundaries, (targets, predicted))
        plots["errors"] = (_plot_errors, (targets, predicted))
    if recorder is not None and len(recorder.boundaries) >= MIN_POINTS:
        plots["features"] = (_plot_features, (np.stack(recorder.best), np.stack(recorder.boundaries)))
    if recorder is not None and recorder.validity:
        plots["validity"] = (_plot_validity, (np.concatenate(recorder.quality), np.concatenate(recorder.validity)))
    if not plots:
        raise AutocropError("There is nothing to plot because no boxes were predicted. For gaicd and cpc, add --top 1.")
    folder.mkdir(parents=True, exist_ok=True)
    return [_draw(folder / f"{name}.png", plot, data) for name, (plot, data) in plots.items()]


def _draw(path: Path, plot: Callable[..., None], data: tuple[Any, ...]) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = 1 if plot is _plot_validity else len(SIDES)
    figure = Figure(figsize=(6, 4.6) if panels == 1 else (16, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    plot(axes, *data)
    figure.savefig(path, dpi=100)
    return path


def _plot_boundaries(axes: Sequence[Axes], targets: Boxes, predicted: Boxes) -> None:
    for side, panel in enumerate(axes):
        true_position, position = targets[:, side], predicted[:, side]
        panel.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as people did")
        panel.axhline(true_position.mean(), color="tab:orange", linestyle="--", label="always the mean")
        panel.scatter(true_position, position, s=10, alpha=0.5, color="tab:blue")
        correlation = metrics.pearson(position, true_position)
        panel.set(title=f"{SIDES[side]} (r = {correlation:.2f})", xlabel="people", xlim=(-0.03, 1.03))
        panel.set(ylim=(-0.03, 1.03), aspect="equal")
    axes[0].set_ylabel("model")
    axes[0].legend(fontsize="small")


def _plot_errors(axes: Sequence[Axes], targets: Boxes, predicted: Boxes) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    for side, panel in enumerate(axes):
        bins = np.clip((targets[:, side] * BINS).astype(int), 0, BINS - 1)
        error = np.abs(predicted[:, side] - targets[:, side])
        count = np.bincount(bins, minlength=BINS)
        mean = np.bincount(bins, error, minlength=BINS) / np.maximum(count, 1)
        panel.bar(edges[:-1], count, 1 / BINS, align="edge", color="0.85", label="photos")
        panel.set(title=SIDES[side], xlabel="annotated location", xlim=(0, 1))
        error_axis = panel.twinx()
        has_photos = count > 0
        error_axis.plot(edges[:-1][has_photos] + 0.5 / BINS, mean[has_photos], marker="o", color="tab:red")
        error_axis.set_ylim(0, max(0.05, 1.1 * float(mean.max())))
        error_axis.tick_params(axis="y", colors="tab:red")
        if side == len(axes) - 1:
            error_axis.set_ylabel("mean error, as a share of the photo", color="tab:red")
    axes[0].set_ylabel("photos")


def _plot_features(axes: Sequence[Axes], best: Boxes, boundaries: NDArray[np.float32]) -> None:
    from sklearn.manifold import TSNE

    if len(best) > MAX_POINTS:
        chosen = np.random.default_rng(0).permutation(len(best))[:MAX_POINTS]
        best, boundaries = best[chosen], boundaries[chosen]
    inset = np.abs(best - [0, 0, 1, 1])
    perplexity = min(MAX_PERPLEXITY, (len(best) - 1) / 3)
    for side, panel in enumerate(axes):
        values = boundaries[:, side]
        unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        # The exact method, because scikit-learn's Barnes-Hut tree crashes the process if points coincide.
        flat = TSNE(perplexity=perplexity, init="random", method="exact", random_state=0).fit_transform(unit)
        points = panel.scatter(
            flat[:, 0], flat[:, 1], c=inset[:, side], s=12, cmap="viridis_r", vmin=0, vmax=inset.max()
        )
        panel.set(title=f"{SIDES[side]} boundary", xticks=[], yticks=[])
    axes[-1].figure.colorbar(points, ax=axes[-1], label="distance of the annotated side from the photo's edge")


def _plot_validity(axes: Sequence[Axes], quality: NDArray[np.float32], validity: NDArray[np.float32]) -> None:
    axes[0].scatter(quality, validity, s=6, alpha=0.3)
    title = f"{len(quality)} proposals (r = {metrics.pearson(validity, quality):.2f})"
    axes[0].set(title=title, xlabel="quality, 1 to 5", ylabel="validity", xlim=(0.9, 5.1), ylim=(0, 1.02))
