"""The queue of a batch: a job for each photo, with its crops and their outputs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autocrop.batch.former_outputs import is_explanation
from autocrop.batch.inputs import Inputs
from autocrop.batch.manifest import MarkedRow, Row, RowError
from autocrop.batch.naming import Output, OutputNames
from autocrop.batch.options import Options
from autocrop.batch.paths import identity
from autocrop.batch.results import Result, Status
from autocrop.batch.sources import Source
from autocrop.batch.targets import Target
from autocrop.errors import UsageError
from autocrop.search.crop import Crop

FORMER_CROP = "crop from an earlier run"
FORMER_EXPLANATION = "picture from autocrop explain"
"""Kinds of ignored files, as the summary names them."""


@dataclass(frozen=True)
class Task:
    """The crops of one photo for one target."""

    target: Target
    outputs: Sequence[Output]
    """Where the crops go, best first."""
    crop: Crop | None = None
    """The crop, if a manifest has it; otherwise it must be found."""
    line: int = 0
    """Line of the manifest that has the crop, from 1."""


@dataclass(frozen=True)
class Job:
    """All tasks of one photo."""

    path: Path
    tasks: Sequence[Task]


class Plan:
    """Queue of jobs. Photos can be added while others are being cropped.

    Args:
        options: options of the batch.
        repeatable: a photo that is added again gets the same job again, instead of being ignored.
    """

    def __init__(self, options: Options, repeatable: bool = False) -> None:
        self.options = options
        self.inputs = Inputs(options)
        self.early_results: list[Result] = []
        """Results for inputs without a job: duplicates, crops of other inputs, photos whose sidecar belongs to a raw
        photo, and manifest rows that are invalid or marked as kept or skipped."""
        self.ignored: Counter[str] = Counter()
        """Number of ignored files by kind."""
        self._repeatable = repeatable
        self._names = OutputNames(options)
        self._queue: list[Source | Job] = []
        self._jobs: dict[str, Job] = {}
        """Jobs by photo, if they are repeatable."""

    @classmethod
    def from_photos(cls, photos: Iterable[Source | Path], options: Options) -> Plan:
        """Plan to crop photos.

        Raises:
            UsageError: ``-o`` names a file, and there are several photos or it is the photo itself.
        """
        plan = cls(options)
        plan.add(Source(photo) if isinstance(photo, Path) else photo for photo in photos)
        return plan

    @classmethod
    def from_rows(cls, rows: Iterable[Row | MarkedRow | RowError], options: Options) -> Plan:
        """Plan to write the crops of a manifest. Consecutive rows of one photo become one job.

        Raises:
            UsageError: ``-o`` names a file.
        """
        plan = cls(options)
        if options.output_file is not None:
            raise UsageError(f"-o {options.output_file} is a file. Give -o a folder: the manifest names the files.")
        valid = []
        for row in rows:
            if isinstance(row, RowError):
                plan.early_results.append(Result(row.path, Status.FAILED, reason=str(row), error=row))
                continue
            plan.inputs.add(Source(row.path))
            if isinstance(row, MarkedRow):
                plan.early_results.append(Result(row.path, row.status, reason=row.reason))
            else:
                valid.append(row)
        for path, group in itertools.groupby(valid, key=lambda row: row.path):
            tasks = [Task(row.target, [plan._names.of_row(row)], row.crop, row.line) for row in group]
            plan._queue.append(Job(path, tasks))
        return plan

    def __len__(self) -> int:
        """Return the number of jobs in the queue."""
        return len(self._queue)

    @property
    def photos(self) -> int:
        """Number of photos, including those that have only a result and no job."""
        return len({entry.path for entry in self._queue} | {result.path for result in self.early_results})

    def add(self, sources: Iterable[Source]) -> None:
        """Add photos to the queue.

        Outputs of earlier runs are left out: files whose paths look like those of outputs, and whose photo is an input.

        Raises:
            UsageError: as for :meth:`from_photos`.
        """
        new = [source for source in sources if self._register(source)]
        # Find all originals before leaving anything out: a crop that is left out may be the original of another.
        originals = [self.inputs.original_of(source) for source in new]
        for source, original in zip(new, originals, strict=True):
            if self._names.is_taken(source.path):  # an output of this run
                continue
            if original is not None:
                self._leave_out(source, original)
            elif self.options.xmp and (raw := self.inputs.raw_twin_of(source.path)):
                # Lightroom reads the sidecar of a pair for the raw photo only.
                reason = f"its sidecar belongs to {raw.name}, the raw file of the same name"
                self.early_results.append(Result(source.path, Status.SKIPPED, reason=reason))
            else:
                self._queue.append(source)
        self._check_output_file()

    def take_early_results(self) -> list[Result]:
        """Return and clear the results for inputs without a job."""
        results, self.early_results = self.early_results, []
        return results

    def jobs(self) -> Iterator[Job]:
        """Empty the queue, and yield its jobs in order."""
        queue, self._queue = self._queue, []
        for entry in queue:
            yield entry if isinstance(entry, Job) else self._job(entry)

    def _register(self, source: Source) -> bool:
        """Register an input. Return True if it is new."""
        if self._repeatable and (job := self._jobs.get(identity(source.path))):
            self._queue.append(job)
            return False
        is_new = self.inputs.add(source)
        if not is_new and not source.discovered:
            self.early_results.append(Result(source.path, Status.SKIPPED, reason="named twice"))
        return is_new

    def _leave_out(self, source: Source, original: Path) -> None:
        """Leave out an output of an earlier run. If the user named it, report that."""
        explanation = is_explanation(source.path)
        if source.discovered:
            self.ignored[FORMER_EXPLANATION if explanation else FORMER_CROP] += 1
            self.inputs.discard(source)
        else:
            kind = "an explanation" if explanation else "a crop"
            reason = f"looks like {kind} of {original}, which is also an input; use -o FOLDER to crop it anyway"
            self.early_results.append(Result(source.path, Status.SKIPPED, reason=reason))

    def _job(self, source: Source) -> Job:
        ranks = range(1, self.options.top + 1)
        tasks = [
            Task(target, [self._names.of_photo(source, target.label, rank) for rank in ranks])
            for target in self.options.targets
        ]
        job = Job(source.path, tasks)
        if self._repeatable:
            self._jobs[identity(job.path)] = job
        return job

    def _check_output_file(self) -> None:
        file = self.options.output_file
        if file is None:
            return
        if len(self) > 1:
            raise UsageError(f"-o {file} is one file, but there are {len(self)} photos. Give -o a folder.")
        if file in self.inputs:
            raise UsageError(f"-o {file} is an input, and inputs are never overwritten. Choose another name.")
