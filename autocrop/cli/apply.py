"""``autocrop apply``: write the crops of a manifest that ``autocrop crop --dry-run --json`` printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from autocrop.cli import parameters as cli
from autocrop.cli.console import OutputStyle
from autocrop.errors import UsageError


def apply(
    manifest: Annotated[
        Path, typer.Argument(metavar="CROPS.jsonl", help="Read crops from this file; - reads stdin.", readable=False)
    ],
    upscale: cli.Upscale = False,
    output: cli.OutputFolder = None,
    file_format: cli.Format = None,
    overwrite: cli.Overwrite = False,
    update: cli.Update = False,
    quality: cli.Quality = None,
    strip: cli.Strip = False,
    lossless: cli.Lossless = False,
    carry: cli.Carry = None,
    contact_sheet: cli.ContactSheet = None,
    as_json: cli.Json = False,
    jobs: cli.Jobs = None,
    max_pixels: cli.MaxPixels = None,
    quiet: cli.Quiet = False,
    verbose: cli.Verbose = False,
    debug: cli.Debug = False,
) -> None:
    """Write crops that an earlier run found. You can edit them first.

    autocrop photos/ --ratio 4:3 --dry-run --json > crops.jsonl; autocrop apply crops.jsonl -o out/
    """
    from autocrop.batch.manifest import Row, read_rows
    from autocrop.batch.options import Options
    from autocrop.batch.plan import Plan
    from autocrop.cli.batch import RunSettings, run_batch
    from autocrop.concurrency import default_workers
    from autocrop.images import MAX_PIXELS

    options = Options(
        output=output,
        format=file_format,
        overwrite=overwrite,
        update=update,
        upscale=upscale,
        quality=quality,
        strip=strip,
        lossless=lossless,
        carry=carry or [],
        max_pixels=max_pixels or MAX_PIXELS,
        thumbnails=contact_sheet is not None,
    )
    rows = list(read_rows(_read_lines(manifest)))
    _check_current_folder(manifest, [row.path for row in rows if isinstance(row, Row)])
    settings = RunSettings(jobs or default_workers(), OutputStyle(quiet, verbose, as_json, debug), contact_sheet)
    run_batch(None, Plan.from_rows(rows, options), settings)


def _check_current_folder(manifest: Path, photos: Sequence[Path]) -> None:
    """Report once, instead of for each photo, that the command runs in the wrong folder."""
    if any(path.is_absolute() or os.path.lexists(path) for path in photos) or not photos:
        return
    name = "the manifest" if manifest == Path("-") else manifest
    raise UsageError(
        f"None of the photos in {name} exist; the first one is {photos[0]}. "
        f"Run the command in the folder where the manifest was made, not in {Path.cwd()}."
    )


def _read_lines(path: Path) -> list[str]:
    try:
        content = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
        return content.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(f"Cannot read {path} ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a manifest: it is not text in UTF-8.") from error
