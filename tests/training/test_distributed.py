"""Training in several processes."""

import dataclasses
import socket

import pytest

torch = pytest.importorskip("torch")

from autocrop.datasets import load
from autocrop.errors import UsageError
from autocrop.models.vrn import VRN
from autocrop.training.data import TrainingViews
from autocrop.training.distributed import ProcessGroup
from tests.helpers.training import RECIPE, new_network, read_last, read_log, train

FULL_BATCH = dataclasses.replace(RECIPE, batch=4)
"""All photos of the training split in every step."""


def train_as_rank(rank, data, port, folder):
    """Train as one of two processes."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        train(folder, TrainingViews(load(f"fcdb:{data}", "train"), FULL_BATCH), FULL_BATCH)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_like_one(tiny_fcdb, tmp_path):
    """Two processes with two photos each produce the losses and weights of one process with four."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (tiny_fcdb, port, tmp_path / "two")
    second = torch.multiprocessing.get_context("spawn").Process(target=train_as_rank, args=(1, *arguments))
    second.start()
    batches = TrainingViews(load(f"fcdb:{tiny_fcdb}", "train"), FULL_BATCH)
    train(tmp_path / "one", batches, FULL_BATCH)
    train_as_rank(0, *arguments)
    second.join(60)
    assert second.exitcode == 0
    start = torch.nn.utils.parameters_to_vector(new_network(FULL_BATCH).parameters())
    moved = []
    for name in ("one", "two"):
        network = VRN(FULL_BATCH)
        network.load_state_dict(read_last(tmp_path / name)["raw"])
        moved.append(torch.nn.utils.parameters_to_vector(network.parameters()) - start)
    assert (moved[0] - moved[1]).norm() < 1e-3 * moved[0].norm()
    one, two = ([row["loss"] for row in read_log(tmp_path / name)] for name in ("one", "two"))
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-3)


def test_uneven_batch_is_rejected():
    """Two processes cannot share a batch of three photos."""
    with pytest.raises(UsageError, match="multiple of 2 with --batch"):
        ProcessGroup(rank=0, size=2).check_batch(3)
