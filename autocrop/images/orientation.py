"""The eight EXIF orientations: pixels and boxes between the frame that is stored and the upright one that is seen."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from autocrop.geometry.boxes import PixelBox

ORIENTATION = 0x0112
"""The EXIF tag."""
SIDEWAYS = (5, 6, 7, 8)
"""Its values that swap width and height."""
MIRRORED_X = (2, 3, 7, 8)
MIRRORED_Y = (3, 4, 6, 7)
"""How a stored frame of each orientation is made from the upright one: after the swap, mirrored along x, along y."""


def upright_pixels(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Stored pixels ``[h, w, ...]`` as they are meant to be seen; a view."""
    if orientation in MIRRORED_X:
        array = array[:, ::-1]
    if orientation in MIRRORED_Y:
        array = array[::-1]
    return array.swapaxes(0, 1) if orientation in SIDEWAYS else array


def to_stored(box: PixelBox, width: int, height: int, orientation: int) -> PixelBox:
    """A box of the upright photo in the pixels of the stored one.

    Args:
        box: (left, top, right, bottom).
        width: of the upright photo.
        height: of the upright photo.
        orientation: 1 to 8.
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
    """A box of the stored photo in the pixels of the upright one: the inverse of :func:`to_stored`.

    Args:
        box: (left, top, right, bottom).
        width: of the stored photo.
        height: of the stored photo.
        orientation: 1 to 8.
    """
    left, top, right, bottom = box
    if orientation in MIRRORED_X:
        left, right = width - right, width - left
    if orientation in MIRRORED_Y:
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation in SIDEWAYS else (left, top, right, bottom)
