"""Tasks on a dask cluster: a bounded number at a time, repeated if they fail.

A task of the cluster runs as many tasks of the plan as fit into some seconds, because dask needs
some milliseconds for each of its own.
"""

from __future__ import annotations

import logging
import math
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self, TypeVar

from ntkspec.errors import NtkspecError
from ntkspec.files.appearing import waiting_for_disk
from ntkspec.sweeps.plan import Plan
from ntkspec.sweeps.progress import Tally
from ntkspec.sweeps.provenance import code_digest
from ntkspec.sweeps.recipe import parse_recipe

__all__ = ["Pool"]

IN_FLIGHT = 2  # tasks given to the scheduler for each worker
SECONDS = 3.0  # after which a task begins no further key
MOST_KEYS = 256  # of a task
AT_ONCE = 3  # keys of a task at work: one is computed, the others wait for the disk
ATTEMPTS = 4  # of a task that fails for a temporary reason: memory, a network file system
HEARTBEAT = 5.0  # seconds


class Task(Protocol):
    """Key of a task."""

    @property
    def name(self) -> str:
        """Name of the task."""


Key = TypeVar("Key", bound=Task)
Result = TypeVar("Result")


class Pool:
    """Runs the tasks of a plan on a client's workers; used in a ``with`` block."""

    def __init__(self, client: Any, plan: Plan, folder: Path, tally: Tally) -> None:
        self._client, self._plan, self._folder = client, plan, folder.resolve()
        self._tally = tally
        self._threads, self._beat = 1, 0.0
        self._finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        client.subscribe_topic("all", self._on_message)
        self._heartbeat()

    def __enter__(self) -> Self:
        return self

    @property
    def threads(self) -> int:
        """Number of tasks that run at the same time."""
        return self._threads

    def __exit__(self, *error: object) -> None:
        self._client.unsubscribe_topic("all")

    def run(
        self,
        function: Callable[[Plan, Key, Path], Result],
        keys: Sequence[Key],
        *,
        deadline: float = math.inf,
    ) -> Iterator[tuple[Key, Result]]:
        """Run function(plan, key, folder) for all keys; yield results as they come.

        What is not finished at the deadline, by the monotonic clock, is given up; a task has one
        key then, so that nothing waits for another.
        """
        waiting, returned, left = iter(keys), deque[Key](), len(keys)
        flying: dict[str, tuple[Any, list[Key], int]] = {}
        run, size = secrets.token_hex(4), 1
        most = MOST_KEYS if deadline == math.inf else 1

        def submit(keys: list[Key], attempt: int) -> None:
            future = self._client.submit(
                _on_worker, function, self._plan.recipe.text, code_digest(), keys, self._folder,
                key=f"{function.__name__}-{keys[0].name}-{run}-{attempt}", pure=False,
            )  # fmt: skip
            flying[future.key] = (future, keys, attempt)
            future.add_done_callback(self._finished.put)

        def taken() -> list[Key]:
            # At the end all workers get a share of the keys that are left.
            count = min(size, max(1, left // (IN_FLIGHT * self._threads - 1)))
            some = [returned.popleft() for _ in range(min(count, len(returned)))]
            return some + list(islice(waiting, count - len(some)))

        try:
            while True:
                while len(flying) < IN_FLIGHT * self._threads and (some := taken()):
                    left -= len(some)
                    submit(some, 1)
                if not flying or time.monotonic() > deadline:
                    return
                future = self._next()
                if future is None or future.key not in flying:
                    continue
                if future.status in ("pending", "lost"):
                    # Its result was lost with its worker; the scheduler repeats it.
                    future.add_done_callback(self._finished.put)
                    continue
                _, some, attempt = flying.pop(future.key)
                if future.status == "finished":
                    results = self._result(future)
                    returned += some[len(results) :]
                    left += len(some) - len(results)
                    size = min(2 * len(results), most)
                    yield from zip(some, results, strict=False)
                else:
                    self._check_repeatable(future, some[0], attempt)
                    submit(some, attempt + 1)
        finally:
            self._client.cancel([future for future, _, _ in flying.values()])

    def _next(self) -> Any:
        """Next finished future; None after some seconds without one."""
        if time.monotonic() - self._beat > HEARTBEAT:
            self._heartbeat()
        try:
            return self._finished.get(timeout=HEARTBEAT)
        except queue.Empty:
            return None

    def _result(self, future: Any) -> Any:
        """Result of a finished task, repeated if its worker was lost."""
        while True:
            try:
                return future.result(timeout=HEARTBEAT)
            except TimeoutError:
                self._heartbeat()
            except OSError:  # an error of the connection: those of tasks are their outcomes
                _scheduler_gone()

    def _heartbeat(self) -> None:
        """Check that scheduler and workers are still connected."""
        if self._client.status != "running":
            _scheduler_gone()
        self._beat = time.monotonic()
        try:
            workers = self._client.nthreads()
        except (OSError, RuntimeError, TimeoutError):
            _scheduler_gone()
        self._threads = max(1, sum(workers.values()))
        if not workers:
            self._tally.observer.note("waiting", "no worker is connected; waiting for one")
        self._tally.report()

    def _on_message(self, event: tuple[float, Any]) -> None:
        """Handle messages of the scheduler about lost workers."""
        _, what = event
        if not isinstance(what, dict) or what.get("action") != "remove-worker":
            return
        tasks = len(what.get("processing-tasks") or ())
        if what.get("expected") or not tasks:
            return
        worker = str(what.get("worker", "a worker"))
        self._tally.observer.note(
            "lost",
            f"{worker} is lost; its tasks are repeated",
            worker=worker,
            tasks=tasks,
        )
        self._tally.retried(tasks)

    def _check_repeatable(self, future: Any, key: Task, attempt: int) -> None:
        """Raise unless a failed task should be repeated."""
        if future.status == "cancelled":
            _scheduler_gone()
        error = future.exception()
        if isinstance(error, NtkspecError):
            raise error
        if type(error).__name__ == "KilledWorker":
            raise NtkspecError(
                f"{key.name}: the workers that tried it died (out of memory? killed?); a smaller "
                "block_eigenvalues in the recipe needs less memory"
            )
        if not isinstance(error, (OSError, MemoryError)) or attempt >= ATTEMPTS:
            raise error
        message = f"{key.name} failed ({error!r}) and is repeated"
        self._tally.observer.note("retry", message, task=key.name, error=repr(error))
        self._tally.retried(1)


def _scheduler_gone() -> NoReturn:
    # The client tries to reconnect and would log many lines when it is closed.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    raise NtkspecError("the dask scheduler is gone; run the same command again to resume")


@lru_cache(maxsize=4)
def _plan(text: str) -> Plan:
    return Plan(parse_recipe(text))


def _on_worker(
    function: Callable[[Plan, Any, Path], Any],
    text: str,
    code: str,
    keys: Sequence[Any],
    folder: Path,
) -> list[Any]:
    """Run the first of some keys, and more for some seconds; return the results in order.

    The recipe travels as text, a few hundred bytes.  An error is that of the first key: results
    end before any other that fails.
    """
    from distributed import secede

    if code != code_digest():
        raise NtkspecError("a worker runs another version of ntkspec, numpy, numba or python-flint")
    if not folder.is_dir():
        raise NtkspecError(
            f"a worker cannot access {folder}; use a file system that all workers share"
        )
    plan, end = _plan(text), time.monotonic() + SECONDS
    runs: list[Future[Any]] = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for key in keys:
            next_may_begin = threading.Event()
            runs.append(threads.submit(_run, function, plan, key, folder, next_may_begin))
            next_may_begin.wait()
            if time.monotonic() > end or (runs[-1].done() and runs[-1].exception()):
                break
        if not all(run.done() for run in runs):
            secede()  # the worker starts its next task while these wait for the disk
    results = [runs[0].result()]
    for run in runs[1:]:
        if run.exception():
            break
        results.append(run.result())
    return results


def _run(
    function: Callable[[Plan, Any, Path], Any],
    plan: Plan,
    key: Any,
    folder: Path,
    next_may_begin: threading.Event,
) -> Any:
    """Run one key; the next may begin when it waits for the disk."""
    waiting_for_disk.set(next_may_begin.set)
    try:
        return function(plan, key, folder)
    finally:
        next_may_begin.set()
