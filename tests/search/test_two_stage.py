"""The two-stage search."""

import numpy as np
import pytest

from autocrop.engines import Features
from autocrop.errors import AutocropError
from autocrop.geometry import boxes as bx
from autocrop.geometry.candidates import coarse_anchors
from autocrop.search.two_stage import DISTINCT_IOU
from tests.helpers.engines import CenteredEngine
from tests.helpers.search import find_boxes, find_crops

WIDE = Features(None, 1.5)


def test_the_search_finds_the_favorite(engine):
    """The refined crop is nearer to the engine's favorite box than any candidate of stage one."""
    (box,), _ = find_boxes(engine, WIDE)
    nearest_candidate = np.abs(coarse_anchors() - engine.favorite).mean(axis=1).min()
    assert np.abs(box - engine.favorite).mean() < min(nearest_candidate, 0.04)


@pytest.mark.parametrize("ratio", [(4, 3), (1, 1), (9, 16), (3, 1)])
def test_the_ratio_is_exact(engine, ratio):
    """The pixels of a crop have exactly the requested ratio."""
    (crop,) = find_crops(engine, WIDE, (1500, 1000), ratio)
    assert crop.width * ratio[1] == crop.height * ratio[0]
    assert crop.ratio == ratio


class LargestEngine(CenteredEngine):
    """An engine that prefers large crops."""

    def score(self, features, boxes, shape="rectangle"):
        return 100 * bx.area(boxes)


@pytest.mark.parametrize(
    ("preview", "ratio", "side", "length"), [((501, 370), (1, 1), "height", 2999), ((501, 380), (4, 3), "width", 3996)]
)
def test_the_largest_crop_is_not_a_pixel_short(preview, ratio, side, length):
    """The largest window is that of the photo, not of the preview, whose rounded sides have another aspect."""
    features = Features(None, preview[0] / preview[1])
    (crop,) = find_crops(LargestEngine(), features, (4001, 2999), ratio)
    assert getattr(crop, side) == length


def test_several_crops_are_distinct(engine):
    """No two crops are nearly the same, and the first one is the crop of a search for one."""
    boxes, scores = find_boxes(engine, WIDE, top=6)
    assert 2 <= len(boxes) <= 6
    assert len(scores) == len(boxes)
    overlaps = bx.iou(boxes, boxes)
    np.fill_diagonal(overlaps, 0)
    assert overlaps.max() <= DISTINCT_IOU + 1e-6
    assert boxes[:1] == pytest.approx(find_boxes(engine, WIDE)[0])


def test_two_views_are_not_averaged():
    """If an engine prefers the left and the right side of a photo, the crop is one of them and not the middle."""

    class TwoViewsEngine(CenteredEngine):
        def score(self, features, boxes, shape="rectangle"):
            views = np.array([[0, 0.2, 0.4, 0.8], [0.6, 0.2, 1, 0.8]], np.float32)
            return 5 * bx.iou(boxes, views).max(axis=1)

    (box,), _ = find_boxes(TwoViewsEngine(), WIDE)
    assert box[2] < 0.55 or box[0] > 0.45


def test_narrow_margins_are_not_trimmed(engine):
    """A margin of one percent is kept, and a window of 99 % of the largest becomes the largest."""
    engine.favorite = np.array([0.01, 0.3, 0.99, 0.7], np.float32)
    (box,), _ = find_boxes(engine, WIDE)
    assert (box[0], box[2]) == (0, 1)
    engine.favorite = np.array([0.15, 0.005, 0.81, 0.995], np.float32)
    (crop,) = find_crops(engine, WIDE, (1500, 1000), (1, 1))
    assert crop.width == crop.height == 1000


def test_a_photo_too_small_for_the_ratio_is_rejected(engine):
    """The message says what to do."""
    with pytest.raises(AutocropError, match="smaller whole numbers"):
        find_crops(engine, WIDE, (150, 100), (191, 100))
