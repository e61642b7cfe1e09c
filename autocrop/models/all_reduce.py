"""Reductions over the processes of distributed training. A single process needs no process group."""

from __future__ import annotations

from torch import Tensor, distributed


def sum_over_processes(values: Tensor) -> int:
    """Replace *values*, in place, by their sum over all processes, and return the number of processes."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    distributed.all_reduce(values)
    return distributed.get_world_size()


def mean_over_processes(values: Tensor) -> Tensor:
    """Return the mean of *values* over all processes."""
    total = values.clone()
    return total / sum_over_processes(total)
