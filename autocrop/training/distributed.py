"""Training in several processes that ``torchrun`` starts, each with its share of every batch."""

from __future__ import annotations

import contextlib
import os
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn

from autocrop.errors import UsageError


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together, seen from one of them. A single process is a group of one."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Number of processes."""

    @classmethod
    def current(cls) -> ProcessGroup:
        """Return the group that torch was initialized with, or a group of one."""
        if not distributed.is_initialized():
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def is_main(self) -> bool:
        """True for the process that validates, writes files and reports progress."""
        return self.rank == 0

    def check_batch(self, batch: int) -> None:
        """Check that every process gets the same number of photos of a batch.

        Each process averages the gradients of its own photos, and DDP averages those means. The result is the mean of
        the batch only if the shares are equal.

        Raises:
            UsageError: the batch size is not a multiple of the number of processes.
        """
        if batch % self.size:
            raise UsageError(
                f"A batch of {batch} photos cannot be split evenly among {self.size} processes. "
                f"Choose a multiple of {self.size} with --batch."
            )

    def barrier(self) -> None:
        """Wait until every process has reached this point."""
        if self.size > 1:
            distributed.barrier()

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Average values over all processes. A value that a process does not have counts as 0 there."""
        if self.size == 1:
            return values
        gathered: list[Any] = [None] * self.size
        distributed.all_gather_object(gathered, values)
        names = {name: None for part in gathered for name in part}
        return {name: sum(part.get(name, 0.0) for part in gathered) / self.size for name in names}

    def data_parallel(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its gradients are averaged over all processes."""
        if self.size == 1:
            return module
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # newer versions of torch rename broadcast_buffers
            # Photos without votes or pairs give no gradient to some parameters.
            return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True, broadcast_buffers=False)


def without_sync(module: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Accumulate a module's gradients in this process only, if :meth:`ProcessGroup.data_parallel` wrapped it."""
    if isinstance(module, nn.parallel.DistributedDataParallel):
        return module.no_sync()
    return contextlib.nullcontext()


def initialize(device: str) -> str:
    """Join the process group if ``torchrun`` started this process.

    Args:
        device: ``cpu`` or ``cuda``.

    Returns:
        The device of this process. With CUDA, each process has its own GPU.
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


def destroy() -> None:
    """Destroy the process group if there is one."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
