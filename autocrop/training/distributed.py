"""Several processes that train together, as ``torchrun`` starts them; usually there is only one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

from autocrop.errors import UsageError


@dataclass(frozen=True)
class Team:
    """Place of this process among those that train together, each with its own share of every batch."""

    rank: int = 0
    size: int = 1

    @classmethod
    def of(cls) -> Team:
        """The team that :func:`join` made, or a process alone."""
        if not distributed.is_initialized():
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process validates, writes the files and talks."""
        return self.rank == 0

    def check(self, batch: int) -> None:
        """Check that the processes can share a batch evenly: the mean of their gradients would else be another one.

        Raises:
            UsageError: they cannot.
        """
        if batch % self.size:
            raise UsageError(
                f"A batch of {batch} photos cannot be shared evenly by {self.size} processes. "
                f"Choose a multiple of {self.size} with --batch."
            )

    def wait(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            distributed.barrier()

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Means over all processes; what one of them lacks is 0 there."""
        if self.size == 1:
            return values
        everywhere: list[Any] = [None] * self.size
        distributed.all_gather_object(everywhere, values)
        names = {name: None for part in everywhere for name in part}
        return {name: sum(part.get(name, 0.0) for part in everywhere) / self.size for name in names}


def join(device: str) -> str:
    """Join the other processes that ``torchrun`` started, if it did.

    Args:
        device: ``cpu`` or ``cuda``.

    Returns:
        The device of this process: with CUDA each has its own GPU.
    """
    if "LOCAL_RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return device
    if device != "cuda":
        distributed.init_process_group("gloo")
        return device
    device = f"cuda:{os.environ['LOCAL_RANK']}"
    torch.cuda.set_device(device)
    distributed.init_process_group("nccl")
    return device


def leave() -> None:
    """Take leave of the others."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
