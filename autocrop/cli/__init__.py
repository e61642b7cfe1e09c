"""The ``autocrop`` command: parses arguments, calls the library, prints, and turns errors into exit codes.

To keep ``autocrop --help`` fast, modules that define commands import numpy, OpenCV, Pillow and torch inside functions.
The modules ``batch``, ``report``, ``streams`` and ``watching`` are imported when a command runs.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from autocrop.cli import apply, crop, evaluate, explain, models, train
from autocrop.cli.console import EXIT_FAILED, EXIT_USAGE, fail, note
from autocrop.cli.parameters import GroupedHelp
from autocrop.errors import AutocropError, UsageError


class DefaultToCrop(TyperGroup):
    """Runs ``crop`` unless a command is given: ``autocrop photo.jpg`` means ``autocrop crop photo.jpg``."""

    OWN_OPTIONS = ("--help", "-h", "--version", "--install-completion", "--show-completion")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert ``crop`` if no command is given."""
        if args and args[0] in self.commands:
            if Path(args[0]).exists():
                note(f"Running the command '{args[0]}'. To crop the file of that name, write ./{args[0]}.")
        elif args and args[0] == "help":
            args = ["--help"]
        elif args and args[0] not in self.OWN_OPTIONS:
            if not Path(args[0]).exists() and (similar := difflib.get_close_matches(args[0], self.commands, 1, 0.7)):
                raise UsageError(f"Command or photo '{args[0]}' not found. Did you mean '{similar[0]}'?")
            args = ["crop", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=DefaultToCrop,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich takes longer than everything else
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Crop photos the way a photographer would.\n\nautocrop photo.jpg --ratio 4:3  is short for  autocrop crop "
    "photo.jpg --ratio 4:3. Run autocrop crop --help to see its options.",
)
app.command("crop", cls=GroupedHelp, no_args_is_help=True)(crop.crop)
app.command("apply", cls=GroupedHelp, no_args_is_help=True)(apply.apply)
app.command("explain", no_args_is_help=True)(explain.explain)
app.command("eval")(evaluate.evaluate)
app.command("train", no_args_is_help=True)(train.train)
app.add_typer(models.app, name="models")


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"autocrop {version('autocrop-photo')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Declare the options of the program itself."""


def main() -> None:
    """Run the command. Print errors as messages, with a traceback if ``--debug`` is given, and set the exit code."""
    debug = "--debug" in sys.argv[1:]
    if not debug:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # autocrop reports damaged photos itself
    try:
        app()
    except UsageError as error:
        fail(str(error), EXIT_USAGE, error if debug else None)
    except AutocropError as error:
        fail(str(error), EXIT_FAILED, error if debug else None)
    except BrokenPipeError:
        # The reader of the output has exited, as `head` does. Closing stderr prevents a message from Python.
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    except Exception as error:
        fail(
            f"Internal error: {type(error).__name__}: {error}. "
            "Run the command again with --debug, and report the output.",
            EXIT_FAILED,
            error if debug else None,
        )
