"""Sizes that places on the web and on paper ask for, by name: ``--preset instagram-portrait``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from autocrop.errors import UsageError

_GUIDE = "linkshed.net/socialsizes.php"
_INSTAGRAM = "recurpost.com/blog/instagram-post-size-guide"
_TILDA = "tilda.education/en/articles-social-media-image-size-guide"


@dataclass(frozen=True)
class Preset:
    """One size with a name."""

    name: str
    width: int
    height: int
    source: str
    """A page that states the size."""
    checked: str
    """When somebody last compared it with its source, as YYYY-MM-DD."""
    turns: bool = False
    """Whether it lies or stands as the photo does: paper can be turned, a page's banner cannot."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height


# The pages were read as copies in a search index, whose own date may be older than that of the check.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset("instagram-square", 1080, 1080, _INSTAGRAM, "2026-11-21"),
        Preset("instagram-portrait", 1080, 1350, _INSTAGRAM, "2026-11-21"),
        Preset("instagram-tall", 1080, 1440, _INSTAGRAM, "2026-11-21"),
        Preset("instagram-landscape", 1080, 566, _INSTAGRAM, "2026-11-21"),
        Preset("instagram-story", 1080, 1920, _INSTAGRAM, "2026-11-21"),
        Preset("facebook-post", 1200, 630, _TILDA, "2026-11-21"),
        Preset("facebook-cover", 851, 315, _TILDA, "2026-11-21"),
        Preset("facebook-story", 1080, 1920, _TILDA, "2026-11-21"),
        Preset("x-post", 1600, 900, _GUIDE, "2026-11-21"),
        Preset("x-header", 1500, 500, _GUIDE, "2026-11-21"),
        Preset("linkedin-post", 1200, 627, _GUIDE, "2026-11-21"),
        Preset("linkedin-banner", 1584, 396, _GUIDE, "2026-11-21"),
        Preset("pinterest-pin", 1000, 1500, _GUIDE, "2026-11-21"),
        Preset("tiktok", 1080, 1920, _GUIDE, "2026-11-21"),
        Preset("youtube-thumbnail", 1280, 720, _GUIDE, "2026-11-21"),
        Preset("youtube-banner", 2560, 1440, _GUIDE, "2026-11-21"),
        Preset("full-hd", 1920, 1080, "", ""),
        Preset("4k-uhd", 3840, 2160, "", ""),
        Preset("print-10x15cm", 1772, 1181, "", "", turns=True),
        Preset("print-4x6in", 1800, 1200, "", "", turns=True),
        Preset("print-5x7in", 2100, 1500, "", "", turns=True),
        Preset("print-8x10in", 2400, 3000, "", "", turns=True),
        Preset("print-a4", 2480, 3508, "", "", turns=True),
    )
}
"""By name. Those without a source are definitions: video standards, and paper at 300 dots an inch."""


def preset(name: str) -> Preset:
    """The preset *name*.

    Raises:
        UsageError: there is none.
    """
    found = PRESETS.get(name.strip().lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), PRESETS, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"There is no preset '{name}'.{hint} autocrop --preset list shows all.")
    return found
