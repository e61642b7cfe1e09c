"""Composition patterns and pooling over them."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.errors import UsageError
from autocrop.geometry.candidates import dense_anchors
from autocrop.geometry.composition import Cells, pattern, pooled_scores, summed_area_table

NAMES = ("1x1", "1x3", "3x1", "5x5", "multi-rectangle", "multi-direction", "cross-rectangle")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("1x1", [1]),
        ("1x3", [1] * 3),
        ("3x1", [1] * 3),
        ("5x5", [1] * 25),
        ("multi-rectangle", [4, 12, 20]),
        ("multi-rectangle-5", [4, 12, 20, 28, 36]),
        ("multi-direction", [14, 22] * 4),
        ("cross-rectangle", [1] * 4 + [3] * 4 + [5] * 4),
    ],
)
def test_partitions_of_each_pattern(name, sizes):
    """Each pattern has the partitions and cells of the paper (Figure 3 and Table 1)."""
    labels, counts = np.unique(pattern(name), return_counts=True)
    assert labels.tolist() == list(range(len(sizes)))
    assert counts.tolist() == sizes


def test_patterns_have_the_layout_of_the_paper():
    """Rings are concentric, quadrants are split in the middle, and rows come before columns."""
    assert pattern("1x3").tolist() == [[0, 1, 2]]
    assert pattern("3x1").tolist() == [[0], [1], [2]]
    assert pattern("multi-rectangle")[0].tolist() == [2] * 6
    assert pattern("multi-rectangle")[2].tolist() == [2, 1, 0, 0, 1, 2]
    cross = pattern("cross-rectangle")
    assert cross[0].tolist() == [8, 8, 8, 9, 9, 9]
    assert cross[5].tolist() == [10, 10, 10, 11, 11, 11]
    assert cross[2, 2:4].tolist() == [0, 1]
    directions = pattern("multi-direction")
    assert len({directions[6, 11], directions[11, 6], directions[6, 0], directions[0, 6]}) == 4
    # A quarter turn changes the label of every cell by two.
    assert (np.rot90(directions) == (directions - 2) % 8).all() or (np.rot90(directions) == (directions + 2) % 8).all()


@pytest.mark.parametrize("name", ["", "0x3", "cross", "3x", "multi-rectangle-0"])
def test_unknown_patterns_are_rejected(name):
    """The message lists the patterns."""
    with pytest.raises(UsageError, match=r"Unknown composition pattern .* cross-rectangle"):
        pattern(name)


def brute_force(scores, box, labels):
    """Average the pixels of each cell, and then the cells."""
    rows, columns = labels.shape
    height, width = scores.shape[1:]
    ys = [round(float(box[1] + (box[3] - box[1]) * i / rows) * height) for i in range(rows + 1)]
    xs = [round(float(box[0] + (box[2] - box[0]) * i / columns) * width) for i in range(columns + 1)]
    means = []
    for row in range(rows):
        for column in range(columns):
            values = scores[labels[row, column], ys[row] : ys[row + 1], xs[column] : xs[column + 1]]
            means.append(values.mean(dtype=np.float64))
    return np.mean(means)


@pytest.mark.parametrize("name", NAMES)
def test_pooling_averages_the_pixels_of_each_cell(name):
    """The summed-area table gives the same scores as sums over pixels."""
    rng = np.random.default_rng(0)
    labels = pattern(name)
    scores = rng.normal(3, 2, (labels.max() + 1, 96, 128)).astype(np.float32)
    corners = rng.uniform(0, 0.4, (20, 2)), rng.uniform(0.6, 1, (20, 2))
    boxes = np.concatenate([np.hstack(corners), [[0, 0, 1, 1]]]).astype(np.float64)
    pooled = pooled_scores(summed_area_table(scores), boxes, Cells.of(labels))
    assert pooled == pytest.approx([brute_force(scores, box, labels) for box in boxes], abs=1e-6)


@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=4).map(lambda v: [*sorted(v[:2]), *sorted(v[2:])]),
    st.sampled_from(NAMES),
    st.sampled_from(["rectangle", "circle"]),
)
def test_scores_are_within_the_range_of_the_map(sides, name, shape):
    """Boxes of any size have a score within the map's range, because it is a mean of its pixels."""
    labels = pattern(name)
    scores = np.random.default_rng(1).uniform(-1, 1, (labels.max() + 1, 32, 48)).astype(np.float32)
    box = np.array([[sides[0], sides[2], sides[1], sides[3]]], np.float32)
    (score,) = pooled_scores(summed_area_table(scores), box, Cells.of(labels, shape))
    assert scores.min() - 1e-5 <= score <= scores.max() + 1e-5


@pytest.mark.parametrize("name", ["1x1", "cross-rectangle", "multi-direction"])
def test_circles_ignore_the_corners_of_their_square(name):
    """The corners of a square change its score but not that of its circle, which is a mean over its pixels."""
    labels = pattern(name)
    scores = np.ones((labels.max() + 1, 240, 240), np.float32)
    y, x = (np.mgrid[:240, :240] - 119.5) / 120
    scores[:, (y**2 + x**2) > 1.2] = 100
    whole = np.array([[0, 0, 1, 1]], np.float32)
    table = summed_area_table(scores)
    assert pooled_scores(table, whole, Cells.of(labels))[0] > 5
    assert pooled_scores(table, whole, Cells.of(labels, "circle"))[0] == pytest.approx(1)
    scores = np.broadcast_to((x + 2 * y**2).astype(np.float32), scores.shape)
    inside = y**2 + x**2 <= 1
    circle = pooled_scores(summed_area_table(scores), whole, Cells.of(labels, "circle"))[0]
    assert circle == pytest.approx(scores[0][inside].mean(), abs=0.01)


def test_pooling_is_quick():
    """Ten thousand boxes take less than 50 ms. The best of several tries counts, since the machine may be busy."""
    labels = pattern("cross-rectangle")
    table = summed_area_table(np.zeros((12, 256, 384), np.float32))
    boxes = np.resize(dense_anchors(), (10_000, 4))
    times = []
    for _ in range(5):
        started = time.perf_counter()
        pooled_scores(table, boxes, Cells.of(labels))
        times.append(time.perf_counter() - started)
    assert min(times) < 0.05
