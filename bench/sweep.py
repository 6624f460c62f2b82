"""Eigenvalues per second of a whole sweep into HDF5, and of h5py for the same bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bench.report import OUT, goal, scratch, write
from ntkspec.sweeps import External, Local, run_sweep
from ntkspec.sweeps.clusters import dask_client
from ntkspec.sweeps.plan import chunk_shape

RECIPE = """dims = "2:{top}"
degrees = "0:10000"
compression = "{compression}"
block_eigenvalues = {block}
checks = {{samples = 0}}
networks = [{{activation = "{name}"}}]
"""
#: Rows of the tables: 3.2e8 eigenvalues, 5.1 GB uncompressed; with gzip a tenth of that.
TOP, TOP_COMPRESSED = 32_002, 3_202
MEMORY = Path("/dev/shm")


def run(top: int = TOP, compressed: int = TOP_COMPRESSED) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    rows, goals = [], []
    for place, folder in _places(top):
        plain = _row("h5py alone, contiguous", "any", place, "-", 0, top, _plain(folder, top, None))
        chunk = chunk_shape(top - 2, 10_000)
        limit = _row(
            "h5py alone, same chunks", "any", place, "-", 0, top, _plain(folder, top, chunk)
        )
        rows += [plain, limit]
        for name in ("relu", "tanh"):
            for layout in ("single", "virtual"):
                one_core, one, two = (
                    _sweep(name, place, folder, "none", layout, *how, top)
                    for how in ((1, True), (1, False), (2, False))
                )
                rows += [one_core, one, two]
                what = f"{name}, {layout}, {place}"
                goals.append(_rate(f"{what}, one core", one_core))
                goals.append(_speedup(what, one, two))
                goals += _ratios(f"{what}, one core", one_core, limit)
                goals.append(_share(what, one))
    place, folder = _places(compressed)[0]
    for name in ("relu", "tanh"):
        found = [
            _sweep(name, place, folder, "gzip", "single", n, False, compressed) for n in (1, 2)
        ]
        rows += found
        goals.append(_speedup(f"{name}, gzip, single file, {place}", *found))
    write("sweep", rows, goals)
    return goals


def _places(top: int) -> list[tuple[str, Path]]:
    """The disk, and memory if there is room, since the disk's speed is not ours."""
    places = [("disk", OUT)]
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * _bytes(top):
        places.append(("memory", MEMORY))
    return places


def _bytes(top: int) -> int:
    return 16 * (top - 2) * 10_000


def _row(
    what: str, network: str, place: str, layout: str, workers: int, top: int,
    times: tuple[float, float, float],
) -> dict[str, Any]:  # fmt: skip
    size, (seconds, processor, client) = (top - 2) * 10_000, times
    return {
        "what": what, "network": network, "to": place, "layout": layout, "workers": workers,
        "seconds": seconds, "eigenvalues/s": size / seconds, "ns": seconds / size * 1e9,
        "processor": processor, "client": client,
    }  # fmt: skip


def _rate(what: str, row: dict[str, Any]) -> dict[str, Any]:
    rate = row["eigenvalues/s"]
    return goal(f"eigenvalues/s, {what}", ">= 2e7", rate, rate >= 2e7)


def _ratios(what: str, row: dict[str, Any], limit: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Time with the disk, and processor time, over those of h5py."""
    for kind, name in (("seconds", "time"), ("processor", "processor time")):
        ratio = row[kind] / limit[kind]
        yield goal(
            f"{name} over h5py's write in the same chunks, {what}", "<= 1", ratio, ratio <= 1
        )


def _share(what: str, row: dict[str, Any]) -> dict[str, Any]:
    share = row["client"] / (row["processor"] - row["client"])
    figure = f"client and scheduler over one worker, {what}"
    return goal(figure, "<= 0.05", share, share <= 0.05)


def _speedup(what: str, one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    ratio = one["seconds"] / two["seconds"]
    return goal(f"2 workers over 1, {what}", ">= 1.8", ratio, ratio >= 1.8)


def _plain(folder: Path, top: int, chunks: tuple[int, int] | None) -> tuple[float, float, float]:
    """Two arrays of doubles to one file by one process, flushed: seconds, processor time and 0.

    The best of two.
    """
    step = 8 * (chunks or (64, 0))[0]
    band = np.random.default_rng(0).random((step, 10_000))
    best = []
    for _ in range(2):
        with scratch(folder) as there:
            path = Path(there) / "plain.h5"
            start, processor = time.perf_counter(), time.process_time()
            with h5py.File(path, "w") as file:
                for name in ("eigenvalue", "log_eigenvalue"):
                    dataset = file.create_dataset(name, (top - 2, 10_000), "f8", chunks=chunks)
                    for row in range(0, top - 2, step):
                        stop = min(row + step, top - 2)
                        dataset[row:stop] = band[: stop - row]
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
            best.append((time.perf_counter() - start, time.process_time() - processor, 0.0))
    return min(best)


def _sweep(
    name: str, place: str, folder: Path, compression: str, layout: str, workers: int, pinned: bool,
    top: int,
) -> dict[str, Any]:  # fmt: skip
    """One sweep in a new process, without compilation and the start of workers."""
    with scratch(folder) as there:
        recipe = Path(there) / "recipe.toml"
        recipe.write_text(
            RECIPE.format(
                name=name,
                compression=compression,
                top=top,
                block=2**22 if compression == "none" else 2**20,
            )
        )
        arguments = [str(recipe), str(Path(there) / "t.h5"), str(workers), layout, str(int(pinned))]
        done = subprocess.run(
            [sys.executable, "-m", "bench.sweep", *arguments], stdout=subprocess.PIPE, text=True,
            check=True,
        )  # fmt: skip
        times = tuple(json.loads(done.stdout.splitlines()[-1]))
    what = f"sweep, {compression}" + (", on one core" if pinned else "")
    return _row(what, name, place, layout, workers, top, times)


def _measured(recipe: str, out: str, workers: str, layout: Any, pinned: str) -> None:
    """Sweep on workers that have compiled what they need, and print the times.

    Seconds, processor time of all processes, and of this one, client and scheduler.
    """
    if pinned == "1":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with dask_client(Local(int(workers))) as client:
        where = External(client.scheduler.address)
        small = Path(out).with_name("small.toml")
        text = re.sub("dims = .*", 'dims = "2:100"', Path(recipe).read_text())
        small.write_text(re.sub("block_eigenvalues = .*", "block_eigenvalues = 100000", text))
        run_sweep(small, small.with_suffix(".h5"), where, layout=layout)
        workers_before = sum(client.run(time.process_time).values())
        start, processor = time.perf_counter(), time.process_time()
        run_sweep(recipe, out, where, layout=layout)
        seconds, ours = time.perf_counter() - start, time.process_time() - processor
        theirs = sum(client.run(time.process_time).values()) - workers_before
        print(json.dumps([seconds, ours + theirs, ours]))


if __name__ == "__main__":
    _measured(*sys.argv[1:])
