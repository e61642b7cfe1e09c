"""Faces, people and regions of a photo as boxes in whole pixels, to be compared with windows.

Everything is in whole pixels of the upright photo, so that what holds for a window also holds in the output file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autocrop.geometry.pixel_boxes import PixelBoxes, round_outward, union
from autocrop.search.subjects import Subjects

FACE_ROOM = 0.15
"""Room around a face, relative to its width and height: the detector's box ends at the brow and the chin."""
HAIR_ROOM = 0.35
"""Room above a face, relative to its height: it must include the hair."""
MIN_FACE_TO_TALLEST = 0.5
"""Smallest height of a person's face, relative to the tallest face. Smaller faces belong to passers-by."""
MIN_FACE_TO_PHOTO = 0.04
"""Smallest height of a person's face, relative to the photo's shorter side. Smaller faces belong to passers-by."""


@dataclass(frozen=True)
class SubjectBoxes:
    """Subjects of one photo in pixels.

    The people are the faces that the photo is about. Other faces belong to passers-by: crops may leave them out, but
    should not cut them either.
    """

    size: tuple[int, int]
    """(width, height) of the upright photo."""
    faces: PixelBoxes
    """Detected faces, ``[F, 4]``."""
    roomy_faces: PixelBoxes
    """The same faces with room around them, ``[F, 4]``."""
    is_person: NDArray[np.bool_]
    """True for the faces of people, False for those of passers-by, ``[F]``."""
    region: PixelBoxes | None
    """Smallest box ``[4]`` that contains all regions to keep, or None without regions."""

    @classmethod
    def of(cls, subjects: Subjects) -> SubjectBoxes:
        """Convert the subjects of a photo to pixels."""
        faces = round_outward(subjects.faces * subjects.scale, subjects.size)
        face_size = faces[:, 2:] - faces[:, :2]
        top_left = faces[:, :2] - (FACE_ROOM, HAIR_ROOM) * face_size
        roomy = np.concatenate([top_left, faces[:, 2:] + FACE_ROOM * face_size], axis=1)
        heights = faces[:, 3] - faces[:, 1]
        tallest = max(heights.max(initial=0), MIN_FACE_TO_PHOTO * min(subjects.size) / MIN_FACE_TO_TALLEST)
        return cls(
            size=subjects.size,
            faces=faces,
            roomy_faces=round_outward(roomy, subjects.size),
            is_person=heights >= MIN_FACE_TO_TALLEST * tallest,
            region=union(np.array(subjects.keep, np.float64).reshape(-1, 4)),
        )

    @property
    def scale(self) -> NDArray[np.float64]:
        """Factors ``[4]`` that convert normalized boxes to pixels: (width, height, width, height)."""
        return np.array([*self.size, *self.size], np.float64)

    @property
    def people(self) -> PixelBoxes:
        """Faces of the people, ``[P, 4]``."""
        return self.faces[self.is_person]

    @property
    def roomy_people(self) -> PixelBoxes:
        """Faces of the people with room around them, ``[P, 4]``."""
        return self.roomy_faces[self.is_person]

    def with_region(self, boxes: PixelBoxes) -> PixelBoxes:
        """Append the region to keep, if there is one, to boxes ``[N, 4]``."""
        return boxes if self.region is None else np.concatenate([boxes, self.region[None]])

    def essential(self) -> PixelBoxes:
        """Find the smallest box ``[4]`` that contains all people, with room around them, and all regions.

        Without people and regions it contains all faces, and without faces it is the whole photo.
        """
        essential = union(self.with_region(self.roomy_people))
        if essential is None:
            essential = union(self.roomy_faces)
        return np.array([0, 0, *self.size], np.float64) if essential is None else essential
