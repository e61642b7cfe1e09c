"""The Python API."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import autocrop
from autocrop.search.face_detection import find_faces
from tests.helpers.samples import SAMPLES
from tests.helpers.search import inside_and_outside


def test_crop_finds_a_crop_to_apply(photo):
    """The two lines of the README find a crop and cut it out."""
    crop = autocrop.crop(photo, ratio="4:3")
    picture = crop.apply(photo)
    assert picture.size == (crop.width, crop.height)
    assert crop.width * 3 == crop.height * 4
    assert crop.to_dict()["space"] == "upright"


def test_paths_images_and_arrays_give_the_same_crop(photo):
    """A photo may be a path, a Pillow image, or an array. A path may differ by a pixel or two of a reduced JPEG."""
    cropper = autocrop.Cropper()
    image = Image.open(photo).convert("RGB")
    image.load()
    of_path, of_image, of_array = (
        cropper.find(source, ratio=1)[0].box for source in (str(photo), image, np.asarray(image))
    )
    assert of_image == of_array
    assert np.abs(np.subtract(of_path, of_image)).max() <= 2


def test_find_returns_distinct_crops(photo):
    """Several crops have different boxes."""
    crops = autocrop.Cropper().find(photo, top=4)
    assert 2 <= len(crops) <= 4
    assert len({crop.box for crop in crops}) == len(crops)


def test_find_keeps_boxes(photo):
    """Every crop contains the boxes to keep, and boxes that no crop can contain are rejected."""
    (crop,) = autocrop.Cropper().find(photo, ratio="1:1", keep=[(0, 0, 120, 120)])
    assert crop.box[:2] == (0, 0)
    with pytest.raises(autocrop.AutocropError, match="keep"):
        autocrop.Cropper().find(photo, ratio="9:16", keep=[(0, 0, 600, 120)])


def test_find_avoids_cutting_faces():
    """A detected face is inside the crop. Without face detection, the crop has the same ratio."""
    picture = Image.new("RGB", (900, 400), (90, 120, 90))
    picture.paste(Image.open(SAMPLES / "astronaut.jpg").resize((400, 400)), (250, 0))
    unconstrained = autocrop.Cropper(faces=False).find(picture, ratio="3:1")[0]
    constrained = autocrop.Cropper().find(picture, ratio="3:1")[0]
    face = find_faces(np.asarray(picture)) * (900, 400, 900, 400)
    assert inside_and_outside(constrained.box, face)[0].all()
    assert unconstrained.ratio == constrained.ratio == (3, 1)


def test_find_pads_a_photo(photo):
    """With fit, a photo that is too wide for a box to keep gets a larger canvas."""
    (crop,) = autocrop.Cropper().find(photo, "9:16", keep=[(0, 0, 600, 120)], fit="pad", pad_color="white")
    assert crop.padding is not None
    assert crop.width * 16 == crop.height * 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fit": "pad"}, "ratio"),
        ({"fit": "stretch", "ratio": 1}, "pad, blur"),
        ({"fit": "blur", "ratio": 1, "pad_color": "white"}, "fit='pad'"),
        ({"pad_color": "white", "ratio": 1}, "fit='pad'"),
        ({"top": 0}, "at least 1"),
        ({"shape": "circle", "ratio": "4:3"}, "1:1"),
    ],
)
def test_find_rejects_arguments_that_conflict(photo, arguments, message):
    """The library rejects whatever the command rejects."""
    with pytest.raises(autocrop.AutocropError, match=message):
        autocrop.Cropper().find(photo, **arguments)


def test_score_returns_one_score_per_box(photo):
    """Boxes are in pixels of the upright photo."""
    scores = autocrop.Cropper().score(photo, [[0, 0, 600, 400], [100, 50, 500, 350], [0, 0, 100, 80]])
    assert scores.shape == (3,)
    assert scores[2] < scores[0]


def test_score_checks_the_boxes(photo):
    """No boxes have no scores, and malformed boxes are rejected."""
    cropper = autocrop.Cropper()
    assert cropper.score(photo, []).shape == (0,)
    for boxes in ([1, 2, 3, 4], [[0, 0, 1]], [[5, 5, 5, 9]]):
        with pytest.raises(autocrop.AutocropError):
            cropper.score(photo, boxes)


def test_threads_share_the_default_model(photo):
    """Four threads at once find the same crop."""
    with ThreadPoolExecutor(4) as pool:
        boxes = list(pool.map(lambda _: autocrop.crop(photo, ratio="4:3").box, range(12)))
    assert len(set(boxes)) == 1


def test_save_keeps_metadata(photo, tmp_path):
    """Crop.save writes the photo's EXIF data, as the command does."""
    exif = Image.Exif()
    exif[0x010F] = "Maker of cameras"
    Image.open(photo).save(tmp_path / "in.jpg", exif=exif)
    autocrop.crop(tmp_path / "in.jpg", ratio=1).save(tmp_path / "in.jpg", tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[0x010F] == "Maker of cameras"


def test_the_default_model_is_listed_first():
    """A Cropper without arguments uses the first model of the list."""
    assert autocrop.Cropper().model == autocrop.list_models()[0]
    assert autocrop.Cropper(device="cpu").device == "cpu"


def test_errors_are_of_one_class(tmp_path):
    """Every error that a caller can fix is an AutocropError."""
    for call in (
        lambda: autocrop.crop(tmp_path / "missing.jpg"),
        lambda: autocrop.crop(np.zeros((64, 64, 3), np.uint8), ratio="banana"),
        lambda: autocrop.Cropper(model="none"),
    ):
        with pytest.raises(autocrop.AutocropError):
            call()


def test_public_names_are_imported_on_first_use():
    """Every public name exists, and an unknown name raises as in any other module."""
    assert set(autocrop.__all__) <= set(dir(autocrop))
    for name in autocrop.__all__:
        assert getattr(autocrop, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = autocrop.nonsense
