"""Lossless crops of JPEGs: libjpeg-turbo copies whole blocks without recompressing them.

libjpeg-turbo is called through the package ``turbojpeg`` (the extra ``[lossless]``, whose wheels include the library)
or, where that has no wheel, through the program ``jpegtran``. The left and top edges of a crop must lie on the grid of
MCUs (minimum coded units), which are 8 or 16 pixels wide and high. The right and bottom edges may be anywhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

from PIL import Image

from autocrop.errors import PhotoError
from autocrop.geometry.boxes import PixelBox
from autocrop.images.containers import END_MARKER
from autocrop.images.orientation import SIDEWAYS, to_stored, to_upright

Grid = tuple[int, int]
"""(width, height) of an MCU in pixels of the stored photo."""
INSTALL_HINT = (
    "pip install 'autocrop-photo[lossless]', or install jpegtran (Debian: libjpeg-turbo-progs, Homebrew: jpeg-turbo)."
)


EXTRANEOUS_BYTES = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
"""libjpeg's warning about bytes between the picture and the end marker."""
UNKNOWN_JFIF = "unknown JFIF revision number"
"""Part of libjpeg's warning about a version of JFIF that does not exist."""
KNOWN_JFIF = b"JFIF\0\1\1"
"""First bytes of a JFIF segment of version 1.01."""
HARMLESS_WARNING = re.compile(
    r"Corrupt JPEG data: \d+ extraneous bytes before marker|Warning: unknown JFIF revision number"
    r"|Unknown Adobe color transform code|Inconsistent progression sequence|Invalid SOS parameters for sequential JPEG"
)
"""libjpeg's warnings about files whose picture is complete."""
WARNING = 2
"""Exit status of jpegtran after a warning."""


def grid_of(image: Image.Image) -> Grid:
    """Return the grid of an opened JPEG."""
    layers: list[Any] = getattr(image, "layer", [])
    if len(layers) <= 1:  # a single component is stored in blocks of 8x8 pixels
        return 8, 8
    return 8 * max(layer[1] for layer in layers), 8 * max(layer[2] for layer in layers)


def snap_to_grid(box: PixelBox, size: tuple[int, int], orientation: int, grid: Grid, keep_size: bool) -> PixelBox:
    """Return the box nearest to *box* that can be cropped losslessly.

    Args:
        box: (left, top, right, bottom) in the upright photo.
        size: (width, height) of the upright photo.
        orientation: EXIF orientation of the stored photo, 1 to 8.
        grid: Grid of the stored photo.
        keep_size: True to move the box, so that its aspect ratio stays exact; False to extend it, so that it still
            contains all of *box*.
    """
    left, top, right, bottom = to_stored(box, *size, orientation)
    width, height = size[::-1] if orientation in SIDEWAYS else size
    x, y = left - left % grid[0], top - top % grid[1]
    if keep_size:
        # The next grid line may be nearer. Use it if the box fits there.
        if 2 * (left - x) > grid[0] and x + grid[0] + right - left <= width:
            x += grid[0]
        if 2 * (top - y) > grid[1] and y + grid[1] + bottom - top <= height:
            y += grid[1]
        right, bottom = x + right - left, y + bottom - top
    return to_upright((x, y, right, bottom), width, height, orientation)


def crop_jpeg(data: bytes, box: PixelBox, progressive: bool) -> bytes:
    """Crop a JPEG without changing its coefficients. The result has no metadata.

    Args:
        data: Content of the JPEG.
        box: (left, top, right, bottom) in the stored photo; left and top lie on the grid.
        progressive: True to write a progressive JPEG.

    Raises:
        PhotoError: Neither the package ``turbojpeg`` nor the program ``jpegtran`` is installed.
        ValueError: The JPEG is damaged, or of a kind that libjpeg-turbo cannot crop.
    """
    left, top, right, bottom = box
    try:
        from turbojpeg import transform
    except ImportError:  # not installed, or a different package of that name
        return _crop_with_jpegtran(data, box, progressive)
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
        message = str(error)
        extraneous = EXTRANEOUS_BYTES.search(message)
        if extraneous and data.endswith(END_MARKER):
            count = len(END_MARKER) + int(extraneous[1])
            return crop_jpeg(data[:-count] + END_MARKER, box, progressive)
        if UNKNOWN_JFIF in message and data[6:13] != KNOWN_JFIF:
            return crop_jpeg(data[:6] + KNOWN_JFIF + data[13:], box, progressive)
        # jpegtran crops some kinds that turbojpeg does not, and distinguishes warnings from errors.
        if shutil.which("jpegtran"):
            return _crop_with_jpegtran(data, box, progressive)
        raise ValueError(message) from error


def _crop_with_jpegtran(data: bytes, box: PixelBox, progressive: bool) -> bytes:
    program = shutil.which("jpegtran")
    if program is None:
        raise PhotoError(f"Lossless crops need libjpeg-turbo: {INSTALL_HINT}")
    left, top, right, bottom = box
    area = f"{right - left}x{bottom - top}+{left}+{top}"
    mode = "-progressive" if progressive else "-optimize"
    process = subprocess.run([program, "-copy", "none", mode, "-crop", area], input=data, capture_output=True)
    message = process.stderr.decode(errors="replace").strip()
    is_harmless = process.returncode == WARNING and all(HARMLESS_WARNING.match(line) for line in message.splitlines())
    # Other warnings must fail, too: jpegtran fills the rest of a truncated file with gray.
    if process.returncode and not is_harmless:
        raise ValueError(message or f"jpegtran failed with status {process.returncode}")
    return process.stdout
