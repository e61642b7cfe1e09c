"""Sharing of objects that only one thread may use at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_DEFAULT_WORKERS = 8
"""Each worker takes about 100 MB for a photo of 12 megapixels."""


def default_workers() -> int:
    """Return the default number of workers: one per core available to this process, up to 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_DEFAULT_WORKERS)


class Pool(Generic[T]):
    """A limited number of interchangeable objects, each lent to one thread at a time.

    Objects are made when they are needed. If all are lent, further threads wait: memory does not grow with the number
    of threads, and more threads than cores would not be faster. A thread must return its object before it borrows
    another one.

    Args:
        make: makes an object. Several threads may call it at the same time.
        limit: largest number of objects; by default, :func:`default_workers`.
    """

    def __init__(self, make: Callable[[], T], limit: int | None = None) -> None:
        self._make = make
        self._slots = threading.BoundedSemaphore(default_workers() if limit is None else limit)
        self._idle: list[T] = []

    @contextmanager
    def borrow(self) -> Iterator[T]:
        """Lend an object to the caller until the ``with`` block ends, even if it ends with an exception."""
        with self._slots:
            try:
                item = self._idle.pop()  # one step, so two threads never get the same object
            except IndexError:
                item = self._make()
            try:
                yield item
            finally:
                self._idle.append(item)
