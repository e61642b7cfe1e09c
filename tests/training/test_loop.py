"""The training loop, run for real on six tiny photos."""

import contextlib
import dataclasses
import json
import socket

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from autocrop.datasets import Sample, load
from autocrop.errors import AutocropError, UsageError
from autocrop.geometry import boxes as bx
from autocrop.models import MODELS
from autocrop.models.cblnet import CBLNetRecipe
from autocrop.models.checkpoint import load_checkpoint, network_from_checkpoint
from autocrop.models.setpred import SetPredictionRecipe
from autocrop.models.vrn import VRN, VRNRecipe
from autocrop.training import loop
from autocrop.training.data import TrainingViews
from autocrop.training.distributed import Team
from autocrop.training.loop import fit, learning_rate, optimizer_of

RECIPE = dataclasses.replace(
    VRN.RECIPES["fcdb"], epochs=2, batch=2, views=8, lr=1e-3, average=0.5, trim=0.0, seed=20261121, side=96
)


@pytest.fixture
def batches(tiny_fcdb):
    return TrainingViews(load(f"fcdb:{tiny_fcdb}", "train"), RECIPE)


def trained(folder, batches, recipe=RECIPE, resume=False, stop_after=None, **more):
    """Run *fit* from the same start; optionally be interrupted after some epochs."""

    class StoppedError(Exception):
        pass

    def on_epoch(row):
        if row["epoch"] == stop_after:
            raise StoppedError

    torch.manual_seed(7)
    network = next(kind for kind in MODELS.values() if kind.RECIPE is type(recipe))(recipe)
    seen = []
    with contextlib.suppress(StoppedError):
        fit(
            network,
            batches,
            folder,
            validate=lambda kept: {"iou": float(len(seen))},
            resume=resume,
            data="fcdb",
            on_epoch=on_epoch,
            on_step=seen.append,
            **more,
        )
    return network


def test_a_run_leaves_checkpoints_and_a_log(batches, tmp_path):
    """best.pt, last.pt and one line of JSON an epoch; the checkpoint rebuilds the network."""
    trained(tmp_path / "run", batches)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert set(rows[0]["loss"]) == {"image", "view", "rank", "listwise", "votes"}
    # That of each epoch's last step, of four in all: the cosine's top, and its last value before it ends at zero.
    assert [row["lr"] for row in rows] == pytest.approx([RECIPE.lr, RECIPE.lr * 0.25])
    state = load_checkpoint(tmp_path / "run" / "best.pt")
    assert state["data"] == "fcdb"
    assert state["recipe"] == dataclasses.asdict(RECIPE)
    network = network_from_checkpoint(tmp_path / "run" / "best.pt")
    assert network.recipe == RECIPE
    assert not network.training


def test_a_resumed_run_is_the_run_that_was_never_stopped(batches, tmp_path):
    """Bit for bit: weights, averaged weights, optimizer and log."""
    trained(tmp_path / "whole", batches)
    trained(tmp_path / "stopped", batches, stop_after=1)
    trained(tmp_path / "stopped", batches, resume=True)
    whole, resumed = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "stopped"))
    assert whole["epoch"] == resumed["epoch"] == 2
    for part in ("model", "raw", "averaged"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items())
    assert whole["scheduler"] == resumed["scheduler"]
    assert whole["optimizer"]["param_groups"] == resumed["optimizer"]["param_groups"]
    moments, others = (state["optimizer"]["state"] for state in (whole, resumed))
    assert moments.keys() == others.keys()
    assert len(moments) > 100
    for number, values in moments.items():
        assert {"step", "exp_avg", "exp_avg_sq"} <= values.keys()
        assert all(torch.equal(value, others[number][name]) for name, value in values.items())
    losses = [[json.loads(line)["loss"] for line in (tmp_path / n / "log.jsonl").open()] for n in ("whole", "stopped")]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "recipe",
    [
        CBLNetRecipe(side=64, channels=16, heads=2, train_norm=True, imbalance="lds-fds"),
        SetPredictionRecipe(
            **{"backbone": "mobilenet_v2", "dilated": False, "multiscale": True, "side": 64, "queries": 5},
            **{"width": 32, "heads": 4, "encoders": 1, "decoders": 2, "hidden": 32, "views": 8},
            **{"smoothing": "distillation", "distil_from": 1},
        ),
    ],
    ids=["cblnet", "setpred"],
)
def test_proposers_learn_from_whole_batches_and_resume(tiny_fcdb, tmp_path, recipe):
    """A step's photos go through the loss at once; statistics, teacher and all are as if it was never stopped."""
    recipe = dataclasses.replace(recipe, epochs=3, batch=2, lr=1e-3, average=0.5, trim=0.5)
    batches = TrainingViews(load(f"fcdb:{tiny_fcdb}", "train"), recipe)
    batch = next(batches.epoch(0))
    assert [tuple(views.image.shape) for views in batch] == [(1, 3, 64, 64)] * 2
    trained(tmp_path / "whole", batches, recipe)
    trained(tmp_path / "stopped", batches, recipe, stop_after=2)
    trained(tmp_path / "stopped", batches, recipe, resume=True)
    whole, resumed = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "stopped"))
    for part in ("model", "raw"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items())
    logs = [[json.loads(line)["loss"] for line in (tmp_path / n / "log.jsonl").open()] for n in ("whole", "stopped")]
    assert logs[0] == logs[1]
    assert ["distillation" in losses for losses in logs[0]] == [False] + [hasattr(recipe, "distil_from")] * 2


def test_training_lowers_the_loss(batches, tmp_path):
    """On four photos that it sees again and again the network learns."""
    recipe = dataclasses.replace(RECIPE, epochs=6, average=0.0, dropout=0.0)
    trained(tmp_path / "run", batches, recipe)
    totals = [sum(json.loads(line)["loss"].values()) for line in (tmp_path / "run" / "log.jsonl").open()]
    assert totals[-1] < 0.9 * totals[0]


def test_a_run_is_not_overwritten(batches, tmp_path):
    """A second run into the same folder must say --resume, and must be the same recipe."""
    trained(tmp_path / "run", batches)
    with pytest.raises(AutocropError, match="--resume"):
        trained(tmp_path / "run", batches)
    with pytest.raises(AutocropError, match="another lr"):
        trained(tmp_path / "run", batches, dataclasses.replace(RECIPE, lr=0.5), resume=True)


def test_a_run_is_not_resumed_as_another(batches, tmp_path):
    """Beside the recipe, precision and data must be the same; a checkpoint from before that was recorded goes on."""
    terms = {"data": "fcdb:a", "unlabeled": ""}
    trained(tmp_path, batches, stop_after=1, terms=terms)
    for changed, says in (
        ({"terms": terms | {"data": "fcdb:b"}}, r"another data \(fcdb:a, now fcdb:b\)"),
        ({"terms": terms | {"unlabeled": "/c"}}, r"another unlabeled \(, now /c\)"),
        ({"terms": terms, "amp": True}, r"another amp \(False, now True\)"),
    ):
        with pytest.raises(AutocropError, match=says):
            trained(tmp_path, batches, resume=True, **changed)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    del state["terms"], state["recipe"]["optimizer"]  # as an earlier version wrote it, which knew AdamW only
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(AutocropError, match=r"another optimizer \(adamw, now adam\)"):
        trained(tmp_path, batches, dataclasses.replace(RECIPE, optimizer="adam"), resume=True)
    trained(tmp_path, batches, resume=True, terms=terms)
    assert load_checkpoint(tmp_path / "last.pt")["epoch"] == 2


def test_optimizers():
    """Adam where a paper says so, AdamW where its authors' code says so, and where our recipes trained with it."""
    named = {name: model.RECIPE().optimizer for name, model in MODELS.items()}
    assert named == dict.fromkeys(("vrn", "safrc", "asmnet", "cblnet"), "adam") | {"setpred": "adamw"}
    assert {MODELS[name].RECIPES["fcdb"].optimizer for name in ("vrn", "safrc", "asmnet")} == {"adamw"}
    for name, kind in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        optimizer = optimizer_of(VRN(VRNRecipe(optimizer=name, weight_decay=0.25)))
        assert type(optimizer) is kind
        assert {group["weight_decay"] for group in optimizer.param_groups} == {0.25}


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("vrn", {"batch": 0}),
        ("vrn", {"epochs": 0}),
        ("vrn", {"views": 0}),
        ("vrn", {"lr": -1e-4}),
        ("vrn", {"lr": float("nan")}),
        ("vrn", {"clip": float("inf")}),
        ("vrn", {"seed": 2**63}),
        ("vrn", {"temperature": 0.0}),
        ("vrn", {"trim": 1.5}),
        ("safrc", {"average": 1.0}),
        ("asmnet", {"weight_decay": -1.0}),
        ("cblnet", {"dropout": 2.0}),
        ("setpred", {"heads": 0}),
    ],
)
def test_impossible_numbers(model, changes):
    """A sentence with the field, its value and what it may be."""
    ((name, value),) = changes.items()
    with pytest.raises(UsageError, match=f"{name}={value} is out of range".replace("+", r"\+")):
        MODELS[model].RECIPE(**changes)


def test_a_proposer_needs_no_scored_crops():
    """CBLNet's loss has no place for them."""
    assert MODELS["cblnet"].RECIPE(views=0).views == 0


def test_resuming_nothing_is_an_error(batches, tmp_path):
    """The message says which file was looked for."""
    with pytest.raises(AutocropError, match=r"last\.pt does not exist"):
        trained(tmp_path / "run", batches, resume=True)


def test_a_loss_that_is_not_finite_stops_the_run(batches, tmp_path):
    """The message names the terms and what to change."""
    with pytest.raises(AutocropError, match=r"not finite.*--lr"):
        trained(tmp_path / "run", batches, dataclasses.replace(RECIPE, lr=1e30, schedule="constant", backbone_lr=1.0))


def test_what_is_no_checkpoint_is_named(tmp_path):
    """Text, or a file of something else."""
    (tmp_path / "text.pt").write_text("no checkpoint")
    torch.save({"model": {}}, tmp_path / "other.pt")
    for name in ("text.pt", "other.pt"):
        with pytest.raises(AutocropError, match=f"{name} is not a checkpoint"):
            load_checkpoint(tmp_path / name)


def test_learning_rate_schedules():
    """Constant stays; cosine rises, then falls to zero; step falls to a tenth."""
    dropped = learning_rate(VRNRecipe(schedule="step", drop_at=6), 100)
    assert (dropped(599), dropped(600), dropped(5999)) == (1.0, 0.1, 0.1)
    assert {learning_rate(VRNRecipe(), 100)(step) for step in (0, 50, 5999)} == {1.0}
    factor = learning_rate(VRNRecipe(epochs=10, schedule="cosine"), 100)
    assert factor(0) < 0.1
    assert factor(50) == pytest.approx(1, abs=0.01)
    assert factor(1000) == pytest.approx(0, abs=1e-6)


def test_batches_depend_on_seed_and_epoch_alone(batches):
    """Asked twice, an epoch has the same photos, crops and scores; another epoch has others."""
    first, again, other = (next(batches.epoch(number)) for number in (3, 3, 4))
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a.boxes, b.boxes) for a, b in zip(first, other, strict=True))


def test_mirrored_views_keep_their_scores(tmp_path):
    """Half of the photos are mirrored, and their crops with them: scores and good crops are those of what is shown."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[8:40, 12:48] = 255  # the best crop
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    best = np.array([[12 / 96, 8 / 64, 48 / 96, 40 / 64]], np.float32)
    batches = TrainingViews(
        [Sample(tmp_path / "photo.png", 96, 64, best)], dataclasses.replace(RECIPE, views=32, side=0)
    )
    lefts = set()
    for views in (view for number in range(12) for batch in batches.epoch(number) for view in batch):
        shown = views.image[0].mean(dim=0).numpy()
        y, x = np.nonzero(shown > (shown.min() + shown.max()) / 2)
        height, width = shown.shape
        seen = np.array(
            [[x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height]], np.float32
        )
        assert views.targets.numpy() == pytest.approx(seen, abs=0.01)
        assert views.scores.numpy() == pytest.approx(1 + 4 * bx.iou(views.boxes.numpy(), seen)[:, 0], abs=0.15)
        assert (views.boxes[:, 0] < views.boxes[:, 2]).all()
        lefts.add(round(float(seen[0, 0]), 1))
    assert lefts == {0.1, 0.5}


def test_a_run_stopped_in_its_first_epoch_can_be_resumed(batches, tmp_path):
    """The checkpoint of epoch 0 is there from the start; going on from it is the whole run."""

    def impatient(views):
        raise KeyboardInterrupt

    trained(tmp_path / "whole", batches)
    torch.manual_seed(7)
    network = VRN(RECIPE)
    with pytest.raises(KeyboardInterrupt):
        fit(network, batches, tmp_path / "stopped", validate=lambda kept: {"iou": 0.0}, on_step=impatient)
    trained(tmp_path / "stopped", batches, resume=True)
    whole, resumed = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "stopped"))
    assert all(torch.equal(value, resumed["raw"][name]) for name, value in whole["raw"].items())


def test_mixed_precision_is_close_to_full_precision(batches, tmp_path):
    """--amp changes the losses by rounding only, and it does change them."""
    torch.manual_seed(7)
    losses = []
    for amp in (False, True):
        torch.manual_seed(7)
        rows = []
        recipe = dataclasses.replace(RECIPE, epochs=1)
        fit(
            VRN(recipe),
            batches,
            tmp_path / str(amp),
            validate=lambda kept: {"iou": 0.0},
            amp=amp,
            on_epoch=rows.append,
        )
        losses.append(sum(rows[0]["loss"].values()))
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


WHOLE_SPLIT = dataclasses.replace(RECIPE, batch=4)


def _one_of_two(rank, data, port, folder):
    """A process of the pair that :func:`test_two_processes_train_as_one` makes."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        trained(folder, TrainingViews(load(f"fcdb:{data}", "train"), WHOLE_SPLIT), WHOLE_SPLIT)
    finally:
        torch.distributed.destroy_process_group()


def test_two_processes_train_as_one(tiny_fcdb, tmp_path):
    """Torch's DDP with gloo, two photos each: the losses and weights of one process; the first writes the files."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (tiny_fcdb, port, tmp_path / "two")
    other = torch.multiprocessing.get_context("spawn").Process(target=_one_of_two, args=(1, *arguments))
    other.start()
    batches = TrainingViews(load(f"fcdb:{tiny_fcdb}", "train"), WHOLE_SPLIT)
    trained(tmp_path / "one", batches, WHOLE_SPLIT)
    _one_of_two(0, *arguments)
    other.join(60)
    assert other.exitcode == 0
    torch.manual_seed(7)
    start = torch.nn.utils.parameters_to_vector(VRN(WHOLE_SPLIT).parameters())
    moved = []
    for name in ("one", "two"):
        network = VRN(WHOLE_SPLIT)
        network.load_state_dict(torch.load(tmp_path / name / "last.pt", weights_only=True)["raw"])
        moved.append(torch.nn.utils.parameters_to_vector(network.parameters()) - start)
    assert (moved[0] - moved[1]).norm() < 1e-3 * moved[0].norm()
    one, two = ([json.loads(line)["loss"] for line in (tmp_path / n / "log.jsonl").open()] for n in ("one", "two"))
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-3)


def test_a_batch_that_cannot_be_shared_is_refused():
    """Three photos for two processes: the mean of their gradients would not be the batch's."""
    with pytest.raises(UsageError, match="multiple of 2 with --batch"):
        Team(rank=0, size=2).check(3)


def test_averaged_weights_forget_how_they_began():
    """After a few steps they are the weighted mean of the weights seen, by powers of the decay, and nothing else."""
    decay, seen = 0.9, [1.0, 5.0, 2.0, 8.0]
    module = torch.nn.Linear(1, 1, bias=False)
    averaged = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=loop._exponential_average(decay))
    for value in seen:
        module.weight.data.fill_(value)
        averaged.update_parameters(module)
    shares = np.array([decay ** (len(seen) - 1 - step) for step in range(len(seen))])
    assert averaged.module.weight.item() == pytest.approx(float(shares @ seen / shares.sum()))
