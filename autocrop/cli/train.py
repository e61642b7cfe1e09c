"""``autocrop train``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from autocrop.cli.console import Debug, Quiet, note, progress
from autocrop.errors import UsageError

if TYPE_CHECKING:
    from autocrop.training.callbacks import Callbacks, EpochRecord, Progress


def train(
    model: Annotated[str, typer.Argument(help="Train this model: vrn, safrc, asmnet, cblnet, or setpred.")],
    data: Annotated[str, typer.Option(help="Train on this data set: NAME:FOLDER, for example fcdb:~/data/fcdb.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Write checkpoints and logs to this folder.")],
    epochs: Annotated[Optional[int], typer.Option(min=1, help="Override the recipe's number of epochs.")] = None,
    batch: Annotated[
        Optional[int],
        typer.Option(
            min=1, help="Set the number of photos per optimizer step. Most models hold one at a time in memory."
        ),
    ] = None,
    lr: Annotated[Optional[float], typer.Option(min=0, help="Override the recipe's learning rate.")] = None,
    seed: Annotated[Optional[int], typer.Option(min=0, help="Set the random seed.")] = None,
    recipe: Annotated[
        str, typer.Option(help="Choose the recipe: paper, or auto to prefer ours for the data set.")
    ] = "auto",
    override: Annotated[
        Optional[list[str]],
        typer.Option("--set", metavar="NAME=VALUE", help="Override any other field of the recipe. Repeatable."),
    ] = None,
    backbone: Annotated[Optional[str], typer.Option(help="Use this torchvision network as the backbone.")] = None,
    backbone_weights: Annotated[
        Optional[Path], typer.Option(help="Load ImageNet weights from a file instead of downloading torchvision's.")
    ] = None,
    freeze_backbone: Annotated[
        bool,
        typer.Option("--freeze-backbone", help="Compute the backbone's features once and train the rest on them."),
    ] = False,
    feature_cache: Annotated[
        Optional[Path], typer.Option(help="Keep the frozen features in this folder for other runs. Takes a few GB.")
    ] = None,
    imbalance: Annotated[
        Optional[str],
        typer.Option(
            help="Choose how cblnet handles rare, tight crops: none, smogn, focal-r, inv, rrt, lds-fds, or c2c."
        ),
    ] = None,
    init_from: Annotated[
        Optional[Path],
        typer.Option(help="Load matching weights from a checkpoint of autocrop or, for setpred, of a DETR detector."),
    ] = None,
    unlabeled: Annotated[
        Optional[Path], typer.Option(help="Also learn from the photos without annotations in this folder (safrc).")
    ] = None,
    amp: Annotated[bool, typer.Option("--amp", help="Use mixed precision: bfloat16 where that is safe.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the output folder.")] = False,
    device: Annotated[str, typer.Option(help="Choose the device: auto, cpu, or cuda.")] = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model and validate it after every epoch. Requires torch: pip install "autocrop-photo[torch]".

    On several GPUs: torchrun --nproc-per-node 4 -m autocrop train ...
    """
    from autocrop.engines import require_torch

    require_torch("Training")
    from autocrop.training.options import TrainingOptions
    from autocrop.training.run import run

    flags: dict[str, Any] = {"epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    flags |= {"backbone": backbone, "freeze_backbone": freeze_backbone or None, "imbalance": imbalance}
    options = TrainingOptions(
        model,
        data,
        output,
        recipe=recipe,
        overrides={name: value for name, value in flags.items() if value is not None} | _parse(override or []),
        backbone_weights=backbone_weights,
        feature_cache=feature_cache,
        init_from=init_from,
        unlabeled=unlabeled,
        amp=amp,
        resume=resume,
        device=device,
    )
    with _Display(options.resolve_recipe().epochs, quiet) as display:
        try:
            best = run(options, display.callbacks())
        except KeyboardInterrupt:
            if display.started:
                note(f"Interrupted. Finished epochs are in {output}. Add --resume to the command to continue.")
            raise
    if display.started:  # False in all but the main process of torchrun
        display.message(f"Best checkpoint: {best}. To crop with it, run: autocrop models export {best} -o FOLDER")


def _parse(overrides: list[str]) -> dict[str, str]:
    """Split arguments of ``--set`` into names and values."""
    for text in overrides:
        if "=" not in text:
            raise UsageError(f"--set {text} has no value. Write it as NAME=VALUE.")
    return {name: value for name, _, value in (text.partition("=") for text in overrides)}


class _Display:
    """Messages and progress bar of a run. The bar appears when training starts.

    Args:
        epochs: epochs of the run.
        quiet: True to show nothing.
    """

    def __init__(self, epochs: int, quiet: bool) -> None:
        self.started = False
        self._epochs = epochs
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def callbacks(self) -> Callbacks:
        """Return the callbacks of the run."""
        from autocrop.training.callbacks import Callbacks

        return Callbacks(self.message, self._start, self._step, self._validate, self._finish_epoch)

    def message(self, text: str) -> None:
        """Print a sentence unless the run is quiet."""
        if not self._quiet:
            note(text)

    def _start(self) -> None:
        self.started = True
        self._bar = self._stack.enter_context(progress(not self._quiet))
        self._task = self._bar.add_task("Training", total=None, info="")

    def _step(self, position: Progress) -> None:
        self._bar.update(
            self._task,
            total=self._epochs * position.steps,
            completed=position.epoch * position.steps + position.step,
            description=f"Epoch {position.epoch + 1}/{self._epochs}",
            info=" ".join(f"{name} {value:.3f}" for name, value in position.losses.items()),
        )

    def _validate(self) -> None:
        self._bar.update(self._task, info="validating")

    def _finish_epoch(self, record: EpochRecord) -> None:
        if not self._quiet:
            values = [*record.loss.items(), *record.metrics.items()]
            text = ", ".join(f"{name} {value:.4f}" for name, value in values)
            self._bar.say(f"epoch {record.epoch}/{self._epochs}: {text} ({record.seconds:.0f} s)")
