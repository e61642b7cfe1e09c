"""Run a batch for a command: load the model, crop, report, and exit.

Imported when a command runs, because it imports numpy.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import typer

from autocrop.batch.contact_sheet import ContactSheet
from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Result, Status
from autocrop.batch.runner import run
from autocrop.batch.sources import Sources, describe_ignored
from autocrop.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, OutputStyle, note, progress, stop_on_interrupt
from autocrop.cli.report import Report
from autocrop.engines import Engine, load_model
from autocrop.errors import UsageError


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run that do not change the crops."""

    workers: int
    """Number of photos to work on at a time."""
    style: OutputStyle
    contact_sheet: Path | None = None


def load_engine(model: str | None, device: str, weights: Path | None, engine: str) -> Engine:
    """Load a model for a batch in which each thread works on one photo.

    OpenCV gets one thread per photo, so that the threads do not compete; this also makes scores the same on all
    machines.
    """
    loaded = load_model(model, device, weights, engine)
    if loaded.device == "cpu":
        import cv2

        cv2.setNumThreads(1)
    return loaded


def crop_files(
    paths: Sequence[Path], sources: Sources, options: Options, load: Callable[[], Engine], settings: RunSettings
) -> None:
    """Crop files, folders and globs, and exit if something fails.

    Args:
        paths: named by the user.
        sources: finds the photos.
        options: options of the batch.
        load: loads the model, unless there is nothing to crop.
        settings: settings of the run.

    Raises:
        UsageError: no photos are found.
    """
    plan = Plan.from_photos(sources.find(paths), options)
    ignored = describe_ignored(sources.ignored + plan.ignored)
    if not plan and not plan.early_results:
        details = f" ({ignored})" if ignored else ""
        raise UsageError(f"No photos found in {', '.join(map(str, paths))}{details}.")
    run_batch(load() if len(plan) else None, plan, settings, ignored)


def run_batch(
    engine: Engine | None,
    plan: Plan,
    settings: RunSettings,
    ignored: str = "",
    convert: Callable[[Result], Result] = lambda result: result,
) -> None:
    """Run all jobs of a plan and report the results. Exit with 1 if something fails, and with 130 on Ctrl-C.

    Args:
        engine: a loaded model; None if a manifest has all crops.
        plan: the jobs.
        settings: settings of the run.
        ignored: description of the files that were ignored.
        convert: changes results before they are reported.
    """
    started = time.monotonic()
    style, photos, early = settings.style, len(plan), len(plan.early_results)
    prints_data = (plan.options.dry_run or style.json) and sys.stdout.isatty()  # a progress bar would garble the output
    attempted: set[Path] = set()
    with (
        stop_on_interrupt() as stop,
        _open_contact_sheet(settings.contact_sheet, plan) as sheet,
        progress(photos > 1 and not style.quiet and not prints_data) as bar,
    ):
        report = Report(plan.photos, bar, style, (engine.model, engine.device) if engine else ("", ""))
        try:
            for number, result in enumerate(run(engine, plan, min(settings.workers, photos), stop)):
                report.add(convert(result))
                if number >= early:
                    attempted.add(result.path)
                if sheet is not None:
                    sheet.add(result)
        except KeyboardInterrupt:  # raised by another program's Ctrl-C handler
            stop.set()
    report.summary(time.monotonic() - started, ignored)
    if style.verbose and engine is not None:
        note(f"Model {engine.model} on {engine.device}, {time.monotonic() - started:.2f} s.")
    if stop.is_set():
        _exit_interrupted(photos - len(attempted), photos, plan.options.overwrite)
    if report.counts[Status.FAILED]:
        raise typer.Exit(EXIT_FAILED)


def _exit_interrupted(remaining: int, photos: int, overwrite: bool) -> None:
    command = "the same command without --overwrite" if overwrite else "the same command again"
    note(
        f"Interrupted with {max(0, remaining)} of {photos} photos to go. To continue, run {command}: "
        "finished photos are skipped."
    )
    raise typer.Exit(EXIT_INTERRUPTED)


def _open_contact_sheet(path: Path | None, plan: Plan) -> AbstractContextManager[ContactSheet | None]:
    if path is None:
        return nullcontext()
    if path in plan.inputs:
        raise UsageError(f"--contact-sheet {path} is one of the photos. Choose another name.")
    return ContactSheet(path)
