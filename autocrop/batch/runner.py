"""From photo files to cropped files: search each photo once, write its crops, report outcomes in the photos' order."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autocrop.batch.naming import SIDECAR
from autocrop.batch.options import Options, check_pixels
from autocrop.batch.plan import Job, Plan, Wanted
from autocrop.batch.results import Result, Status
from autocrop.batch.targets import Target
from autocrop.engines import Engine
from autocrop.errors import AutocropError, PhotoError
from autocrop.geometry.boxes import PixelBox
from autocrop.images import Photo, open_photo, remove_leftovers, write_atomically
from autocrop.memory import keep_freed_memory
from autocrop.search.analysis import Analysis, analyze
from autocrop.search.crop import Crop
from autocrop.search.request import CropRequest
from autocrop.search.subjects import Subjects
from autocrop.search.two_stage import find_crops

AHEAD = 4
"""Photos a worker may be ahead of the slowest one. Results wait for their turn; pixels do not, so this costs little."""
POOLED_BLOCKS = 64
"""Blocks of memory, 16 MB each at most, that Pillow keeps for the next photo. Giving them back to the system and
getting them anew takes a fifth of the time of decoding, cropping and encoding."""


def default_jobs() -> int:
    """Photos to work on at a time: one for each core that this process may use, but no more than 8.

    Each takes some 100 MB for a photo of 12 megapixels.
    """
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


def run(engine: Engine | None, plan: Plan, jobs: int = 1, stop: threading.Event | None = None) -> Iterator[Result]:
    """Do every job of *plan*; yields at least one result for each photo, in their order.

    A photo that fails does so alone: its results say why. When the caller stops listening, photos that were begun
    are finished, and no others are begun.

    Args:
        engine: a loaded model, which threads must be able to share; None where all crops are known.
        plan: which file each crop goes to.
        jobs: how many photos to work on at a time. The files are the same whatever it is.
        stop: once it is set, no photo is begun. Those that were are finished, and their results are the last.
    """
    Image.core.set_blocks_max(POOLED_BLOCKS)  # type: ignore[attr-defined]
    keep_freed_memory()
    stop = stop or threading.Event()
    settled, plan.settled = plan.settled, []
    yield from settled
    if jobs <= 1:
        for job in _tidied(plan):
            if stop.is_set():
                return
            yield from _outcome(engine, job, plan)
        return

    def outcome(job: Job) -> list[Result]:
        return [] if stop.is_set() else _outcome(engine, job, plan)

    pool = ThreadPoolExecutor(jobs, thread_name_prefix="autocrop")
    try:
        waiting: deque[Future[list[Result]]] = deque()
        for job in _tidied(plan):
            if stop.is_set():
                break
            waiting.append(pool.submit(outcome, job))
            if len(waiting) >= AHEAD * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _tidied(plan: Plan) -> Iterator[Job]:
    """The jobs of *plan*; each folder is freed of what a run that was killed has left there, before it is used."""
    tidy: set[Path] = set()
    for job in plan.jobs():
        folders = {file.parent for wanted in job.wanted for file in wanted.files} - tidy
        if not plan.options.dry_run:
            for folder in folders:
                remove_leftovers(folder)
        tidy |= folders
        yield job


def _outcome(engine: Engine | None, job: Job, plan: Plan) -> list[Result]:
    results: list[Result] = []
    previews: list[NDArray[np.uint8]] = []
    try:
        for result in _crop_photo(engine, job, plan, previews):
            results.append(result)
    except Exception as error:
        reason = str(error)
        if not isinstance(error, AutocropError):  # a defect of ours shall not cost the other photos
            what = f"{type(error).__name__}: {error}"
            reason = f"autocrop ran into an error of its own, {what}. Please report what --debug prints"
        results.append(Result(job.path, Status.FAILED, reason=_at(job.wanted[0], reason), error=error))
    if plan.options.thumbnails and results:
        results[0] = dataclasses.replace(results[0], thumbnail=_thumbnail(job.path, plan.options, previews))
    return results


def _thumbnail(path: Path, options: Options, previews: list[NDArray[np.uint8]]) -> bytes:
    """A small picture of a photo; nothing if it cannot be read."""
    from autocrop.images.thumbnail import thumbnail

    try:
        return thumbnail(previews[0] if previews else open_photo(path, options.max_pixels).preview())
    except AutocropError:
        return b""


def _crop_photo(engine: Engine | None, job: Job, plan: Plan, previews: list[NDArray[np.uint8]]) -> Iterator[Result]:
    options, path = plan.options, job.path
    to_do = []
    for wanted in job.wanted:
        reasons = [] if options.dry_run else [plan.blocked(file, path) for file in wanted.files]
        if not reasons or not all(reasons):
            to_do.append(wanted)
            continue
        for file, name, reason in zip(wanted.files, wanted.names, reasons, strict=True):
            _carry(path, file, plan)
            yield Result(path, Status.SKIPPED, file, reason=reason, target=wanted.target, name=name)
    if not to_do:
        return
    photo = open_photo(path, options.max_pixels)
    for file in (file for wanted in to_do for file in wanted.files):
        if file.suffix.lower() == SIDECAR and file.is_file():  # Lightroom turns the photo as its sidecar says
            photo = photo.turned_by_sidecar(file.read_bytes())
    search = _Search(engine, photo, options, previews)
    for turning in to_do:
        wanted = dataclasses.replace(turning, target=turning.target.facing((photo.width, photo.height)))
        try:
            crops = search.crops(wanted)
            for crop in crops:  # padding, and rows of a manifest, know no bounds
                check_pixels((crop.width, crop.height), options.max_pixels)
                check_pixels(output_size(crop, wanted.target, options.upscale), options.max_pixels)
        except PhotoError:  # for all its crops at once
            raise
        except AutocropError as error:
            yield Result(path, Status.FAILED, wanted.files[0], reason=_at(wanted, str(error)), error=error)
            continue
        for crop, file, name in zip(crops, wanted.files, wanted.names, strict=False):
            if reason := _not_worth_it(crop, options.min_gain):
                size = output_size(crop, wanted.target, options.upscale)
                yield Result(path, Status.KEPT, None, crop, size, reason, (), wanted.target, name)
                break  # the others are no better
            notes = [*photo.notes, *crop.notes]
            if options.lossless:
                crop, told = _on_grid(photo, crop, file, search.subjects)
                notes += told
            size = output_size(crop, wanted.target, options.upscale)
            if wanted.target.size not in (None, size):
                assert wanted.target.size is not None
                asked = f"{wanted.target.size[0]}x{wanted.target.size[1]}"
                notes.append(f"smaller than {asked}, since only --upscale enlarges")
            result = Result(path, Status.FOUND, file, crop, size, "", tuple(notes), wanted.target, name)
            if options.dry_run:
                yield result
            elif blocked := plan.blocked(file, path):
                yield Result(path, Status.SKIPPED, file, crop, size, blocked, (), wanted.target, name)
            else:
                notes += _carry(path, file, plan)
                notes += _write(photo, crop, size, file, options)
                yield Result(path, Status.CROPPED, file, crop, size, "", tuple(notes), wanted.target, name)


def _on_grid(photo: Photo, crop: Crop, file: Path, subjects: Subjects | None) -> tuple[Crop, list[str]]:
    """The crop that can be cut losslessly, and what to tell about it.

    Raises:
        PhotoError: there is none.
    """
    photo.check_lossless(file)
    keep_size = crop.ratio is not None
    box = photo.snap_to_grid(crop.box, keep_size)
    if box == crop.box:
        return crop, []
    across, down = photo.grid
    if subjects and subjects.harmed(box) > subjects.harmed(crop.box):  # the grid's next lines may be kinder
        moved = [_moved(crop, x * across, y * down) for x in (-1, 0, 1) for y in (-1, 0, 1)]
        near = sorted(
            (photo.snap_to_grid(other, keep_size) for other in moved), key=lambda other: math.dist(other, crop.box)
        )
        box = min(near, key=subjects.harmed)
    notes = [f"snapped to the JPEG's grid of {across}x{down} pixels"]
    if subjects and subjects.harmed(box) > subjects.harmed(crop.box):
        notes.append("which cuts a face or a region to keep; without --lossless it is whole")
    return dataclasses.replace(crop, box=box), notes


def _moved(crop: Crop, across: int, down: int) -> PixelBox:
    """The crop's box moved, as far as the photo allows."""
    left, top, right, bottom = crop.box
    x = min(max(across, -left), crop.photo[0] - right)
    y = min(max(down, -top), crop.photo[1] - bottom)
    return left + x, top + y, right + x, bottom + y


def _write(photo: Photo, crop: Crop, size: tuple[int, int], file: Path, options: Options) -> list[str]:
    """Write one crop, or the sidecar that describes it; what could not be kept, in words."""
    if (crop.padding or crop.shape != "rectangle") and (options.lossless or file.suffix.lower() == SIDECAR):
        raise PhotoError(f"The crop of {photo.name} has padding or a shape: that needs a picture written anew.")
    if file.suffix.lower() == SIDECAR:
        if file.stem != Path(photo.name).stem:
            raise PhotoError(f"{photo.name} would share its sidecar with another photo. Give each a folder of its own.")
        existing = file.read_bytes() if file.exists() else None
        write_atomically(file, photo.sidecar(crop.box, existing))
        return []
    photo.check_size(size, file)
    if not options.lossless:
        return photo.save(crop.render(photo, size), file, options.quality, options.strip)
    if size != (crop.width, crop.height):
        raise PhotoError(f"{photo.name} cannot be resized without loss: leave --lossless out, or the size.")
    return photo.save_lossless(crop.box, file, options.strip)


class _Search:
    """Finds the crops of one photo, which is analyzed at the first question; its preview may be of use to others."""

    def __init__(
        self, engine: Engine | None, photo: Photo, options: Options, previews: list[NDArray[np.uint8]]
    ) -> None:
        self._engine, self._photo, self._options, self._previews = engine, photo, options, previews
        self._analysis: Analysis | None = None

    def crops(self, wanted: Wanted) -> list[Crop]:
        """The crops of one kind, best first.

        Raises:
            AutocropError: there are none, or the one that is known belongs to another photo.
        """
        if wanted.crop is not None:
            return [_checked(wanted.crop, (self._photo.width, self._photo.height))]
        assert self._engine is not None
        options, target = self._options, wanted.target
        if self._analysis is None:
            self._analysis = analyze(self._engine, self._photo, faces=options.faces, keep=options.keep)
            if options.thumbnails:
                self._previews.append(self._analysis.preview)
        request = CropRequest(target.ratio, options.top, target.size is None, options.shape, options.fit)
        return find_crops(self._engine, self._analysis, request)

    @property
    def subjects(self) -> Subjects | None:
        """What the photo shows, once it was analyzed."""
        return self._analysis.subjects if self._analysis else None


def _not_worth_it(crop: Crop, min_gain: float | None) -> str:
    """Why a photo had better stay as it is; empty if it had not."""
    if min_gain is None or crop.score - crop.score_full >= min_gain:
        return ""
    gain = _below(crop.score - crop.score_full, min_gain)
    return f"the best crop scores {gain} against the whole photo, less than --min-gain {min_gain:.15g}"


def _below(value: float, limit: float) -> str:
    """*value* with its sign, and with as many digits, two at least, as show that it is less than *limit*."""
    for digits in range(2, 16):
        rounded = round(float(value), digits) + 0.0  # no minus before a zero
        if rounded < limit:
            return f"{rounded:+.{digits}f}"
    return f"{value:+.17g}"


def _checked(crop: Crop, size: tuple[int, int]) -> Crop:
    """*crop* if it lies in a photo of *size*."""
    there = f"the photo has {size[0]}x{size[1]} pixels"
    if any(crop.photo) and crop.photo != size:
        raise AutocropError(f"{there}, and had {crop.photo[0]}x{crop.photo[1]} when the crop was found. Find it again")
    if crop.box[2] > size[0] or crop.box[3] > size[1]:
        raise AutocropError(f"the box {list(crop.box)} reaches out of the photo: {there}")
    return crop


def _at(wanted: Wanted, reason: str) -> str:
    return f"line {wanted.line}: {reason}" if wanted.line else reason


def output_size(crop: Crop, target: Target, upscale: bool) -> tuple[int, int]:
    """Pixels to write: the crop's own, or the size asked for unless that would enlarge it."""
    if target.size is None or (not upscale and (target.size[0] > crop.width or target.size[1] > crop.height)):
        return crop.width, crop.height
    return target.size


def _carry(photo: Path, output: Path, plan: Plan) -> list[str]:
    """Copy what lies beside *photo* and belongs to it, as a caption does, to the name of its crop.

    Before the crop itself is written: where the crop is, its companions are, too.

    Returns:
        What was not there, in words.
    """
    missing = []
    for extension in plan.options.carry:
        # photo.txt, or photo.jpg.txt as some programs write it.
        pairs = [(photo.with_suffix(extension), output.with_suffix(extension))]
        pairs.append((photo.with_name(photo.name + extension), output.with_name(output.name + extension)))
        there = [(source, copy) for source, copy in pairs if source.is_file()]
        for source, copy in there:
            _copy(source, copy, plan)
        if not there:
            missing.append(f"no {extension} beside the photo")
    return missing


def _copy(source: Path, copy: Path, plan: Plan) -> None:
    if plan.belongs_to_input(copy) or plan.blocked(copy, source):
        return
    try:
        content = source.read_bytes()
    except OSError as error:
        raise PhotoError(f"{source} cannot be read ({error.strerror}).") from error
    write_atomically(copy, content, like=source)
