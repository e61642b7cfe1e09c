"""From photo files to cropped files: plan the outputs, search each photo once, write its crops, report outcomes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from autocrop.engines import Engine
from autocrop.errors import AutocropError, UsageError
from autocrop.images import PhotoError, format_of, is_picture_name, open_photo
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
    notes: tuple[str, ...] = ()
    """In what the output differs from what one might expect, in words; usually nothing."""

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
        if self.notes:
            row["notes"] = list(self.notes)
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
    skipped: list[Result] = field(default_factory=list)
    """Photos that are named twice, or are crops of others that are named, too."""
    _inputs: dict[str, Path] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    @classmethod
    def make(cls, photos: Sequence[Path], options: Options) -> Plan:
        """Plan a batch.

        A photo named twice is cropped once. Where outputs go beside the photos, and a photo is named together with a
        crop that a former run made of it, as ``*.jpg`` does, the crop is not cropped again.

        Raises:
            UsageError: ``-o`` names a file and there is more than one output, it is one of the inputs, or its
                extension is that of no picture.
        """
        plan = cls([], options)
        for path in photos:
            if _identity(path) in plan._inputs:
                plan.skipped.append(Result(path, Status.SKIPPED, reason="it is named twice"))
            else:
                plan._inputs[_identity(path)] = path
        for path in plan._inputs.values():
            original = None if options.output else _original(path)
            if original is not None and _identity(original) in plan._inputs:
                reason = f"it looks like a crop of {original}, which is named, too; -o FOLDER crops it all the same"
                plan.skipped.append(Result(path, Status.SKIPPED, reason=reason))
            else:
                plan.photos.append(path)
        plan._check_file()
        return plan

    def outputs(self, photo: Path) -> list[tuple[Target, list[Path]]]:
        """For each target, the files of its crops, best first. Call it once for each photo, in their order."""
        natural = self._natural(photo)
        files = natural if self._file else [self._claim(path) for path in natural]
        top = self.options.top
        return [(target, files[i * top : (i + 1) * top]) for i, target in enumerate(self.options.targets)]

    def is_input(self, path: Path) -> bool:
        """Whether a path is one of the photos that were named; those are never written."""
        return _identity(path) in self._inputs

    @property
    def _file(self) -> Path | None:
        """The file that ``-o`` names; None where it names a folder, or nothing."""
        output = self.options.output
        if output is None or output.is_dir() or not is_picture_name(output):
            return None
        return output

    def _check_file(self) -> None:
        output = self.options.output
        if self._file is None:
            # A folder may have a dot in its name, as in out.v2; what looks like a file's extension is a mistake.
            if output is not None and output.suffix[1:].isalpha() and not output.is_dir():
                raise UsageError(
                    f"'{output.suffix}' is no picture format that autocrop can write. Use .jpg, .png or .webp."
                )
            return
        if len(self.photos) * len(self.options.targets) * self.options.top > 1:
            raise UsageError(f"{self._file} is one file, and there is more than one crop to write. Give -o a folder.")
        if self.is_input(self._file):
            raise UsageError(f"{self._file} is the input itself, which autocrop never overwrites. Choose another name.")
        try:
            format_of(self._file)
        except PhotoError as error:
            raise UsageError(str(error)) from error

    def _natural(self, photo: Path) -> list[Path]:
        """The files that the crops of a photo have if no other photo's have the same; for each target in turn."""
        if self._file is not None:
            return [self._file]
        folder = photo.parent if self.options.output is None else self.options.output
        ranks = [f"_{rank}" for rank in range(1, self.options.top + 1)] if self.options.top > 1 else [""]
        suffix = _suffix(photo)
        stems = [f"{photo.stem}_{target.label}{rank}" for target in self.options.targets for rank in ranks]
        return [folder / f"{stem}{suffix}" for stem in stems]

    def _claim(self, path: Path) -> Path:
        """*path*, or one like it where an earlier photo of this run has it."""
        candidate, number = path, 2
        # Where upper and lower case are the same file, two names that differ by them would collide, too.
        while _identity(candidate).casefold() in self._taken:
            candidate = path.with_stem(f"{path.stem}-{number}")
            number += 1
        self._taken.add(_identity(candidate).casefold())
        return candidate


def run(engine: Engine, plan: Plan) -> Iterator[Result]:
    """Crop every photo of *plan*; yields at least one result for each, as soon as it is there.

    A photo that fails does so alone: its results say why.
    """
    yield from plan.skipped
    for photo in plan.photos:
        try:
            yield from _crop_photo(engine, photo, plan)
        except AutocropError as error:
            yield Result(photo, Status.FAILED, reason=str(error))
        except Exception as error:  # a defect of ours shall not cost the other photos
            reason = f"autocrop ran into an error of its own, {type(error).__name__}: {error}. Please report it"
            yield Result(photo, Status.FAILED, reason=reason)


def _crop_photo(engine: Engine, path: Path, plan: Plan) -> Iterator[Result]:
    options = plan.options
    outputs = plan.outputs(path)
    if not options.dry_run:
        done = [(target, files) for target, files in outputs if all(_blocked(file, plan) for file in files)]
        for _, files in done:
            yield from (Result(path, Status.SKIPPED, file, reason=_blocked(file, plan)) for file in files)
        outputs = [pair for pair in outputs if pair not in done]
    if not outputs:
        return
    photo = open_photo(path)
    features = engine.encode(photo.preview())
    for target, files in outputs:
        try:
            exact = target.size is None
            crops = find_crops(engine, features, (photo.width, photo.height), target.ratio, options.top, exact)
        except AutocropError as error:
            yield Result(path, Status.FAILED, files[0], reason=str(error))
            continue
        for crop, file in zip(crops, files, strict=False):
            size = output_size(crop, target, options.upscale)
            notes = list(photo.notes)
            if target.size not in (None, size):
                notes.append(f"smaller than {target.label}, since only --upscale enlarges")
            if options.dry_run:
                yield Result(path, Status.FOUND, None, crop, size, notes=tuple(notes))
            elif blocked := _blocked(file, plan):
                yield Result(path, Status.SKIPPED, file, crop, size, blocked)
            else:
                notes += photo.save(photo.cut(crop.box, size), file, quality=options.quality)
                yield Result(path, Status.CROPPED, file, crop, size, notes=tuple(notes))


def _blocked(file: Path, plan: Plan) -> str:
    """Why a file must not be written; empty if it may."""
    if file.exists() and not plan.options.overwrite:
        return "it exists; --overwrite replaces it"
    if plan.is_input(file):
        return "it is one of the photos named, and those are never overwritten"
    return ""


def output_size(crop: Crop, target: Target, upscale: bool) -> tuple[int, int]:
    """Pixels to write: the crop's own, or the size asked for unless that would enlarge it."""
    if target.size is None or (not upscale and (target.size[0] > crop.width or target.size[1] > crop.height)):
        return crop.width, crop.height
    return target.size


def _identity(path: Path) -> str:
    """The same for all ways to write one path."""
    try:
        return str(path.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        return str(path.absolute())


def _original(path: Path) -> Path | None:
    """The photo of which a file beside it is a crop, by its name; None if the name is not that of a crop."""
    stem = re.fullmatch(r"(.+)_(?:crop|[\d.]+(?:x[\d.]+)?)(?:_\d+)?(?:-\d+)?", path.stem)
    return path.with_stem(stem[1]) if stem else None


def _suffix(photo: Path) -> str:
    """The photo's extension if pictures can be written under it, else ``.jpg``."""
    try:
        format_of(photo)
    except PhotoError:
        return ".jpg"
    return photo.suffix
