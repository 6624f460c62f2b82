"""Running a sweep: blocks and checks as dask tasks, and going on where an earlier run ended."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ntkspec.errors import NtkspecError, TableError
from ntkspec.sweeps.assembly import assemble
from ntkspec.sweeps.blocks import block_path, compute_block, read_block
from ntkspec.sweeps.checks import CheckKey, compute_check, pick_checks, read_check
from ntkspec.sweeps.files import PART
from ntkspec.sweeps.plan import BlockKey, blocks, check_size
from ntkspec.sweeps.provenance import code_digest
from ntkspec.sweeps.recipe import Recipe, group_name, parse_recipe, read_recipe
from ntkspec.tables import open_table
from ntkspec.verification import Check

__all__ = ["SweepResult", "run_sweep"]

CONNECT_SECONDS = 30
IN_FLIGHT = 4  # tasks given to the scheduler for each worker
Progress = Callable[[int, int, int], None]
Task = TypeVar("Task", BlockKey, CheckKey)


@dataclass(frozen=True)
class SweepResult:
    """What a sweep did.

    Attributes
    ----------
    output : Path or None
        The table; None when a shard left the assembly to others.
    computed, reused : int
        Blocks computed now, and found whole from an earlier run.
    """

    output: Path | None
    computed: int
    reused: int


def run_sweep(
    recipe_path: str | Path,
    output: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: str | Path | None = None,
    shard: str | None = None,
    restart: bool = False,
    progress: Progress | None = None,
) -> SweepResult:
    """Compute the table of a recipe; killed at any moment and called again, it goes on.

    Parameters
    ----------
    recipe_path, output : path
    workers : int, optional
        Processes on this machine, one for each processor if not given.
    scheduler, scheduler_file : str, path, optional
        A dask scheduler that runs already, by its address or the file it wrote.
    shard : str, optional
        "I/N": compute the I-th of N parts of the blocks in this process and assemble nothing.
    restart : bool
        Throw away what an earlier run did.
    progress : callable, optional
        Called as ``progress(done, total, eigenvalues)`` after each task.

    Returns
    -------
    SweepResult

    Raises
    ------
    NtkspecError
        When something in the recipe or a parameter is not allowed, when blocks of another recipe
        or of other code are in the way, or when an independent check fails.
    TableError
        When the recipe cannot be read or a file cannot be written.

    Notes
    -----
    With worker processes a script must call this under ``if __name__ == "__main__":``.
    """
    recipe, out = read_recipe(recipe_path), Path(output)
    check_size(recipe)
    part = _parsed_shard(shard)
    if scheduler_file is not None and not Path(scheduler_file).is_file():
        raise NtkspecError(f"scheduler_file = {str(scheduler_file)!r} is not there")
    if workers is not None and (isinstance(workers, bool) or workers < 1):
        raise NtkspecError(f"workers = {workers!r} is not allowed; it must be a whole number >= 1")
    folder = _folder(out)
    with _locked(folder, together=part is not None and not restart):
        if restart:
            shutil.rmtree(folder)
            folder.mkdir()
        elif _finished(recipe, out):
            return SweepResult(out, 0, 0)
        if part is None:
            _sweep_up(folder, out)
        todo, reused = _unfinished(recipe, folder)
        report = _Meter(progress, len(todo) + reused, reused)
        if part is not None:
            share = set(islice(blocks(recipe), part[0], None, part[1]))
            mine = [key for key in todo if key in share]
            for key in mine:
                compute_block(recipe, key, folder)
                report(key.size)
            return SweepResult(None, len(mine), reused)
        with _Cluster(workers, scheduler, scheduler_file) as cluster:
            cluster.run(compute_block, recipe, todo, folder, report)
            found = _checked(recipe, folder, cluster, report)
        assemble(recipe, blocks(recipe), found, folder, out)
        shutil.rmtree(folder, ignore_errors=True)
    return SweepResult(out, len(todo), reused)


def _parsed_shard(shard: str | None) -> tuple[int, int] | None:
    if shard is None:
        return None
    try:
        index, count = (int(part) for part in shard.split("/"))
    except ValueError:
        index, count = 0, 0
    if not 1 <= index <= count:
        raise NtkspecError(f"shard = {shard!r} is not allowed; write I/N with 1 <= I <= N")
    return index - 1, count


def _folder(out: Path) -> Path:
    folder = out.with_name(f"{out.name}.parts")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TableError(f"{folder}: the folder cannot be made ({error.strerror})") from None
    return folder


@contextmanager
def _locked(folder: Path, *, together: bool) -> Iterator[None]:
    """Hold the target's lock, shared by shards; it goes with this process, however that ends."""
    path = folder.with_name(f".{folder.name}.lock")
    kind = fcntl.LOCK_SH if together else fcntl.LOCK_EX
    with path.open("w") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another sweep is at work on {folder.stem}; waiting for it", file=sys.stderr)
            fcntl.flock(file, kind)
        folder.mkdir(exist_ok=True)
        try:
            yield
        finally:
            with suppress(OSError):  # only where it is empty
                folder.rmdir()


def _finished(recipe: Recipe, out: Path) -> bool:
    """Whether the target is whole and what this recipe and this code would make."""
    if not out.exists():
        return False
    try:
        with open_table(out) as table:
            attributes = table.attributes
            if (attributes.get("recipe_digest"), attributes.get("code_digest")) != (
                recipe.digest,
                code_digest(),
            ):
                return False
            table.verify_checksums()
    except TableError as error:
        print(f"{error}; it is made anew", file=sys.stderr)
        return False
    return True


def _sweep_up(folder: Path, out: Path) -> None:
    """Remove what killed runs left half written; the lock says that they are dead."""
    for path in (*folder.glob(f"*{PART}*"), *out.parent.glob(f"{out.name}{PART}*")):
        path.unlink(missing_ok=True)


def _unfinished(recipe: Recipe, folder: Path) -> tuple[list[BlockKey], int]:
    """Blocks to compute, and how many were found whole."""
    todo, whole = [], 0
    for key in blocks(recipe):
        if not block_path(folder, key).exists():
            todo.append(key)
            continue
        try:
            read_block(recipe, key, folder)
            whole += 1
        except TableError as error:
            print(f"{error}; it is computed again", file=sys.stderr)
            todo.append(key)
    known = {block_path(folder, key) for key in blocks(recipe)}
    strange = next((path for path in folder.glob("*.h5") if path not in known), None)
    if strange is not None:
        raise NtkspecError(
            f"{strange} belongs to another recipe; --restart throws such blocks away"
        )
    return todo, whole


def _checked(
    recipe: Recipe, folder: Path, cluster: _Cluster, report: _Meter
) -> dict[int, list[Check]]:
    """Recompute the drawn entries that no earlier run did; raise where one fails."""
    keys = list(pick_checks(recipe, list(blocks(recipe)), folder))
    todo = [key for key in keys if read_check(key, folder) is None]
    report.more(len(keys), len(keys) - len(todo))
    cluster.run(compute_check, recipe, todo, folder, report)
    found: dict[int, list[Check]] = {}
    for key in keys:
        check = read_check(key, folder)
        if check is None:
            raise TableError(f"{folder / key.name}: the check is missing")
        if not check.passed:
            name = group_name(*recipe.networks[key.network])
            raise NtkspecError(
                f"the check of {name} at dim = {check.dim}, degree = {check.degree} failed: off by "
                f"{check.relative_error:.2g} from {check.reference}, promised {check.promised:.2g}"
            )
        found.setdefault(key.network, []).append(check)
    return found


@lru_cache(maxsize=4)
def _recipe(text: str) -> Recipe:
    return parse_recipe(text)


def _on_worker(
    function: Callable[[Recipe, Task, Path], Any], text: str, key: Task, folder: Path
) -> Any:
    """Run a task; the recipe travels as its text, a few hundred bytes."""
    return function(_recipe(text), key, folder)


class _Meter:
    """Counts tasks and eigenvalues for the caller's progress."""

    def __init__(self, progress: Progress | None, total: int, done: int) -> None:
        self._progress = progress or (lambda *_: None)
        self._total, self._done, self._eigenvalues = total, done, 0
        self._progress(done, total, 0)

    def more(self, total: int, done: int) -> None:
        """Tasks found on the way."""
        self._total += total
        self._done += done

    def __call__(self, eigenvalues: int) -> None:
        self._done += 1
        self._eigenvalues += eigenvalues
        self._progress(self._done, self._total, self._eigenvalues)


class _Cluster:
    """A dask client, its own local cluster or another's; started when there is work."""

    def __init__(
        self, workers: int | None, scheduler: str | None, scheduler_file: str | Path | None
    ) -> None:
        self._workers = workers or os.cpu_count() or 1
        self._address = scheduler
        self._file = scheduler_file
        self._client: Any = None
        self._local: Any = None

    def __enter__(self) -> _Cluster:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        for part in (self._client, self._local):
            if part is not None:
                part.close(timeout=5)

    def run(
        self,
        function: Callable[[Recipe, Task, Path], Any],
        recipe: Recipe,
        keys: Iterable[Task],
        folder: Path,
        report: _Meter,
    ) -> None:
        """Run function(recipe, key, folder) for all keys, a bounded number at a time."""
        waiting = deque(keys)
        if not waiting:
            return
        client = self._connected()
        from distributed import as_completed

        folder = folder.resolve()
        sizes: dict[str, int] = {}

        def submit() -> Any:
            key = waiting.popleft()
            future = client.submit(_on_worker, function, recipe.text, key, folder, pure=False)
            sizes[future.key] = getattr(key, "size", 0)
            return future

        count = IN_FLIGHT * max(1, len(client.scheduler_info()["workers"]))
        completed = as_completed([submit() for _ in range(min(count, len(waiting)))])
        for future in completed:
            future.result()
            report(sizes.pop(future.key))
            if waiting:
                completed.add(submit())

    def _connected(self) -> Any:
        if self._client is None:
            from distributed import Client, LocalCluster

            where = self._address or self._file
            if where:
                try:
                    self._client = Client(
                        address=self._address, scheduler_file=self._file, timeout=CONNECT_SECONDS
                    )
                except OSError as error:
                    raise NtkspecError(
                        f"scheduler = {str(where)!r}: no dask scheduler answers there ({error})"
                    ) from None
            else:
                self._local = LocalCluster(
                    n_workers=self._workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=":0",
                    # A task's error is raised here anyway; the rest is noise at the end.
                    silence_logs=logging.CRITICAL,
                )
                self._client = Client(self._local)
        return self._client
