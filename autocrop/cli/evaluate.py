"""``autocrop eval``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from autocrop.cli.console import Debug, Json, Quiet, progress


def evaluate(
    data: Annotated[str, typer.Option(help="Data set, as NAME:FOLDER, for example fcdb:~/data/fcdb.")],
    model: Annotated[Optional[str], typer.Argument(help="Model to measure; the default one if none is named.")] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    given_ratio: Annotated[
        bool, typer.Option("--given-ratio", help="Search at the aspect ratio of the human's crop only.")
    ] = False,
    weights: Annotated[
        Optional[Path], typer.Option(help="An exported folder or a checkpoint instead of the model's own files.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, opencv or torch.")] = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure a model against the choices of people.

    Prints the overlap with their best crops, and how many of the pairs they voted on it orders as they did.
    """
    from autocrop import evaluate as evaluation
    from autocrop.datasets import load
    from autocrop.engines import load_model

    samples = load(data, split)
    loaded = load_model(model, device, weights, engine)
    with progress(not quiet) as bar:
        task = bar.add_task("Evaluating", total=len(samples), info="")
        report = evaluation.evaluate(loaded, samples, given_ratio, lambda done: bar.update(task, completed=done))
    report = {
        "model": loaded.model,
        "data": data.partition(":")[0],
        "split": split,
        "given_ratio": given_ratio,
    } | report
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    """The report as a table on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report['data']} {report['split']}, {report['n']} photos")
    for column, justify in (("", "left"), ("photos", "right"), ("IoU ↑", "right"), ("BDE ↓", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    rows = {report["model"]: report, **{f"  {name} shot": row for name, row in report["shots"].items()}}
    for name, row in (rows | report["baselines"]).items():
        shown = name.replace("_", " ") if name in report["baselines"] else name
        photos = str(row.get("n", report["n"]))
        table.add_row(shown, photos, f"{row['iou']:.4f}", f"{row['bde']:.4f}")
    console = Console()
    console.print(table)
    for key, text in (("pair_accuracy", "all"), ("pair_accuracy_strong", "at least 4 of 5 votes one way")):
        if report[key] is not None:
            count = report[key.replace("pair_accuracy", "pairs")]
            console.print(f"Voted pairs ordered as people did ({text}, {count}): {report[key]:.4f}")
    if report["pair_accuracy"] is None:
        console.print("This split has no voted pairs.")
