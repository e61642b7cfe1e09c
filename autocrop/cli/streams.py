"""A photo from stdin and a crop to stdout, by way of files in a folder that does not stay."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path

from autocrop.batch.results import Result, Status
from autocrop.errors import UsageError

STREAM = Path("-")
"""How people call stdin and stdout."""


def read_photo(folder: Path) -> Path:
    """Write what stdin has to a file in *folder*, with the extension of its format.

    Raises:
        UsageError: stdin is the keyboard.
    """
    from PIL import Image

    if sys.stdin.isatty():
        raise UsageError("- stands for a photo on stdin, as in: cat photo.jpg | autocrop - -o crop.jpg")
    content = sys.stdin.buffer.read()
    try:
        with Image.open(io.BytesIO(content)) as image:
            suffix = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}.get(image.format or "", f".{image.format}".lower())
    except Exception:  # cropping will say what is wrong with it
        suffix = ""
    path = folder / f"stdin{suffix}"
    path.write_bytes(content)
    return path


def check_stdout() -> None:
    """Refuse to write a picture to a screen.

    Raises:
        UsageError: stdout is one.
    """
    if sys.stdout.isatty():
        raise UsageError("-o - writes a picture to stdout. Send it on, as in: autocrop photo.jpg -o - > crop.jpg")


def send(path: Path) -> None:
    """Write a file to stdout."""
    sys.stdout.buffer.write(path.read_bytes())
    sys.stdout.buffer.flush()


def named(result: Result, folder: Path) -> Result:
    """*result* with the streams in place of the files in *folder* that stood for them."""
    path = STREAM if result.path.parent == folder else result.path
    output = STREAM if result.output is not None and result.output.parent == folder else result.output
    reason = result.reason.replace(str(result.path), "standard input") if path == STREAM else result.reason
    return dataclasses.replace(result, path=path, output=output, reason=reason)


def is_written(result: Result, folder: Path) -> bool:
    """Whether *result* left the crop for stdout in *folder*."""
    return result.status is Status.CROPPED and result.output is not None and result.output.parent == folder
