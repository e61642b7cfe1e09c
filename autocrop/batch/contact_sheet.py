"""A contact sheet: one HTML file in which a batch can be checked at a glance, from a disk, without a network.

It is written photo by photo, so that memory stays flat, and every beginning of it is a page that works: a run that is
interrupted leaves a sheet of what was done. What it knows of each crop that was written is in it for programs, too:
a sheet that replaces it takes that over for the crops which are skipped then.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import os
import re
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from autocrop.batch.manifest import Row, read_rows
from autocrop.batch.page import page_foot, page_head
from autocrop.batch.results import Result, Status
from autocrop.errors import AutocropError, UsageError
from autocrop.search.crop import Crop

COLORS = 6
"""Kinds of crops that have a color of their own; the page's style has as many."""
MARK = '<meta name="generator" content="autocrop contact sheet">'
"""By which a former sheet, which may be replaced, is told from a page of somebody else's."""
ENTRY = re.compile(r' data-entry="([^"]*)"')
"""What a sheet says to later ones. No other text can look like it: in all others quotes are escaped."""


class ContactSheet:
    """The page; a context manager. Results are added as they come, those of one photo one after the other.

    Args:
        path: of the HTML file. A former sheet there is replaced.

    Raises:
        UsageError: the path is no HTML file's, or there is a file that is no contact sheet.
        AutocropError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.suffix.lower() not in (".html", ".htm"):
            raise UsageError(f"--contact-sheet {path}: it is a web page, so name it .html.")
        self._results: list[Result] = []
        self._labels: list[str] = []
        self._former: dict[tuple[str, str], dict[str, Any]] = {}
        """What the sheet that is replaced knows, by photo and output as seen from the sheet."""
        self._check()

    def __enter__(self) -> ContactSheet:
        self._former = self._read()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self.path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise self._unwritable(error) from error
        self._write(page_head())
        if self._former:  # at once, for the next run to have it, however this one ends
            lines = "".join(f"<i{_attribute(entry)}></i>\n" for entry in self._former.values())
            self._write(f"<template>\n{lines}</template>\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._flush()
            self._write(page_foot())
        finally:
            self._file.close()

    def add(self, result: Result) -> None:
        """Show a result; of an output that is skipped, what a former sheet knows of it, too.

        Raises:
            AutocropError: the file cannot be written.
        """
        if self._results and self._results[-1].path != result.path:
            self._flush()
        self._results.append(result)

    def _read(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The entries of the sheet that is there whose photos and outputs have not changed since."""
        entries = {}
        try:
            with self.path.open(encoding="utf-8", errors="replace") as file:
                for match in (match for line in file for match in ENTRY.finditer(line)):
                    try:
                        entry = json.loads(html.unescape(match[1]))
                        photo, output = str(entry["photo"]), str(entry["output"])
                        there = [_state(self.path.parent / name) for name in (photo, output)]
                        if None not in there and there == entry["states"]:
                            entries[photo, output] = entry
                    except (ValueError, KeyError, TypeError, RecursionError):  # somebody has edited it
                        continue
        except OSError:  # there is none
            pass
        return entries

    def _known(self, result: Result) -> tuple[Result, dict[str, Any] | None]:
        """*result* with what a former sheet knows of its output, and what to tell later ones."""
        if result.output is None or result.status not in (Status.CROPPED, Status.SKIPPED):
            return result, None
        photo, output = self._relative(result.path), self._relative(result.output)
        if result.status is Status.CROPPED:
            states = [_state(result.path), _state(result.output)]
            return result, {"photo": photo, "output": output, "states": states, "crop": result.to_dict()}
        entry = self._former.get((photo, output))
        known = _crop_of(entry.get("crop")) if entry else None
        if known is None:
            return result, None
        crop, size, notes = known
        return dataclasses.replace(result, crop=crop, size=size, notes=notes), entry

    def _check(self) -> None:
        if self.path.is_dir():
            raise UsageError(f"--contact-sheet {self.path} is a folder. Name a file in it.")
        if self.path.exists():
            with self.path.open("rb") as file:
                if MARK.encode() not in file.read(1000):
                    raise UsageError(f"{self.path} exists and is no contact sheet. Choose another name for it.")

    def _flush(self) -> None:
        results, self._results = self._results, []
        if results:
            self._write(self._article(results))

    def _write(self, text: str) -> None:
        try:
            self._file.write(text.encode("utf-8", "replace").decode("utf-8"))  # names may be no UTF-8
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> AutocropError:
        return AutocropError(f"The contact sheet {self.path} cannot be written ({error.strerror}).")

    def _article(self, results: Sequence[Result]) -> str:
        known = [self._known(result) for result in results]
        results = [result for result, _ in known]
        path = results[0].path
        small = next((result.thumbnail for result in results if result.thumbnail), b"")
        size = next((result.crop.photo for result in results if result.crop is not None), None)
        statuses = " ".join(dict.fromkeys(result.status.value for result in results))
        labels = " ".join(dict.fromkeys(_escape(result.target.label) for result in results if result.target))
        boxes = "".join(self._box(result) for result in results)
        if small:
            encoded = base64.b64encode(small).decode()
            picture = f'<img loading="lazy" decoding="async" alt="" src="data:image/jpeg;base64,{encoded}">{boxes}'
        else:
            picture = '<span class="none">no picture</span>'
        rows = "".join(self._row(result, entry) for result, entry in known)
        photo = f"{size[0]} × {size[1]}" if size and any(size) else ""
        return (
            f'<article data-status="{statuses}" data-label="{labels}" data-src="{self._address(path)}">'
            f'<div class="view"><div class="frame">{picture}</div></div>'
            f'<h2 title="{_escape(str(path))}">{_escape(path.name)}</h2><p class="size">{photo}</p>'
            f"<ul>{rows}</ul></article>\n"
        )

    def _box(self, result: Result) -> str:
        if result.crop is None or not any(result.crop.photo):
            return ""
        style = "".join(f"{name}:{value:.2f}%;" for name, value in _shares(result.crop).items())
        circle = " circle" if result.crop.shape == "circle" else ""
        return f'<i class="box {self._color(result)}{circle}" style="{style}"></i>'

    def _row(self, result: Result, entry: dict[str, Any] | None) -> str:
        label = _escape(result.target.label if result.target else "")
        name = f'<b class="{self._color(result)}">{label}</b> ' if label else ""
        status = f'<span class="status {result.status.value}">{result.status.value}</span>'
        facts, data = [], _attribute(entry) if entry else ""
        if result.crop is not None and result.size is not None and any(result.crop.photo):
            crop = result.crop
            facts.append(f"{result.size[0]} × {result.size[1]}")
            facts.append(f"score {crop.score:.2f}, whole photo {crop.score_full:.2f}")
            padding = crop.padding
            around = (padding.left, padding.top, padding.right, padding.bottom) if padding else (0, 0, 0, 0)
            data += (
                f' data-box="{_joined(crop.box)}" data-photo="{_joined(crop.photo)}" data-padding="{_joined(around)}"'
            )
            data += f' data-shape="{crop.shape}"'
            if result.status in (Status.CROPPED, Status.SKIPPED) and result.output is not None:
                data += f' data-out="{self._address(result.output)}"'
        if result.output is not None and result.status in (Status.CROPPED, Status.SKIPPED):
            address, shown = self._address(result.output), _escape(result.output.name)
            facts.append(f'<a href="{address}" title="{_escape(str(result.output))}">{shown}</a>')
        told = [_escape(text) for text in (result.reason, *result.notes) if text]
        more = f' <span class="note">{"; ".join(told)}</span>' if told else ""
        return f"<li{data}>{name}{status} {' · '.join(facts)}{more}</li>"

    def _color(self, result: Result) -> str:
        label = result.target.label if result.target else ""
        if label not in self._labels:
            self._labels.append(label)
        return f"c{self._labels.index(label) % COLORS}"

    def _address(self, path: Path) -> str:
        """Of a file, as seen from the sheet."""
        relative = self._relative(path)
        if Path(relative).is_absolute():
            return _escape(Path(relative).as_uri())
        return _escape(urllib.parse.quote(os.fsencode(relative)))

    def _relative(self, path: Path) -> str:
        """A path as seen from the sheet, with slashes; on another drive as it is."""
        try:
            return os.path.relpath(path, self.path.parent).replace(os.sep, "/")
        except ValueError:
            return str(path.absolute())


def _state(path: Path) -> list[int] | None:
    """Bytes and modification time in nanoseconds of a file, by which to see that it is still the same."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


def _crop_of(row: object) -> tuple[Crop, tuple[int, int], tuple[str, ...]] | None:
    """The crop that an entry has, the size of its output in pixels, and notes; None if it makes no sense."""
    if not isinstance(row, dict) or "box" not in row or "photo" not in row:
        return None
    read = next(read_rows([json.dumps(row)]), None)
    width, height, notes = row.get("width"), row.get("height"), row.get("notes", [])
    if not (isinstance(read, Row) and isinstance(width, int) and isinstance(height, int) and isinstance(notes, list)):
        return None
    crop = read.crop
    if crop.box[2] > crop.photo[0] or crop.box[3] > crop.photo[1]:
        return None
    return crop, (width, height), tuple(map(str, notes))


def _attribute(entry: dict[str, Any]) -> str:
    return f' data-entry="{_escape(json.dumps(entry))}"'


def _shares(crop: Crop) -> dict[str, float]:
    """Where a box lies in its photo, in percent."""
    (left, top, right, bottom), (width, height) = crop.box, crop.photo
    return {
        "left": 100 * left / width,
        "top": 100 * top / height,
        "width": 100 * (right - left) / width,
        "height": 100 * (bottom - top) / height,
    }


def _joined(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
