"""Machine-readable entries of a contact sheet: the crops that were written, for the sheet of the next run.

A run that continues an earlier one skips its outputs, so it does not know their boxes and scores. It takes them from
the sheet that it replaces.
"""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
from pathlib import Path
from typing import Any

from autocrop.batch.manifest import Row, read_rows
from autocrop.batch.results import Result, Status
from autocrop.search.crop import Crop

ENTRY = re.compile(r' data-entry="([^"]*)"')
"""An entry in a page. Other text cannot look like one, because its quotes are escaped."""

Entry = dict[str, Any]
"""Keys: ``photo`` and ``output`` (paths relative to the sheet), their ``states``, and ``crop`` (a row of JSON)."""


class SheetEntries:
    """Entries of the sheet that is replaced, and of the new one.

    Args:
        sheet: path of the sheet.
    """

    def __init__(self, sheet: Path) -> None:
        self._folder = sheet.parent
        self._former = self._read(sheet)
        """Entries of the previous sheet by photo and output."""

    @property
    def former(self) -> list[Entry]:
        """Entries of the previous sheet whose photos and outputs have not changed since."""
        return list(self._former.values())

    def complete(self, result: Result) -> tuple[Result, Entry | None]:
        """Return a result and its entry. A skipped output gets the crop recorded in the previous sheet."""
        if result.output is None or result.status not in (Status.CROPPED, Status.SKIPPED):
            return result, None
        photo, output = relative_to(result.path, self._folder), relative_to(result.output, self._folder)
        if result.status is Status.CROPPED:
            states = [_file_state(result.path), _file_state(result.output)]
            return result, {"photo": photo, "output": output, "states": states, "crop": result.to_dict()}
        entry = self._former.get((photo, output))
        parsed = _parse_crop(entry.get("crop")) if entry else None
        if parsed is None:
            return result, None
        crop, size, notes = parsed
        return dataclasses.replace(result, crop=crop, size=size, notes=notes), entry

    def _read(self, sheet: Path) -> dict[tuple[str, str], Entry]:
        entries = {}
        try:
            with sheet.open(encoding="utf-8", errors="replace") as file:
                for match in (match for line in file for match in ENTRY.finditer(line)):
                    try:
                        entry = json.loads(html.unescape(match[1]))
                        photo, output = str(entry["photo"]), str(entry["output"])
                        states = [_file_state(self._folder / name) for name in (photo, output)]
                        if None not in states and states == entry["states"]:
                            entries[photo, output] = entry
                    except (ValueError, KeyError, TypeError, RecursionError):  # edited by hand
                        continue
        except OSError:  # no previous sheet
            pass
        return entries


def relative_to(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with slashes; an absolute path if they are on different drives."""
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:
        return str(path.absolute())


def entry_attribute(entry: Entry | None) -> str:
    """Return the HTML attribute that holds an entry."""
    return f' data-entry="{html.escape(json.dumps(entry), quote=True)}"' if entry is not None else ""


def _file_state(path: Path) -> list[int] | None:
    """Return size in bytes and modification time in nanoseconds: if they are equal, the file has not changed."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


def _parse_crop(row: object) -> tuple[Crop, tuple[int, int], tuple[str, ...]] | None:
    """Return the crop of an entry, its output's (width, height) and its notes; None if the entry is not valid."""
    if not isinstance(row, dict) or "box" not in row or "photo" not in row:
        return None
    parsed = next(read_rows([json.dumps(row)]), None)
    width, height, notes = row.get("width"), row.get("height"), row.get("notes", [])
    if not (isinstance(parsed, Row) and isinstance(width, int) and isinstance(height, int) and isinstance(notes, list)):
        return None
    crop = parsed.crop
    if crop.box[2] > crop.photo[0] or crop.box[3] > crop.photo[1]:
        return None
    return crop, (width, height), tuple(map(str, notes))
