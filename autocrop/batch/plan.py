"""Which file each crop goes to. No output is an input, no two outputs are one file, and no crop is cropped again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from autocrop.batch.manifest import Row, RowError
from autocrop.batch.naming import (
    CLOCK,
    EXPLANATION,
    SIDECAR,
    crop_patterns,
    folder_identity,
    identity,
    is_explanation,
)
from autocrop.batch.options import Options, check_name, check_pixels
from autocrop.batch.results import Result, Status
from autocrop.batch.sources import Source
from autocrop.batch.targets import Target
from autocrop.errors import PhotoError, UsageError
from autocrop.images import format_of, is_picture_name
from autocrop.images.formats import ALPHA_FORMATS, RAW_SUFFIXES
from autocrop.search.crop import Crop


@dataclass(frozen=True)
class Wanted:
    """The crops of one kind that one photo shall get."""

    target: Target
    files: Sequence[Path]
    """Where they go, best first."""
    names: Sequence[str]
    """The same below the output folder, with slashes."""
    crop: Crop | None = None
    """The crop, if it is known; None if it is to be found."""
    line: int = 0
    """Of the manifest that has the crop."""


@dataclass(frozen=True)
class Job:
    """All that is to be done with one photo."""

    path: Path
    wanted: Sequence[Wanted]


@dataclass
class Plan:
    """Says which file each crop of each photo goes to. Photos may be added while others are being cropped."""

    options: Options
    remember: bool = False
    """A photo that is added again gets the same job again."""
    settled: list[Result] = field(default_factory=list)
    """Photos that need no job: named twice, crops of others that are named, too, lines that are no good."""
    former: int = 0
    """Crops of former runs that were found in folders, and left out."""
    explained: int = 0
    """The same for pictures of ``autocrop explain``."""
    _queue: list[Source | list[Row] | Job] = field(default_factory=list)
    _inputs: dict[str, Source] = field(default_factory=dict)
    _stems: dict[tuple[str, str], Path] = field(default_factory=dict)
    """The inputs by folder and name without extension."""
    _taken: set[str] = field(default_factory=set)
    _jobs: dict[str, Job] = field(default_factory=dict)

    @classmethod
    def make(cls, photos: Iterable[Source | Path], options: Options) -> Plan:
        """Plan a batch.

        Raises:
            UsageError: ``-o`` names a file and there is more than one output, it is one of the inputs, or its
                extension is that of no picture; the template of names is none.
        """
        plan = cls(options)
        plan.add(Source(photo) if isinstance(photo, Path) else photo for photo in photos)
        return plan

    @classmethod
    def from_rows(cls, rows: Iterable[Row | RowError], options: Options) -> Plan:
        """Plan the crops of a manifest. Consecutive rows of one photo are one job.

        Raises:
            UsageError: ``-o`` names a file.
        """
        plan = cls(options)
        if plan.file is not None:
            raise UsageError(f"{plan.file} is a file. Give -o a folder: the manifest has the names of the crops.")
        for row in rows:
            if isinstance(row, RowError):
                plan.settled.append(Result(row.path, Status.FAILED, reason=str(row), error=row))
                continue
            plan._register(Source(row.path))
            last = plan._queue[-1] if plan._queue else None
            if isinstance(last, list) and last[0].path == row.path:
                last.append(row)
            else:
                plan._queue.append([row])
        return plan

    def __post_init__(self) -> None:
        check_name(self.options)
        self._check_output()
        self._check_shape()
        self._check_sizes()

    def __len__(self) -> int:
        """How many photos have a job that has not been handed out."""
        return len(self._queue)

    @property
    def file(self) -> Path | None:
        """The file that ``-o`` names; None where it names a folder, or nothing."""
        output = self.options.output
        if output is None or output.is_dir() or not is_picture_name(output):
            return None
        return output

    def add(self, sources: Iterable[Source]) -> None:
        """Add photos. One that is named twice is cropped once, and a crop of another is not cropped again.

        A file is known for a crop by its name and by the photo being there, too: where crops go beside the photos,
        or in a folder that is searched.

        Raises:
            UsageError: as :meth:`make`.
        """
        new = []
        for source in sources:
            if self.remember and (job := self._jobs.get(identity(source.path))):
                self._queue.append(job)
            elif self._register(source):
                new.append(source)
            elif not source.found:
                self.settled.append(Result(source.path, Status.SKIPPED, reason="it is named twice"))
        if self.options.format == SIDECAR:
            new = self._without_raw_twins(new)
        # All originals first: a crop that is left out may be another's.
        for source, original in [(source, self._original(source)) for source in new]:
            if identity(source.path).casefold() in self._taken:  # a crop of this very run
                continue
            if original is None:
                self._queue.append(source)
            elif source.found:
                if is_explanation(source.path):
                    self.explained += 1
                else:
                    self.former += 1
                self._forget(source)  # a former crop may be replaced, if the user says so
            else:
                what = "an explanation" if is_explanation(source.path) else "a crop"
                reason = f"it looks like {what} of {original}, which is named, too; -o FOLDER crops it all the same"
                self.settled.append(Result(source.path, Status.SKIPPED, reason=reason))
        self._check_file()

    def jobs(self) -> Iterator[Job]:
        """What is to be done with each photo, in order. Each job is handed out once."""
        queue, self._queue = self._queue, []
        for entry in queue:
            if isinstance(entry, Source):
                job = self._job(entry)
                if self.remember:
                    self._jobs[identity(job.path)] = job
                yield job
            else:
                yield entry if isinstance(entry, Job) else self._rows(entry)

    def is_input(self, path: Path) -> bool:
        """Whether a path is one of the photos of the batch; those are never written."""
        return identity(path) in self._inputs

    def belongs_to_input(self, path: Path) -> bool:
        """Whether a file is named after one of the photos, as a caption beside it is."""
        folder = folder_identity(str(path.parent))
        return (folder, path.stem) in self._stems or identity(path.with_suffix("")) in self._inputs

    def blocked(self, file: Path, photo: Path) -> str:
        """Why a file must not be written; empty if it may."""
        if self.is_input(file):
            return "it is one of the photos of the batch, and those are never overwritten"
        if self.options.overwrite:
            return ""
        try:
            age = photo.stat().st_mtime - file.stat().st_mtime
        except OSError:
            return _exists(file) if file.exists() else ""
        if age <= CLOCK:
            return _exists(file)
        return "" if self.options.update else "it exists, but is older than its photo; --update replaces it"

    def _register(self, source: Source) -> bool:
        """Note an input; whether it is a new one."""
        key = identity(source.path)
        if key in self._inputs:
            return False
        self._inputs[key] = source
        self._stems.setdefault((folder_identity(str(source.path.parent)), source.path.stem), source.path)
        return True

    def _without_raw_twins(self, sources: list[Source]) -> list[Source]:
        """Leave out photos beside a raw file of the same name: Lightroom reads the sidecar for the raw file."""
        raws = {
            (folder_identity(str(source.path.parent)), source.path.stem): source.path
            for source in self._inputs.values()
            if source.path.suffix.lower() in RAW_SUFFIXES
        }
        remaining = []
        for source in sources:
            raw = raws.get((folder_identity(str(source.path.parent)), source.path.stem))
            if raw is None or source.path.suffix.lower() in RAW_SUFFIXES:
                remaining.append(source)
            else:
                reason = f"its sidecar belongs to {raw.name}, the raw file of the same name"
                self.settled.append(Result(source.path, Status.SKIPPED, reason=reason))
        return remaining

    def _forget(self, source: Source) -> None:
        """Take back that a file is an input."""
        del self._inputs[identity(source.path)]
        key = folder_identity(str(source.path.parent)), source.path.stem
        if self._stems.get(key) == source.path:
            del self._stems[key]

    def _job(self, source: Source) -> Job:
        options = self.options
        ranks = [f"_{rank}" for rank in range(1, options.top + 1)] if options.top > 1 else [""]
        wanted = []
        for target in options.targets:
            placed = [self._place(source, self._name(source, target.label, rank)) for rank in ranks]
            wanted.append(Wanted(target, [file for file, _ in placed], [name for _, name in placed]))
        return Job(source.path, wanted)

    def _rows(self, rows: list[Row]) -> Job:
        wanted = []
        for row in rows:
            name, output = PurePosixPath(row.name), row.output
            if self.options.format:
                name, output = name.with_suffix(self.options.format), output.with_suffix(self.options.format)
            file = self._claim(self.options.output / name if self.options.output else output)
            wanted.append(Wanted(row.target, [file], [name.with_name(file.name).as_posix()], row.crop, row.line))
        return Job(rows[0].path, wanted)

    def _name(self, source: Source, label: str, rank: str) -> str:
        fields = {"stem": source.path.stem, "label": label, "rank": rank, "folder": source.path.absolute().parent.name}
        return self.options.name.format(**fields) + (self.options.format or self._suffix(source.path))

    def _suffix(self, photo: Path) -> str:
        """The photo's extension if its crops can be written under it, else one under which they can."""
        circle = self.options.shape == "circle"
        try:
            fits = format_of(photo) in ALPHA_FORMATS or not circle
            return photo.suffix if fits else ".png"
        except PhotoError:
            return ".png" if circle else ".jpg"

    def _place(self, source: Source, name: str) -> tuple[Path, str]:
        """The file for a crop that would like to be called *name*, and its path below the output folder."""
        if self.file is not None:
            return self.file, self.file.name
        below = source.folder / name
        wished = source.path.parent / name if self.options.output is None else self.options.output / below
        file = self._claim(wished)
        return file, below.with_name(file.name).as_posix()

    def _claim(self, path: Path) -> Path:
        """*path*, or one like it where an earlier photo of this run has it."""
        candidate, number = path, 2
        # Where upper and lower case are the same file, two names that differ by them would collide, too.
        while (key := identity(candidate).casefold()) in self._taken:
            candidate = path.with_stem(f"{path.stem}-{number}")
            number += 1
        self._taken.add(key)
        return candidate

    def _original(self, source: Source) -> Path | None:
        """The photo of which *source* is a crop or an explanation by its name and place; None if it is neither."""
        if not source.found and self.options.output is not None:
            return None
        folder = source.path.absolute().parent
        inside = len(source.folder.parts) if source.found else 0
        root, parts = (folder.parents[inside - 1] if inside else folder), folder.parts[len(folder.parts) - inside :]
        explained = [EXPLANATION] if is_explanation(source.path) else []
        for pattern in [*crop_patterns(self.options.name, self.options.output is None), *explained]:
            match = pattern.fullmatch(source.path.with_suffix("").absolute().as_posix())
            if match is None:
                continue
            places = {Path(match["place"])} if match["place"] else set()
            # The crops of a tree lie in its image under -o, which may be anywhere inside the tree.
            for start in range(inside):
                places |= {root.joinpath(*parts[:start], *parts[end:]) for end in range(start + 1, inside + 1)}
            for place in sorted(places, key=lambda place: -len(place.parts)):
                original = self._stems.get((folder_identity(str(place)), match["stem"]))
                if original is not None and original != source.path:
                    return original
        return None

    def _check_output(self) -> None:
        output = self.options.output
        # A folder may have a dot in its name, as in out.v2; what looks like a file's extension is a mistake.
        if output is None or output.is_dir() or not output.suffix[1:].isalpha():
            return
        try:
            format_of(output)
        except PhotoError as error:
            raise UsageError(str(error)) from error

    def _check_shape(self) -> None:
        """A circle needs a format that can be seen through."""
        named = self.options.format or (self.file.suffix if self.file is not None else "")
        if self.options.shape == "circle" and named and format_of(Path(f"crop{named}")) not in ALPHA_FORMATS:
            raise UsageError(f"A circle needs transparency, which '{named}' has not. Use .png, .webp, .avif or .tif.")

    def _check_sizes(self) -> None:
        """No crop shall need more memory than a photo may."""
        for target in self.options.targets:
            if target.size is not None:
                check_pixels(target.size, self.options.max_pixels)

    def _check_file(self) -> None:
        if self.file is None:
            return
        if len(self) * len(self.options.targets) * self.options.top > 1:
            raise UsageError(f"{self.file} is one file, and there is more than one crop to write. Give -o a folder.")
        if self.is_input(self.file):
            raise UsageError(f"{self.file} is the input itself, which autocrop never overwrites. Choose another name.")


def _exists(file: Path) -> str:
    kept = " the crop in it and keeps the rest" if file.suffix.lower() == SIDECAR else " it"
    return f"it exists; --overwrite replaces{kept}"
