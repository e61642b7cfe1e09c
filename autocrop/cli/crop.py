"""``autocrop crop``, which is also what ``autocrop PHOTO...`` means."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from autocrop.cli import options as cli
from autocrop.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, note, progress, stops_on_interrupt
from autocrop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from autocrop.batch.contact_sheet import ContactSheet
    from autocrop.batch.plan import Plan
    from autocrop.batch.results import Result
    from autocrop.batch.sources import Sources
    from autocrop.engines import Engine
    from autocrop.images.padding import Fit


def crop(
    photos: Annotated[
        Optional[list[Path]],
        typer.Argument(
            metavar="PHOTO",
            help="Photos, folders, globs, or - for stdin.",
            show_default=False,
            readable=False,  # a photo that cannot be read fails alone
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
    """Crop photos. Outputs go beside the photos, or to -o; photos themselves are never changed.

    autocrop photo.jpg --ratio 4:3  writes photo_4x3.jpg; without a ratio the model chooses the shape.
    """
    if preset and "list" in preset:
        _list_presets(as_json)
        return

    from autocrop.batch.naming import DEFAULT_NAME, SIDECAR
    from autocrop.batch.options import Options, extension
    from autocrop.batch.plan import Plan
    from autocrop.batch.runner import default_jobs
    from autocrop.batch.sources import Sources, read_list
    from autocrop.batch.targets import make_targets
    from autocrop.engines import load_model
    from autocrop.images import MAX_PIXELS
    from autocrop.search.subjects import Region

    paths = list(photos or [])
    if files_from is not None:
        paths += read_list(_list_of_files(files_from, paths))
    if not paths:
        raise UsageError("Which photos? Name files or folders, or give --files-from.")
    if lossless and (size or preset or quality):
        raise UsageError("--lossless copies a JPEG's blocks as they are: it has no --size, --preset or --quality.")
    if (lossless or xmp) and (fit or shape == "circle"):
        raise UsageError("--fit and --shape circle need a picture written anew: leave out --lossless and --xmp.")
    if xmp:
        _check_sidecars(paths, output, name, file_format, strip, lossless, quality, carry)
        if top > 1 or len([*(ratio or []), *(size or []), *(preset or [])]) > 1:
            raise UsageError("--xmp describes one crop a photo: give one ratio, and no --top.")
        name, file_format = "{stem}", SIDECAR
    options = Options(
        targets=make_targets(ratio or [], size or [], preset or [], shape),
        top=top,
        output=output,
        name=name or DEFAULT_NAME,
        format=file_format if xmp else extension(file_format) if file_format else None,
        overwrite=overwrite,
        update=update,
        upscale=upscale,
        quality=quality,
        strip=strip,
        lossless=lossless,
        max_pixels=max_pixels or MAX_PIXELS,
        dry_run=dry_run,
        carry=carried(carry),
        faces=not no_face_guard,
        keep=[Region.parse(text) for text in keep or []],
        fit=_fit(fit, pad_color),
        shape=shape,
        min_gain=min_gain,
        thumbnails=contact_sheet is not None,
    )
    if options.fit is not None and all(target.ratio is None for target in options.targets):
        raise UsageError("--fit fills what a ratio leaves empty. Give a --ratio, --size or --preset, too.")
    show = {"quiet": quiet, "verbose": verbose, "as_json": as_json, "debug": debug}

    def load() -> Engine:
        return _one_thread_a_photo(load_model(model, device, weights, engine))

    if contact_sheet is not None and (watch or Path("-") in (output, *paths)):
        raise UsageError("--contact-sheet shows photos and crops that are files, of a run that ends: not - or --watch.")
    sources = Sources(recursive, output, carried(carry))
    jobs = jobs or default_jobs()
    if watch:
        _watch(paths, sources, Plan(options, remember=True), load(), jobs, show)
    elif Path("-") in (output, *paths):
        _stream(paths, options, load, show)
    else:
        plan = Plan.make(sources.find(paths), options)
        sources.left_out += Counter(
            {"crop of a former run": plan.former, "picture of autocrop explain": plan.explained}
        )
        if not plan and not plan.settled:
            left = sources.describe_left_out()
            raise UsageError(f"There is no photo in {', '.join(map(str, paths))}{f' ({left})' if left else ''}.")
        work(load() if len(plan) else None, plan, jobs, show, sources.describe_left_out(), sheet=contact_sheet)


def work(
    engine: Engine | None,
    plan: Plan,
    jobs: int,
    show: dict[str, bool],
    left_out: str = "",
    rename: Callable[[Result], Result] = lambda result: result,
    sheet: Path | None = None,
) -> None:
    """Do every job of a plan, tell what became of it, and exit with 1 if something failed, with 130 on Ctrl-C.

    Args:
        engine: a loaded model; None where all crops are known.
        plan: which file each crop goes to.
        jobs: photos at a time.
        show: what to print, see :class:`autocrop.cli.report.Report`.
        left_out: what was not tried, in words.
        rename: changes results before they are shown.
        sheet: where a contact sheet goes; None for none.
    """
    from autocrop.batch.results import Status
    from autocrop.batch.runner import run
    from autocrop.cli.report import Report

    started = time.monotonic()
    photos, settled = len(plan), len(plan.settled)
    to_screen = (plan.options.dry_run or show["as_json"]) and sys.stdout.isatty()  # where a bar would be in the way
    tried: set[Path] = set()
    with (
        stops_on_interrupt() as stop,
        _contact_sheet(sheet, plan) as page,
        progress(photos > 1 and not show["quiet"] and not to_screen) as bar,
    ):
        report = Report(photos, bar, **show, model=(engine.model, engine.device) if engine else ("", ""))
        try:
            for number, result in enumerate(run(engine, plan, min(jobs, photos), stop)):
                report.add(rename(result))
                if number >= settled:
                    tried.add(result.path)
                if page is not None:
                    page.add(result)
        except KeyboardInterrupt:  # of a program that handles Ctrl-C its own way
            stop.set()
    report.summary(time.monotonic() - started, left_out)
    if show["verbose"] and engine is not None:
        note(f"Model {engine.model} on {engine.device}, {time.monotonic() - started:.2f} s.")
    if stop.is_set():
        again = "the same command without --overwrite" if plan.options.overwrite else "the same command again"
        left = max(0, photos - len(tried))
        note(f"Interrupted, {left} of {photos} photos to go. To go on, run {again}: what is done is skipped.")
        raise typer.Exit(EXIT_INTERRUPTED)
    if report.counts[Status.FAILED]:
        raise typer.Exit(EXIT_FAILED)


def _fit(fill: str | None, color: str | None) -> Fit | None:
    """What ``--fit`` and ``--pad-color`` mean together."""
    from autocrop.images.padding import AUTO, Fit

    if color is not None and fill != "pad":
        raise UsageError("--pad-color is the color of --fit pad. Give both.")
    return Fit(fill, color or AUTO) if fill is not None else None


def _contact_sheet(path: Path | None, plan: Plan) -> AbstractContextManager[ContactSheet | None]:
    """The contact sheet, ready to be opened, if one is wanted."""
    if path is None:
        return nullcontext()
    from autocrop.batch.contact_sheet import ContactSheet

    if plan.is_input(path):
        raise UsageError(f"--contact-sheet {path} is one of the photos. Choose another name.")
    return ContactSheet(path)


def carried(extensions: list[str] | None) -> list[str]:
    """What ``--carry`` was given, each with its dot."""
    return [text if text.startswith(".") else f".{text}" for text in extensions or []]


def _watch(paths: list[Path], sources: Sources, plan: Plan, engine: Engine, jobs: int, show: dict[str, bool]) -> None:
    """Crop the photos of folders as they come, until Ctrl-C; which is how it ends, and so no failure."""
    from autocrop.batch.results import Status
    from autocrop.batch.runner import run
    from autocrop.batch.watch import Watcher
    from autocrop.cli.console import Silent, ends_on_sigterm
    from autocrop.cli.report import Report

    for path in paths:
        if not path.is_dir():
            raise UsageError(f"--watch needs folders, and {path} is none.")
    if plan.file is not None:
        raise UsageError(f"--watch writes many crops, and {plan.file} is one file. Give -o a folder.")
    if not show["quiet"]:
        note(f"Watching {', '.join(map(str, paths))}. Ctrl-C ends it.")
    started = time.monotonic()
    report = Report(0, Silent(), **show, model=(engine.model, engine.device))
    with ends_on_sigterm():
        try:
            for ready in Watcher(lambda: sources.find(paths)).rounds():
                plan.add(ready)
                for source in ready:
                    report.again(source.path)
                plan.settled.clear()  # the crops themselves, where they go beside the photos
                with stops_on_interrupt(signal.SIGTERM) as stop:
                    for result in run(engine, plan, jobs, stop):
                        report.add(result)
                if stop.is_set():
                    break
        except KeyboardInterrupt:
            pass
    report.summary(time.monotonic() - started)
    if report.counts[Status.FAILED]:
        raise typer.Exit(EXIT_FAILED)


def _stream(paths: list[Path], options: Any, load: Callable[[], Engine], show: dict[str, bool]) -> None:
    """One photo to one crop, where stdin or stdout takes part."""
    import dataclasses

    from autocrop.batch.plan import Plan
    from autocrop.batch.sources import Source
    from autocrop.cli import streams

    if len(paths) > 1 or (options.output == streams.STREAM and len(options.targets) * options.top > 1):
        raise UsageError("With - there is exactly one photo, and -o - takes exactly one crop.")
    if options.output is None and not options.dry_run:
        raise UsageError("Where shall the crop go? -o - writes it to stdout, -o crop.jpg to a file.")
    to_stdout = options.output == streams.STREAM and not options.dry_run
    if to_stdout and show["as_json"]:
        raise UsageError("-o - and --json both write to stdout. Leave one out.")
    if to_stdout:
        streams.check_stdout()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = streams.read_photo(folder) if paths[0] == streams.STREAM else paths[0]
        if options.output == streams.STREAM:
            suffix = options.format or photo.suffix
            if options.shape == "circle" and options.format is None:
                suffix = ".png"
            target = folder / f"stdout{suffix if suffix.lower() in _writable() else '.jpg'}"
            options = dataclasses.replace(options, output=target)
        plan = Plan.make([Source(photo)], options)

        def rename(result: Result) -> Result:
            if to_stdout and streams.is_written(result, folder):
                streams.send(result.output or photo)
            return streams.named(result, folder)

        work(load(), plan, 1, show, rename=rename)


def _check_sidecars(paths: list[Path], output: Path | None, *others: object) -> None:
    if any(others):
        raise UsageError(
            "--xmp writes photo.xmp and no picture: it has no options for pictures, as --quality or --name."
        )
    if Path("-") in (output, *paths):
        raise UsageError("--xmp writes a file beside a photo. Name the photo instead of -.")


def _writable() -> set[str]:
    from PIL import Image

    Image.init()
    return {suffix for suffix, name in Image.registered_extensions().items() if name in Image.SAVE}


def _list_of_files(path: Path, photos: list[Path]) -> bytes:
    """Content of the file that ``--files-from`` names."""
    if path == Path("-"):
        if path in photos:
            raise UsageError("stdin is either a photo or the list of photos, not both.")
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"--files-from {path}: the file cannot be read ({error.strerror}).") from error


def _one_thread_a_photo(engine: Engine) -> Engine:
    """Photos run side by side, so that OpenCV shall not split one; which also makes scores the same on any machine."""
    if engine.device == "cpu":
        import cv2

        cv2.setNumThreads(1)
    return engine


def _list_presets(as_json: bool) -> None:
    import dataclasses
    import json

    from autocrop.batch.presets import PRESETS

    for preset in PRESETS.values():
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(preset)))
            continue
        source = f"{preset.source}, checked {preset.checked}" if preset.source else "by definition"
        turns = ", turned as the photo is" if preset.turns else ""
        typer.echo(f"{preset.name:20} {preset.width:>4}x{preset.height:<5} {source}{turns}")
