"""From photo files to cropped files: plan the outputs, search each photo once, write its crops, report outcomes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from PIL import Image

from autocrop.engines import Engine
from autocrop.errors import AutocropError, UsageError
from autocrop.images import PhotoError, format_of, open_photo
from autocrop.ratio import Ratio, parse_ratio, parse_size, reduced
from autocrop.search import Crop, find_crops


class Status(StrEnum):
    """What became of one wanted crop."""

    CROPPED = "cropped"
    FOUND = "found"
    """A dry run: found, not written."""
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Target:
    """One kind of crop that every photo shall get."""

    label: str
    """In the names of the outputs."""
    ratio: Ratio | None = None
    size: tuple[int, int] | None = None
    """Pixels to which the crop is resized."""


@dataclass(frozen=True)
class Options:
    """How to crop a batch."""

    targets: Sequence[Target]
    top: int = 1
    output: Path | None = None
    """A folder, or a file where there is one output; None for beside each photo."""
    overwrite: bool = False
    upscale: bool = False
    quality: int | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Result:
    """One wanted crop and what became of it."""

    path: Path
    status: Status
    output: Path | None = None
    crop: Crop | None = None
    size: tuple[int, int] | None = None
    """Pixels of the picture that was (or, in a dry run, would be) written."""
    reason: str = ""
    """Why it was skipped or failed."""

    def to_dict(self, engine: Engine) -> dict[str, Any]:
        """As JSON has it; ``width`` and ``height`` are those of the output, ``photo`` the size of the upright input."""
        row: dict[str, Any] = {"path": str(self.path), "status": self.status.value}
        if self.output is not None:
            row["output"] = str(self.output)
        if self.crop is not None and self.size is not None:
            row |= {"width": self.size[0], "height": self.size[1], **self.crop.to_dict()}
            row |= {"model": engine.model, "device": engine.device}
        if self.reason:
            row["reason"] = self.reason
        return row


def make_targets(ratios: Sequence[str], sizes: Sequence[str]) -> list[Target]:
    """Targets for ``--ratio`` and ``--size``; without either, one free-form crop.

    Raises:
        UsageError: a ratio or size cannot be read, or is given twice.
    """
    targets = []
    for text in ratios:
        ratio = parse_ratio(text)
        targets.append(Target(text.strip().lower().replace(":", "x").replace("/", "x"), ratio))
    for text in sizes:
        size = parse_size(text)
        targets.append(Target(f"{size[0]}x{size[1]}", reduced(*size), size))
    labels = [target.label for target in targets]
    if len(set(labels)) < len(labels):
        raise UsageError("Each ratio or size can be asked for once: their outputs would have the same name.")
    return targets or [Target("crop")]


@dataclass
class Plan:
    """Which file each crop of each photo goes to. No output is an input, and no two outputs are the same file."""

    photos: list[Path]
    options: Options
    _taken: set[str] = field(default_factory=set)

    @classmethod
    def make(cls, photos: Sequence[Path], options: Options) -> Plan:
        """Plan a batch; a photo named twice counts once.

        Raises:
            UsageError: ``-o`` names a file and there is more than one output, or it is one of the inputs.
        """
        unique = list({_identity(path): path for path in photos}.values())
        plan = cls(unique, options, {_identity(path) for path in unique})
        output = options.output
        if output is not None and plan._is_file(output):
            if len(unique) * len(options.targets) * options.top > 1:
                raise UsageError(f"{output} is one file, and there is more than one crop to write. Give -o a folder.")
            if _identity(output) in plan._taken:
                raise UsageError(f"{output} is the input itself, which autocrop never overwrites. Choose another name.")
            try:
                format_of(output)
            except PhotoError as error:
                raise UsageError(str(error)) from error
        return plan

    def outputs(self, photo: Path) -> list[tuple[Target, list[Path]]]:
        """For each target, the files of its crops, best first. Call it once for each photo, in their order."""
        return [
            (target, [self._claim(photo, target, rank) for rank in range(1, self.options.top + 1)])
            for target in self.options.targets
        ]

    def _claim(self, photo: Path, target: Target, rank: int) -> Path:
        output = self.options.output
        if output is not None and self._is_file(output):
            return output
        folder = photo.parent if output is None else output
        stem = f"{photo.stem}_{target.label}" + (f"_{rank}" if self.options.top > 1 else "")
        path = folder / f"{stem}{_suffix(photo)}"
        number = 2
        while _identity(path) in self._taken:
            path = folder / f"{stem}-{number}{_suffix(photo)}"
            number += 1
        self._taken.add(_identity(path))
        return path

    def _is_file(self, output: Path) -> bool:
        return bool(output.suffix) and not output.is_dir() and not str(self.options.output).endswith(os.sep)


def run(engine: Engine, plan: Plan) -> Iterator[Result]:
    """Crop every photo of *plan*; yields at least one result for each, as soon as it is there.

    A photo that fails does so alone: its results say why.
    """
    for photo in plan.photos:
        try:
            yield from _crop_photo(engine, photo, plan.outputs(photo), plan.options)
        except AutocropError as error:
            yield Result(photo, Status.FAILED, reason=str(error))


def _crop_photo(
    engine: Engine, path: Path, outputs: list[tuple[Target, list[Path]]], options: Options
) -> Iterator[Result]:
    wanted = []
    for target, files in outputs:
        # Of several crops the later ones may not exist: a photo has only so many different good crops.
        if not options.dry_run and not options.overwrite and files[0].exists():
            yield Result(path, Status.SKIPPED, files[0], reason="the output exists; --overwrite replaces it")
        else:
            wanted.append((target, files))
    if not wanted:
        return
    photo = open_photo(path)
    features = engine.encode(photo.preview())
    upright = None
    for target, files in wanted:
        try:
            crops = find_crops(engine, features, (photo.width, photo.height), target.ratio, options.top)
            for crop, file in zip(crops, files, strict=False):
                size = output_size(crop, target, options.upscale)
                if options.dry_run:
                    yield Result(path, Status.FOUND, None, crop, size)
                    continue
                upright = upright or photo.upright()
                photo.save(_cut(upright, crop, size), file, quality=options.quality)
                yield Result(path, Status.CROPPED, file, crop, size)
        except AutocropError as error:
            yield Result(path, Status.FAILED, files[0], reason=str(error))


def output_size(crop: Crop, target: Target, upscale: bool) -> tuple[int, int]:
    """Pixels to write: the crop's own, or the size asked for unless that would enlarge it."""
    if target.size is None or (target.size[0] > crop.width and not upscale):
        return crop.width, crop.height
    return target.size


def _cut(upright: Image.Image, crop: Crop, size: tuple[int, int]) -> Image.Image:
    picture = upright.crop(crop.box)
    if picture.size == size:
        return picture
    if picture.mode in ("P", "1"):  # neither can be interpolated
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _identity(path: Path) -> str:
    """The same for all ways to write one path, on file systems that ignore case too."""
    return str(path.resolve()).casefold()


def _suffix(photo: Path) -> str:
    """The photo's extension if pictures can be written under it, else ``.jpg``."""
    try:
        format_of(photo)
    except PhotoError:
        return ".jpg"
    return photo.suffix
