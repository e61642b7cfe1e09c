"""``autocrop models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from autocrop.cli.console import EXIT_FAILED, Debug, Json, note
from autocrop.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, download, verify and export models.")


@app.command("list")
def list_models(as_json: Json = False, debug: Debug = False) -> None:
    """List the available models with their metrics and training data."""
    import json

    from autocrop import weights

    for position, card in enumerate(weights.manifest().values()):
        if as_json:
            typer.echo(json.dumps(card.to_dict(), ensure_ascii=False))
            continue
        size = sum(file.bytes for file in card.files.values()) / 1e6
        status = "" if len(weights.local_files(card)) == len(card.files) else " Not downloaded."
        typer.echo(f"{card.name}{' (default)' if not position else ''}: {card.summary} {size:.0f} MB.{status}")
        typer.echo("  " + ", ".join(f"{name} {value:.3f}" for name, value in card.metrics.items()))
        typer.echo(f"  Trained on: {card.data}")


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="Download this model; see autocrop models list.")],
    debug: Debug = False,
) -> None:
    """Download a model for use offline."""
    from autocrop import weights

    for path in weights.locate(name).values():
        note(f"{path}")


@app.command()
def verify(debug: Debug = False) -> None:
    """Check the digests of all downloaded and bundled model files."""
    from autocrop import weights

    problems = weights.verify_all()
    for path, problem in problems.items():
        note(f"bad: {problem}" if problem else f"ok: {path}")
    for card in weights.manifest().values():
        if len(weights.local_files(card)) < len(card.files):
            note(f"{card.name} is not downloaded. To download it, run: autocrop models pull {card.name}")
    if any(problems.values()):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="Export this checkpoint of a training run: best.pt or last.pt.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write the ONNX files and their manifest to this folder.")
    ],
    name: Annotated[
        Optional[str], typer.Option(help="Name the exported model. Default: the name of the network.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files in the output folder.")] = False,
    debug: Debug = False,
) -> None:
    """Export a checkpoint to ONNX files, which can be used without torch.

    To use them, run: autocrop photo.jpg --weights FOLDER
    """
    from autocrop.engines import require_torch

    require_torch("Exporting")
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise UsageError(f"{output} is not empty. Choose another folder, or pass --overwrite to replace the model.")
    from autocrop.training.export import export_checkpoint

    for path in export_checkpoint(checkpoint, output, name):
        note(f"Wrote {path}")
