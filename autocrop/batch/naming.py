"""Names of outputs, and how to recognize them in later runs."""

from __future__ import annotations

import functools
import os
import re
import string
from pathlib import Path

from autocrop.batch.presets import PRESETS

DEFAULT_NAME = "{stem}_{label}{rank}"
"""Template of the outputs' names."""


SIDECAR = ".xmp"
"""Extension of an output that is no picture but a sidecar for Lightroom."""


NAME_FIELDS = {
    "stem": "the photo's name without extension",
    "label": "1x1, 1080x1350, a preset's name, or crop",
    "rank": "_1, _2 with --top, else nothing",
    "folder": "the name of the photo's folder",
}
"""What a template may have in braces."""


EXPLANATION = re.compile(r"(?P<place>.*?)/?(?P<stem>[^/]+)_explained")
"""What the paths of the pictures of ``autocrop explain`` look like, without extension."""


CLOCK = 2.0
"""Seconds by which the times of two files may differ on file systems that round them, as FAT does."""


def is_explanation(path: Path) -> bool:
    """Whether a file is named as ``autocrop explain`` names its pictures."""
    return path.suffix == ".png" and EXPLANATION.fullmatch(path.stem) is not None


def identity(path: Path) -> str:
    """The same for all ways to write one path."""
    try:
        if path.is_symlink():
            return str(path.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        return str(path.absolute())
    if path.name in ("", ".."):
        return folder_identity(str(path))
    return os.path.join(folder_identity(str(path.parent)), path.name)  # noqa: PTH118 - for every photo: quick


@functools.lru_cache(maxsize=4096)
def folder_identity(folder: str) -> str:
    """Resolve the symbolic links of a folder; cached, since a batch asks for every photo."""
    return os.path.realpath(folder)


def tells_crops(template: str) -> bool:
    """Whether the names that a template makes are known for those of crops: by a label, or a word of its own."""
    parts = list(string.Formatter().parse(template))
    return any(name == "label" or any(sign.isalnum() for sign in literal) for literal, name, _, _ in parts)


@functools.cache
def crop_patterns(template: str, beside: bool) -> list[re.Pattern[str]]:
    """What the paths of crops look like, without extension: the folder that the photo may be in, and its stem.

    Args:
        template: of the names of this run's outputs.
        beside: they go beside the photos. Only there a word in the template is enough: elsewhere it may be that of a
            folder with photos of the same names.
    """
    label = rf"(?:crop|[\d.]+x[\d.]+|{'|'.join(map(re.escape, PRESETS))})"
    patterns = []
    for text in dict.fromkeys((template, DEFAULT_NAME)):
        expression, used = "", set()
        for literal, name, _, _ in string.Formatter().parse(text):
            expression += re.escape(literal.replace("\\", "/"))
            if name is not None:
                known = {"stem": r"(?P<stem>[^/]+)", "label": label, "rank": r"(?:_\d+)?", "folder": r"[^/]+"}[name]
                expression += r"(?P=stem)" if name == "stem" and "stem" in used else known
                used.add(name)
        if "label" in used or (beside and tells_crops(text)):  # else any name would do
            patterns.append(re.compile(rf"(?P<place>.*?)/?{expression}(?:-\d+)?"))
    return patterns
