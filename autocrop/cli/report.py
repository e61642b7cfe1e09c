"""What a batch tells people: a line a crop where there are few, and one summary in which nothing is missing."""

from __future__ import annotations

import json
import traceback
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import typer

from autocrop.batch.results import Result, Status
from autocrop.cli.console import note

FEW = 20
"""Photos up to which each crop has its line; of more the summary tells, unless ``--verbose``."""
NAMED = 3
"""Photos that a note in the summary names."""


class Report:
    """Prints results as they come, and sums them up.

    Args:
        photos: how many there are.
        bar: from :func:`autocrop.cli.console.progress`, entered.
        quiet: failures only.
        verbose: a line for every crop, with scores.
        as_json: JSON on stdout.
        debug: tracebacks of failures.
        model: name and device of the model, for JSON.
    """

    def __init__(
        self,
        photos: int,
        bar: Any,
        quiet: bool = False,
        verbose: bool = False,
        as_json: bool = False,
        debug: bool = False,
        model: tuple[str, str] = ("", ""),
    ) -> None:
        self._bar, self._task = bar, bar.add_task("Cropping", total=photos, info="")
        self._quiet, self._verbose, self._json, self._debug, self._model = quiet, verbose, as_json, debug, model
        self._lines = quiet or verbose or photos <= FEW
        self._photos: set[Path] = set()
        self.counts: Counter[Status] = Counter()
        """Crops by what became of them; a photo that failed counts as one."""
        self._failed: dict[Path, list[str]] = {}
        self._kept: list[str] = []
        self._skipped: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()
        self._noted: defaultdict[str, dict[Path, None]] = defaultdict(dict)
        """The photos that a note is about."""

    def again(self, path: Path) -> None:
        """A photo is tried again: if it has failed before, that is forgotten, since its last outcome counts."""
        if path in self._failed:
            self.counts[Status.FAILED] -= len(self._failed.pop(path))

    def add(self, result: Result) -> None:
        """Count a result, and print it if it is to have a line."""
        self.counts[result.status] += 1
        if result.path not in self._photos:
            self._photos.add(result.path)
            failed = self.counts[Status.FAILED]
            self._bar.update(self._task, completed=len(self._photos), info=f"{failed} failed" if failed else "")
        self._notes.update(result.notes)
        for text in result.notes:
            self._noted[text][result.path] = None
        if self._json:
            typer.echo(json.dumps(result.to_dict(*self._model), ensure_ascii=False))
        if result.status is Status.FAILED:
            self._failed.setdefault(result.path, []).append(describe(result, self._verbose))
            if self._debug and result.error is not None:
                self._bar.say("".join(traceback.format_exception(result.error)).rstrip())
        elif result.status is Status.SKIPPED:
            self._skipped[result.reason] += 1
        elif result.status is Status.KEPT:
            self._kept.append(f"kept: {result.path}")
        if result.status is Status.FOUND:
            if not self._json:
                typer.echo(describe(result, self._verbose))
        elif self._lines and (result.status is Status.FAILED or not self._quiet):
            self._bar.say(describe(result, self._verbose))

    def summary(self, seconds: float, left_out: str = "") -> None:
        """Print what became of all crops, how quickly, and what was not tried; nothing where one line said it all."""
        if self._quiet or (len(self._photos) < 2 and not left_out and self.counts):
            return
        counts = (
            ", ".join(f"{count} {status.value}" for status in Status if (count := self.counts[status]))
            or "nothing to do"
        )
        text = f"{counts[0].upper()}{counts[1:]}"
        if len(self._photos) > 1:
            text += f": {len(self._photos)} photos in {_duration(seconds)}, {_rate(len(self._photos), seconds)}"
        note(f"{text}.")
        if left_out:
            note(f"Left out: {left_out}.")
        if self._lines and not self._verbose:
            return
        for reason, count in self._skipped.most_common():
            note(f"  skipped: {count} × {reason}")
        for text, count in self._notes.most_common():
            note(f"  note: {count} × {text}: {_named(list(self._noted[text]))}")
        kept = [] if self._lines else self._kept
        for text in [*kept, *(text for texts in self._failed.values() for text in texts)]:
            note(f"  {text}")


def describe(result: Result, verbose: bool = False) -> str:
    """One line for people."""
    path = "standard input" if str(result.path) == "-" else result.path
    if result.status in (Status.FAILED, Status.SKIPPED, Status.KEPT):
        about = result.output if result.status is Status.SKIPPED and result.output else path
        named = "" if str(about) in result.reason else f"{about}: "
        return f"{result.status.value}: {named}{result.reason}"
    assert result.crop is not None
    assert result.size is not None
    found, size = result.crop, result.size
    text = f"{found.width}x{found.height} at {found.box[0]},{found.box[1]} of {found.photo[0]}x{found.photo[1]}"
    if found.padding:
        shown = found.box[2] - found.box[0], found.box[3] - found.box[1]
        text = f"{shown[0]}x{shown[1]}{text[text.index(' at') :]}, padded to {found.width}x{found.height}"
    if size != (found.width, found.height):
        text += f", resized to {size[0]}x{size[1]}"
    if verbose:
        text += f", score {found.score:.3f} (whole photo {found.score_full:.3f})"
    if result.notes:
        text += f" ({'; '.join(result.notes)})"
    return f"{path} → {result.output}: {text}" if result.status is Status.CROPPED else f"{path}: {text}"


def _named(photos: list[Path]) -> str:
    more = len(photos) - NAMED
    return ", ".join(map(str, photos[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _rate(photos: int, seconds: float) -> str:
    rate = photos / max(seconds, 1e-3)
    return f"{rate:.1f} a second" if rate >= 0.5 else f"{1 / rate:.1f} s each"
