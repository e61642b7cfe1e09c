"""Named sizes for the web and for print: ``--preset instagram-portrait``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from autocrop.errors import UsageError

_GUIDE = "linkshed.net/socialsizes.php"
_INSTAGRAM = "recurpost.com/blog/instagram-post-size-guide"
_TILDA = "tilda.education/en/articles-social-media-image-size-guide"


@dataclass(frozen=True)
class Preset:
    """A named size."""

    name: str
    width: int
    height: int
    source: str
    """Web page that states the size; empty for a size that is a definition."""
    checked: str
    """Date on which the size was last compared with its source, as YYYY-MM-DD; empty without a source."""
    turns: bool = False
    """Rotate to match the photo's orientation. Set for paper, which can be turned, but not for banners."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height


# The pages were read as copies in a search index, which may be older than the date given here.
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
"""Presets by name. Those without a source are definitions: video standards, and paper sizes at 300 dpi."""


def find_preset(name: str) -> Preset:
    """Look up a preset by its name; case does not matter.

    Raises:
        UsageError: the preset does not exist.
    """
    preset = PRESETS.get(name.strip().lower())
    if preset is None:
        similar = difflib.get_close_matches(name.lower(), PRESETS, 1)
        hint = f" Did you mean '{similar[0]}'?" if similar else ""
        raise UsageError(f"Unknown preset '{name}'.{hint} Run autocrop --preset list to see all presets.")
    return preset
