"""``autocrop apply``: write the crops of a manifest that ``autocrop crop --dry-run --json`` printed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from autocrop.cli import options as cli
from autocrop.errors import UsageError


def apply(
    manifest: Annotated[Path, typer.Argument(metavar="CROPS.jsonl", help="The manifest; - is stdin.", readable=False)],
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
    """Write crops that were found before, and that somebody may have edited since.

    autocrop photos/ --ratio 4:3 --dry-run --json > crops.jsonl; then: autocrop apply crops.jsonl -o out/
    """
    from autocrop.batch.manifest import Row, read_rows
    from autocrop.batch.options import Options, extension
    from autocrop.batch.plan import Plan
    from autocrop.batch.runner import default_jobs
    from autocrop.cli.crop import carried, work
    from autocrop.images import MAX_PIXELS

    if lossless and quality:
        raise UsageError("--lossless copies a JPEG's blocks as they are: it has no --quality.")
    options = Options(
        output=output,
        format=extension(file_format) if file_format else None,
        overwrite=overwrite,
        update=update,
        upscale=upscale,
        quality=quality,
        strip=strip,
        lossless=lossless,
        max_pixels=max_pixels or MAX_PIXELS,
        carry=carried(carry),
        thumbnails=contact_sheet is not None,
    )
    rows = list(read_rows(_lines(manifest)))
    _check_folder(manifest, [row.path for row in rows if isinstance(row, Row)])
    plan = Plan.from_rows(rows, options)
    show = {"quiet": quiet, "verbose": verbose, "as_json": as_json, "debug": debug}
    work(None, plan, jobs or default_jobs(), show, sheet=contact_sheet)


def _check_folder(manifest: Path, photos: list[Path]) -> None:
    """Say once, instead of for every photo, that this is not the folder from which the manifest's paths count."""
    if any(path.is_absolute() or os.path.lexists(path) for path in photos) or not photos:
        return
    name = "the manifest" if manifest == Path("-") else manifest
    raise UsageError(
        f"None of the photos of {name} is here, as {photos[0]}: its paths count from the current folder, {Path.cwd()}. "
        "Go to the folder in which the manifest was made."
    )


def _lines(path: Path) -> list[str]:
    try:
        content = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
        return content.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}). Name the manifest.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8, and so no manifest.") from error
