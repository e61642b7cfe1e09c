"""Targets: the kinds of crops that a batch makes of each photo."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from autocrop.batch.presets import find_preset
from autocrop.geometry.ratio import Ratio, parse_ratio, parse_size, reduced


@dataclass(frozen=True)
class Target:
    """One kind of crop to make of each photo."""

    label: str
    """Text for the output names, such as ``4x3``."""
    ratio: Ratio | None = None
    """Aspect ratio; None lets the model choose."""
    size: tuple[int, int] | None = None
    """(width, height) in pixels to resize the crop to; None keeps the crop's own size."""
    turns: bool = False
    """Rotate to match the photo's orientation."""

    def oriented_like(self, photo: tuple[int, int]) -> Target:
        """Return the target for a photo of this (width, height), rotated if necessary and allowed by :attr:`turns`.

        A square photo, like a square target, has no orientation.
        """
        if not self.turns or self.ratio is None or self.size is None:
            return self
        if (photo[0] - photo[1]) * (self.size[0] - self.size[1]) >= 0:
            return self
        return dataclasses.replace(self, ratio=self.ratio[::-1], size=self.size[::-1])

    def output_size(self, width: int, height: int, upscale: bool) -> tuple[int, int]:
        """Return the (width, height) of the output for a crop of *width* by *height* pixels.

        A crop that is smaller than the target's size keeps its own size, unless *upscale* is set.
        """
        if self.size is None or (not upscale and (self.size[0] > width or self.size[1] > height)):
            return width, height
        return self.size


def make_targets(
    ratios: Sequence[str], sizes: Sequence[str], presets: Sequence[str] = (), shape: str = "rectangle"
) -> list[Target]:
    """Make the targets of ``--ratio``, ``--size`` and ``--preset``.

    Without any of these, make one target: a square for a circle, otherwise one whose ratio the model chooses.

    Raises:
        UsageError: a ratio or size is malformed, or a preset does not exist.
    """
    targets = [_ratio_target(text) for text in ratios]
    for text in sizes:
        size = parse_size(text)
        targets.append(Target(f"{size[0]}x{size[1]}", reduced(*size), size))
    for name in presets:
        preset = find_preset(name)
        targets.append(Target(preset.name, reduced(*preset.size), preset.size, preset.turns))
    return targets or [Target("1x1", (1, 1)) if shape == "circle" else Target("crop")]


def _ratio_target(text: str) -> Target:
    label = text.strip().lower().replace(":", "x").replace("/", "x")
    # A label such as "2" would produce names that photos often have, such as beach_2.jpg.
    return Target(label if "x" in label else f"{label}x1", parse_ratio(text))
