"""A sweep of 10^12 eigenvalues on 1 to 100,000 workers, extrapolated from measured costs.

Measured: the processor time of blocks of such a sweep (computed, hashed and written), what client
and scheduler spend on each block, the start of a sweep, and the rate of the disk here.
Extrapolated: all workers compute at the measured rate at the same time, client and scheduler serve
one block after another, and a shared file system takes bytes at its whole rate; a sweep takes the
longest of the three, and the start.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import scratch, write
from ntkspec.files.appearing import appearing
from ntkspec.sweeps import External, Local, Plan, parse_recipe, run_sweep
from ntkspec.sweeps.blocks import compute_block
from ntkspec.sweeps.clusters import dask_client
from ntkspec.sweeps.plan import BYTES

TOTAL, DIMS = 10**12, 10**6 - 1
WORKERS = (1, 10, 100, 1000, 10_000, 100_000)
#: Networks as in a recipe, and how many degrees; as many networks as give the total.
NETWORKS = {
    "relu": ('{activation = "relu"}', 10_000),
    "tanh": ('{activation = "tanh"}', 10_000),
    "tanh, depth 3": ('{activation = "tanh", depth = 3}', 1_000),
}
#: Bytes a second of a shared file system.
SHARED = 1e11


def plan_of(dims: int, degrees: int, network: str, more: str = "") -> Plan:
    """Blocks of a sweep."""
    return Plan(
        parse_recipe(
            f'dims = "2:{dims + 2}"\ndegrees = "0:{degrees}"\ncompression = "none"\n'
            f"checks = {{samples = 0}}\nnetworks = [{network}]\n{more}"
        )
    )


def block_seconds(plan: Plan, samples: int) -> tuple[float, float]:
    """Mean processor time and number of eigenvalues of blocks that are drawn from a plan.

    The first is computed twice, and not counted the first time: it compiles.
    """
    drawn = np.random.default_rng(0).integers(0, len(plan), samples).tolist()
    spent = []
    with scratch() as folder:
        for number in (drawn[0], *drawn):
            start = time.process_time()
            compute_block(plan, plan[number], Path(folder))
            spent.append(time.process_time() - start)
            for path in Path(folder).iterdir():
                path.unlink()
    return float(np.mean(spent[1:])), float(np.mean([plan[number].size for number in drawn]))


def sweep_costs(few: int, many: int) -> tuple[float, float]:
    """Seconds until a sweep with one small block ends, and client and scheduler's for each block.

    The latter is processor time, the difference of two sweeps of small blocks.
    """
    spent = []
    with scratch() as there:
        folder, begun = Path(there), time.perf_counter()
        with dask_client(Local(1)) as client:
            for count in (1, few, many):
                recipe, plan = (
                    folder / "r.toml",
                    plan_of(count, 100, '{activation = "relu"}', "block_eigenvalues = 100"),
                )
                recipe.write_text(plan.recipe.text)
                start = time.process_time()
                run_sweep(recipe, folder / f"{count}.h5", External(client.scheduler.address))
                spent.append((time.perf_counter() - begun, time.process_time() - start))
    return spent[0][0], (spent[2][1] - spent[1][1]) / (many - few)


def disk_rate(size: int) -> float:
    """Bytes a second that this machine's disk takes in files of 32 MB, each flushed."""
    data = np.random.default_rng(0).bytes(min(size, 2**25))
    with scratch() as folder:
        start = time.perf_counter()
        for number in range(size // len(data)):
            with appearing(Path(folder) / str(number)) as part:
                part.write_bytes(data)
        return size // len(data) * len(data) / (time.perf_counter() - start)


def hours(
    block: tuple[float, float], workers: int, rate: float, start: float, client: float
) -> tuple[float, str]:
    """Hours of the sweep, and what limits it; `client` is 0 for shards, which have no client."""
    seconds, size = block
    times = {
        "workers": TOTAL / size * seconds / workers,
        "client and scheduler": TOTAL / size * client,
        "file system": TOTAL * BYTES / rate,
    }
    limit = max(times, key=times.__getitem__)
    return (start + times[limit]) / 3600, limit


def run(
    samples: int = 12, blocks: tuple[int, int] = (500, 5000), disk: int = 2**30
) -> list[dict[str, Any]]:
    """Measure, extrapolate, print, write; no goal is set."""
    start, client = sweep_costs(*blocks)
    rate = disk_rate(disk)
    found = {
        name: block_seconds(plan_of(DIMS, degrees, network), samples)
        for name, (network, degrees) in NETWORKS.items()
    }
    costs = [
        {"what": "start of a sweep, s", "measured": start},
        {"what": "client and scheduler, ms a block", "measured": 1e3 * client},
        {"what": "disk here, GB/s", "measured": rate / 1e9},
    ]
    for name, (seconds, size) in found.items():
        costs.append({"what": f"block, {name}, ms", "measured": 1e3 * seconds})
        costs.append({"what": f"block, {name}, ns an eigenvalue", "measured": 1e9 * seconds / size})
    write("scale-costs", costs)
    rows: list[dict[str, Any]] = []
    for name, block in found.items():
        for how, counts, spent, speed in (
            ("dask, this disk", WORKERS[:1], client, rate),
            ("dask", WORKERS, client, SHARED),
            ("shards", WORKERS, 0.0, SHARED),
        ):
            times = [hours(block, count, speed, start, spent) for count in counts]
            shown = [time for time, _ in times] + ["-"] * (len(WORKERS) - len(times))
            rows.append(
                {"hours with workers": f"{name}, {how}"}
                | dict(zip(map(str, WORKERS), shown, strict=True))
                | {"limit at last": times[-1][1]}
            )
    write("scale", rows)
    return []
