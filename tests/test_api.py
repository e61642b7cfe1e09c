from concurrent.futures import ThreadPoolExecutor

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


def test_threads_may_share_the_default_model(photo):
    """The same crop from four threads at once."""
    with ThreadPoolExecutor(4) as pool:
        boxes = list(pool.map(lambda _: autocrop.crop(photo, ratio="4:3").box, range(12)))
    assert len(set(boxes)) == 1


def test_save_keeps_what_the_photo_carried(photo, tmp_path):
    """Crop.save writes EXIF along, as the command does."""
    exif = Image.Exif()
    exif[0x010F] = "Maker of cameras"
    Image.open(photo).save(tmp_path / "in.jpg", exif=exif)
    autocrop.crop(tmp_path / "in.jpg", ratio=1).save(tmp_path / "in.jpg", tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[0x010F] == "Maker of cameras"


def test_boxes_may_be_none_or_malformed(photo):
    """No boxes have no scores; malformed ones raise the one error."""
    cropper = autocrop.Cropper()
    assert cropper.score(photo, []).shape == (0,)
    for wrong in ([1, 2, 3, 4], [[0, 0, 1]], [[5, 5, 5, 9]]):
        with pytest.raises(autocrop.AutocropError):
            cropper.score(photo, wrong)
    with pytest.raises(autocrop.AutocropError, match="at least 1"):
        cropper.find(photo, top=0)


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
