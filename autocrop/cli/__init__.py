"""The ``autocrop`` command. Parses, calls the library, prints, and turns errors into exit codes.

Nothing here may import numpy, OpenCV, Pillow or torch at its top: ``autocrop --help`` must be quick.
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
from autocrop.cli.options import GroupedHelp
from autocrop.errors import AutocropError, UsageError


class DefaultToCrop(TyperGroup):
    """A first argument that is no verb means ``crop``: ``autocrop photo.jpg`` is ``autocrop crop photo.jpg``."""

    OWN_OPTIONS = ("--help", "-h", "--version", "--install-completion", "--show-completion")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``crop`` in front where no verb is."""
        if args and args[0] in self.commands:
            if Path(args[0]).exists():
                note(f"'{args[0]}' is a command. For the file of that name write ./{args[0]}.")
        elif args and args[0] == "help":
            args = ["--help"]
        elif args and args[0] not in self.OWN_OPTIONS:
            if not Path(args[0]).exists() and (near := difflib.get_close_matches(args[0], self.commands, 1, 0.7)):
                raise UsageError(f"There is no command or photo '{args[0]}'. Did you mean '{near[0]}'?")
            args = ["crop", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=DefaultToCrop,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing what draws boxes around the help takes longer than all the rest
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Crop photos the way a photographer would.\n\nautocrop photo.jpg --ratio 4:3  is short for  autocrop crop "
    "photo.jpg --ratio 4:3; autocrop crop --help lists its options.",
)
app.command("crop", cls=GroupedHelp, no_args_is_help=True)(crop.crop)
app.command("apply", cls=GroupedHelp, no_args_is_help=True)(apply.apply)
app.command("explain", no_args_is_help=True)(explain.explain)
app.command("eval")(evaluate.evaluate)
app.command("train", no_args_is_help=True)(train.train)
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"autocrop {version('autocrop-photo')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Typer's place for the options of the program itself."""


def main() -> None:
    """Run the command; errors become one sentence and an exit code, unless ``--debug`` is given."""
    debug = "--debug" in sys.argv[1:]
    if not debug:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged photos, of which we speak ourselves
    try:
        app()
    except UsageError as error:
        fail(str(error), EXIT_USAGE, error if debug else None)
    except AutocropError as error:
        fail(str(error), EXIT_FAILED, error if debug else None)
    except BrokenPipeError:
        # The reader of our output has left, as `head` does; nobody is there to be told.
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    except Exception as error:
        fail(
            f"autocrop ran into an error of its own: {type(error).__name__}: {error}. "
            "Run the command again with --debug and report what it prints.",
            EXIT_FAILED,
            error if debug else None,
        )
