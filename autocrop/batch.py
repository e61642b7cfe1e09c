"""From photo files to cropped files: search each photo once, write its crops, report outcomes in the photos' order."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from autocrop.engines import Engine, Features
from autocrop.errors import AutocropError
from autocrop.images import Photo, PhotoError, open_photo, remove_leftovers, write_atomically
from autocrop.manifest import Result, Status, Target
from autocrop.plan import SIDECAR, Job, Options, Plan, Wanted
from autocrop.search import Crop, find_crops

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


def run(engine: Engine | None, plan: Plan, jobs: int = 1) -> Iterator[Result]:
    """Do every job of *plan*; yields at least one result for each photo, in their order.

    A photo that fails does so alone: its results say why. When the caller stops listening, photos that were begun
    are finished, and no others are begun.

    Args:
        engine: a loaded model, which threads must be able to share; None where all crops are known.
        plan: which file each crop goes to.
        jobs: how many photos to work on at a time. The files are the same whatever it is.
    """
    Image.core.set_blocks_max(POOLED_BLOCKS)  # type: ignore[attr-defined]
    settled, plan.settled = plan.settled, []
    yield from settled
    if jobs <= 1:
        for job in _tidied(plan):
            yield from _outcome(engine, job, plan)
        return
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="autocrop")
    try:
        waiting: deque[Future[list[Result]]] = deque()
        for job in _tidied(plan):
            waiting.append(pool.submit(_outcome, engine, job, plan))
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
    try:
        for result in _crop_photo(engine, job, plan):
            results.append(result)
    except Exception as error:
        reason = str(error)
        if not isinstance(error, AutocropError):  # a defect of ours shall not cost the other photos
            reason = f"autocrop ran into an error of its own, {type(error).__name__}: {error}. Please report it"
        results.append(Result(job.path, Status.FAILED, reason=_at(job.wanted[0], reason), error=error))
    return results


def _crop_photo(engine: Engine | None, job: Job, plan: Plan) -> Iterator[Result]:
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
    search = _Search(engine, photo)
    for wanted in to_do:
        try:
            crops = search.crops(wanted, options.top)
        except AutocropError as error:
            yield Result(path, Status.FAILED, wanted.files[0], reason=_at(wanted, str(error)), error=error)
            continue
        for crop, file, name in zip(crops, wanted.files, wanted.names, strict=False):
            notes = list(photo.notes)
            if options.lossless:
                crop, told = _on_grid(photo, crop, file)
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


def _on_grid(photo: Photo, crop: Crop, file: Path) -> tuple[Crop, list[str]]:
    """The crop that can be cut losslessly, and what to tell about it.

    Raises:
        PhotoError: there is none.
    """
    photo.check_lossless(file)
    box = photo.snapped(crop.box, keep_size=crop.ratio is not None)
    if box == crop.box:
        return crop, []
    across, down = photo.grid
    return dataclasses.replace(crop, box=box), [f"snapped to the JPEG's grid of {across}x{down} pixels"]


def _write(photo: Photo, crop: Crop, size: tuple[int, int], file: Path, options: Options) -> list[str]:
    """Write one crop, or the sidecar that describes it; what could not be kept, in words."""
    if file.suffix.lower() == SIDECAR:
        if file.stem != Path(photo.name).stem:
            raise PhotoError(f"{photo.name} would share its sidecar with another photo. Give each a folder of its own.")
        existing = file.read_bytes() if file.exists() else None
        write_atomically(file, photo.sidecar(crop.box, existing))
        return []
    if not options.lossless:
        return photo.save(photo.cut(crop.box, size), file, options.quality, options.strip)
    if size != (crop.width, crop.height):
        raise PhotoError(f"{photo.name} cannot be resized without loss: leave --lossless out, or the size.")
    return photo.save_lossless(crop.box, file, options.strip)


class _Search:
    """Finds the crops of one photo, which is analysed at the first question."""

    def __init__(self, engine: Engine | None, photo: Photo) -> None:
        self._engine, self._photo = engine, photo
        self._features: Features | None = None

    def crops(self, wanted: Wanted, top: int) -> list[Crop]:
        """The crops of one kind, best first.

        Raises:
            AutocropError: there are none, or the one that is known belongs to another photo.
        """
        size = self._photo.width, self._photo.height
        if wanted.crop is not None:
            return [_checked(wanted.crop, size)]
        assert self._engine is not None
        if self._features is None:
            self._features = self._engine.encode(self._photo.preview())
        return find_crops(self._engine, self._features, size, wanted.target.ratio, top, wanted.target.size is None)


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
