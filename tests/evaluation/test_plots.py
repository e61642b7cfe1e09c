"""The papers' plots, and what a model that proposes crops is asked for."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autocrop.datasets import Sample
from autocrop.engines import Proposals
from autocrop.errors import AutocropError
from autocrop.evaluation.evaluate import measure, predict
from autocrop.evaluation.plots import Inside, best_crop, draw, proposal_quality
from autocrop.evaluation.predictions import Prediction
from autocrop.geometry import boxes as bx
from autocrop.geometry.proposals import proposal_scores, ranked
from autocrop.search.subjects import Subjects
from tests.helpers.engines import CenteredEngine
from tests.helpers.search import find_boxes, find_crops

PROPOSED = np.array([[0.1, 0.1, 0.9, 0.9], [0.12, 0.1, 0.9, 0.9], [0, 0, 0.5, 0.6], [0.4, 0.3, 1, 1]], np.float32)
CONFIDENCE = np.array([0.8, 0.7, 0.2, 0.4], np.float32)


class ProposingEngine(CenteredEngine):
    """A model that proposes four crops, two of which are nearly the same."""

    network = "setpred"

    def score(self, features, boxes, shape="rectangle"):
        return proposal_scores(PROPOSED, CONFIDENCE, boxes)

    def propose(self, features):
        return Proposals(*ranked(PROPOSED, CONFIDENCE))

    def maps(self, features):
        self.looked = getattr(self, "looked", 0) + 1
        return {"boundaries": np.random.default_rng(self.looked // 4).random((4, 3, 2), np.float32)}


@pytest.fixture
def engine():
    return ProposingEngine()


@pytest.fixture
def labeled(tmp_path):
    found = []
    rng = np.random.default_rng(0)
    for number in range(9):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (90, 60), (20 * number, 90, 60)).save(path)
        best = np.clip(PROPOSED[:1] + rng.normal(0, 0.05, (1, 4)), 0, 1).astype(np.float32)
        found.append(Sample(path, 90, 60, best))
    return found


def test_scores_of_any_crop():
    """1 + 4 · mean IoU, weighted by confidence squared: it counts what all proposals say, and the sure ones most."""
    boxes = np.array([[0.1, 0.1, 0.9, 0.9], [0, 0, 0.5, 0.6], [0.95, 0, 1, 0.05]], np.float32)
    scores = proposal_scores(PROPOSED, CONFIDENCE, boxes)
    for box, score in zip(boxes, scores, strict=True):
        matches = [c**2 * bx.iou(box[None], p[None])[0, 0] for p, c in zip(PROPOSED, CONFIDENCE, strict=True)]
        assert score == pytest.approx(1 + 4 * sum(matches) / sum(c**2 for c in CONFIDENCE))
    assert scores[2] == 1
    alone = proposal_scores(PROPOSED[:1], CONFIDENCE[:1], boxes)
    assert alone == pytest.approx(1 + 4 * bx.iou(boxes, PROPOSED[:1])[:, 0])
    assert list(proposal_scores(PROPOSED, np.zeros_like(CONFIDENCE), boxes)) == [1, 1, 1]


def test_proposals_are_taken_as_they_are_and_are_different(engine):
    """The most confident first, without its double; further crops come from the anchors once they are used up."""
    features = engine.encode(np.zeros((60, 90, 3), np.uint8))
    boxes, scores = find_boxes(engine, features, top=3)
    assert boxes == pytest.approx(PROPOSED[[0, 3, 2]])
    assert list(scores) == sorted(scores, reverse=True)
    more, _ = find_boxes(engine, features, top=5)
    assert more[:3] == pytest.approx(boxes)
    assert len(more) == 5
    assert np.triu(bx.iou(more, more), 1).max() <= 0.76


def test_the_first_crop_is_what_proposals_agree_on():
    """Three that are nearly the same outvote one that is a little more confident."""
    engine = ProposingEngine()
    boxes = np.array([[0, 0, 0.5, 0.5], [0.2, 0.2, 1, 1], [0.22, 0.2, 1, 1], [0.2, 0.22, 1, 1]], np.float32)
    confidence = np.array([0.6, 0.5, 0.5, 0.5], np.float32)
    engine.propose = lambda features: Proposals(*ranked(boxes, confidence))
    engine.score = lambda features, crops, shape="rectangle": proposal_scores(boxes, confidence, crops)
    found, _ = find_boxes(engine, engine.encode(np.zeros((60, 90, 3), np.uint8)), top=2)
    assert found == pytest.approx(boxes[[1, 0]])
    assert engine.score(None, boxes).argmax() == 1


def test_a_ratio_and_what_must_stay_in(engine):
    """A ratio is searched for by the overlap with the proposals; a region that must stay in overrules them."""
    features = engine.encode(np.zeros((600, 900, 3), np.uint8))
    (crop,) = find_crops(engine, features, (900, 600), ratio=(1, 1))
    assert crop.width == crop.height > 400
    assert bx.iou(bx.from_pixels(np.array([crop.box]), 900, 600), PROPOSED[:1])[0, 0] > 0.6
    subjects = Subjects((900, 600), np.empty((0, 4), np.float32), [(0, 0, 45, 30)])
    (crop,) = find_crops(engine, features, (900, 600), subjects=subjects)
    assert crop.box[:2] == (0, 0)


def test_several_crops_are_measured(engine, labeled):
    """The best of the first five is at least as good as the first; how much alike they are is told."""
    predictions = predict(engine, labeled, top=5)
    report = measure(labeled, predictions, top=5)
    assert set(report["best_of"]) == {"5"}
    assert report["best_of"]["5"] >= report["iou"] > 0.75
    first = predictions[0].boxes[:5]
    pairs = [bx.iou(first[[i]], first[[j]])[0, 0] for i in range(len(first)) for j in range(i)]
    assert report["similarity"] == pytest.approx(np.mean(pairs), abs=1e-5)
    alone = measure(labeled, predict(engine, labeled))
    assert alone["best_of"] == {}
    assert alone["similarity"] is None


def test_where_crops_have_scores_the_proposals_count_as_they_are(engine, labeled):
    """Near-duplicates are no suggestions to a user, but they count in AP."""
    scored = [dataclasses.replace(s, scores=np.array([4.5], np.float32)) for s in labeled]
    (prediction, *_) = predict(engine, scored, top=4)
    assert prediction.boxes == pytest.approx(PROPOSED[[0, 1, 3, 2]])
    assert prediction.scores.tolist() == pytest.approx([0.8, 0.7, 0.4, 0.2])


def test_every_plot_is_drawn(engine, labeled, tmp_path):
    """All four for a model that has all; the two of the boxes for somebody else's predictions."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    inside = Inside(engine)
    predictions = predict(engine, labeled, look=inside.look)
    files = draw(tmp_path / "plots", labeled, predictions, inside)
    assert [path.stem for path in files] == ["boundaries", "errors", "features", "validity"]
    for path in files:
        with Image.open(path) as picture:
            assert min(picture.size) >= 300
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    files = draw(tmp_path / "others", labeled, predictions)
    assert [path.stem for path in files] == ["boundaries", "errors"]
    empty = [Prediction(s.name, np.empty((0, 4), np.float32), np.empty(0, np.float32)) for s in labeled]
    with pytest.raises(AutocropError, match="--top 1"):
        draw(tmp_path / "none", labeled, empty)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draws, and gives the figures by name instead of writing them."""
    figure = pytest.importorskip("matplotlib.figure")
    figures = {}
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, path, **options: figures.update({path.stem: self}))

    def draws(samples, found, inside=None):
        answers = [Prediction(s.name, box[None], np.ones(1, np.float32)) for s, box in zip(samples, found, strict=True)]
        draw(tmp_path, samples, answers, inside)
        return figures

    return draws


def test_what_the_plots_of_sides_show(drawn):
    """People's sides are across and the model's up; errors have no sign, and are means over bins of a tenth."""
    truth = np.array([[0.12, 0.05, 0.71, 0.81], [0.18, 0.05, 0.95, 0.99], [0.33, 0.05, 0.95, 0.81]], np.float32)
    found = truth + np.array([[0.06, 0, 0, 0], [-0.02, 0, 0, 0.01], [0.2, 0.3, -0.1, 0]], np.float32)
    samples = [Sample(Path(f"{number}.jpg"), 90, 60, box[None]) for number, box in enumerate(truth)]
    figures = drawn(samples, found)
    for side, panel in enumerate(figures["boundaries"].axes):
        points = np.asarray(panel.collections[0].get_offsets())
        assert points == pytest.approx(np.stack([truth[:, side], found[:, side]], axis=1))
        assert (panel.get_xlabel(), panel.get_title().split()[0]) == (
            "people",
            ("left", "top", "right", "bottom")[side],
        )
        assert panel.lines[1].get_ydata()[0] == pytest.approx(truth[:, side].mean())
    assert figures["boundaries"].axes[0].get_ylabel() == "model"
    panels, errors = figures["errors"].axes[:4], figures["errors"].axes[4:]
    assert [bar.get_height() for bar in panels[0].patches] == [0, 2, 0, 1, 0, 0, 0, 0, 0, 0]
    assert [bar.get_height() for bar in panels[2].patches] == [0, 0, 0, 0, 0, 0, 0, 1, 0, 2]
    by_place = [
        {0.15: 0.04, 0.35: 0.2},  # the mean of 0.06 and 0.02
        {0.05: 0.1},
        {0.75: 0.0, 0.95: 0.05},
        {0.85: 0.0, 0.95: 0.01},
    ]
    for panel, expected in zip(errors, by_place, strict=True):
        (line,) = panel.lines
        assert line.get_xdata() == pytest.approx(list(expected))
        assert line.get_ydata() == pytest.approx(list(expected.values()), abs=1e-6)


def test_what_the_plot_of_validity_shows(drawn, engine, labeled):
    """Quality across, confidence up."""
    inside = Inside(engine, quality=[np.array([4.5, 2.0])], validity=[np.array([0.8, 0.1])])
    (panel,) = drawn(labeled[:1], PROPOSED[:1], inside)["validity"].axes
    assert panel.collections[0].get_offsets().tolist() == [[4.5, 0.8], [2.0, 0.1]]
    assert panel.get_xlabel().startswith("quality")


def test_quality_of_proposals(labeled):
    """That of the scored crop they all but coincide with; with best crops 1 + 4 · IoU."""
    sample = dataclasses.replace(labeled[0], boxes=PROPOSED[[0, 2]], scores=np.array([4.5, 2.0], np.float32))
    quality, known = proposal_quality(PROPOSED, sample)
    assert known.tolist() == [True, True, True, False]
    assert quality[known].tolist() == [4.5, 4.5, 2.0]
    assert best_crop(sample).tolist() == PROPOSED[0].tolist()
    quality, known = proposal_quality(PROPOSED, labeled[0])
    assert known.all()
    assert quality == pytest.approx(1 + 4 * bx.iou(PROPOSED, labeled[0].boxes)[:, 0])
