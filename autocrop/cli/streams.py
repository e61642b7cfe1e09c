"""Read a photo from stdin or write a crop to stdout, both given as ``-``, through files in a temporary folder.

Imported when a command runs, because it imports numpy.
"""

from __future__ import annotations

import dataclasses
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Result, Status
from autocrop.cli.batch import RunSettings, run_batch
from autocrop.engines import Engine
from autocrop.errors import UsageError

STREAM = Path("-")


def crop_stream(paths: Sequence[Path], options: Options, load: Callable[[], Engine], settings: RunSettings) -> None:
    """Crop one photo from stdin, to stdout, or both.

    Args:
        paths: the photo; ``-`` is stdin.
        options: options of the batch; the output ``-`` is stdout.
        load: loads the model.
        settings: settings of the run.

    Raises:
        UsageError: an option or a path cannot be used with a stream.
    """
    _check_conflicts(paths, options, settings)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = _read_stdin(folder) if paths[0] == STREAM else paths[0]
        to_stdout = options.output == STREAM
        if to_stdout:
            options = dataclasses.replace(options, output=folder / f"stdout{_output_extension(options, photo)}")

        def deliver(result: Result) -> Result:
            if to_stdout and result.status is Status.CROPPED and result.output is not None:
                sys.stdout.buffer.write(result.output.read_bytes())
                sys.stdout.buffer.flush()
            return _rename(result, folder)

        run_batch(load(), Plan.from_photos([photo], options), settings, convert=deliver)


def _check_conflicts(paths: Sequence[Path], options: Options, settings: RunSettings) -> None:
    """Reject options that cannot be used with stdin or stdout."""
    to_stdout = options.output == STREAM
    if options.xmp:
        raise UsageError("--xmp writes photo.xmp next to the photo. Name the photo, and leave out -.")
    if settings.contact_sheet is not None:
        raise UsageError("--contact-sheet cannot show photos or crops from streams. Name files instead of -.")
    if len(paths) > 1:
        raise UsageError("- works with exactly one photo. Leave out the others.")
    if to_stdout and len(options.targets) * options.top > 1:
        raise UsageError("-o - writes exactly one crop. Give one ratio, and leave out --top.")
    if options.output is None and not options.dry_run:
        raise UsageError("No output given. Add -o - to write the crop to stdout, or -o crop.jpg to write a file.")
    if to_stdout and not options.dry_run:
        if settings.style.json:
            raise UsageError("-o - and --json both write to stdout. Leave one out.")
        if sys.stdout.isatty():
            raise UsageError("-o - writes a picture to stdout. Redirect it: autocrop photo.jpg -o - > crop.jpg")


def _read_stdin(folder: Path) -> Path:
    """Write the photo on stdin to a file with the extension of its format, and return its path."""
    if sys.stdin.isatty():
        raise UsageError("- reads a photo from stdin. Pipe one in: cat photo.jpg | autocrop - -o crop.jpg")
    content = sys.stdin.buffer.read()
    try:
        with Image.open(io.BytesIO(content)) as image:
            suffix = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}.get(image.format or "", f".{image.format}".lower())
    except Exception:  # cropping reports the error
        suffix = ""
    path = folder / f"stdin{suffix}"
    path.write_bytes(content)
    return path


def _output_extension(options: Options, photo: Path) -> str:
    """Return the extension for stdout: that of --format, else the photo's if it can be written, else .jpg."""
    if options.extension is not None:
        extension = options.extension
    else:
        extension = ".png" if options.shape == "circle" else photo.suffix
    Image.init()
    writable = {suffix for suffix, name in Image.registered_extensions().items() if name in Image.SAVE}
    return extension if extension.lower() in writable else ".jpg"


def _rename(result: Result, folder: Path) -> Result:
    """Replace paths in the temporary folder with the streams that they stand for."""
    path = STREAM if result.path.parent == folder else result.path
    output = STREAM if result.output is not None and result.output.parent == folder else result.output
    reason = result.reason.replace(str(result.path), "standard input") if path == STREAM else result.reason
    return dataclasses.replace(result, path=path, output=output, reason=reason)
