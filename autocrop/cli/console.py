"""What goes to the terminal, and the exit codes. Data goes to stdout; messages and progress to stderr."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

EXIT_FAILED, EXIT_USAGE = 1, 2
"""Typer itself exits with 130 on Ctrl-C."""

Debug = Annotated[bool, typer.Option("--debug", help="Print a traceback when something goes wrong.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of text.")]


def messages() -> Console:
    """A console on stderr; plain where that is no terminal or NO_COLOR is set."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


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


def progress(quiet: bool = False) -> AbstractContextManager[Progress]:
    """A progress bar with rate and time left on a terminal; nothing in a pipe."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = messages()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[info]}"),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    )
