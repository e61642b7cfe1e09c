"""Outcomes of requested crops."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from autocrop.batch.targets import Target
from autocrop.search.crop import Crop


class Status(StrEnum):
    """Outcome of one requested crop."""

    CROPPED = "cropped"
    FOUND = "found"
    """Found in a dry run, and not written."""
    KEPT = "kept"
    """Left uncropped: the gain is below --min-gain."""
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Result:
    """One requested crop and its outcome."""

    path: Path
    """The photo."""
    status: Status
    output: Path | None = None
    crop: Crop | None = None
    size: tuple[int, int] | None = None
    """(width, height) in pixels of the picture that was written, or would be without --dry-run."""
    reason: str = ""
    """Why the photo was kept, skipped or failed."""
    notes: tuple[str, ...] = ()
    """Ways in which the output differs from what the user may expect; usually empty."""
    target: Target | None = None
    name: str = ""
    """Path of the output relative to the output folder, with slashes."""
    error: BaseException | None = field(default=None, compare=False)
    """The exception behind a failure, for its traceback."""
    thumbnail: bytes = field(default=b"", compare=False, repr=False)
    """A small JPEG of the photo for a contact sheet; only the first result of a photo has one."""

    def to_dict(self, model: str = "", device: str = "") -> dict[str, Any]:
        """Return the row that ``--json`` prints.

        ``width`` and ``height`` are those of the output; ``photo`` is the size of the upright photo.
        """
        row: dict[str, Any] = {"path": str(self.path), "status": self.status.value}
        if self.output is not None:
            row["output"] = str(self.output)
        if self.name:
            row["name"] = self.name
        if self.crop is not None and self.size is not None:
            row |= {"width": self.size[0], "height": self.size[1], **self.crop.to_dict()}
        if self.target is not None:
            row["label"] = self.target.label
            if self.target.size is not None:
                row["size"] = list(self.target.size)
        if self.crop is not None and model:
            row |= {"model": model, "device": device}
        if self.reason:
            row["reason"] = self.reason
        if self.notes:
            row["notes"] = list(self.notes)
        return row
