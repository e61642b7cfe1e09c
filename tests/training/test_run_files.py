"""What a run leaves beside its checkpoints."""

import dataclasses
import json
import sys

import pytest

pytest.importorskip("torch")

from autocrop.models.vrn import VRNRecipe
from autocrop.training.run_files import CONFIG, typed_command, write_config


def test_a_resumed_run_keeps_its_first_command(tmp_path):
    """Later commands are added one by one, each with what it ran on; a damaged record is begun anew."""
    recipe = VRNRecipe(seed=3)
    write_config(tmp_path, "vrn", "fcdb:a", "first", recipe, processes=1)
    for command in ("second", "third"):
        write_config(tmp_path, "vrn", "fcdb:a", command, recipe, resumed=True, processes=2)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert (config["command"], config["processes"]) == ("first", 1)
    assert [(row["command"], row["processes"]) for row in config["resumed"]] == [("second", 2), ("third", 2)]
    assert config["recipe"] == dataclasses.asdict(recipe)
    assert config["versions"] == config["resumed"][0]["versions"]
    (tmp_path / CONFIG).write_text("{")
    write_config(tmp_path, "vrn", "fcdb:a", "fourth", recipe, resumed=True)
    assert json.loads((tmp_path / CONFIG).read_text())["command"] == "fourth"


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("/usr/bin/autocrop", "autocrop train vrn -o 'my run'"),
        ("/x/autocrop/__main__.py", "python -m autocrop train vrn -o 'my run'"),
    ],
)
def test_the_command_can_be_run_again(program, command, monkeypatch):
    """Quoted as a shell wants it; torchrun and python -m give a file that cannot be run by its name."""
    monkeypatch.setattr(sys, "argv", [program, "train", "vrn", "-o", "my run"])
    assert typed_command() == command
