"""``autocrop crop``, the default command: ``autocrop PHOTO...`` runs it, too."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from autocrop.cli import parameters as cli
from autocrop.cli.console import OutputStyle
from autocrop.errors import UsageError


def crop(
    photos: Annotated[
        Optional[list[Path]],
        typer.Argument(
            metavar="PHOTO",
            help="Crop these files, folders and globs; - reads a photo from stdin.",
            show_default=False,
            readable=False,  # an unreadable photo must not stop the others
        ),
    ] = None,
    recursive: cli.Recursive = False,
    files_from: cli.FilesFrom = None,
    watch: cli.Watch = False,
    ratio: cli.Ratios = None,
    size: cli.Sizes = None,
    preset: cli.Presets = None,
    top: cli.Top = 1,
    upscale: cli.Upscale = False,
    keep: cli.Keep = None,
    no_face_guard: cli.NoFaceGuard = False,
    fit: cli.Fit = None,
    pad_color: cli.PadColor = None,
    shape: cli.Shape = "rectangle",
    min_gain: cli.MinGain = None,
    output: cli.Output = None,
    name: cli.Name = None,
    file_format: cli.Format = None,
    overwrite: cli.Overwrite = False,
    update: cli.Update = False,
    quality: cli.Quality = None,
    strip: cli.Strip = False,
    lossless: cli.Lossless = False,
    xmp: cli.Xmp = False,
    carry: cli.Carry = None,
    contact_sheet: cli.ContactSheet = None,
    dry_run: cli.DryRun = False,
    as_json: cli.Json = False,
    jobs: cli.Jobs = None,
    max_pixels: cli.MaxPixels = None,
    quiet: cli.Quiet = False,
    verbose: cli.Verbose = False,
    debug: cli.Debug = False,
    model: cli.Model = None,
    weights: cli.Weights = None,
    device: cli.Device = "auto",
    engine: cli.Engine = "auto",
) -> None:
    """Crop photos. Crops go next to the photos, or to -o. Photos are never changed.

    autocrop photo.jpg --ratio 4:3  writes photo_4x3.jpg. Without a ratio, the model chooses the shape.
    """
    if preset and "list" in preset:
        _print_presets(as_json)
        return

    from autocrop.batch.options import Options
    from autocrop.batch.sources import Sources
    from autocrop.batch.targets import make_targets
    from autocrop.cli import batch, streams, watching
    from autocrop.concurrency import default_workers
    from autocrop.images import MAX_PIXELS
    from autocrop.search.subjects import Region

    paths = _paths(photos or [], files_from)
    options = Options(
        targets=make_targets(ratio or [], size or [], preset or [], shape),
        top=top,
        output=output,
        name=name,
        format=file_format,
        overwrite=overwrite,
        update=update,
        dry_run=dry_run,
        upscale=upscale,
        quality=quality,
        strip=strip,
        lossless=lossless,
        xmp=xmp,
        carry=carry or [],
        max_pixels=max_pixels or MAX_PIXELS,
        faces=not no_face_guard,
        keep=[Region.parse(text) for text in keep or []],
        fit=fit,
        pad_color=pad_color,
        shape=shape,
        min_gain=min_gain,
        thumbnails=contact_sheet is not None,
    )
    style = OutputStyle(quiet, verbose, as_json, debug)
    settings = batch.RunSettings(jobs or default_workers(), style, contact_sheet)
    load = functools.partial(batch.load_engine, model, device, weights, engine)
    sources = Sources(recursive, output, options.companion_extensions)
    if watch:
        watching.watch_folders(paths, sources, options, load, settings)
    elif streams.STREAM in (output, *paths):
        streams.crop_stream(paths, options, load, settings)
    else:
        batch.crop_files(paths, sources, options, load, settings)


def _paths(photos: list[Path], files_from: Path | None) -> list[Path]:
    """Return the paths that the user names as arguments and in the file of ``--files-from``."""
    paths = list(photos)
    if files_from is not None:
        from autocrop.batch.sources import read_list

        if files_from == Path("-") and files_from in photos:
            raise UsageError("stdin can be a photo or the list of photos, but not both. Give only one -.")
        paths += read_list(_read(files_from))
    if not paths:
        raise UsageError("No photos given. Name files or folders, or use --files-from.")
    return paths


def _read(path: Path) -> bytes:
    if path == Path("-"):
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read --files-from {path} ({error.strerror}).") from error


def _print_presets(as_json: bool) -> None:
    import dataclasses
    import json

    from autocrop.batch.presets import PRESETS

    for preset in PRESETS.values():
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(preset)))
            continue
        source = f"{preset.source}, checked {preset.checked}" if preset.source else "by definition"
        turns = ", rotated to match the photo" if preset.turns else ""
        typer.echo(f"{preset.name:20} {preset.width:>4}x{preset.height:<5} {source}{turns}")
