"""``autocrop eval``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from autocrop.cli.console import Debug, Json, Quiet, note, progress


def evaluate(
    data: Annotated[
        str,
        typer.Option(help="Measure on this data set: NAME:FOLDER. Names: fcdb, flms, gaicd, cpc."),
    ],
    model: Annotated[Optional[str], typer.Argument(help="Measure this model instead of the default model.")] = None,
    split: Annotated[
        Optional[str],
        typer.Option(help="Choose the split: train, val, or test. Default: val, or test for flms.", show_default=False),
    ] = None,
    given_ratio: Annotated[
        bool, typer.Option("--given-ratio", help="Search only for crops with the aspect ratio of the annotated crop.")
    ] = False,
    top: Annotated[
        Optional[int],
        typer.Option(min=1, help="Search for this many boxes per photo. gaicd and cpc need it for ACC_1/N and AP."),
    ] = None,
    save: Annotated[
        Optional[Path], typer.Option(help="Write the model's predictions for each photo to a file, as JSON lines.")
    ] = None,
    predictions: Annotated[
        Optional[Path], typer.Option(help="Measure the predictions of any program in this file instead of a model.")
    ] = None,
    plots: Annotated[
        Optional[Path], typer.Option(help="Write the papers' plots to this folder: sides, errors, features, validity.")
    ] = None,
    weights: Annotated[
        Optional[Path], typer.Option(help="Use an exported folder or a checkpoint instead of the model's own files.")
    ] = None,
    device: Annotated[str, typer.Option(help="Choose the device: auto, cpu, or cuda.")] = "auto",
    engine: Annotated[str, typer.Option(help="Choose the engine: auto, opencv, or torch.")] = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure how well the crops of a model, or of another program, agree with people's choices.

    The metrics depend on the data set. fcdb and flms: overlap with the best crops that people chose, and the order of
    pairs that they voted on. gaicd and cpc: the ranking of crops that people scored.
    """
    from autocrop.evaluation.options import EvaluationOptions
    from autocrop.evaluation.predictions import summarize_names
    from autocrop.evaluation.run import run

    options = EvaluationOptions(
        data,
        model,
        split=split,
        given_ratio=given_ratio,
        top=top,
        save=save,
        predictions=predictions,
        plots=plots,
        weights=weights,
        device=device,
        engine=engine,
    )
    with progress(not quiet and predictions is None) as bar:
        task = bar.add_task("Evaluating", total=None, info="")
        evaluation = run(options, lambda done, total: bar.update(task, completed=done, total=total))
    report = evaluation.report
    if not quiet:
        for path in evaluation.plots:
            note(f"Drew {path}")
        if evaluation.left_out:
            names = summarize_names(evaluation.left_out)
            note(
                f"Left out {len(evaluation.left_out)} of {report['listed']} photos "
                f"that are missing or unreadable: {names}."
            )
    if as_json:
        typer.echo(json.dumps(report))
    elif report["protocol"] == "ranking":
        _print_ranking(report)
    else:
        _print_best_crop(report)


def _print_best_crop(report: dict[str, Any]) -> None:
    """Print a table of overlaps with people's best crops, and metrics of several crops and voted pairs."""
    photos = report["n"]
    rows = [_overlap_row(report["model"], photos, report)]
    rows += [_overlap_row(f"  {name} shot", values["n"], values) for name, values in report["shots"].items()]
    rows += [_iou_row(f"  best of its first {count}", photos, iou) for count, iou in report["best_of"].items()]
    for name, values in report["baselines"].items():
        rows.append(_overlap_row(name.replace("_", " "), photos, values))
    for candidates, iou in report["ceilings"].items():
        rows.append(_iou_row(f"best of the {candidates.replace('_', ' ')}", photos, iou))
    _print_table(report, ("", "photos", "IoU ↑", "BDE ↓", "IoU ≥ .75 ↑"), rows)
    for key, text in (("pair_accuracy", "all"), ("pair_accuracy_strong", "at least 4 of 5 votes agree")):
        if report[key] is not None:
            count = report[key.replace("pair_accuracy", "pairs")]
            typer.echo(f"Voted pairs ordered as people did ({text}, {count}): {report[key]:.4f}")
    if report["similarity"] is not None:
        typer.echo(f"Mean IoU between the first five crops of a photo: {report['similarity']:.4f}")
    if report["pair_accuracy"] is None:
        typer.echo("Voted pairs: none in the data set, or none scored.")


def _overlap_row(name: str, photos: int, values: dict[str, float]) -> list[str]:
    return [name, str(photos), *(f"{values[key]:.4f}" for key in ("iou", "bde", "recall"))]


def _iou_row(name: str, photos: int, iou: float) -> list[str]:
    return [name, str(photos), f"{iou:.4f}", "", ""]


def _print_ranking(report: dict[str, Any]) -> None:
    """Print a table of ranking metrics: a row per metric, a column for the model and each baseline."""
    columns = {report["model"]: _ranking_metrics(report, report["gap"])}
    for name, values in report["baselines"].items():
        columns[name.replace("_", " ")] = _ranking_metrics(values, report["gap"])
    # Take labels from the baselines first: their order holds if the predictions have no scores, and metrics of boxes,
    # which baselines do not have, come last.
    labels = dict.fromkeys(label for metrics in reversed(columns.values()) for label in metrics)
    rows = [[label, *(metrics.get(label, "") for metrics in columns.values())] for label in labels]
    _print_table(report, ("", *columns), rows)


def _ranking_metrics(values: dict[str, Any], gap: float) -> dict[str, str]:
    """Format the metrics that are not None, by their label in the table."""
    metrics = {"SRCC": values["srcc"], "PCC": values["pcc"]}
    for key, text in (("acc", "Acc"), ("acc_w", "Acc^w")):
        for n in (5, 10):
            metrics[f"{text}_{n}"] = values[f"{key}_{n}"]
            metrics |= {f"  {text}_{k_n}": value for k_n, value in values[key].items() if k_n.endswith(f"/{n}")}
    metrics[f"pairs {gap:g} apart"] = values["pair_accuracy"]
    for key, text in (("acc_1", "ACC_1/{}"), ("ap", "AP top {}")):
        for iou, by_count in values.get(key, {}).items():
            metrics |= {f"{text.format(n)}, IoU ≥ {iou[1:]}": value for n, value in by_count.items()}
    return {label: f"{value:.4f}" for label, value in metrics.items() if value is not None}


def _print_table(report: dict[str, Any], columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report['data']} {report['split']}, {report['n']} of {report['listed']} photos")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
