"""Crops of JPEGs without recompression: whole blocks are copied as they are, by libjpeg-turbo.

It is reached through the package ``turbojpeg`` (the extra ``[lossless]``; wheels with the library inside), or where
that has no wheel through the program ``jpegtran``. A crop must begin on the grid of blocks (MCUs) that are stored
together, 8 or 16 pixels apart; where it ends is free.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from PIL import Image

from autocrop.errors import PhotoError
from autocrop.geometry.boxes import PixelBox
from autocrop.images.orientation import to_stored, to_upright

Grid = tuple[int, int]
"""(width, height) of the blocks that are stored together, in pixels of the stored photo."""
HELP = (
    "pip install 'autocrop-photo[lossless]', or install jpegtran (Debian: libjpeg-turbo-progs, Homebrew: jpeg-turbo)."
)


def grid_of(image: Image.Image) -> Grid:
    """The grid of an opened JPEG."""
    layers: list[Any] = getattr(image, "layer", [])
    if len(layers) <= 1:  # blocks of a single component are stored one by one
        return 8, 8
    return 8 * max(layer[1] for layer in layers), 8 * max(layer[2] for layer in layers)


def snapped(box: PixelBox, size: tuple[int, int], orientation: int, grid: Grid, keep_size: bool) -> PixelBox:
    """The box nearest to *box* that can be cut losslessly.

    Args:
        box: of the upright photo.
        size: (width, height) of the upright photo.
        orientation: EXIF's, of the stored photo.
        grid: of the stored photo.
        keep_size: move the box, so that its ratio stays exact; otherwise extend it, so that nothing in it is lost.
    """
    left, top, right, bottom = to_stored(box, *size, orientation)
    width, height = size[::-1] if orientation >= 5 else size
    x, y = left - left % grid[0], top - top % grid[1]
    if keep_size:
        # Not only downwards: the nearer line of the grid, if the box fits there.
        if 2 * (left - x) > grid[0] and x + grid[0] + right - left <= width:
            x += grid[0]
        if 2 * (top - y) > grid[1] and y + grid[1] + bottom - top <= height:
            y += grid[1]
        right, bottom = x + right - left, y + bottom - top
    return to_upright((x, y, right, bottom), width, height, orientation)


def crop_jpeg(data: bytes, box: PixelBox, progressive: bool) -> bytes:
    """A JPEG of the part of another inside *box*, with the same coefficients and without metadata.

    Args:
        data: the JPEG.
        box: of the stored photo; its left and top are on the grid.
        progressive: how to order the coefficients.

    Raises:
        PhotoError: neither libjpeg-turbo's package nor its program is installed.
        ValueError: the JPEG is damaged, or of a kind that cannot be cut.
    """
    left, top, right, bottom = box
    try:
        from turbojpeg import transform
    except ImportError:  # not there, or another package of that name
        return _with_program(data, box, progressive)
    try:
        return bytes(
            transform(
                data,
                x=left,
                y=top,
                w=right - left,
                h=bottom - top,
                crop=True,
                perfect=False,
                copynone=True,
                optimize=not progressive,
                progressive=progressive,
            )
        )
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def _with_program(data: bytes, box: PixelBox, progressive: bool) -> bytes:
    program = shutil.which("jpegtran")
    if program is None:
        raise PhotoError(f"Lossless crops need libjpeg-turbo: {HELP}")
    left, top, right, bottom = box
    where = f"{right - left}x{bottom - top}+{left}+{top}"
    order = "-progressive" if progressive else "-optimize"
    done = subprocess.run([program, "-copy", "none", order, "-crop", where], input=data, capture_output=True)
    # Status 2 is a warning: of a file that is cut short jpegtran fills the rest with gray.
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip() or f"jpegtran failed with {done.returncode}")
    return done.stdout
