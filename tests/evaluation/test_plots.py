"""The papers' plots."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autocrop.datasets import Sample
from autocrop.errors import AutocropError
from autocrop.evaluation.evaluate import predict
from autocrop.evaluation.plots import PlotRecorder, best_crop, draw_plots, proposal_quality
from autocrop.evaluation.predictions import Prediction, empty_prediction
from autocrop.geometry import boxes as bx
from tests.helpers.proposing_engine import PROPOSED, ProposingEngine, write_samples_near_proposal


@pytest.fixture
def engine():
    return ProposingEngine()


@pytest.fixture
def labeled(tmp_path):
    """Nine photos whose best crop is near the first proposal."""
    return write_samples_near_proposal(tmp_path)


@pytest.mark.slow  # the import of scikit-learn
def test_all_plots_are_drawn(engine, labeled, tmp_path):
    """A model with boundary features and proposals has four plots, a file of predictions has two."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    recorder = PlotRecorder(engine)
    predictions = predict(engine, labeled, on_features=recorder.record)
    files = draw_plots(tmp_path / "model", labeled, predictions, recorder)
    assert [path.stem for path in files] == ["boundaries", "errors", "features", "validity"]
    for path in files:
        with Image.open(path) as picture:
            assert min(picture.size) >= 300
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    files = draw_plots(tmp_path / "file", labeled, predictions)
    assert [path.stem for path in files] == ["boundaries", "errors"]


def test_nothing_to_plot_is_an_error(labeled, tmp_path):
    """Predictions without boxes cannot be plotted. The error suggests --top 1."""
    predictions = [empty_prediction(sample.name) for sample in labeled]
    with pytest.raises(AutocropError, match="--top 1"):
        draw_plots(tmp_path / "plots", labeled, predictions)


@pytest.fixture
def draw_figures(monkeypatch, tmp_path):
    """Return a function that draws plots and returns the figures by name instead of writing them."""
    figure = pytest.importorskip("matplotlib.figure")
    figures = {}
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, path, **options: figures.update({path.stem: self}))

    def draw(samples, boxes, recorder=None):
        predictions = [
            Prediction(sample.name, box[None], np.ones(1, np.float32))
            for sample, box in zip(samples, boxes, strict=True)
        ]
        draw_plots(tmp_path, samples, predictions, recorder)
        return figures

    return draw


TARGETS = np.array([[0.12, 0.05, 0.71, 0.81], [0.18, 0.05, 0.95, 0.99], [0.33, 0.05, 0.95, 0.81]], np.float32)
PREDICTED = TARGETS + np.array([[0.06, 0, 0, 0], [-0.02, 0, 0, 0.01], [0.2, 0.3, -0.1, 0]], np.float32)
SAMPLES = [Sample(Path(f"{number}.jpg"), 90, 60, box[None]) for number, box in enumerate(TARGETS)]


def test_boundaries_show_predicted_over_true_sides(draw_figures):
    """Each panel shows one side, with people's positions on the x axis and the mean as a line."""
    panels = draw_figures(SAMPLES, PREDICTED)["boundaries"].axes
    for side, (panel, name) in enumerate(zip(panels, ("left", "top", "right", "bottom"), strict=True)):
        points = np.asarray(panel.collections[0].get_offsets())
        assert points == pytest.approx(np.stack([TARGETS[:, side], PREDICTED[:, side]], axis=1))
        assert (panel.get_xlabel(), panel.get_title().split()[0]) == ("people", name)
        assert panel.lines[1].get_ydata()[0] == pytest.approx(TARGETS[:, side].mean())
    assert panels[0].get_ylabel() == "model"


def test_errors_are_means_over_bins(draw_figures):
    """Each panel counts the sides per tenth of the photo and shows their mean absolute error."""
    axes = draw_figures(SAMPLES, PREDICTED)["errors"].axes
    panels, errors = axes[:4], axes[4:]
    assert [bar.get_height() for bar in panels[0].patches] == [0, 2, 0, 1, 0, 0, 0, 0, 0, 0]
    assert [bar.get_height() for bar in panels[2].patches] == [0, 0, 0, 0, 0, 0, 0, 1, 0, 2]
    mean_errors = [
        {0.15: 0.04, 0.35: 0.2},  # the mean of 0.06 and 0.02
        {0.05: 0.1},
        {0.75: 0.0, 0.95: 0.05},
        {0.85: 0.0, 0.95: 0.01},
    ]
    for panel, expected in zip(errors, mean_errors, strict=True):
        (line,) = panel.lines
        assert line.get_xdata() == pytest.approx(list(expected))
        assert line.get_ydata() == pytest.approx(list(expected.values()), abs=1e-6)


def test_validity_shows_confidence_over_quality(draw_figures, engine, labeled):
    """Each proposal is a point with its quality on the x axis and its confidence on the y axis."""
    recorder = PlotRecorder(engine, quality=[np.array([4.5, 2.0])], validity=[np.array([0.8, 0.1])])
    (panel,) = draw_figures(labeled[:1], PROPOSED[:1], recorder)["validity"].axes
    assert panel.collections[0].get_offsets().tolist() == [[4.5, 0.8], [2.0, 0.1]]
    assert panel.get_xlabel().startswith("quality")


def test_quality_of_proposal_is_score_of_near_crop(labeled):
    """With scored crops, a proposal has the score of a crop that it nearly coincides with, or no known quality."""
    sample = dataclasses.replace(labeled[0], boxes=PROPOSED[[0, 2]], scores=np.array([4.5, 2.0], np.float32))
    quality, is_known = proposal_quality(PROPOSED, sample)
    assert is_known.tolist() == [True, True, True, False]
    assert quality[is_known].tolist() == [4.5, 4.5, 2.0]
    assert best_crop(sample).tolist() == PROPOSED[0].tolist()


def test_quality_of_proposal_is_iou_with_best_crop(labeled):
    """With best crops, the quality is 1 + 4 · IoU."""
    quality, is_known = proposal_quality(PROPOSED, labeled[0])
    assert is_known.all()
    assert quality == pytest.approx(1 + 4 * bx.iou(PROPOSED, labeled[0].boxes)[:, 0])
