from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from autocrop import weights
from autocrop.search.faces import find_faces
from tests.helpers.samples import SAMPLES


@pytest.fixture(scope="module")
def astronaut():
    """A portrait; the face is 90 by 113 pixels, its corner at 178, 63."""
    return np.asarray(Image.open(SAMPLES / "astronaut.jpg").convert("RGB"))


def test_a_face_is_found_where_it_is(astronaut):
    """Within a twentieth of its size; and no other."""
    faces = find_faces(astronaut)
    assert faces * 512 == pytest.approx(np.array([[178, 63, 268, 176]]), abs=8)


def test_no_face_is_found_where_none_is(samples):
    """Neither in a cup of coffee, nor in a cat, nor in a rocket."""
    for path in samples:
        if path.stem != "astronaut":
            assert len(find_faces(np.asarray(Image.open(path).convert("RGB")))) == 0, path


def test_size_does_not_matter(astronaut):
    """A large photo is searched in a small copy; a face that fills the picture is found, and a small one."""
    large = np.asarray(Image.fromarray(astronaut).resize((3000, 3000)))
    assert find_faces(large) * 512 == pytest.approx(np.array([[178, 63, 268, 176]]), abs=8)
    (close,) = find_faces(np.ascontiguousarray(astronaut[60:180, 175:270]))
    assert close[0] < 0.15
    assert close[2] > 0.85
    crowd = np.full((1200, 1800, 3), 90, np.uint8)
    crowd[300:520, 700:920] = np.asarray(Image.fromarray(astronaut).resize((220, 220)))
    (small,) = find_faces(crowd)
    assert small * (1800, 1200, 1800, 1200) == pytest.approx(np.array([776, 327, 815, 376]), abs=12)


def test_panoramas_are_searched_as_thoroughly(astronaut):
    """A photo ten times as wide as high is not made so narrow that nobody is found in it."""
    panorama = np.full((500, 5000, 3), 120, np.uint8)
    panorama[:, 3000:3500] = astronaut[:500, :500]
    (face,) = find_faces(panorama)
    assert face[0] * 5000 == pytest.approx(3178, abs=12)


def test_the_largest_face_comes_first(astronaut):
    """Two of one person, one half as large."""
    pair = np.full((512, 900, 3), 128, np.uint8)
    pair[100:356, 40:296] = astronaut[::2, ::2]
    pair[:, 388:] = astronaut
    faces = find_faces(pair)
    assert len(faces) == 2
    assert faces[0, 0] > 0.5
    assert faces[1, 2] < 0.5


def test_threads_have_detectors_of_their_own(astronaut):
    """Several at once, on pictures of several sizes, find what one alone finds."""
    pictures = [np.ascontiguousarray(astronaut[: 512 - 20 * k]) for k in range(4)] * 3
    alone = [find_faces(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(find_faces, pictures), strict=True):
            assert one == pytest.approx(other)


def test_the_detector_says_nothing(astronaut, capfd):
    """OpenCV's warnings about its own defaults are not for users."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(find_faces, astronaut).result()
    assert capfd.readouterr() == ("", "")


def test_its_file_is_the_published_one():
    """Its digest is checked by `autocrop models verify`, and its license lies beside it."""
    assert weights.face_detector() in weights.verify_all()
    assert "Shiqi Yu" in weights.face_detector().with_name("face_detection_yunet.LICENSE.txt").read_text()
