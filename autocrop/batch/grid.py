"""Align crops to the grid of a JPEG's blocks, for ``--lossless``."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from autocrop.geometry.boxes import PixelBox
from autocrop.images import Photo
from autocrop.search.crop import Crop
from autocrop.search.subjects import Subjects


def align_to_grid(photo: Photo, crop: Crop, file: Path, subjects: Subjects | None) -> tuple[Crop, list[str]]:
    """Align a crop to the photo's grid, and return it with notes about the change.

    Args:
        photo: the photo.
        crop: a crop of it.
        file: output file.
        subjects: faces and regions that the aligned crop should not cut; None if they are unknown.

    Raises:
        PhotoError: the photo or the output's format does not allow lossless crops.
    """
    photo.check_lossless(file)
    keep_size = crop.ratio is not None
    box = photo.snap_to_grid(crop.box, keep_size)
    if box == crop.box:
        return crop, []
    width, height = photo.grid
    notes = [f"aligned to the JPEG's grid of {width}x{height} pixels"]
    if subjects and subjects.violations(box) > subjects.violations(crop.box):
        # A neighboring grid position may cut fewer faces.
        moved = [_moved(crop, x * width, y * height) for x in (-1, 0, 1) for y in (-1, 0, 1)]
        snapped = (photo.snap_to_grid(other, keep_size) for other in moved)
        box = min(sorted(snapped, key=lambda other: math.dist(other, crop.box)), key=subjects.violations)
        if subjects.violations(box) > subjects.violations(crop.box):
            notes.append("the alignment cuts a face or a region to keep; leave out --lossless to avoid that")
    return dataclasses.replace(crop, box=box), notes


def _moved(crop: Crop, dx: int, dy: int) -> PixelBox:
    """Move the crop's box as far as the photo allows."""
    left, top, right, bottom = crop.box
    dx = min(max(dx, -left), crop.photo[0] - right)
    dy = min(max(dy, -top), crop.photo[1] - bottom)
    return left + dx, top + dy, right + dx, bottom + dy
