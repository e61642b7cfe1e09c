"""``autocrop eval``."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from autocrop.cli.console import Debug, Json, Quiet, note, progress
from autocrop.errors import AutocropError, UsageError

if TYPE_CHECKING:
    from autocrop.datasets import Split
    from autocrop.evaluation.plots import Inside
    from autocrop.evaluation.predictions import Prediction


def evaluate(
    data: Annotated[
        str,
        typer.Option(help="Data set, as NAME:FOLDER, for example fcdb:~/data/fcdb. Names: fcdb, flms, gaicd, cpc."),
    ],
    model: Annotated[Optional[str], typer.Argument(help="Model to measure; the default one if none is named.")] = None,
    split: Annotated[
        Optional[str], typer.Option(help="train, val or test. Default: val; test for flms.", show_default=False)
    ] = None,
    given_ratio: Annotated[
        bool, typer.Option("--given-ratio", help="Search at the aspect ratio of the human's crop only.")
    ] = False,
    top: Annotated[
        Optional[int],
        typer.Option(min=1, help="Boxes to search for in each photo: with gaicd and cpc for ACC_1/N and AP."),
    ] = None,
    save: Annotated[
        Optional[Path], typer.Option(help="Keep what the model said about each photo, as JSON lines.")
    ] = None,
    predictions: Annotated[
        Optional[Path], typer.Option(help="Measure what this file says, by whatever program, instead of a model.")
    ] = None,
    plots: Annotated[
        Optional[Path],
        typer.Option(help="Folder for the papers' plots: predicted against true sides, errors, features, validity."),
    ] = None,
    weights: Annotated[
        Optional[Path], typer.Option(help="An exported folder or a checkpoint instead of the model's own files.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, opencv or torch.")] = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure a model, or another program's crops, against the choices of people.

    The data decides how: the overlap with people's best crops and the order of pairs they voted on (fcdb, flms), or
    the ranking of crops they scored (gaicd, cpc).
    """
    from autocrop.datasets import default_split, load
    from autocrop.evaluation import evaluate as evaluation
    from autocrop.evaluation.predictions import load_predictions, named, save_predictions

    if predictions is not None and (model is not None or weights is not None or save is not None):
        raise UsageError("--predictions measures a file. Leave out the model, --weights and --save.")
    if save is not None:
        _check_target(save)
    if plots is not None:
        _check_plots(plots)
    split = split or default_split(data)
    samples = load(data, split)
    if predictions is not None:
        name, said, inside = predictions.stem, load_predictions(predictions, samples), None
    else:
        name, said, inside = _ask(model, samples, given_ratio, top, weights, device, engine, quiet)
    if save is not None:
        save_predictions(save, samples, said)
    report: dict[str, Any] = {
        "model": name,
        "data": data.partition(":")[0],
        "split": split,
        "given_ratio": given_ratio,
        "listed": samples.listed,
    } | evaluation.measure(samples, said, given_ratio, top)
    if plots is not None:
        from autocrop.evaluation.plots import draw

        for path in draw(plots, samples, said, inside):
            if not quiet:
                note(f"Drew {path}")
    lost = [*samples.missing, *report["failed"]]
    if lost and not quiet:
        note(f"{len(lost)} of {samples.listed} photos are left out, gone or unreadable: {named(lost)}.")
    if as_json:
        typer.echo(json.dumps(report))
    elif report["protocol"] == "ranking":
        _print_ranking(report)
    else:
        _print_best_crop(report)


def _check_target(path: Path) -> None:
    """Whether a file can be written, asked before a long run and not after it.

    Raises:
        UsageError: it cannot, or it is there already.
    """
    if path.exists():
        raise UsageError(f"{path} exists. Choose another name for --save, or move that file away.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path} cannot be written: {folder} is no folder that can be written to.")


def _check_plots(folder: Path) -> None:
    """Whether the plots can be drawn, asked before a long run.

    Raises:
        AutocropError: a package is missing.
        UsageError: the folder is none.
    """
    lacking = [name for name in ("matplotlib", "sklearn") if importlib.util.find_spec(name) is None]
    if lacking:
        raise AutocropError(f'--plots needs {" and ".join(lacking)}. Install with: pip install "autocrop-photo[torch]"')
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file. Give --plots a folder.")


def _ask(
    model: str | None,
    samples: Split,
    given_ratio: bool,
    top: int | None,
    weights: Path | None,
    device: str,
    engine: str,
    quiet: bool,
) -> tuple[str, list[Prediction], Inside]:
    """Name of the model, what it says about each photo, and what the plots need of it."""
    from autocrop.engines import load_model
    from autocrop.evaluation.evaluate import predict
    from autocrop.evaluation.plots import Inside

    loaded = load_model(model, device, weights, engine)
    inside = Inside(loaded)
    with progress(not quiet) as bar:
        task = bar.add_task("Evaluating", total=len(samples), info="")
        said = predict(loaded, samples, given_ratio, lambda done: bar.update(task, completed=done), top, inside.look)
    return loaded.model, said, inside


def _print_best_crop(report: dict[str, Any]) -> None:
    """Overlap with people's best crops, as a table on stdout."""
    photos = report["n"]
    cells = [_overlap(report["model"], photos, report)]
    cells += [_overlap(f"  {name} shot", row["n"], row) for name, row in report["shots"].items()]
    for count, iou in report["best_of"].items():
        cells.append([f"  best of its first {count}", str(photos), f"{iou:.4f}", "", ""])
    cells += [_overlap(name.replace("_", " "), photos, row) for name, row in report["baselines"].items()]
    for candidates, iou in report["ceilings"].items():
        cells.append([f"best of the {candidates.replace('_', ' ')}", str(report["n"]), f"{iou:.4f}", "", ""])
    _print(report, ("", "photos", "IoU ↑", "BDE ↓", "IoU ≥ .75 ↑"), cells)
    for key, text in (("pair_accuracy", "all"), ("pair_accuracy_strong", "at least 4 of 5 votes one way")):
        if report[key] is not None:
            count = report[key.replace("pair_accuracy", "pairs")]
            typer.echo(f"Voted pairs ordered as people did ({text}, {count}): {report[key]:.4f}")
    if report["similarity"] is not None:
        typer.echo(f"Mean IoU of two of the first five crops of a photo: {report['similarity']:.4f}")
    if report["pair_accuracy"] is None:
        typer.echo("There are no voted pairs, or no scores of them.")


def _overlap(name: str, photos: int, row: dict[str, float]) -> list[str]:
    """A row of the table."""
    return [name, str(photos), *(f"{row[key]:.4f}" for key in ("iou", "bde", "recall"))]


def _print_ranking(report: dict[str, Any]) -> None:
    """The ranking of scored crops, as a table on stdout: a metric a row, since there are many."""
    columns = {report["model"]: _ranking_rows(report, report["gap"])}
    for name, row in report["baselines"].items():
        columns[name.replace("_", " ")] = _ranking_rows(row, report["gap"])
    labels = dict.fromkeys(label for rows in reversed(columns.values()) for label in rows)
    cells = [[label, *(rows.get(label, "") for rows in columns.values())] for label in labels]
    _print(report, ("", *columns), cells)


def _ranking_rows(row: dict[str, Any], gap: float) -> dict[str, str]:
    """The metrics that are there, by what they are called in the table."""
    values = {"SRCC": row["srcc"], "PCC": row["pcc"]}
    for key, text in (("acc", "Acc"), ("acc_w", "Acc^w")):
        for n in (5, 10):
            values[f"{text}_{n}"] = row[f"{key}_{n}"]
            values |= {f"  {text}_{at}": value for at, value in row[key].items() if at.endswith(f"/{n}")}
    values[f"pairs {gap:g} apart"] = row["pair_accuracy"]
    for key, text in (("acc_1", "ACC_1/{}"), ("ap", "AP top {}")):
        for iou, table in row.get(key, {}).items():
            values |= {f"{text.format(n)}, IoU ≥ {iou[1:]}": value for n, value in table.items()}
    return {label: f"{value:.4f}" for label, value in values.items() if value is not None}


def _print(report: dict[str, Any], columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    photos = f"{report['n']} of {report['listed']} photos"
    table = Table(title=f"{report['data']} {report['split']}, {photos}")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in cells:
        table.add_row(*row)
    Console().print(table)
