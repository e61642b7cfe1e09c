"""Encodings of photo files."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from autocrop.images import containers, open_photo
from autocrop.images.encoding import Encoding


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, 0),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422, 1),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, 2),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440, 0),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411, 1),
    ],
)
def test_subsampling_is_the_nearest_that_pillow_writes(sampling, expected):
    """For 4:4:0 and 4:1:1, which Pillow cannot write, the result keeps at least as much color."""
    _, data = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])
    assert Encoding.of_file(Image.open(io.BytesIO(data))).subsampling == expected


def jpeg(jfif, adobe_transform, component_ids, subsampling):
    """Return a JPEG of RGB or YCbCr whose markers and components are changed."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", subsampling=subsampling)
    segments, scan = containers.jpeg_segments(file.getvalue())
    names = dict(zip((1, 2, 3), component_ids, strict=True))
    encoded = []
    for marker, body in segments:
        if marker == containers.APP0 and not jfif:
            continue
        if marker in containers.START_OF_FRAME:
            body = body[:6] + b"".join(bytes((names[n],)) + body[7 + 3 * k : 9 + 3 * k] for k, n in enumerate(names))
        encoded.append(bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body)
    if adobe_transform is not None:
        encoded.insert(int(jfif), b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((adobe_transform,)))
    rest = bytearray(file.getvalue()[scan:])
    for k, name in enumerate(component_ids):
        rest[5 + 2 * k] = name
    return b"\xff\xd8" + b"".join(encoded) + rest


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("component_ids", [(1, 2, 3), (0, 1, 2), (82, 71, 66), (34, 35, 36)])
@pytest.mark.parametrize("adobe_transform", [None, 0, 1])
@pytest.mark.parametrize("jfif", [True, False])
def test_jpegs_of_every_color_model_are_written(tmp_path, jfif, adobe_transform, component_ids, subsampling):
    """JFIF, Adobe's segment and the names of components, in this order, say whether a JPEG stores RGB."""
    (tmp_path / "in.jpg").write_bytes(jpeg(jfif, adobe_transform, component_ids, subsampling))
    photo = open_photo(tmp_path / "in.jpg")
    photo.save(photo.crop((0, 0, 48, 48)), tmp_path / "out.jpg")
    with Image.open(tmp_path / "in.jpg") as source, Image.open(tmp_path / "out.jpg") as written:
        difference = np.asarray(written, int) - np.asarray(source, int)[:48, :48]
        assert np.abs(difference).mean() < 12
        stores_rgb = not jfif and (adobe_transform == 0 or (adobe_transform is None and component_ids == (82, 71, 66)))
        assert (written.info.get("adobe_transform") == 0) == stores_rgb
