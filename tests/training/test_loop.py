"""The training loop, run on six tiny photos."""

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from autocrop.datasets import load
from autocrop.errors import AutocropError
from autocrop.models.cblnet import CBLNetRecipe
from autocrop.models.checkpoint import load_checkpoint, network_from_checkpoint
from autocrop.models.setpred import SetPredictionRecipe
from autocrop.training.callbacks import Callbacks
from autocrop.training.data import TrainingViews
from autocrop.training.loop import FitOptions, fit
from tests.helpers.training import RECIPE, new_network, read_last, read_log, train


@pytest.fixture
def batches(tiny_fcdb):
    return TrainingViews(load(f"fcdb:{tiny_fcdb}", "train"), RECIPE)


def test_fit_writes_checkpoints_and_log(batches, tmp_path):
    """A run writes one log line per epoch, and checkpoints that rebuild the network."""
    train(tmp_path, batches)
    rows = read_log(tmp_path)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert set(rows[0]["loss"]) == {"image", "view", "rank", "listwise", "votes"}
    # The last step of each epoch, of four steps: the peak of the cosine, and its last value before zero.
    assert [row["lr"] for row in rows] == pytest.approx([RECIPE.lr, RECIPE.lr * 0.25])
    state = load_checkpoint(tmp_path / "best.pt")
    assert state["data"] == "fcdb"
    assert state["recipe"] == dataclasses.asdict(RECIPE)
    network = network_from_checkpoint(tmp_path / "best.pt")
    assert network.recipe == RECIPE
    assert not network.training


def test_resumed_run_equals_uninterrupted_run(batches, tmp_path):
    """Weights, averaged weights, optimizer state and log are equal bit for bit."""
    train(tmp_path / "whole", batches)
    train(tmp_path / "stopped", batches, stop_after=1)
    train(tmp_path / "stopped", batches, resume=True)
    whole, resumed = read_last(tmp_path / "whole"), read_last(tmp_path / "stopped")
    assert whole["epoch"] == resumed["epoch"] == 2
    for part in ("model", "raw", "averaged"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items())
    assert whole["scheduler"] == resumed["scheduler"]
    assert whole["optimizer"]["param_groups"] == resumed["optimizer"]["param_groups"]
    moments, resumed_moments = (state["optimizer"]["state"] for state in (whole, resumed))
    assert moments.keys() == resumed_moments.keys()
    assert len(moments) > 100
    for number, values in moments.items():
        assert {"step", "exp_avg", "exp_avg_sq"} <= values.keys()
        assert all(torch.equal(value, resumed_moments[number][name]) for name, value in values.items())
    losses = [[row["loss"] for row in read_log(tmp_path / name)] for name in ("whole", "stopped")]
    assert losses[0] == losses[1]


@pytest.mark.slow
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
def test_resumed_run_of_proposer_equals_uninterrupted_run(tiny_fcdb, tmp_path, recipe):
    """The state of models that propose crops, such as batch statistics and the teacher, is restored."""
    recipe = dataclasses.replace(recipe, epochs=3, batch=2, lr=1e-3, average=0.5, trim=0.5)
    batches = TrainingViews(load(f"fcdb:{tiny_fcdb}", "train"), recipe)
    batch = next(batches.epoch(0))
    assert [tuple(views.image.shape) for views in batch] == [(1, 3, 64, 64)] * 2
    train(tmp_path / "whole", batches, recipe)
    train(tmp_path / "stopped", batches, recipe, stop_after=2)
    train(tmp_path / "stopped", batches, recipe, resume=True)
    whole, resumed = read_last(tmp_path / "whole"), read_last(tmp_path / "stopped")
    for part in ("model", "raw"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items())
    losses = [[row["loss"] for row in read_log(tmp_path / name)] for name in ("whole", "stopped")]
    assert losses[0] == losses[1]
    has_teacher = hasattr(recipe, "distil_from")
    assert ["distillation" in terms for terms in losses[0]] == [False, has_teacher, has_teacher]


def test_run_stopped_in_first_epoch_is_resumed(batches, tmp_path):
    """The checkpoint written before the first step is enough to repeat the whole run."""

    def interrupt(progress):
        raise KeyboardInterrupt

    train(tmp_path / "whole", batches)
    options = FitOptions(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        fit(new_network(), batches, lambda network: {"iou": 0.0}, options, Callbacks(on_step=interrupt))
    train(tmp_path / "stopped", batches, resume=True)
    whole, resumed = read_last(tmp_path / "whole"), read_last(tmp_path / "stopped")
    assert all(torch.equal(value, resumed["raw"][name]) for name, value in whole["raw"].items())


def test_training_lowers_the_loss(batches, tmp_path):
    """The network fits four photos that it sees repeatedly."""
    recipe = dataclasses.replace(RECIPE, epochs=6, average=0.0, dropout=0.0)
    train(tmp_path, batches, recipe)
    totals = [sum(row["loss"].values()) for row in read_log(tmp_path)]
    assert totals[-1] < 0.9 * totals[0]


def test_infinite_loss_stops_the_run(batches, tmp_path):
    """The error suggests a lower learning rate."""
    recipe = dataclasses.replace(RECIPE, lr=1e30, schedule="constant", backbone_lr=1.0)
    with pytest.raises(AutocropError, match=r"no longer finite.*--lr"):
        train(tmp_path, batches, recipe)


def test_mixed_precision_is_close_to_full_precision(batches, tmp_path):
    """Mixed precision changes the losses, but only by rounding."""
    losses = []
    for amp in (False, True):
        recipe = dataclasses.replace(RECIPE, epochs=1)
        train(tmp_path / str(amp), batches, recipe, amp=amp)
        (row,) = read_log(tmp_path / str(amp))
        losses.append(sum(row["loss"].values()))
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
