"""The contact sheet's page around the photos: the template in ``assets`` with its style and script inlined."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
TEMPLATE, STYLE = "contact_sheet.html", "contact_sheet.css"
MODULES = ("dom.js", "crops.js", "placement.js", "filters.js", "viewer.js", "keyboard.js", "main.js")
"""The script's modules; each one comes after those that it imports."""

_IMPORT = re.compile(r"^import\s[^;]*;\n+", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=function|async function|class|const|let)", re.MULTILINE)


def page_head() -> str:
    """Return everything before the first photo.

    Followed by any number of photos, this is a working page: browsers close open elements at the end of the file and
    run module scripts after that.
    """
    head, _ = _split_template()
    script = join_modules(_read(name) for name in MODULES)
    return head.replace("/* style */\n", _read(STYLE)).replace("/* script */\n", script)


def page_foot() -> str:
    """Return everything after the last photo: closing tags, which an interrupted run may leave out."""
    _, foot = _split_template()
    return foot


def join_modules(sources: Iterable[str]) -> str:
    """Join ES modules into one by dropping their import statements and ``export`` keywords.

    A page opened from disk cannot import modules: browsers refuse to import from ``file:``, inline modules have no URL,
    and ``data:`` addresses would need a weaker Content-Security-Policy. A bundler would add a build step
    for a few hundred lines. Joining is enough if modules import names without renaming them, export only
    declarations, and do not share top-level names; tests check this for the assets.

    Args:
        sources: The modules' sources, each one after those that it imports.
    """
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)).strip() + "\n" for source in sources)


def _split_template() -> tuple[str, str]:
    head, _, foot = _read(TEMPLATE).partition("<!-- photos -->\n")
    return head, foot


def _read(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
