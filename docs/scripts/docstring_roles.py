"""Griffe extension that renders the Sphinx roles of our docstrings, such as :func:`name`, as links or code."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:py:)?(?:func|class|meth|attr|data|mod|exc|obj):`(?P<short>~?)(?P<target>[\w.]+)`")


class DocstringRoles(griffe.Extension):
    """Rewrite the roles in every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring; called for each module, class, function, and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(_as_markdown, obj.docstring.value)


def _as_markdown(role: re.Match[str]) -> str:
    target = role["target"]
    title = target.rsplit(".", 1)[-1] if role["short"] else target
    if not target.startswith("autocrop."):
        return f"`{title}`"
    # An optional reference: plain code if no page of the site documents the target.
    return f'<autoref optional identifier="{target}"><code>{title}</code></autoref>'
