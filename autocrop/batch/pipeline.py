"""Process one photo of a batch: open it, analyze it, find crops, write them, and report the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from autocrop.batch.fitting import fit_to_target
from autocrop.batch.gain import reason_to_keep
from autocrop.batch.grid import align_to_grid
from autocrop.batch.manifest import check_crop
from autocrop.batch.naming import Output
from autocrop.batch.plan import Job, Task
from autocrop.batch.results import Result, Status
from autocrop.batch.targets import Target
from autocrop.batch.writing import Writer, is_sidecar
from autocrop.engines import Engine
from autocrop.errors import AutocropError, PhotoError
from autocrop.images import Photo, open_photo
from autocrop.images.thumbnail import thumbnail
from autocrop.search.analysis import Analysis, analyze
from autocrop.search.crop import Crop
from autocrop.search.request import CropRequest
from autocrop.search.two_stage import find_crops


def run_job(engine: Engine | None, job: Job, writer: Writer) -> list[Result]:
    """Crop one photo, and return at least one result.

    Errors become failed results, even unexpected ones: a bug must not abort the batch.

    Args:
        engine: a loaded model; None if a manifest has all crops.
        job: the photo and its tasks.
        writer: writes the outputs.
    """
    return _JobRun(engine, job, writer).run()


class _JobRun:
    def __init__(self, engine: Engine | None, job: Job, writer: Writer) -> None:
        self._engine, self._job, self._writer = engine, job, writer
        self._options = writer.options
        self._results: list[Result] = []
        self._analysis: Analysis | None = None

    def run(self) -> list[Result]:
        try:
            tasks = [task for task in self._job.tasks if not self._skip_existing(task)]
            if tasks:
                photo = self._open_photo(tasks)
                for task in tasks:
                    self._run_task(photo, task)
        except Exception as error:
            self._fail(self._job.tasks[0], error)
        if self._options.thumbnails and self._results:
            self._results[0] = dataclasses.replace(self._results[0], thumbnail=self._thumbnail())
        return self._results

    def _open_photo(self, tasks: Sequence[Task]) -> Photo:
        """Open the photo. If a sidecar will be updated, use the sidecar's orientation, as Lightroom does."""
        photo = open_photo(self._job.path, self._options.max_pixels)
        for file in (output.file for task in tasks for output in task.outputs):
            if is_sidecar(file) and file.is_file():
                photo = photo.turned_by_sidecar(file.read_bytes())
        return photo

    def _skip_existing(self, task: Task) -> bool:
        """Skip a task if none of its outputs may be written. Return True if it was skipped."""
        path = self._job.path
        if self._options.dry_run:
            return False
        reasons = [self._writer.reason_to_skip(output.file, path) for output in task.outputs]
        if not all(reasons):
            return False
        for output, reason in zip(task.outputs, reasons, strict=True):
            self._writer.copy_companions(path, output.file)
            self._results.append(
                Result(path, Status.SKIPPED, output.file, reason=reason, target=task.target, name=output.name)
            )
        return True

    def _run_task(self, photo: Photo, task: Task) -> None:
        target = task.target.oriented_like((photo.width, photo.height))
        try:
            crops = self._find_crops(photo, task, target)
            for crop in crops:  # padding can make crops larger than the photo
                self._options.check_pixels((crop.width, crop.height))
                self._options.check_pixels(target.output_size(crop.width, crop.height, self._options.upscale))
        except PhotoError:  # the photo is unreadable, so all tasks fail
            raise
        except AutocropError as error:
            self._fail(task, error, task.outputs[0])
            return
        for crop, output in zip(crops, task.outputs, strict=False):
            result = self._deliver(photo, crop, output, target)
            self._results.append(result)
            if result.status is Status.KEPT:  # the best crop gains too little, so the others are skipped
                break

    def _find_crops(self, photo: Photo, task: Task, target: Target) -> list[Crop]:
        """Find the crops of one target, best first; the photo is analyzed only once."""
        if task.crop is not None:
            check_crop(task.crop, (photo.width, photo.height))
            return [fit_to_target(task.crop, target)]
        assert self._engine is not None
        options = self._options
        if self._analysis is None:
            self._analysis = analyze(self._engine, photo, faces=options.faces, keep=options.keep)
        exact = target.size is None  # with a size, resizing makes the ratio exact
        request = CropRequest(target.ratio, options.top, exact, options.shape, options.fit_options)
        return find_crops(self._engine, self._analysis, request)

    def _deliver(self, photo: Photo, crop: Crop, output: Output, target: Target) -> Result:
        """Write a crop, unless the options say to keep or skip it."""
        options, path = self._options, self._job.path
        if reason := reason_to_keep(crop, options.min_gain):
            size = target.output_size(crop.width, crop.height, options.upscale)
            return Result(path, Status.KEPT, None, crop, size, reason, target=target, name=output.name)
        notes = [*photo.notes, *crop.notes]
        if options.lossless:
            subjects = self._analysis.subjects if self._analysis is not None else None
            crop, differences = align_to_grid(photo, crop, output.file, subjects)
            notes += differences
        size = target.output_size(crop.width, crop.height, options.upscale)
        if target.size is not None and target.size != size:
            notes.append(f"smaller than {target.size[0]}x{target.size[1]}; use --upscale to enlarge it")
        result = Result(path, Status.FOUND, output.file, crop, size, "", tuple(notes), target, output.name)
        if options.dry_run:
            return result
        if reason := self._writer.reason_to_skip(output.file, path):
            return dataclasses.replace(result, status=Status.SKIPPED, reason=reason, notes=())
        notes += self._writer.copy_companions(path, output.file)
        notes += self._writer.write(photo, crop, size, output.file)
        return dataclasses.replace(result, status=Status.CROPPED, notes=tuple(notes))

    def _fail(self, task: Task, error: Exception, output: Output | None = None) -> None:
        reason = str(error)
        if not isinstance(error, AutocropError):
            reason = f"internal error: {type(error).__name__}: {error}. Please report the output of --debug"
        if task.line:
            reason = f"line {task.line}: {reason}"
        file = output.file if output is not None else None
        self._results.append(Result(self._job.path, Status.FAILED, file, reason=reason, error=error))

    def _thumbnail(self) -> bytes:
        """Return a small JPEG of the photo; empty if the photo cannot be read."""
        if self._analysis is not None:
            return thumbnail(self._analysis.preview)
        try:
            return thumbnail(open_photo(self._job.path, self._options.max_pixels).preview())
        except AutocropError:
            return b""
