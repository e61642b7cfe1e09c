"""Watch folders for new photos. Polling also works on network drives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from autocrop.batch.sources import Source

INTERVAL = 1.0
"""Seconds between two polls. A photo is complete if its size and time are the same in two polls in a row."""

State = tuple[int, int]
"""Size in bytes and modification time in nanoseconds."""


class Watcher:
    """Finds photos that are new or have changed.

    Args:
        list_photos: returns all photos in the watched folders.
    """

    def __init__(self, list_photos: Callable[[], Iterable[Source]]) -> None:
        self._list_photos = list_photos
        self._last: dict[Path, State] = {}
        """States at the last poll."""
        self._returned: dict[Path, State] = {}
        """States of the photos when they were last returned."""

    def poll(self) -> list[Source]:
        """Return the photos that are complete, and new or changed since they were last returned."""
        states, ready = {}, []
        for source in self._list_photos():
            state = _state(source.path)
            if state is None:
                continue
            states[source.path] = state
            size = state[0]
            if size and state == self._last.get(source.path) and state != self._returned.get(source.path):
                self._returned[source.path] = state
                ready.append(source)
        self._last = states
        return ready

    def rounds(self) -> Iterator[list[Source]]:
        """Poll forever; yield the photos of each poll that finds some."""
        while True:
            if ready := self.poll():
                yield ready
            time.sleep(INTERVAL)


def _state(path: Path) -> State | None:
    try:
        status = path.stat()
    except OSError:  # deleted since it was listed
        return None
    return status.st_size, status.st_mtime_ns
