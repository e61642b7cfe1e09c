"""``autocrop train``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from autocrop.cli.console import Debug, Quiet, note, progress
from autocrop.errors import UsageError

if TYPE_CHECKING:
    from autocrop.models import Recipe


def train(
    model: Annotated[str, typer.Argument(help="Model to train: vrn, safrc, asmnet, cblnet or setpred.")],
    data: Annotated[str, typer.Option(help="Data set, as NAME:FOLDER, for example fcdb:~/data/fcdb.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run: checkpoints and log.")],
    epochs: Annotated[Optional[int], typer.Option(min=1, help="Instead of the recipe's.")] = None,
    batch: Annotated[
        Optional[int],
        typer.Option(min=1, help="Photos an optimizer step; their gradients add up, in the memory of one photo."),
    ] = None,
    lr: Annotated[Optional[float], typer.Option(min=0, help="Learning rate, instead of the recipe's.")] = None,
    seed: Annotated[Optional[int], typer.Option(min=0, help="Of everything random.")] = None,
    recipe: Annotated[
        str, typer.Option(help="paper, or auto: ours for the data set where there is one, else the paper's.")
    ] = "auto",
    override: Annotated[
        Optional[list[str]],
        typer.Option("--set", metavar="NAME=VALUE", help="Any other field of the model's recipe. Repeatable."),
    ] = None,
    backbone: Annotated[Optional[str], typer.Option(help="torchvision network to start from.")] = None,
    backbone_weights: Annotated[
        Optional[Path], typer.Option(help="ImageNet weights from a file, instead of torchvision's download.")
    ] = None,
    freeze_backbone: Annotated[
        bool, typer.Option("--freeze-backbone", help="Train the rest on features that are computed once: minutes.")
    ] = False,
    feature_cache: Annotated[
        Optional[Path], typer.Option(help="Folder that keeps the frozen features for other runs, some GB.")
    ] = None,
    imbalance: Annotated[
        Optional[str],
        typer.Option(
            help="What is done about tight crops being rare (cblnet): none, smogn, focal-r, inv, rrt, lds-fds or c2c."
        ),
    ] = None,
    init_from: Annotated[
        Optional[Path],
        typer.Option(
            help="Start from what fits of another checkpoint: of autocrop, or of a detector of DETR's family (setpred)."
        ),
    ] = None,
    unlabeled: Annotated[
        Optional[Path], typer.Option(help="Folder of photos without annotations to learn from (safrc).")
    ] = None,
    amp: Annotated[bool, typer.Option("--amp", help="Mixed precision: bfloat16 where that is safe.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model, validating after every epoch. Needs torch: the extra "torch" of autocrop-photo.

    On several GPUs: torchrun --nproc-per-node 4 -m autocrop train ...
    """
    from autocrop.engines import pick_device, require_torch

    require_torch("Training")
    import numpy as np
    import torch

    from autocrop.datasets import load
    from autocrop.engines.torch import TorchEngine
    from autocrop.evaluation.evaluate import evaluate
    from autocrop.memory import keep_freed_memory
    from autocrop.models import MODELS
    from autocrop.models.checkpoint import initialize
    from autocrop.training import distributed as team
    from autocrop.training.data import TrainingViews
    from autocrop.training.feature_cache import CachedEngine, FeatureCache
    from autocrop.training.loop import Progress, fit
    from autocrop.training.run_files import draw_curves, typed_command, write_config
    from autocrop.training.targets import target_crops

    if model not in MODELS:
        raise UsageError(f"There is no model '{model}'. Use one of: {', '.join(MODELS)}.")
    if recipe not in ("auto", "paper"):
        raise UsageError(f"There is no recipe '{recipe}'. Use auto or paper.")
    if unlabeled is not None and not MODELS[model].SUPPORTS_UNLABELED:
        able = ", ".join(name for name, network in MODELS.items() if network.SUPPORTS_UNLABELED)
        raise UsageError(
            f"{model} does not learn from photos without annotations. Leave out --unlabeled, or use {able}."
        )
    name = data.partition(":")[0]
    start = MODELS[model].RECIPE()
    if recipe == "auto":
        start = MODELS[model].RECIPES.get(name, start)
    if imbalance is not None and not hasattr(start, "imbalance"):
        raise UsageError(f"{model} has no choice of --imbalance; cblnet has.")
    if init_from is not None and resume:
        raise UsageError("--resume goes on with a run's own weights. Leave out --init-from.")
    flags = {"epochs": epochs, "batch": batch, "lr": lr, "seed": seed, "backbone": backbone, "imbalance": imbalance}
    chosen = _changed(start, override or [], freeze_backbone=freeze_backbone or None, **flags)
    if feature_cache is not None and not chosen.freeze_backbone:
        raise UsageError("--feature-cache keeps the features of a frozen backbone. Add --freeze-backbone.")
    if unlabeled is not None and not chosen.uses_unlabeled:
        raise UsageError(
            f"This recipe of {model} leaves photos without annotations out of its loss. Leave out --unlabeled, or what "
            "sets a weight of its loss to 0."
        )
    training, validation = load(data, "train"), load(data, "val")
    if any(not len(sample.boxes) for sample in training):
        raise UsageError(
            f"The photos of {data} carry no crops that people chose or scored, so there is nothing to learn from. Use "
            "fcdb, gaicd or cpc."
        )
    others = load(f"folder:{unlabeled}", "train") if unlabeled is not None else ()
    device = team.join(pick_device(device))
    leads = team.Team.of().leads
    quiet = quiet or not leads
    if not quiet:
        note(f"{len(training)} photos to train on, {len(validation)} to validate on. Run folder: {output}")
    keep_freed_memory(unlimited=True)
    torch.manual_seed(chosen.seed)
    network = MODELS[model](chosen, pretrained=backbone_weights or not resume)
    if init_from is not None:
        fitting = initialize(network, init_from)
        if not quiet:
            note(f"Took {fitting} of {len(network.state_dict())} tensors from {init_from}.")
    network.prepare(np.stack([target_crops(sample)[0] for sample in training]))
    cache = FeatureCache(network.backbone, feature_cache, device) if chosen.freeze_backbone else None
    batches = TrainingViews(training, chosen, others, network.uses_saliency, cache)
    with progress(not quiet) as bar, contextlib.ExitStack() as closing:
        closing.callback(team.leave)
        task = bar.add_task("Training", total=chosen.epochs * len(batches), info="")

        def on_step(step: Progress) -> None:
            info = " ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
            done = step.epoch * step.steps + step.step
            bar.update(task, completed=done, description=f"Epoch {step.epoch + 1}/{chosen.epochs}", info=info)

        def on_epoch(row: dict[str, Any]) -> None:
            draw_curves(output)
            values = [*row["loss"].items(), *row["metrics"].items()]
            text = ", ".join(f"{name} {value:.4f}" for name, value in values)
            if not quiet:
                bar.say(f"epoch {row['epoch']}/{chosen.epochs}: {text} ({row['seconds']:.0f} s)")

        def validate(network: Any) -> dict[str, float]:
            bar.update(task, info="validating")
            engine = CachedEngine(network, cache, device) if cache else TorchEngine(model, network, device)
            report = evaluate(engine, validation)
            return {key: value for key, value in report.items() if isinstance(value, float) and key != "gap"}

        def on_start() -> None:
            processes = team.Team.of().size
            more = {"device": device, "amp": amp, "processes": processes}
            write_config(output, model, data, typed_command(), chosen, resume, **more)

        try:
            best = fit(
                network,
                batches,
                output,
                validate=validate,
                device=device,
                amp=amp,
                resume=resume,
                data=name,
                terms={"data": f"{name}:{_absolute(data.partition(':')[2])}", "unlabeled": _absolute(unlabeled)},
                on_start=on_start,
                on_step=on_step,
                on_epoch=on_epoch,
            )
        except KeyboardInterrupt:
            note(f"Interrupted. The epochs done are in {output}; the same command with --resume goes on after them.")
            raise
    if not quiet:
        note(f"Best checkpoint: {best}. Make it usable for cropping with: autocrop models export {best} -o FOLDER")


def _absolute(path: str | Path | None) -> str:
    """Path of a folder from the root; nothing for none. Links stay: one at a folder's old place is that folder."""
    return "" if path is None else str(Path(path).expanduser().absolute())


def _changed(recipe: Recipe, overrides: list[str], **flags: Any) -> Recipe:
    """*recipe* with the user's changes."""
    import dataclasses

    changes = {name: value for name, value in flags.items() if value is not None}
    known = dataclasses.asdict(recipe)
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise UsageError(f"--set {text}: write NAME=VALUE with one of: {', '.join(known)}.")
        changes[name] = _parse(text, value, known[name])
    return dataclasses.replace(recipe, **changes)


def _parse(text: str, value: str, default: Any) -> Any:
    """*value* as the type of *default*."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[value.lower()]
        return type(default)(value)
    except (ValueError, KeyError) as error:
        kind = "true or false" if isinstance(default, bool) else f"like {default!r}"
        raise UsageError(f"--set {text}: the value must be {kind}.") from error
