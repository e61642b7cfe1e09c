"""Terminal output of a batch: one line per crop for a few photos, and a complete summary for many.

Imported when a command runs, because it imports numpy.
"""

from __future__ import annotations

import json
import traceback
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import typer

from autocrop.batch.results import Result, Status
from autocrop.cli.console import OutputStyle, note

MAX_PHOTOS_WITH_LINES = 20
"""Each crop gets a line for up to this many photos, or with ``--verbose``; otherwise the summary reports it."""
NAMED_PHOTOS = 3
"""Number of photos that a note in the summary names."""


class Report:
    """Prints results as they arrive, and a summary at the end.

    Args:
        photos: number of photos.
        bar: progress bar from :func:`autocrop.cli.console.progress`, as entered by ``with``.
        style: selects what to print.
        model: name and device of the model, for JSON.
    """

    def __init__(self, photos: int, bar: Any, style: OutputStyle, model: tuple[str, str] = ("", "")) -> None:
        self._bar, self._task = bar, bar.add_task("Cropping", total=photos, info="")
        self._style, self._model = style, model
        self._has_lines = style.quiet or style.verbose or photos <= MAX_PHOTOS_WITH_LINES
        self._photos: set[Path] = set()
        self.counts: Counter[Status] = Counter()
        """Number of results by status. A photo that fails as a whole is one result."""
        self._failed: dict[Path, list[str]] = {}
        self._kept: list[str] = []
        self._skipped: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()
        self._noted_photos: defaultdict[str, dict[Path, None]] = defaultdict(dict)
        """Photos by note, in order."""

    def retry(self, path: Path) -> None:
        """Discard the failures of a photo that is retried: only its last outcome counts."""
        if path in self._failed:
            self.counts[Status.FAILED] -= len(self._failed.pop(path))

    def add(self, result: Result) -> None:
        """Count a result, and print it if it gets a line."""
        self._count(result)
        if self._style.json:
            typer.echo(json.dumps(result.to_dict(*self._model), ensure_ascii=False))
        if self._style.debug and result.error is not None:
            self._bar.say("".join(traceback.format_exception(result.error)).rstrip())
        if result.status is Status.FOUND:  # the crops of a dry run are data
            if not self._style.json:
                typer.echo(describe(result, self._style.verbose))
        elif self._has_lines and (result.status is Status.FAILED or not self._style.quiet):
            self._bar.say(describe(result, self._style.verbose))

    def summary(self, seconds: float, ignored: str = "") -> None:
        """Print counts, speed, and everything that did not get a line; nothing if the only photo got one.

        Args:
            seconds: duration of the run.
            ignored: description of the files that were ignored.
        """
        if self._style.quiet or (len(self._photos) < 2 and not ignored and self.counts):
            return
        counts = ", ".join(f"{count} {status.value}" for status in Status if (count := self.counts[status]))
        text = counts or "Nothing to do"
        if len(self._photos) > 1:
            text += f": {len(self._photos)} photos in {_duration(seconds)}, {_rate(len(self._photos), seconds)}"
        note(f"{text}.")
        if ignored:
            note(f"Ignored: {ignored}.")
        if self._has_lines and not self._style.verbose:
            return
        for reason, count in self._skipped.most_common():
            note(f"  skipped: {count} × {reason}")
        for text, count in self._notes.most_common():
            note(f"  note: {count} × {text}: {_names(list(self._noted_photos[text]))}")
        kept = [] if self._has_lines else self._kept
        for text in [*kept, *(text for texts in self._failed.values() for text in texts)]:
            note(f"  {text}")

    def _count(self, result: Result) -> None:
        self.counts[result.status] += 1
        if result.path not in self._photos:
            self._photos.add(result.path)
            failed = self.counts[Status.FAILED]
            self._bar.update(self._task, completed=len(self._photos), info=f"{failed} failed" if failed else "")
        self._notes.update(result.notes)
        for text in result.notes:
            self._noted_photos[text][result.path] = None
        if result.status is Status.FAILED:
            self._failed.setdefault(result.path, []).append(describe(result, self._style.verbose))
        elif result.status is Status.SKIPPED:
            self._skipped[result.reason] += 1
        elif result.status is Status.KEPT:
            self._kept.append(f"kept: {result.path}")


def describe(result: Result, verbose: bool = False) -> str:
    """Describe a result in one line of text; *verbose* adds the scores."""
    path = "standard input" if str(result.path) == "-" else result.path
    if result.status in (Status.FAILED, Status.SKIPPED, Status.KEPT):
        subject = result.output if result.status is Status.SKIPPED and result.output else path
        prefix = "" if str(subject) in result.reason else f"{subject}: "
        return f"{result.status.value}: {prefix}{result.reason}"
    text = _describe_crop(result, verbose)
    return f"{path} → {result.output}: {text}" if result.status is Status.CROPPED else f"{path}: {text}"


def _describe_crop(result: Result, verbose: bool) -> str:
    assert result.crop is not None
    assert result.size is not None
    crop, (left, top, right, bottom) = result.crop, result.crop.box
    text = f"{right - left}x{bottom - top} at {left},{top} of {crop.photo[0]}x{crop.photo[1]}"
    if crop.padding:
        text += f", padded to {crop.width}x{crop.height}"
    if result.size != (crop.width, crop.height):
        text += f", resized to {result.size[0]}x{result.size[1]}"
    if verbose:
        text += f", score {crop.score:.3f} (whole photo {crop.score_full:.3f})"
    if result.notes:
        text += f" ({'; '.join(result.notes)})"
    return text


def _names(photos: list[Path]) -> str:
    more = len(photos) - NAMED_PHOTOS
    return ", ".join(map(str, photos[:NAMED_PHOTOS])) + (f" and {more} more" if more > 0 else "")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _rate(photos: int, seconds: float) -> str:
    rate = photos / max(seconds, 1e-3)
    return f"{rate:.1f} per second" if rate >= 0.5 else f"{1 / rate:.1f} s each"
