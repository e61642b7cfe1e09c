"""``autocrop crop``, which is also what ``autocrop PHOTO...`` means."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from autocrop.cli.console import EXIT_FAILED, Debug, Json, Quiet, note, progress

if TYPE_CHECKING:
    from autocrop.batch import Result


def crop(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="Photos to crop.", show_default=False)],
    ratio: Annotated[
        Optional[list[str]],
        typer.Option("--ratio", "-a", metavar="W:H", help="Aspect ratio, exact to the pixel: 4:3, 1.91:1. Repeatable."),
    ] = None,
    size: Annotated[
        Optional[list[str]],
        typer.Option("--size", metavar="WxH", help="Crop at this ratio, then resize to these pixels. Repeatable."),
    ] = None,
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", help="Folder, or file for a single crop. Default: beside each photo."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=50, help="Up to this many clearly different crops.")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist (never an input).")
    ] = False,
    upscale: Annotated[bool, typer.Option("--upscale", help="Let --size enlarge a smaller crop.")] = False,
    quality: Annotated[
        Optional[int], typer.Option(min=1, max=100, help="For JPEG, WebP and AVIF. Default: a JPEG's own, else 90.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find the crops, write nothing.")] = False,
    as_json: Json = False,
    model: Annotated[Optional[str], typer.Option(help="Model to use; autocrop models list shows them.")] = None,
    weights: Annotated[
        Optional[Path], typer.Option(help="An exported folder or a checkpoint instead of the model's own files.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, opencv or torch.")] = "auto",
    quiet: Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print scores, model and timing too.")] = False,
    debug: Debug = False,
) -> None:
    """Crop photos. Outputs go beside the photos, or to -o; photos themselves are never changed.

    autocrop photo.jpg --ratio 4:3  writes photo_4x3.jpg; without a ratio the model chooses the shape.
    """
    import time

    from autocrop.batch import Options, Plan, Status, make_targets, run
    from autocrop.engines import load_model

    started = time.monotonic()
    targets = make_targets(ratio or [], size or [])
    plan = Plan.make(photos, Options(targets, top, output, overwrite, upscale, quality, dry_run))
    loaded = load_model(model, device, weights, engine)
    counts: Counter[Status] = Counter()
    several = len(plan.photos) > 1
    to_screen = (dry_run or as_json) and sys.stdout.isatty()  # where a bar would be in the way
    with progress(several and not quiet and not to_screen) as bar:
        task = bar.add_task("Cropping", total=len(plan.photos), info="")
        seen: set[Path] = set()
        for result in run(loaded, plan):
            counts[result.status] += 1
            if result.path not in seen:
                bar.update(task, completed=len(seen))
                seen.add(result.path)
            if as_json:
                typer.echo(json.dumps(result.to_dict(loaded), ensure_ascii=False))
            if result.status is Status.FOUND and not as_json:
                typer.echo(_describe(result, verbose))
            elif result.status is Status.FAILED or (not quiet and result.status is not Status.FOUND):
                bar.say(_describe(result, verbose))
    if several and not quiet:
        note(", ".join(f"{count} {status.value}" for status, count in counts.items()) + ".")
    if verbose:
        note(f"Model {loaded.model} on {loaded.device}, {time.monotonic() - started:.2f} s.")
    if counts[Status.FAILED]:
        raise typer.Exit(EXIT_FAILED)


def _describe(result: Result, verbose: bool) -> str:
    """One line for people."""
    from autocrop.batch import Status

    if result.status in (Status.FAILED, Status.SKIPPED):
        about = result.output if result.status is Status.SKIPPED and result.output else result.path
        named = "" if str(about) in result.reason else f"{about}: "
        return f"{result.status.value}: {named}{result.reason}"
    assert result.crop is not None
    assert result.size is not None
    found, size = result.crop, result.size
    text = f"{found.width}x{found.height} at {found.box[0]},{found.box[1]} of {found.photo[0]}x{found.photo[1]}"
    if size != (found.width, found.height):
        text += f", resized to {size[0]}x{size[1]}"
    if verbose:
        text += f", score {found.score:.3f} (whole photo {found.score_full:.3f})"
    if result.notes:
        text += f" ({'; '.join(result.notes)})"
    return f"{result.path} → {result.output}: {text}" if result.output else f"{result.path}: {text}"
