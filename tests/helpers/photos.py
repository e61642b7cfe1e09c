"""Photos with people at known places."""

from __future__ import annotations

from PIL import Image

from tests.helpers.samples import SAMPLES

LEFT_FACE = 118
"""x at which the left face of :func:`write_pair` begins."""


def write_pair(path):
    """Write a wide photo with one astronaut at its left edge and one at its right, and return the path."""
    person = Image.open(SAMPLES / "astronaut.jpg").convert("RGB").crop((90, 10, 350, 330))
    photo = Image.new("RGB", (1200, 600), (90, 120, 90))
    photo.paste(person, (30, 200))
    photo.paste(person, (910, 180))
    photo.save(path, quality=92)
    return path
