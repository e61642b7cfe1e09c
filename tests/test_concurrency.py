"""Pools of objects that threads share."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from autocrop.concurrency import MAX_DEFAULT_WORKERS, Pool, default_workers


def test_the_default_is_one_worker_per_core():
    """There is at least one worker, and there are at most 8."""
    assert 1 <= default_workers() <= MAX_DEFAULT_WORKERS == 8


def test_a_pool_makes_no_more_objects_than_its_limit():
    """Forty threads share three objects, and no two threads have the same one at the same time."""
    made, borrowed, collisions = [], set(), []

    def make():
        made.append(object())
        return made[-1]

    pool = Pool(make, 3)
    start = threading.Barrier(40)

    def work(_):
        start.wait(10)
        for _ in range(5):
            with pool.borrow() as item:
                collisions.append(item in borrowed)
                borrowed.add(item)
                time.sleep(0.001)
                borrowed.remove(item)

    with ThreadPoolExecutor(40) as executor:
        list(executor.map(work, range(40)))
    assert len(made) == 3
    assert not any(collisions)


def test_a_pool_makes_objects_when_they_are_needed():
    """One thread uses one object again and again."""
    made = []
    pool = Pool(lambda: made.append(0) or len(made), 8)
    assert not made
    for _ in range(3):
        with pool.borrow() as item:
            assert item == 1
    assert made == [0]


def test_exceptions_return_the_object():
    """After more failures than objects, whether in making or in using one, the pool still lends all of them."""
    failures = iter([True, True, True])

    def make():
        if next(failures, False):
            raise OSError("no such file")
        return object()

    pool = Pool(make, 2)
    for _ in range(3):
        with pytest.raises(OSError, match="no such file"), pool.borrow():
            pass
    for _ in range(3):
        with pytest.raises(ValueError, match="damaged"), pool.borrow():
            raise ValueError("damaged")
    with pool.borrow() as first, pool.borrow() as second:
        assert first is not second
