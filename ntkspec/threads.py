"""How many threads may be used, and BLAS on one of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ntkspec.parameters import whole_number

__all__ = ["available_threads", "checked_threads", "one_blas_thread", "thread_pool"]

#: Threads at most, where the environment does not say.
MOST_THREADS = 64


def available_threads() -> int:
    """Threads to use: the processors of this process, or what the environment allows.

    Workers of a cluster have OMP_NUM_THREADS = 1, since each of them has a processor.

    Examples
    --------
    >>> available_threads() >= 1
    True
    """
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(there or 1, int(allowed) if allowed.isdecimal() else MOST_THREADS))


def checked_threads(threads: int | None) -> int:
    """Return a number of threads, by default those available, or raise.

    Examples
    --------
    >>> checked_threads(2)
    2
    """
    return available_threads() if threads is None else whole_number(threads, "threads", least=1)


@lru_cache(maxsize=8)
def thread_pool(threads: int) -> ThreadPoolExecutor:
    """Threads that are kept for short pieces of work.

    Examples
    --------
    >>> list(thread_pool(2).map(abs, [-1, 2]))
    [1, 2]
    """
    # What overflows is seen by the caller, whose error state threads do not have.
    return ThreadPoolExecutor(threads, "ntkspec", np.seterr, ("ignore",))


_lock = threading.Lock()
_limits: list[Any] = []
_users = 0


@cache
def _libraries() -> Any:
    """BLAS libraries of this process, numpy's and scipy's, which take a millisecond to find."""
    import scipy.linalg  # noqa: F401 (its library would escape if it were loaded later)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Have BLAS use one thread until the last of the threads that asked for it is done.

    The results of a product then do not depend on the number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> with one_blas_thread():
    ...     _ = np.eye(2) @ np.eye(2)
    """
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _limits.append(_libraries().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limits.pop().restore_original_limits()
