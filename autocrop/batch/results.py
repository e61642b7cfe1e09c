"""The outcome of one requested crop."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from autocrop.batch.targets import Target
from autocrop.search.crop import Crop


class Status(StrEnum):
    """What became of one wanted crop."""

    CROPPED = "cropped"
    FOUND = "found"
    """A dry run: found, not written."""
    KEPT = "kept"
    """Good as it is: no crop is worth its while."""
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Result:
    """One wanted crop and what became of it."""

    path: Path
    status: Status
    output: Path | None = None
    crop: Crop | None = None
    size: tuple[int, int] | None = None
    """Pixels of the picture that was (or, in a dry run, would be) written."""
    reason: str = ""
    """Why it was kept, skipped or failed."""
    notes: tuple[str, ...] = ()
    """In what the output differs from what one might expect, in words; usually nothing."""
    target: Target | None = None
    name: str = ""
    """The output's path below the output folder, with slashes."""
    error: BaseException | None = field(default=None, compare=False)
    """What went wrong, for its traceback."""
    thumbnail: bytes = field(default=b"", compare=False, repr=False)
    """A small JPEG of the photo, for a contact sheet; of the photo's results only the first has it."""

    def to_dict(self, model: str = "", device: str = "") -> dict[str, Any]:
        """As JSON has it; ``width`` and ``height`` are those of the output, ``photo`` the size of the upright input."""
        row: dict[str, Any] = {"path": str(self.path), "status": self.status.value}
        if self.output is not None:  # in a dry run where it would be
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
