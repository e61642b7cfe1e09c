"""Evaluation as a library call."""

from pathlib import Path

import pytest

from autocrop.errors import UsageError
from autocrop.evaluation.options import EvaluationOptions
from autocrop.evaluation.run import run


@pytest.mark.parametrize(
    "options",
    [{"model": "vrn"}, {"weights": Path("best.pt")}, {"save": Path("out.jsonl")}],
    ids=lambda o: next(iter(o)),
)
def test_predictions_exclude_a_model(options):
    """A file of predictions is measured without a model, so neither a model nor its output can be named."""
    with pytest.raises(UsageError, match="Leave out the model, --weights and --save"):
        EvaluationOptions("fcdb:photos", predictions=Path("peer.jsonl"), **options)


def test_outputs_are_checked_before_the_data(tmp_path):
    """An existing or impossible output is rejected before anything else is done."""
    existing = tmp_path / "existing"
    existing.touch()
    for options, message in (
        ({"save": existing}, "already exists"),
        ({"save": existing / "more.jsonl"}, "cannot be written"),
        ({"plots": existing}, "is a file"),
    ):
        with pytest.raises(UsageError, match=message):
            run(EvaluationOptions("fcdb:missing", **options))


def test_run_reports_progress_and_prints_nothing(tiny_fcdb, tmp_path, capsys):
    """The report names model, data and split, and the predictions are saved."""
    progress = []
    options = EvaluationOptions(f"fcdb:{tiny_fcdb}", save=tmp_path / "saved.jsonl")
    evaluation = run(options, lambda done, total: progress.append((done, total)))
    assert progress == [(1, 2), (2, 2)]
    report = evaluation.report
    assert (report["model"], report["data"], report["split"], report["listed"]) == ("vrn", "fcdb", "val", 2)
    assert (evaluation.left_out, evaluation.plots) == ([], [])
    saved = run(EvaluationOptions(f"fcdb:{tiny_fcdb}", predictions=tmp_path / "saved.jsonl"))
    assert saved.report == report | {"model": "saved"}
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
