"""Analysis of a photo: its preview, subjects and features, computed once for all of its crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.engines import Engine, Features
from autocrop.images import Photo
from autocrop.search.face_detection import NO_FACES, find_faces
from autocrop.search.subjects import Region, Subjects


@dataclass(frozen=True)
class Analysis:
    """What the search needs to know about one photo."""

    size: tuple[int, int]
    """(width, height) of the upright photo, in pixels."""
    preview: NDArray[np.uint8]
    """The upright photo, RGB ``[h, w, 3]``, reduced if the photo is large."""
    features: Features
    """The engine's encoding of the preview."""
    subjects: Subjects
    """Faces that crops should not cut, and regions that they must contain."""


def analyze(engine: Engine, photo: Photo, *, faces: bool = True, keep: Sequence[Region] = ()) -> Analysis:
    """Decode a preview of a photo, find its subjects, and encode it.

    Args:
        engine: encodes the preview.
        photo: an open photo.
        faces: detect faces. If False, crops may cut them.
        keep: regions that every crop must contain.

    Raises:
        AutocropError: the photo is damaged, or a region extends beyond it.
    """
    size = photo.width, photo.height
    regions = [region.to_pixels(size) for region in keep]
    preview = photo.preview()
    subjects = Subjects(size, find_faces(preview) if faces else NO_FACES, regions)
    return Analysis(size, preview, engine.encode(preview, size[0] / size[1]), subjects)
