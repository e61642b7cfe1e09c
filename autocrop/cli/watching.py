"""``--watch``: crop photos as they arrive in folders.

Imported when a command runs, because it imports numpy.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.runner import run
from autocrop.batch.sources import Sources
from autocrop.batch.watch import Watcher
from autocrop.cli.batch import RunSettings
from autocrop.cli.console import EXIT_FAILED, NoProgress, interrupt_on_sigterm, note, stop_on_interrupt
from autocrop.cli.report import Report
from autocrop.cli.streams import STREAM
from autocrop.engines import Engine
from autocrop.errors import UsageError


def watch_folders(
    folders: Sequence[Path], sources: Sources, options: Options, load: Callable[[], Engine], settings: RunSettings
) -> None:
    """Crop the photos that are in folders, and those that arrive, until Ctrl-C. Exit with 1 if a photo fails.

    Args:
        folders: folders to watch.
        sources: finds the photos.
        options: options of the batch.
        load: loads the model.
        settings: settings of the run.

    Raises:
        UsageError: an option or a path cannot be used with ``--watch``.
    """
    _check_conflicts(folders, options, settings)
    plan, engine = Plan(options, repeatable=True), load()
    if not settings.style.quiet:
        note(f"Watching {', '.join(map(str, folders))}. Press Ctrl-C to stop.")
    started = time.monotonic()
    report = Report(0, NoProgress(), settings.style, (engine.model, engine.device))
    with interrupt_on_sigterm():
        try:
            for photos in Watcher(lambda: sources.find(folders)).rounds():
                plan.add(photos)
                plan.take_early_results()  # do not report our own crops next to the photos
                for photo in photos:
                    report.retry(photo.path)
                with stop_on_interrupt(signal.SIGTERM) as stop:
                    for result in run(engine, plan, settings.workers, stop):
                        report.add(result)
                if stop.is_set():
                    break
        except KeyboardInterrupt:
            pass
    report.summary(time.monotonic() - started)
    if report.counts[Status.FAILED]:
        raise typer.Exit(EXIT_FAILED)


def _check_conflicts(folders: Sequence[Path], options: Options, settings: RunSettings) -> None:
    """Reject options that cannot be used with ``--watch``."""
    for path in folders:
        if not path.is_dir():
            raise UsageError(f"--watch needs folders, and {path} is not one.")
    if options.output_file is not None:
        raise UsageError(f"--watch writes many crops, but -o {options.output_file} is one file. Give -o a folder.")
    if options.output == STREAM:
        raise UsageError("--watch writes many crops, but -o - is one stream. Give -o a folder.")
    if settings.contact_sheet is not None:
        raise UsageError("--contact-sheet needs a run that ends. Leave out --watch.")
