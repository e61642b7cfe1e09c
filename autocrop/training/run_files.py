"""What a run leaves beside its checkpoints: how it was started, and its curves."""

from __future__ import annotations

import dataclasses
import json
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import torch
import torchvision

from autocrop import __version__
from autocrop.models import Recipe
from autocrop.training.loop import LOG

CONFIG, CURVES = "config.json", "curves.png"


def write_config(
    folder: Path, model: str, data: str, command: str, recipe: Recipe, resumed: bool = False, **more: Any
) -> None:
    """Write ``config.json``: the command as it was typed, the whole recipe, and the versions.

    Of a run that is *resumed* what is there stays, and the command that goes on is added.
    """
    versions = {
        "autocrop": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }
    started = {"command": command, **more, "versions": versions}
    config = {"model": model, "data": data, **started, "recipe": dataclasses.asdict(recipe)}
    if resumed and (former := _read(folder / CONFIG)):
        config = former | {"resumed": [*former.get("resumed", []), started]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def typed_command() -> str:
    """The command line of this process, so that it can be run again."""
    program = Path(sys.argv[0]).name
    return shlex.join([*(["python", "-m", "autocrop"] if program == "__main__.py" else [program]), *sys.argv[1:]])


def _read(path: Path) -> dict[str, Any] | None:
    """What a former command wrote; None if that is gone or damaged."""
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def draw_curves(folder: Path) -> Path:
    """Draw the run's log as ``curves.png``: terms of the loss on the left, metrics on the right.

    Raises:
        FileNotFoundError: no epoch is done yet.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, part, title in zip(
        figure.subplots(1, 2), ("loss", "metrics"), ("training loss", "validation"), strict=True
    ):
        for name in dict.fromkeys(name for row in rows for name in row[part]):
            axes.plot(epochs, [row[part].get(name, float("nan")) for row in rows], marker=".", label=name)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(folder / CURVES, dpi=100)
    return folder / CURVES
