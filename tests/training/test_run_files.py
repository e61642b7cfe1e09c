"""Files that a run writes besides its checkpoints."""

import dataclasses
import json
import sys

import pytest

pytest.importorskip("torch")

from autocrop.models.vrn import VRNRecipe
from autocrop.training import run_files
from autocrop.training.callbacks import EpochRecord
from autocrop.training.run_files import CONFIG, LOG, command_line, write_config, write_log


def test_config_keeps_first_command_of_resumed_run(tmp_path, monkeypatch):
    """Every command that resumes the run is appended with its settings. A damaged file is replaced."""
    recipe = VRNRecipe(seed=3)

    def write(command, processes, resumed=True):
        monkeypatch.setattr(run_files, "command_line", lambda: command)
        write_config(tmp_path, "vrn", "fcdb:a", recipe, {"processes": processes}, resumed)

    write("first", 1, resumed=False)
    write("second", 2)
    write("third", 2)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert (config["command"], config["processes"]) == ("first", 1)
    assert [(row["command"], row["processes"]) for row in config["resumed"]] == [("second", 2), ("third", 2)]
    assert config["recipe"] == dataclasses.asdict(recipe)
    assert config["versions"] == config["resumed"][0]["versions"]
    (tmp_path / CONFIG).write_text("{")
    write("fourth", 2)
    assert json.loads((tmp_path / CONFIG).read_text())["command"] == "fourth"


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("/usr/bin/autocrop", "autocrop train vrn -o 'my run'"),
        ("/x/autocrop/__main__.py", "python -m autocrop train vrn -o 'my run'"),
    ],
)
def test_command_line_can_be_run_again(program, command, monkeypatch):
    """Arguments are quoted, and the path of ``__main__.py`` is replaced by ``python -m autocrop``."""
    monkeypatch.setattr(sys, "argv", [program, "train", "vrn", "-o", "my run"])
    assert command_line() == command


def test_log_of_repeated_epoch_is_replaced(tmp_path):
    """Logging an epoch again removes its earlier record and those of later epochs."""
    for epoch, rate in ((1, 0.1), (2, 0.2), (3, 0.3), (2, 0.4)):
        write_log(tmp_path, EpochRecord(epoch, {"rank": 1.0}, {"iou": 0.5}, rate, 1.5))
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [(row["epoch"], row["lr"]) for row in rows] == [(1, 0.1), (2, 0.4)]
    assert list(rows[0]) == ["epoch", "loss", "metrics", "lr", "seconds"]
