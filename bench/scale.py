"""A sweep of 10^12 eigenvalues on 1 to 100,000 workers, simulated with measured costs.

Measured in the same run: the processor time of blocks (computed, hashed, packed into their files)
and the bytes of these, the rate of the disk here, what scheduler and client spend on a task that
does nothing, and the start of a worker.  Simulated: workers that compute, a scheduler and client
that serve one task at a time, a file system that writes one block at a time at its whole rate.
The cost of a task to the scheduler is taken to be the same with many workers as with two.
"""

from __future__ import annotations

import heapq
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import goal, write
from ntkspec.files.appearing import appearing
from ntkspec.sweeps.blocks import compute_block
from ntkspec.sweeps.plan import Plan
from ntkspec.sweeps.recipe import parse_recipe

TOTAL = 10**12
IN_FLIGHT = 4  # tasks for each worker, as in a sweep
#: Tasks simulated individually, at least eight per worker; the others at the resulting rate.
SIMULATED = 100_000
WORKERS = (1, 10, 100, 1000, 10_000, 100_000)
NETWORKS = {
    "relu": 'activation = "relu"',
    "tanh": 'activation = "tanh"',
    "tanh, depth 3": 'activation = "tanh"\ndepth = 3',
}
SIZES = (2**14, 2**17, 2**21, 2**24)
USUAL = 2**21
SHARED = (1e10, 1e11)


@dataclass(frozen=True)
class Costs:
    """Input of a simulation.

    Attributes
    ----------
    seconds : sequence of float
        Processor time of a block; one of these is drawn for each.
    bytes : float
        Of a block's file.
    scheduler : float
        Seconds of the scheduler and the client for each task; 0 for shards.
    start : float
        Seconds until a worker is ready.
    rate : float
        Bytes a second of the file system.
    """

    seconds: Sequence[float]
    bytes: float
    scheduler: float
    start: float
    rate: float


@dataclass(frozen=True)
class Outcome:
    """Seconds of a sweep, the share of the workers' time spent computing, and the bottleneck."""

    seconds: float
    efficiency: float
    limit: str


# --- the simulation ------------------------------------------------------------------------------


def simulate(costs: Costs, workers: int, tasks: int, seed: int = 0) -> Outcome:
    """Simulate a sweep of some tasks on some workers."""
    count = min(tasks, max(SIMULATED, 8 * workers))
    drawn = np.random.default_rng(seed).choice(np.asarray(costs.seconds), count).tolist()
    ends = _play(costs, workers, drawn)
    seconds = ends[-1]
    if count < tasks:  # all waves after the first are equal
        seconds += (tasks - count) * (ends[-1] - ends[workers - 1]) / (count - workers)
    busy = tasks * float(np.mean(costs.seconds)) / workers
    shares = {
        "compute": busy,
        "scheduler": tasks * costs.scheduler,
        "file system": tasks * costs.bytes / costs.rate,
        "start": costs.start,
    }
    return Outcome(seconds, busy / seconds, max(shares, key=shares.__getitem__))


def _play(costs: Costs, workers: int, drawn: list[float]) -> list[float]:
    """Times at which tasks end, in order; a worker's next task, if any, is waiting."""
    waiting = deque(enumerate(drawn))
    ready: deque[tuple[float, float]] = deque()
    scheduler, disk = 0.0, 0.0
    events: list[tuple[float, int, int]] = []  # time, 0: computed, 1: written, worker
    ends: list[float] = []

    def submit(now: float) -> None:
        """The client and the scheduler take up one more task once they are free."""
        nonlocal scheduler
        if waiting:
            scheduler = max(scheduler, now) + costs.scheduler
            ready.append((scheduler, waiting.popleft()[1]))

    def begin(now: float, worker: int) -> None:
        if ready:
            at, spent = ready.popleft()
            heapq.heappush(events, (max(now, at) + spent, 0, worker))

    for _ in range(IN_FLIGHT * workers):
        submit(0.0)
    for worker in range(min(workers, len(drawn))):
        begin(costs.start, worker)
    while events:
        now, kind, worker = heapq.heappop(events)
        if kind == 0:
            disk = max(disk, now) + costs.bytes / costs.rate
            heapq.heappush(events, (disk, 1, worker))
        else:
            ends.append(now)
            submit(now)
            begin(now, worker)
    return ends


# --- measured costs ------------------------------------------------------------------------------


def plan_of(network: str, size: int, count: int = 1) -> Plan:
    """Some blocks of a size; a deep network's with few degrees, where its seeds are quick."""
    columns = min(size, 1024 if "depth" in network else 4096)
    rows = size // columns * count
    text = (
        f'dims = "2:{rows + 2}"\ndegrees = "0:{columns}"\nblock_eigenvalues = {size}\n'
        f'compression = "none"\nchecks = {{samples = 0}}\n[[networks]]\n{NETWORKS[network]}'
    )
    return Plan(parse_recipe(text))


def block_costs(network: str, size: int, repeats: int) -> tuple[list[float], int]:
    """Processor times of blocks, from their computation to their files, and a file's bytes.

    No two are the same, as duals in ball arithmetic are remembered at their precision; the first
    is not counted: it compiles, and computes the coefficients of a series.
    """
    plan, spent, held = plan_of(network, size, repeats + 1), [], 0
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for key in plan:
            start = time.process_time()
            compute_block(plan, key, Path(folder))
            spent.append(time.process_time() - start)
            for path in Path(folder).iterdir():
                held = path.stat().st_size
                path.unlink()
    return spent[1:], held


def disk_rate(size: int, count: int) -> float:
    """Bytes a second that this machine's disk takes in files of a size, each flushed."""
    data = np.random.default_rng(0).bytes(size)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        start = time.perf_counter()
        for number in range(count):
            with appearing(Path(folder) / str(number)) as part:
                part.write_bytes(data)
        return size * count / (time.perf_counter() - start)


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A client of a new cluster, whose scheduler runs in this process."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as local,
        Client(local) as client,
    ):
        yield client


def run_tasks(client: Any, function: Callable[..., Any], tasks: Iterable[Any], most: int) -> None:
    """Run function(*task) for all tasks, some at a time, as the sweep does."""
    from distributed import as_completed

    waiting = iter(tasks)

    def submit() -> Iterator[Any]:
        for task in waiting:
            yield client.submit(function, *task, pure=False)

    more = submit()
    completed = as_completed([future for _, future in zip(range(most), more, strict=False)])
    for future in completed:
        future.result()
        completed.update([future for _, future in zip(range(1), more, strict=False)])


def nothing(text: str, number: int) -> str:
    """Do nothing with a task the size of a block's."""
    return f"{len(text)} {number}"


def scheduler_costs(workers: int, tasks: int) -> tuple[float, float]:
    """Seconds and processor seconds, of scheduler and client, for a task that does nothing."""
    text = plan_of("relu", 2**17).recipe.text
    with cluster(workers) as client:
        run_tasks(client, nothing, ((text, n) for n in range(100)), IN_FLIGHT * workers)
        start, processor = time.perf_counter(), time.process_time()
        run_tasks(client, nothing, ((text, n) for n in range(tasks)), IN_FLIGHT * workers)
        spent = time.perf_counter() - start
        return spent / tasks, (time.process_time() - processor) / tasks


def real_seconds(workers: int, network: str, size: int, count: int) -> float:
    """Seconds of a real sweep of some blocks, once its workers have started."""
    plan = plan_of(network, size, count)
    with tempfile.TemporaryDirectory(dir=".") as folder, cluster(workers) as client:
        client.run(_warm, plan, plan[0], Path(folder).resolve())
        start = time.perf_counter()
        tasks = ((plan, key, Path(folder).resolve()) for key in plan)
        run_tasks(client, compute_block, tasks, IN_FLIGHT * workers)
        return time.perf_counter() - start


def _warm(plan: Plan, key: Any, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        compute_block(plan, key, Path(own))


def start_seconds() -> float:
    """Seconds until a worker has computed a first, small block."""
    start = time.perf_counter()
    real_seconds(1, "relu", 2**10, 1)
    return time.perf_counter() - start


# --- the report ----------------------------------------------------------------------------------


def run(
    sizes: tuple[int, ...] = SIZES, workers: tuple[int, ...] = WORKERS, tasks: int = 4000,
    repeats: int = 5, deep: int = 2**16, real: float = 10.0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Measure, simulate, print, write; return the goals."""
    idle = {count: scheduler_costs(count, tasks) for count in (1, 2)}
    scheduler = idle[2][1]
    start = start_seconds()
    found = {
        (name, size): block_costs(name, size, 2 if "depth" in name else repeats)
        for name in NETWORKS
        for size in ((deep,) if "depth" in name else sizes)
    }
    size = sizes[-2:][0]
    held, blocks_held = found["tanh", size][1], int(real / np.median(found["tanh", size][0]))
    disk = disk_rate(held, max(8, blocks_held))
    inputs = [
        {"what": f"scheduler and client, {count} workers, s a task", "measured": wall}
        for count, (wall, _) in idle.items()
    ]
    inputs += [
        {"what": "of it processor time, s a task", "measured": scheduler},
        {"what": "disk here, bytes/s", "measured": disk},
        {"what": "start of a worker, s", "measured": start},
    ]
    write("scale-inputs", inputs)
    write("scale-blocks", [_block_row(*key, *cost, scheduler) for key, cost in found.items()])
    write("scale", list(_rows(found, scheduler, start, disk, workers)))
    return _validated(found, scheduler, disk, size, real)


def _block_row(
    name: str, size: int, spent: list[float], held: int, scheduler: float
) -> dict[str, Any]:
    seconds = float(np.median(spent))
    return {
        "network": name, "block": size, "s a block": seconds, "ns/eigenvalue": seconds / size * 1e9,
        "MB": held / 1e6, "workers at the scheduler's limit": seconds / scheduler,
    }  # fmt: skip


def _rows(
    found: dict[tuple[str, int], tuple[list[float], int]],
    scheduler: float,
    start: float,
    disk: float,
    workers: tuple[int, ...],
) -> Iterator[dict[str, Any]]:
    for (name, size), (spent, held) in found.items():
        # Of the block size by default: without dask, slower file systems, one machine's disk.
        runs = [(scheduler, SHARED[-1])]
        if "depth" in name or size == USUAL:
            runs += [(scheduler, SHARED[0]), (0.0, SHARED[0]), (0.0, SHARED[-1])]
            runs += [(scheduler, disk)]
        for cost, rate in runs:
            for count in workers if rate != disk else workers[:1]:
                costs = Costs(spent, held, cost, start, rate)
                outcome = simulate(costs, count, -(-TOTAL // size))
                yield {
                    "network": name, "block": size, "GB/s": rate / 1e9,
                    "run": "dask" if cost else "shards", "workers": count,
                    "hours": outcome.seconds / 3600, "efficiency": outcome.efficiency,
                    "limit": outcome.limit,
                }  # fmt: skip


def _validated(
    found: dict[tuple[str, int], tuple[list[float], int]],
    scheduler: float,
    disk: float,
    size: int,
    real: float,
) -> list[dict[str, Any]]:
    """A small real sweep, compared with its simulation."""
    spent, held = found["tanh", size]
    count = max(8, int(real / np.median(spent)))
    rows = []
    for workers in (1, 2):
        measured = real_seconds(workers, "tanh", size, count)
        costs = Costs(spent, held, scheduler, 0.0, disk)
        simulated = simulate(costs, workers, count).seconds
        rows.append(
            {
                "workers": workers, "blocks": count, "simulated s": simulated,
                "measured s": measured, "ratio": simulated / measured,
            }
        )  # fmt: skip
    worst = max(max(row["ratio"], 1.0 / row["ratio"]) for row in rows)
    goals = [goal("simulated sweep over measured", "within 1.5", worst, worst <= 1.5)]
    write("scale-validation", rows, goals)
    return goals
