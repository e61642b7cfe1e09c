"""The eight EXIF orientations: convert pixels and boxes between the stored photo and the upright one."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from autocrop.geometry.boxes import PixelBox

ORIENTATION = 0x0112
"""EXIF tag of the orientation, a value from 1 to 8."""
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap width and height."""
MIRRORED_X = (2, 3, 7, 8)
"""Orientations whose stored photo is the upright one, transposed if :data:`SIDEWAYS`, then mirrored left to right."""
MIRRORED_Y = (3, 4, 6, 7)
"""Orientations whose stored photo is the upright one, transposed if :data:`SIDEWAYS`, then mirrored top to bottom."""


def upright_pixels(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored pixels ``[h, w, ...]`` upright; returns a view."""
    if orientation in MIRRORED_X:
        array = array[:, ::-1]
    if orientation in MIRRORED_Y:
        array = array[::-1]
    return array.swapaxes(0, 1) if orientation in SIDEWAYS else array


def stored_pixels(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn upright pixels ``[h, w, ...]`` as they are stored, the inverse of :func:`upright_pixels`; returns a view."""
    if orientation in SIDEWAYS:
        array = array.swapaxes(0, 1)
    if orientation in MIRRORED_Y:
        array = array[::-1]
    return array[:, ::-1] if orientation in MIRRORED_X else array


def to_stored(box: PixelBox, width: int, height: int, orientation: int) -> PixelBox:
    """Convert a box from pixels of the upright photo to pixels of the stored one.

    Args:
        box: (left, top, right, bottom) in the upright photo.
        width: Width of the upright photo.
        height: Height of the upright photo.
        orientation: EXIF orientation of the stored photo, 1 to 8.
    """
    left, top, right, bottom = box
    if orientation in SIDEWAYS:
        left, top, right, bottom = top, left, bottom, right
        width, height = height, width
    if orientation in MIRRORED_X:
        left, right = width - right, width - left
    if orientation in MIRRORED_Y:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def to_upright(box: PixelBox, width: int, height: int, orientation: int) -> PixelBox:
    """Convert a box from pixels of the stored photo to pixels of the upright one: the inverse of :func:`to_stored`.

    Args:
        box: (left, top, right, bottom) in the stored photo.
        width: Width of the stored photo.
        height: Height of the stored photo.
        orientation: EXIF orientation of the stored photo, 1 to 8.
    """
    left, top, right, bottom = box
    if orientation in MIRRORED_X:
        left, right = width - right, width - left
    if orientation in MIRRORED_Y:
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation in SIDEWAYS else (left, top, right, bottom)
