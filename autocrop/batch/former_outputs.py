"""Recognize outputs of earlier runs by their paths, so that crops are not cropped again."""

from __future__ import annotations

import functools
import itertools
import re
import string
from collections.abc import Iterator
from pathlib import Path

from autocrop.batch.options import Options
from autocrop.batch.presets import PRESETS
from autocrop.batch.sources import Source
from autocrop.batch.template import DEFAULT_TEMPLATE, marks_crops

EXPLANATION = re.compile(r"(?P<folder_path>.*?)/?(?P<stem>[^/]+)_explained")
"""Matches the path, without the extension, of a picture that ``autocrop explain`` made."""

_LABEL = rf"(?:crop|[\d.]+x[\d.]+|{'|'.join(map(re.escape, PRESETS))})"
_FIELDS = {"stem": r"(?P<stem>[^/]+)", "label": _LABEL, "folder": r"[^/]+"}
_RANKS, _NUMBERS = ("", r"_\d+"), ("", r"-\d+")
"""Ranks, and numbers that tell apart outputs of the same name. Each is in its own pattern: in one pattern with an
optional rank, a stem just before it would always include the rank."""


def is_explanation(path: Path) -> bool:
    """Return True if a file has a name that ``autocrop explain`` gives to its pictures."""
    return path.suffix == ".png" and EXPLANATION.fullmatch(path.stem) is not None


def possible_originals(source: Source, options: Options) -> Iterator[tuple[Path, str]]:
    """Yield the folder and stem of each photo that *source* may be an output of.

    A file that the user named together with an output folder is always a photo.
    """
    if not source.discovered and options.output is not None:
        return
    patterns = list(crop_patterns(options.template, options.output is None))
    if is_explanation(source.path):
        patterns.append(EXPLANATION)
    path = source.path.with_suffix("").absolute().as_posix()
    for match in filter(None, (pattern.fullmatch(path) for pattern in patterns)):
        folders = _mirrored_folders(source)
        if match["folder_path"]:
            folders.add(Path(match["folder_path"]))
        for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
            yield folder, match["stem"]


@functools.cache
def crop_patterns(template: str, next_to_photos: bool) -> list[re.Pattern[str]]:
    """Return patterns that match the paths of crops, without their extensions.

    Each pattern has the groups ``folder_path``, a folder that the photo may be in, and ``stem``, the photo's.

    Args:
        template: template of this run. The default template is always included.
        next_to_photos: this run writes next to the photos. Only then does a word in the template identify a crop:
            otherwise the word may be the name of a folder that has photos with the same names.
    """
    expressions = []
    for text in dict.fromkeys((template, DEFAULT_TEMPLATE)):
        fields = {field for _, field, _, _ in string.Formatter().parse(text)}
        if "label" in fields or (next_to_photos and marks_crops(text)):  # otherwise any name would match
            for number, rank in itertools.product(_NUMBERS, _RANKS if "rank" in fields else ("",)):
                expressions.append(_expression(text, rank) + number)
    return [re.compile(rf"(?P<folder_path>.*?)/?{expression}") for expression in expressions]


def _expression(template: str, rank: str) -> str:
    """Convert a template to a regular expression. *rank* is the expression for its ``{rank}`` field."""
    expression, used = "", set()
    for literal, field, _, _ in string.Formatter().parse(template):
        expression += re.escape(literal.replace("\\", "/"))
        if field is not None:
            is_repeated = field == "stem" and "stem" in used
            expression += r"(?P=stem)" if is_repeated else {**_FIELDS, "rank": rank}[field]
            used.add(field)
    return expression


def _mirrored_folders(source: Source) -> set[Path]:
    """Return the folders that may hold the photo of a crop whose output folder is inside the searched tree.

    An output folder mirrors the tree, and may be at any depth of it.
    """
    folder = source.path.absolute().parent
    depth = len(source.folder.parts) if source.discovered else 0
    if not depth:
        return set()
    root, parts = folder.parents[depth - 1], folder.parts[-depth:]
    return {
        root.joinpath(*parts[:start], *parts[end:]) for start in range(depth) for end in range(start + 1, depth + 1)
    }
