import numpy as np
import pytest

from autocrop.engines import Features
from autocrop.errors import AutocropError, UsageError
from autocrop.geometry import boxes as bx
from autocrop.search.crop import Crop
from autocrop.search.two_stage import DISTINCT, coarse_anchors, consensus
from tests.helpers.engines import CenteredEngine
from tests.helpers.search import find_boxes, find_crops

WIDE = Features(None, 1.5)


def test_search_finds_what_the_model_likes(engine):
    """The refined crop is nearer to the favorite than any candidate of stage one."""
    (box,), _ = find_boxes(engine, WIDE)
    coarse = np.abs(coarse_anchors() - engine.favorite).mean(axis=1).min()
    assert np.abs(box - engine.favorite).mean() < min(coarse, 0.04)


@pytest.mark.parametrize("ratio", [(4, 3), (1, 1), (9, 16), (3, 1)])
def test_a_ratio_is_exact(engine, ratio):
    """Whatever the model likes, the pixels have the ratio."""
    (crop,) = find_crops(engine, WIDE, (1500, 1000), ratio)
    assert crop.width * ratio[1] == crop.height * ratio[0]
    assert crop.ratio == ratio


def test_the_largest_window_is_not_a_pixel_short():
    """The preview's aspect is a rounded one; the window is that of the photo."""

    class LikesItLarge(CenteredEngine):
        def score(self, features, boxes, shape="rectangle"):
            return 100 * bx.area(boxes)

    (crop,) = find_crops(LikesItLarge(), Features(None, 501 / 370), (4001, 2999), (1, 1))
    assert crop.height == 2999
    (crop,) = find_crops(LikesItLarge(), Features(None, 501 / 380), (4001, 2999), (4, 3))
    assert crop.width == 3996


def test_top_crops_are_distinct(engine):
    """No two of several crops are nearly the same, and the first is the one found alone."""
    boxes, scores = find_boxes(engine, WIDE, top=6)
    assert 2 <= len(boxes) <= 6
    assert len(scores) == len(boxes)
    overlaps = bx.iou(boxes, boxes)
    np.fill_diagonal(overlaps, 0)
    assert overlaps.max() <= DISTINCT + 1e-6
    assert boxes[:1] == pytest.approx(find_boxes(engine, WIDE)[0])


def test_two_views_are_not_averaged():
    """Where the model likes the left and the right of a photo, the crop is one of them and not the middle."""

    class TwoSubjects(CenteredEngine):
        def score(self, features, boxes, shape="rectangle"):
            views = np.array([[0, 0.2, 0.4, 0.8], [0.6, 0.2, 1, 0.8]], np.float32)
            return 5 * bx.iou(boxes, views).max(axis=1)

    (box,), _ = find_boxes(TwoSubjects(), WIDE)
    assert box[2] < 0.55 or box[0] > 0.45


def test_trifling_trims_are_not_made(engine):
    """A margin of one percent goes; a window of 99 % of the largest becomes the largest, with its ratio."""
    engine.favorite = np.array([0.01, 0.3, 0.99, 0.7], np.float32)
    (box,), _ = find_boxes(engine, WIDE)
    assert (box[0], box[2]) == (0, 1)
    engine.favorite = np.array([0.15, 0.005, 0.81, 0.995], np.float32)
    (crop,) = find_crops(engine, WIDE, (1500, 1000), (1, 1))
    assert crop.width == crop.height == 1000


def test_consensus_weighs_by_score():
    """Equal scores give the mean; a far better score decides alone."""
    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32)
    assert consensus(boxes, np.array([1, 1], np.float32)) == pytest.approx(np.array([[0.25, 0.25, 0.75, 0.75]]))
    assert consensus(boxes, np.array([9, 1], np.float32)) == pytest.approx(boxes[:1], abs=1e-6)


def test_a_ratio_that_the_photo_cannot_have_is_an_error(engine):
    """The message says what to do."""
    with pytest.raises(AutocropError, match="smaller whole numbers"):
        find_crops(engine, WIDE, (150, 100), (191, 100))


def test_crop_refuses_another_photo(engine, photo):
    """A crop is not cut out of a photo of another size."""
    (crop,) = find_crops(engine, WIDE, (1500, 1000))
    with pytest.raises(AutocropError, match="1500x1000"):
        crop.apply(photo)
    (crop,) = find_crops(engine, WIDE, (600, 400))
    assert crop.apply(photo).size == (crop.width, crop.height)


def test_a_crop_is_not_saved_over_its_photo(photo):
    """Whatever the photo is called: an input is never overwritten."""
    before = photo.read_bytes()
    crop = Crop((0, 0, 100, 100), 1.0, None, 1.0, (600, 400))
    with pytest.raises(UsageError, match="is the photo itself"):
        crop.save(photo, photo.parent / "." / photo.name)
    assert photo.read_bytes() == before
    crop.save(photo, photo.parent / "other.jpg")
    assert (photo.parent / "other.jpg").exists()
