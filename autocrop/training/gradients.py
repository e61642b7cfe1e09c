"""Loss and gradients of a batch, accumulated photo by photo."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autocrop.errors import AutocropError
from autocrop.models import CroppingModel, Pyramid, Views
from autocrop.training.distributed import without_sync


class BatchLoss(nn.Module):
    """The loss of some photos as a module's forward pass, as torch's DistributedDataParallel requires.

    Args:
        network: network in training.
        device: device of the network.
        amp: compute the loss in bfloat16 where torch considers that safe.
    """

    def __init__(self, network: CroppingModel, device: str, amp: bool) -> None:
        super().__init__()
        self.network = network
        self._device = device
        self._amp = amp

    def forward(self, photos: Sequence[Views], seed: int) -> dict[str, Tensor]:
        """Return the terms of the loss of *photos*; *seed* determines dropout."""
        torch.manual_seed(seed)
        with torch.autocast(torch.device(self._device).type, torch.bfloat16, enabled=self._amp):
            return self.network.batch_loss([_to_device(views, self._device) for views in photos])


def accumulate_gradients(
    loss: nn.Module, batch: Sequence[Views], seeds: Sequence[int], whole_batch: bool
) -> dict[str, float]:
    """Add the gradients of the mean loss of a batch to those of the parameters.

    Args:
        loss: :class:`BatchLoss`, wrapped for several processes or not.
        batch: this process's photos of the batch.
        seeds: one for each photo.
        whole_batch: True to compute the loss of all photos at once, False for one photo at a time, which needs the
            memory of one photo only.

    Returns:
        Mean of each term of the loss.

    Raises:
        AutocropError: the loss is not finite.
    """
    means: dict[str, float] = {}
    chunks = [batch] if whole_batch else [[views] for views in batch]
    for number, (photos, seed) in enumerate(zip(chunks, seeds, strict=False), start=1):
        # Processes exchange their gradients once per step, with the last chunk.
        is_last = number == len(chunks)
        with contextlib.nullcontext() if is_last else without_sync(loss):
            terms = loss(photos, seed)
            total = torch.stack(list(terms.values())).sum()
            _check_finite(total, terms)
            (total / len(chunks)).backward()  # type: ignore[no-untyped-call]
        for name, value in terms.items():
            means[name] = means.get(name, 0.0) + value.item() / len(chunks)
    return means


def _check_finite(total: Tensor, terms: dict[str, Tensor]) -> None:
    if not torch.isfinite(total):
        values = ", ".join(f"{name} {value.item():.3g}" for name, value in terms.items())
        raise AutocropError(f"The loss is no longer finite ({values}). Lower the learning rate with --lr.")


def _to_device(value: Any, device: str) -> Any:
    """Move a tensor, or the tensors in *value*, to a device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Views):
        fields = [field.name for field in dataclasses.fields(value)]
        return Views(**{name: _to_device(getattr(value, name), device) for name in fields})
    if isinstance(value, Pyramid):
        return value.each(lambda part: part.to(device, non_blocking=True))
    return value
