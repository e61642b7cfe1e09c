"""The Python API."""

import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import autocrop
from autocrop.concurrency import default_workers
from autocrop.errors import UsageError
from autocrop.search.face_detection import find_faces
from tests.helpers.samples import SAMPLES
from tests.helpers.search import inside_and_outside

FORTY_THREADS = """
import re, sys, threading
from concurrent.futures import ThreadPoolExecutor
import autocrop
cropper = autocrop.Cropper()
start = threading.Barrier(40)
def find(_):
    start.wait(60)
    return cropper.find(sys.argv[1], ratio="1:1")
with ThreadPoolExecutor(40) as executor:
    list(executor.map(find, range(80)))
print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) >> 10)
"""
"""Program that prints its peak memory in megabytes, without that of the process that forked it, unlike getrusage."""


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


@pytest.fixture(scope="module")
def large_photo(tmp_path_factory):
    """A synthetic photo of 12 megapixels: two sample photos side by side, enlarged."""
    picture = Image.new("RGB", (800, 600), (70, 90, 120))
    picture.paste(Image.open(SAMPLES / "astronaut.jpg").resize((420, 420)), (60, 120))
    picture.paste(Image.open(SAMPLES / "coffee.jpg").resize((300, 200)), (490, 380))
    path = tmp_path_factory.mktemp("large") / "photo.jpg"
    picture.resize((4000, 3000), Image.Resampling.BICUBIC).save(path, quality=92)
    return path


@pytest.mark.parametrize("ratio", [None, "1:1", "16:9"])
def test_large_photos_have_the_same_crop_in_files_and_in_memory(large_photo, ratio):
    """The boxes of path, image, and array differ by less than 0.5 % of the photo, and those of file contents by 0."""
    cropper = autocrop.Cropper()
    image = Image.open(large_photo)
    of_path, of_bytes, of_image, of_array = (
        cropper.find(source, ratio)[0].box
        for source in (large_photo, large_photo.read_bytes(), image, np.asarray(image))
    )
    assert of_bytes == of_path
    assert np.abs(np.subtract(of_image, of_path)).max() <= 15
    assert np.abs(np.subtract(of_array, of_path)).max() <= 15


def test_large_pictures_in_memory_are_searched_quickly(large_photo):
    """A decoded picture of 12 megapixels takes less than one and a half times the CPU time of its file."""
    cropper = autocrop.Cropper()
    image = Image.open(large_photo)
    image.load()

    def seconds(source):
        started = time.process_time()  # unlike wall-clock time, independent of tests in other processes
        cropper.find(source, "1:1")
        return time.process_time() - started

    rounds = [(seconds(large_photo), seconds(image)) for _ in range(7)]
    of_path, of_image = np.min(rounds, axis=0)
    assert of_image < 1.5 * of_path


def test_contents_of_files_have_the_crop_of_the_file(photo):
    """Bytes and binary files may be passed to find, score, apply, and crop, one file to all of them."""
    cropper = autocrop.Cropper()
    expected = autocrop.crop(photo, 1)
    content = photo.read_bytes()
    with photo.open("rb") as file:
        for source in (content, bytearray(content), memoryview(content), io.BytesIO(content), file):
            assert autocrop.crop(source, 1).box == expected.box
            assert cropper.find(source, 1)[0] == expected
            assert cropper.score(source, [expected.box]) == pytest.approx(cropper.score(photo, [expected.box]))
            assert expected.apply(source).tobytes() == expected.apply(photo).tobytes()
        assert not file.closed


def test_files_that_cannot_be_rewound_are_read_once(photo):
    """A pipe has no beginning to return to."""

    class Pipe(io.RawIOBase):
        def __init__(self, content):
            self._content = io.BytesIO(content)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self._content.readinto(buffer)

    assert autocrop.crop(Pipe(photo.read_bytes()), 1).box == autocrop.crop(photo, 1).box


@pytest.mark.parametrize("source", [None, 7, 1.5, [[1, 2, 3]], object(), {"path": "photo.jpg"}])
def test_values_that_are_not_images_are_rejected(source):
    """The message says what is accepted and what was passed."""
    with pytest.raises(UsageError, match=f"a path, bytes, a binary file, a Pillow image, .*{type(source).__name__}"):
        autocrop.crop(source)


def test_files_that_cannot_be_read_are_rejected(photo, tmp_path):
    """The message says what to do about text files and closed files, and names the file."""
    (tmp_path / "note.txt").write_text("text")
    with (tmp_path / "note.txt").open() as file, pytest.raises(UsageError, match=r"note\.txt was opened as text.*'rb'"):
        autocrop.crop(file)
    with photo.open("rb") as file:
        pass
    with pytest.raises(UsageError, match=r"photo\.jpg cannot be read .*open file"):
        autocrop.crop(file)
    for source in (b"", io.BytesIO(b"")):
        with pytest.raises(autocrop.AutocropError, match="empty"):
            autocrop.crop(source)


def test_memory_does_not_grow_with_threads(photo):
    """Forty threads at once take less than 600 MB where a pair of graphs per thread took 3 GB."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak memory is read from /proc")
    output = subprocess.run(
        [sys.executable, "-c", FORTY_THREADS, photo], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    others = max(0, default_workers() - 2)  # the limit holds for two cores
    assert int(output) < 600 + 90 * others


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
