"""The training loop: the only one. It knows losses, optimizers and files, and nothing of any model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from autocrop.errors import AutocropError
from autocrop.models import CroppingModel, Pyramid, Recipe, Views
from autocrop.models.checkpoint import BEST, LAST, load_checkpoint
from autocrop.training.distributed import Team

WARM_UP = 0.05
"""Share of a cosine run's steps in which the learning rate rises."""
LOG = "log.jsonl"


class Batches(Protocol):
    """What the loop needs of the training data; :class:`~autocrop.training.data.TrainingViews` is one."""

    batch: int
    """Photos an optimizer step."""

    def __len__(self) -> int: ...

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Iterator[list[Views]]:
        """One process's share of the batches of an epoch, the same ones however often they are asked for."""
        ...


@dataclass
class Progress:
    """What a run reports while it goes on."""

    epoch: int
    step: int
    steps: int
    losses: dict[str, float]
    """Means over the epoch so far."""


def fit(
    network: CroppingModel,
    batches: Batches,
    folder: Path,
    *,
    validate: Callable[[CroppingModel], dict[str, float]],
    select: Sequence[str] = ("iou", "srcc"),
    device: str = "cpu",
    amp: bool = False,
    resume: bool = False,
    data: str = "",
    terms: Mapping[str, Any] | None = None,
    on_start: Callable[[], None] = lambda: None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Path:
    """Train *network* by its own recipe and loss.

    Every epoch ends with validation, a line in ``log.jsonl``, and the checkpoint ``last.pt``; the epoch with the
    highest metric of *select* is also ``best.pt``. Every photo of every step seeds torch from the recipe's seed and
    its own place in the run, so that a resumed run takes the same steps as one that was never stopped, and several
    processes (``torchrun``) the same as one. Gradients add up over the photos of a batch, so a batch of any size
    needs the memory of one photo. The first of several processes validates and writes the files.

    Args:
        network: moved to *device*.
        batches: of the training split.
        folder: of the run; made if it does not exist.
        validate: network → metrics, after each epoch.
        select: metrics, higher is better; ``best.pt`` is chosen by the first of them that *validate* returns.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        amp: compute the loss in bfloat16 where torch finds that safe.
        resume: go on from ``last.pt`` in *folder*.
        data: name of the data set, kept in the checkpoints for the model card.
        terms: what else, beside the recipe and *amp*, makes the run what it is, for example the folder of its data,
            by the name that a user knows it by; a run is resumed only with the same.
        on_start: called when the run folder is there, before the first step.
        on_step: called after every optimizer step.
        on_epoch: called with the log's row after every epoch.

    Returns:
        Path of ``best.pt``.

    Raises:
        AutocropError: the folder already has a run and *resume* is not set, or the other way round, or the run there
            is another one, or the loss is not finite.
        UsageError: a batch cannot be shared evenly by the processes.
    """
    recipe = network.recipe
    team = Team.of()
    team.check(batches.batch)
    network.to(device).train()  # which parameters train depends on the recipe
    optimizer = optimizer_of(network)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate(recipe, len(batches)))
    averaged = None
    if recipe.average:
        averaged = AveragedModel(network, multi_avg_fn=_exponential_average(recipe.average))
    parts: dict[str, Any] = {"optimizer": optimizer, "scheduler": scheduler}
    if averaged is not None:
        parts["averaged"] = averaged
    first, best = 0, -math.inf
    last = folder / LAST
    terms = {"amp": amp, **(terms or {})}
    if resume:
        first, best = _restore(last, network, parts, terms)
    elif last.exists():
        raise AutocropError(f"{folder} already holds a run. Go on with --resume, or choose another folder with -o.")
    team.wait()  # nobody writes before everybody has looked

    def save(epoch: int, metrics: dict[str, float]) -> None:
        saved = {"metrics": metrics, "epoch": epoch, "data": data, "terms": terms}
        states = {name: part.state_dict() for name, part in parts.items()}
        _save(last, kept, **saved, **states, raw=network.state_dict(), best=best)

    kept = network if averaged is None else cast(CroppingModel, averaged.module)
    shared = _Loss(network, device, amp)
    step_loss: nn.Module = shared
    if team.size > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # newer versions of torch rename broadcast_buffers
            # Some photos have no votes or no pairs, and so no gradient for some parameters.
            step_loss = nn.parallel.DistributedDataParallel(
                shared, find_unused_parameters=True, broadcast_buffers=False
            )
    if team.leads:
        folder.mkdir(parents=True, exist_ok=True)
        on_start()
        if not resume:
            save(0, {})  # a run that is stopped in its first epoch can be resumed, too
    for epoch in range(first, recipe.epochs):
        started = time.monotonic()
        losses: dict[str, float] = {}
        network.train()
        for parameter in network.begin_epoch(epoch):
            optimizer.state.pop(parameter, None)
        rate = 0.0
        for progress in _epoch(step_loss, network, batches, epoch, optimizer, team):
            rate = optimizer.param_groups[0]["lr"]  # of this step
            scheduler.step()
            network.after_step()
            if averaged is not None:
                averaged.update_parameters(network)
            losses = progress.losses
            on_step(progress)
        if team.leads:
            metrics = validate(kept)
            row = {
                "epoch": epoch + 1,
                "loss": losses,
                "metrics": metrics,
                "lr": rate,
                "seconds": round(time.monotonic() - started, 1),
            }
            # The log is rewritten up to this epoch: a killed run may have logged an epoch that it did not save.
            _log(folder / LOG, row)
            score = next(metrics[name] for name in select if name in metrics)
            if score > best and network.may_be_best(epoch):
                best = score
                _save(folder / BEST, kept, metrics=metrics, epoch=epoch + 1, data=data)
            save(epoch + 1, metrics)
            on_epoch(row)
        team.wait()
    return folder / BEST


def _exponential_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """How an average moves towards the weights after a step: corrected for its beginning, as Adam's moments are.

    The weights before training have no part in it, and a run of few steps is not held back by them.
    """

    @torch.no_grad()
    def move(averages: Any, weights: Any, steps: Any) -> None:
        share = (1 - decay) / (1 - decay ** (int(steps) + 1))  # of the newest of steps + 1 weights
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, share)

    return move


class _Loss(nn.Module):
    """The loss of some photos as a module's forward pass, which is what torch's DDP can watch."""

    def __init__(self, network: CroppingModel, device: str, amp: bool) -> None:
        super().__init__()
        self.network = network
        self._device = device
        self._amp = amp

    def forward(self, photos: Sequence[Views], seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)  # of dropout
        with torch.autocast(torch.device(self._device).type, torch.bfloat16, enabled=self._amp):
            return self.network.batch_loss([_to(views, self._device) for views in photos])


def optimizer_of(network: CroppingModel) -> torch.optim.Optimizer:
    """The optimizer that the network's recipe names, for the parameters that train."""
    recipe = network.recipe
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    return kind(_parameter_groups(network), lr=recipe.lr, weight_decay=recipe.weight_decay)


def learning_rate(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at each optimizer step, for *steps* steps an epoch."""
    total = max(1, recipe.epochs * steps)
    warm_up = max(1, int(WARM_UP * total))

    def factor(step: int) -> float:
        if recipe.schedule == "constant":
            return 1.0
        if recipe.schedule == "step":
            return 0.1 if recipe.drop_at and step >= recipe.drop_at * steps else 1.0
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, total - warm_up))))

    return factor


def _epoch(
    loss: nn.Module,
    network: CroppingModel,
    batches: Batches,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    team: Team,
) -> Iterator[Progress]:
    """Take the steps of one epoch; yields after each."""
    totals: dict[str, float] = {}
    for step, batch in enumerate(batches.epoch(epoch, team.rank, team.size), start=1):
        places = [i * team.size + team.rank for i in range(len(batch))]
        seeds = [_torch_seed(network.recipe.seed, epoch, step, place) for place in places]
        means = team.mean(_step(loss, network, batch, seeds, optimizer))
        for name, value in means.items():
            totals[name] = totals.get(name, 0.0) + value
        yield Progress(epoch, step, len(batches), {name: total / step for name, total in totals.items()})


def _torch_seed(*numbers: int) -> int:
    """A seed for torch, which takes 64 bits, made of any numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _step(
    loss: nn.Module, network: CroppingModel, batch: list[Views], seeds: list[int], optimizer: torch.optim.Optimizer
) -> dict[str, float]:
    """One optimizer step over the photos of *batch*; returns the mean of each term of the loss."""
    optimizer.zero_grad(set_to_none=True)
    means: dict[str, float] = {}
    parts = [batch] if network.WHOLE_BATCH else [[views] for views in batch]
    for number, (photos, seed) in enumerate(zip(parts, seeds, strict=False), start=1):
        # Processes exchange their gradients once a step, with the last photo.
        shares = number == len(parts) or not isinstance(loss, nn.parallel.DistributedDataParallel)
        with contextlib.nullcontext() if shares else loss.no_sync():  # type: ignore[operator]
            terms = loss(photos, seed)
            total = torch.stack(list(terms.values())).sum()
            if not torch.isfinite(total):
                values = ", ".join(f"{name} {value.item():.3g}" for name, value in terms.items())
                raise AutocropError(f"The loss is not finite any more ({values}). Lower the learning rate with --lr.")
            (total / len(parts)).backward()  # type: ignore[no-untyped-call]
        for name, value in terms.items():
            means[name] = means.get(name, 0.0) + value.item() / len(parts)
    if network.recipe.clip:
        torch.nn.utils.clip_grad_norm_(network.parameters(), network.recipe.clip)
    optimizer.step()
    return means


def _parameter_groups(network: CroppingModel) -> list[dict[str, Any]]:
    """The backbone's parameters with their own learning rate, and the rest."""
    recipe = network.recipe
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    backbone = [parameter for name, parameter in named if name.startswith("backbone.")]
    others = [parameter for name, parameter in named if not name.startswith("backbone.")]
    return [{"params": others}, {"params": backbone, "lr": recipe.lr * recipe.backbone_lr}]


def _to(value: Any, device: str) -> Any:
    """Tensors, and what holds them, on *device*."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Views):
        return Views(**{field.name: _to(getattr(value, field.name), device) for field in dataclasses.fields(value)})
    if isinstance(value, Pyramid):
        return value.each(lambda part: part.to(device, non_blocking=True))
    return value


def _restore(path: Path, network: CroppingModel, parts: dict[str, Any], terms: Mapping[str, Any]) -> tuple[int, float]:
    """Load a checkpoint into the network and the other *parts* of a run; returns epochs done and the best metric.

    Raises:
        AutocropError: the checkpoint is of another run.
    """
    state = load_checkpoint(path)
    if state["name"] != network.NAME:
        raise AutocropError(f"{path} is of a run of {state['name']}, not of {network.NAME}. Resume that model.")
    # What checkpoints lack that were written before there was a choice.
    before = {"optimizer": "adamw", **state["recipe"], **terms, **state.get("terms", {})}
    now = {**dataclasses.asdict(network.recipe), **terms}
    if before != now:
        names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
        changed = ", ".join(f"{name} ({before.get(name)}, now {now.get(name)})" for name in names)
        raise AutocropError(f"{path} was trained with another {changed}. Resume with its own options.")
    network.load_state_dict(state["raw"])
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["epoch"], state["best"]


def _save(path: Path, network: CroppingModel, **extra: Any) -> None:
    """Write a checkpoint under a temporary name, then rename it: a kill leaves the former one whole."""
    temporary = path.with_suffix(".tmp")
    recipe = dataclasses.asdict(network.recipe)
    torch.save({"name": network.NAME, "recipe": recipe, "model": network.state_dict(), **extra}, temporary)
    os.replace(temporary, path)


def _log(path: Path, row: dict[str, Any]) -> None:
    """Put *row* into the log in place of what a former try at its epoch and later ones left."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    rows = [former for former in rows if former["epoch"] < row["epoch"]] + [row]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
