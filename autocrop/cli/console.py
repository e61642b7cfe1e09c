"""Terminal output, exit codes and signals. Data goes to stdout; messages and progress go to stderr."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
"""130 is also what Typer exits with if a command does not catch Ctrl-C."""

Debug = Annotated[bool, typer.Option("--debug", help="Print tracebacks of errors.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of text.")]


@dataclass(frozen=True)
class OutputStyle:
    """Settings for what a batch prints."""

    quiet: bool = False
    """Print errors only."""
    verbose: bool = False
    """Print a line for every crop, with its scores."""
    json: bool = False
    """Print one JSON object per crop on stdout."""
    debug: bool = False
    """Print tracebacks of failures."""


def note(text: str) -> None:
    """Print a message on stderr without interpreting markup: file names may contain square brackets."""
    typer.echo(text, err=True)


def fail(text: str, code: int, error: BaseException | None = None) -> NoReturn:
    """Print an error message, preceded by the traceback of *error* if it is given, and exit."""
    if error is not None:
        import traceback

        traceback.print_exception(error)
    typer.echo(f"autocrop: {text}", err=True)
    sys.exit(code)


class NoProgress:
    """Stands in for a progress bar that is not shown. Importing the real one takes longer than cropping a photo."""

    def __enter__(self) -> NoProgress:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add_task(self, *arguments: Any, **fields: Any) -> int:  # noqa: ARG002
        """Do nothing."""
        return 0

    def update(self, *arguments: Any, **fields: Any) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Print a message, like the real progress bar."""
        note(text)


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM, which ``kill`` and service managers send, like Ctrl-C."""

    def interrupt(*arguments: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stop_on_interrupt(*others: signal.Signals) -> Iterator[threading.Event]:
    """Set an event on the first Ctrl-C, so that photos in progress are finished and reported; exit on the second.

    Args:
        others: signals to treat like Ctrl-C.
    """
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *others)}
    # Respect a handler of another program, and a Ctrl-C that is ignored, as in the background of a script.
    if before[signal.SIGINT] is not signal.default_int_handler:
        del before[signal.SIGINT]

    def interrupt(*arguments: object) -> None:
        if not stop.is_set():
            stop.set()
            return
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h")  # show the cursor, which a progress bar hides
        os._exit(EXIT_INTERRUPTED)

    for number in before:
        signal.signal(number, interrupt)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress(enabled: bool) -> Any:
    """Return a progress bar for a terminal; a :class:`NoProgress` if stderr is not one, or if not *enabled*."""
    if not enabled or not sys.stderr.isatty():
        return NoProgress()
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            """Return the recent number of steps per second."""
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    class Bar(Progress):
        def say(self, text: str) -> None:
            """Print a message above the bar without interpreting markup."""
            self.console.print(text, markup=False)

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[info]}"),
        console=Console(stderr=True, highlight=False, soft_wrap=True),
        transient=True,
        redirect_stdout=False,  # data must reach stdout
        redirect_stderr=False,
    )
