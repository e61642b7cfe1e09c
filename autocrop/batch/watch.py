"""Which photos in a folder are new and complete. By asking again and again: that works on network drives, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from autocrop.batch.sources import Source

INTERVAL = 1.0
"""Seconds between two looks. A photo is taken for complete when two in a row see the same size and time."""

State = tuple[int, int]
"""Bytes, and nanoseconds of the modification time."""


class Watcher:
    """Remembers what it has seen.

    Args:
        look: lists the photos that are there.
    """

    def __init__(self, look: Callable[[], Iterable[Source]]) -> None:
        self._look = look
        self._last: dict[Path, State] = {}
        self._given: dict[Path, State] = {}

    def poll(self) -> list[Source]:
        """Photos that are complete, and new or changed since they were last returned."""
        seen, ready = {}, []
        for source in self._look():
            state = _state(source.path)
            if state is None:
                continue
            seen[source.path] = state
            if state[0] and state == self._last.get(source.path) and state != self._given.get(source.path):
                self._given[source.path] = state
                ready.append(source)
        self._last = seen
        return ready

    def rounds(self) -> Iterator[list[Source]]:
        """Poll for ever; yields whenever there are photos to crop."""
        while True:
            if ready := self.poll():
                yield ready
            time.sleep(INTERVAL)


def _state(path: Path) -> State | None:
    try:
        status = path.stat()
    except OSError:  # it has gone again
        return None
    return status.st_size, status.st_mtime_ns
