"""Run the jobs of a plan in threads, and yield their results in the order of the photos."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from autocrop.batch.pipeline import run_job
from autocrop.batch.plan import Job, Plan
from autocrop.batch.results import Result
from autocrop.batch.writing import Writer
from autocrop.engines import Engine
from autocrop.images import remove_leftovers
from autocrop.memory import keep_freed_memory

QUEUED_PER_WORKER = 4
"""Number of photos that may run ahead of the slowest one. Only their results are buffered, not their pixels, so this
costs little memory."""
POOLED_BLOCKS = 64
"""Blocks of memory, up to 16 MB each, that Pillow keeps for the next photo. Returning them to the system and requesting
new ones takes a fifth of the time for decoding, cropping and encoding."""


def run(engine: Engine | None, plan: Plan, workers: int = 1, stop: threading.Event | None = None) -> Iterator[Result]:
    """Run all jobs of a plan, and yield at least one result per photo, in their order.

    If the caller stops iterating, photos in progress are finished, and no others are started.

    Args:
        engine: a loaded model that threads can share; None if a manifest has all crops.
        plan: the jobs.
        workers: number of photos to work on at a time. The outputs do not depend on it.
        stop: if it is set, no more photos are started; the photos in progress are finished, and their results yielded.
    """
    Image.core.set_blocks_max(POOLED_BLOCKS)  # type: ignore[attr-defined]
    keep_freed_memory()
    stop = stop or threading.Event()
    work = functools.partial(run_job, engine, writer=Writer(plan.options, plan.inputs))
    yield from plan.take_early_results()
    if workers > 1:
        yield from _run_in_threads(work, plan, workers, stop)
        return
    for job in _prepared_jobs(plan):
        if stop.is_set():
            return
        yield from work(job)


def _run_in_threads(
    work: Callable[[Job], list[Result]], plan: Plan, workers: int, stop: threading.Event
) -> Iterator[Result]:
    def work_unless_stopped(job: Job) -> list[Result]:
        return [] if stop.is_set() else work(job)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="autocrop")
    try:
        pending: deque[Future[list[Result]]] = deque()
        for job in _prepared_jobs(plan):
            if stop.is_set():
                break
            pending.append(pool.submit(work_unless_stopped, job))
            if len(pending) >= QUEUED_PER_WORKER * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prepared_jobs(plan: Plan) -> Iterator[Job]:
    """Yield the jobs of a plan. Before a folder is first used, delete temporary files that a killed run left in it."""
    prepared: set[Path] = set()
    for job in plan.jobs():
        folders = {output.file.parent for task in job.tasks for output in task.outputs} - prepared
        if not plan.options.dry_run:
            for folder in folders:
                remove_leftovers(folder)
        prepared |= folders
        yield job
