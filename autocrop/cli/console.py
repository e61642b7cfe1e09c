"""What goes to the terminal, and the exit codes. Data goes to stdout; messages and progress to stderr."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
"""Typer itself exits with 130 where a command does not catch Ctrl-C."""

Debug = Annotated[bool, typer.Option("--debug", help="Print a traceback when something goes wrong.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of text.")]


def note(text: str) -> None:
    """Print a message on stderr, as it is: file names may hold square brackets."""
    typer.echo(text, err=True)


def fail(text: str, code: int, error: BaseException | None = None) -> NoReturn:
    """Print *text* as an error, with the traceback of *error* if given, and exit."""
    if error is not None:
        import traceback

        traceback.print_exception(error)
    typer.echo(f"autocrop: {text}", err=True)
    sys.exit(code)


class Silent:
    """A progress bar that is not there: importing the real one would take longer than cropping a photo."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add_task(self, *arguments: Any, **fields: Any) -> int:  # noqa: ARG002
        """Do nothing."""
        return 0

    def update(self, *arguments: Any, **fields: Any) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Print a message, as the real one would above its bar."""
        note(text)


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """Treat the polite request to end, as ``kill`` and service managers send it, like Ctrl-C."""

    def interrupt(*arguments: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stops_on_interrupt(*others: signal.Signals) -> Iterator[threading.Event]:
    """The first Ctrl-C sets the event, so that what has been begun is finished and told; the second ends the process.

    Args:
        others: signals that mean the same, as ``signal.SIGTERM``.
    """
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *others)}
    if before[signal.SIGINT] is not signal.default_int_handler:  # ignored, as in a script's background, or another's
        del before[signal.SIGINT]

    def interrupt(*arguments: object) -> None:
        if not stop.is_set():
            stop.set()
            return
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h")  # the cursor, which a progress bar hides
        os._exit(EXIT_INTERRUPTED)

    for number in before:
        signal.signal(number, interrupt)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress(wanted: bool) -> Any:
    """A progress bar with rate and time left on a terminal; a :class:`Silent` one in a pipe or if not *wanted*."""
    if not wanted or not sys.stderr.isatty():
        return Silent()
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
            """Steps a second, of late."""
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    class Bar(Progress):
        def say(self, text: str) -> None:
            """Print a message above the bar, as it is: file names may hold square brackets."""
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
