import numpy as np
import pytest
from PIL import Image

import autocrop


def test_crop_and_apply(photo):
    """The two lines of the README: find a crop, cut it out."""
    crop = autocrop.crop(photo, ratio="4:3")
    picture = crop.apply(photo)
    assert picture.size == (crop.width, crop.height)
    assert crop.width * 3 == crop.height * 4
    assert crop.to_dict()["space"] == "upright"


def test_path_picture_and_array_give_the_same_crop(photo):
    """However the photo is handed over."""
    cropper = autocrop.Cropper()
    picture = Image.open(photo).convert("RGB")
    picture.load()
    by_path, by_picture, by_array = (
        cropper.find(image, ratio=1)[0].box for image in (str(photo), picture, np.asarray(picture))
    )
    assert by_picture == by_array
    assert np.abs(np.subtract(by_path, by_picture)).max() <= 2


def test_top(photo):
    """Several crops, all different."""
    crops = autocrop.Cropper().find(photo, top=4)
    assert 2 <= len(crops) <= 4
    assert len({crop.box for crop in crops}) == len(crops)


def test_score(photo):
    """One score a box, in pixels of the upright photo."""
    scores = autocrop.Cropper().score(photo, [[0, 0, 600, 400], [100, 50, 500, 350], [0, 0, 100, 80]])
    assert scores.shape == (3,)
    assert scores[2] < scores[0]


def test_models():
    """The default model is listed first and is the one that is used."""
    assert autocrop.Cropper().model == autocrop.list_models()[0]
    assert autocrop.Cropper(device="cpu").device == "cpu"


def test_errors_are_one_class(tmp_path):
    """Everything that a caller can put right is an AutocropError."""
    for call in (
        lambda: autocrop.crop(tmp_path / "missing.jpg"),
        lambda: autocrop.crop(np.zeros((64, 64, 3), np.uint8), ratio="banana"),
        lambda: autocrop.Cropper(model="none"),
    ):
        with pytest.raises(autocrop.AutocropError):
            call()


def test_unknown_attribute():
    """The lazy module behaves like any other."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = autocrop.nonsense
    assert set(autocrop.__all__) <= set(dir(autocrop))
