"""The face detector."""

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from autocrop import weights
from autocrop.concurrency import default_workers
from autocrop.search.face_detection import find_faces
from tests.helpers.samples import SAMPLES


@pytest.fixture(scope="module")
def astronaut():
    """A portrait of 512x512 pixels. The face is 90 by 113 pixels, and its corner is at (178, 63)."""
    return np.asarray(Image.open(SAMPLES / "astronaut.jpg").convert("RGB"))


def test_a_face_is_found_in_its_place(astronaut):
    """The box is accurate to a twentieth of its size, and there are no others."""
    faces = find_faces(astronaut)
    assert faces * 512 == pytest.approx(np.array([[178, 63, 268, 176]]), abs=8)


def test_no_faces_are_found_in_other_photos(samples):
    """Neither a cup of coffee nor a cat nor a rocket has a face."""
    for path in samples:
        if path.stem != "astronaut":
            assert len(find_faces(np.asarray(Image.open(path).convert("RGB")))) == 0, path


def test_faces_of_any_size_are_found(astronaut):
    """The face is found in an enlarged photo, when it fills the photo, and when it is small."""
    large = np.asarray(Image.fromarray(astronaut).resize((3000, 3000)))
    assert find_faces(large) * 512 == pytest.approx(np.array([[178, 63, 268, 176]]), abs=8)
    (close,) = find_faces(np.ascontiguousarray(astronaut[60:180, 175:270]))
    assert close[0] < 0.15
    assert close[2] > 0.85
    scene = np.full((1200, 1800, 3), 90, np.uint8)
    scene[300:520, 700:920] = np.asarray(Image.fromarray(astronaut).resize((220, 220)))
    (small,) = find_faces(scene)
    assert small * (1800, 1200, 1800, 1200) == pytest.approx(np.array([776, 327, 815, 376]), abs=12)


def test_faces_are_found_in_panoramas(astronaut):
    """A photo ten times as wide as high is not reduced so far that its faces are lost."""
    panorama = np.full((500, 5000, 3), 120, np.uint8)
    panorama[:, 3000:3500] = astronaut[:500, :500]
    (face,) = find_faces(panorama)
    assert face[0] * 5000 == pytest.approx(3178, abs=12)


def test_the_largest_face_comes_first(astronaut):
    """Of two copies of a person, the one that is half as large comes second."""
    pair = np.full((512, 900, 3), 128, np.uint8)
    pair[100:356, 40:296] = astronaut[::2, ::2]
    pair[:, 388:] = astronaut
    faces = find_faces(pair)
    assert len(faces) == 2
    assert faces[0, 0] > 0.5
    assert faces[1, 2] < 0.5


def test_threads_find_the_same_faces(astronaut):
    """Several threads with images of several sizes find what one thread finds."""
    images = [np.ascontiguousarray(astronaut[: 512 - 20 * k]) for k in range(4)] * 3
    expected = [find_faces(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for faces, expected_faces in zip(pool.map(find_faces, images), expected, strict=True):
            assert faces == pytest.approx(expected_faces)


def test_the_detector_prints_nothing(astronaut, capfd):
    """OpenCV's warnings about its own defaults are not shown."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(find_faces, astronaut).result()
    assert capfd.readouterr() == ("", "")


def test_the_detector_is_the_published_file():
    """`autocrop models verify` checks its digest, and its license is next to it."""
    assert weights.face_detector() in weights.verify_all()
    assert "Shiqi Yu" in weights.face_detector().with_name("face_detection_yunet.LICENSE.txt").read_text()


def test_threads_share_a_bounded_number_of_detectors(astronaut, monkeypatch):
    """Twenty threads at once load one detector per core at most."""
    loaded = []
    create = cv2.FaceDetectorYN.create
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *options: loaded.append(0) or create(*options))
    start = threading.Barrier(20)

    def find(_):
        start.wait(30)
        return find_faces(astronaut)

    with ThreadPoolExecutor(20) as executor:
        assert all(len(faces) == 1 for faces in executor.map(find, range(20)))
    assert len(loaded) <= default_workers()
