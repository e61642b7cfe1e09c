"""HTML of a contact sheet's cards, one per photo."""

from __future__ import annotations

import base64
import html
import os
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from autocrop.batch.results import Result, Status
from autocrop.batch.sheet_entries import Entry, entry_attribute, relative_to
from autocrop.search.crop import Crop

COLORS = 6
"""Number of colors for labels in the page's style sheet."""


class CardMaker:
    """Makes cards. A label has the same color on all of them.

    Args:
        folder: folder of the sheet; addresses are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._labels: list[str] = []

    def card(self, results: Sequence[Result], entries: Sequence[Entry | None]) -> str:
        """Return the card of one photo.

        Args:
            results: results of the photo, at least one.
            entries: the entry of each result, if it has one.
        """
        path = results[0].path
        size = next((result.crop.photo for result in results if result.crop is not None), None)
        statuses = " ".join(dict.fromkeys(result.status.value for result in results))
        labels = " ".join(dict.fromkeys(_escape(result.target.label) for result in results if result.target))
        picture = self._picture(results)
        rows = "".join(self._row(result, entry) for result, entry in zip(results, entries, strict=True))
        dimensions = f"{size[0]} × {size[1]}" if size and any(size) else ""
        return (
            f'<article data-status="{statuses}" data-label="{labels}" data-src="{self._address(path)}">'
            f'<div class="view"><div class="frame">{picture}</div></div>'
            f'<h2 title="{_escape(str(path))}">{_escape(path.name)}</h2><p class="size">{dimensions}</p>'
            f"<ul>{rows}</ul></article>\n"
        )

    def _picture(self, results: Sequence[Result]) -> str:
        boxes = "".join(self._box(result) for result in results)
        thumbnail = next((result.thumbnail for result in results if result.thumbnail), b"")
        if not thumbnail:
            return '<span class="none">no picture</span>'
        encoded = base64.b64encode(thumbnail).decode()
        return f'<img loading="lazy" decoding="async" alt="" src="data:image/jpeg;base64,{encoded}">{boxes}'

    def _box(self, result: Result) -> str:
        if result.crop is None or not any(result.crop.photo):
            return ""
        style = "".join(f"{name}:{value:.2f}%;" for name, value in _percentages(result.crop).items())
        circle = " circle" if result.crop.shape == "circle" else ""
        return f'<i class="box {self._color(result)}{circle}" style="{style}"></i>'

    def _row(self, result: Result, entry: Entry | None) -> str:
        label = _escape(result.target.label if result.target else "")
        name = f'<b class="{self._color(result)}">{label}</b> ' if label else ""
        status = f'<span class="status {result.status.value}">{result.status.value}</span>'
        facts, data = [], entry_attribute(entry)
        written = result.output if result.status in (Status.CROPPED, Status.SKIPPED) else None
        if result.crop is not None and result.size is not None and any(result.crop.photo):
            crop = result.crop
            facts.append(f"{result.size[0]} × {result.size[1]}")
            facts.append(f"score {crop.score:.2f}, whole photo {crop.score_full:.2f}")
            data += _crop_attributes(crop)
            if written is not None:
                data += f' data-out="{self._address(written)}"'
        if written is not None:
            title, text = _escape(str(written)), _escape(written.name)
            facts.append(f'<a href="{self._address(written)}" title="{title}">{text}</a>')
        messages = [_escape(text) for text in (result.reason, *result.notes) if text]
        note = f' <span class="note">{"; ".join(messages)}</span>' if messages else ""
        return f"<li{data}>{name}{status} {' · '.join(facts)}{note}</li>"

    def _color(self, result: Result) -> str:
        """Return the CSS class of the color of a result's label."""
        label = result.target.label if result.target else ""
        if label not in self._labels:
            self._labels.append(label)
        return f"c{self._labels.index(label) % COLORS}"

    def _address(self, path: Path) -> str:
        """Return the URL of a file, relative to the sheet if possible."""
        relative = relative_to(path, self._folder)
        if Path(relative).is_absolute():
            return _escape(Path(relative).as_uri())
        return _escape(urllib.parse.quote(os.fsencode(relative)))


def _crop_attributes(crop: Crop) -> str:
    padding = crop.padding
    sides = (padding.left, padding.top, padding.right, padding.bottom) if padding else (0, 0, 0, 0)
    return (
        f' data-box="{_joined(crop.box)}" data-photo="{_joined(crop.photo)}" data-padding="{_joined(sides)}"'
        f' data-shape="{crop.shape}"'
    )


def _percentages(crop: Crop) -> dict[str, float]:
    """Return the position of a crop's box in its photo."""
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
