"""Targets: the kinds of crops that a batch makes of every photo."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from autocrop.batch.presets import preset as find_preset
from autocrop.errors import UsageError
from autocrop.geometry.composition import CROP_SHAPES
from autocrop.geometry.ratio import Ratio, parse_ratio, parse_size, reduced


@dataclass(frozen=True)
class Target:
    """One kind of crop that every photo shall get."""

    label: str
    """In the names of the outputs."""
    ratio: Ratio | None = None
    size: tuple[int, int] | None = None
    """Pixels to which the crop is resized."""
    turns: bool = False
    """Whether it lies or stands as the photo does."""

    def facing(self, photo: tuple[int, int]) -> Target:
        """The target as it is for a photo of that (width, height)."""
        if not self.turns or self.ratio is None or self.size is None:
            return self
        if (photo[0] - photo[1]) * (self.size[0] - self.size[1]) >= 0:  # a square is neither
            return self
        return dataclasses.replace(self, ratio=self.ratio[::-1], size=self.size[::-1])


def make_targets(
    ratios: Sequence[str], sizes: Sequence[str], preset_names: Sequence[str] = (), shape: str = "rectangle"
) -> list[Target]:
    """Targets for ``--ratio``, ``--size`` and ``--preset``; without any, one free-form crop, or a square for a circle.

    Raises:
        UsageError: a ratio, size or preset cannot be read, is given twice, or is no square where *shape* is a circle;
            there is no such shape.
    """
    if shape not in CROP_SHAPES:
        raise UsageError(f"There is no shape '{shape}'. Use one of: {', '.join(CROP_SHAPES)}.")
    targets = []
    for text in ratios:
        ratio = parse_ratio(text)
        label = text.strip().lower().replace(":", "x").replace("/", "x")
        # A bare number would make names that people give to photos, too: beach_2.jpg.
        targets.append(Target(label if "x" in label else f"{label}x1", ratio))
    for text in sizes:
        size = parse_size(text)
        targets.append(Target(f"{size[0]}x{size[1]}", reduced(*size), size))
    for text in preset_names:
        preset = find_preset(text)
        targets.append(Target(preset.name, reduced(*preset.size), preset.size, preset.turns))
    labels = [target.label for target in targets]
    if len(set(labels)) < len(labels):
        raise UsageError("Each ratio or size can be asked for once: their outputs would have the same name.")
    if shape == "circle":
        targets = targets or [Target("1x1", (1, 1))]
        if odd := next((target.label for target in targets if target.ratio != (1, 1)), None):
            raise UsageError(f"A circle is cut out of a square, which {odd} is not. Leave it out, or use --ratio 1:1.")
    return targets or [Target("crop")]
