"""Files of a run besides its checkpoints: ``config.json``, ``log.jsonl`` and ``curves.png``."""

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
from autocrop.training.callbacks import EpochRecord

CONFIG, LOG, CURVES = "config.json", "log.jsonl", "curves.png"


def write_config(
    folder: Path, model: str, data: str, recipe: Recipe, settings: dict[str, Any], resumed: bool = False
) -> None:
    """Write ``config.json``: how the run was started, its whole recipe, and the versions of autocrop and torch.

    For a *resumed* run, keep the file and append how it was resumed.

    Args:
        folder: folder of the run. It is created if it does not exist.
        model: name of the model.
        data: data set, as NAME:FOLDER.
        recipe: recipe of the run.
        settings: settings of this process to record, such as its device.
        resumed: True if this process continues a run.
    """
    versions = {
        "autocrop": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }
    start = {"command": command_line(), **settings, "versions": versions}
    config = {"model": model, "data": data, **start, "recipe": dataclasses.asdict(recipe)}
    if resumed and (previous := _read_config(folder / CONFIG)):
        config = previous | {"resumed": [*previous.get("resumed", []), start]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def command_line() -> str:
    """Return the command line of this process, quoted for a shell.

    ``torchrun`` and ``python -m`` put the path of ``__main__.py`` in place of the command that was typed.
    """
    program = Path(sys.argv[0]).name
    return shlex.join([*(["python", "-m", "autocrop"] if program == "__main__.py" else [program]), *sys.argv[1:]])


def _read_config(path: Path) -> dict[str, Any] | None:
    """Read an existing ``config.json``. Returns None if it is missing or damaged."""
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def write_log(folder: Path, record: EpochRecord) -> None:
    """Add an epoch to ``log.jsonl`` and remove earlier records of this epoch and the following ones.

    A process that was killed may have logged an epoch without saving its checkpoint. That epoch is trained again.
    """
    path = folder / LOG
    rows = _read_log(path) if path.exists() else []
    rows = [row for row in rows if row["epoch"] < record.epoch] + [dataclasses.asdict(record)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _read_log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def draw_curves(folder: Path) -> Path:
    """Draw ``log.jsonl`` as ``curves.png``: loss terms on the left, validation metrics on the right.

    Raises:
        FileNotFoundError: no epoch has been logged yet.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = _read_log(folder / LOG)
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = (("loss", "training loss"), ("metrics", "validation"))
    for axes, (part, title) in zip(figure.subplots(1, 2), panels, strict=True):
        for name in dict.fromkeys(name for row in rows for name in row[part]):
            axes.plot(epochs, [row[part].get(name, float("nan")) for row in rows], marker=".", label=name)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(folder / CURVES, dpi=100)
    return folder / CURVES
