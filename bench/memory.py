"""Peak memory of a sweep's client and workers, for different sizes of its table."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.report import goal, scratch, write

RECIPE = """
dims = "2:{top}"
degrees = "0:10000"
compression = "none"
block_eigenvalues = 1048576
checks = {{samples = 0}}
networks = [{{activation = "relu"}}]
"""
#: Rows of 10^4 degrees: 10^7 and 10^8 eigenvalues computed, 10^9 planned.
TOPS, PLANNED = (1_002, 10_002), 100_002
SAMPLED_EVERY = 0.02


def run(tops: tuple[int, int] = TOPS, planned: int = PLANNED) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    with scratch() as there:
        rows = [_sweep(Path(there), top, "--workers", "1", "--layout", "virtual") for top in tops]
        rows.append(_sweep(Path(there), planned, "--plan"))
    goals = []
    for who in ("client", "worker"):
        growth = rows[1][f"{who} MB"] / rows[0][f"{who} MB"]
        text = f"peak memory of the {who}, table {(tops[1] - 2) / (tops[0] - 2):.3g} times larger"
        goals.append(goal(text, "<= 1.15", growth, growth <= 1.15, "times"))
    size, seconds = rows[2]["eigenvalues"], rows[2]["seconds"]
    goals.append(goal(f"planning {size:.3g} eigenvalues", "<= 5", seconds, seconds <= 5, "s"))
    growth = rows[2]["client MB"] / rows[0]["client MB"]
    text = "peak memory of planning them, over the smaller sweep"
    goals.append(goal(text, "<= 1.15", growth, growth <= 1.15, "times"))
    write("memory", rows, goals)
    return goals


def _sweep(folder: Path, top: int, *options: str) -> dict[str, Any]:
    """One sweep as a process, measured from outside."""
    recipe = folder / f"{top}.toml"
    recipe.write_text(RECIPE.format(top=top))
    out = folder / f"{top}.h5"
    command = [sys.executable, "-m", "ntkspec", "sweep", str(recipe), "-o", str(out), *options]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        peaks = _watched(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    size = (top - 2) * 10_000
    return {
        "eigenvalues": size, "what": options[0].strip("-"), "table MB": size * 16 / 1e6,
        "seconds": time.perf_counter() - start,
        "client MB": peaks["client"], "worker MB": peaks["worker"],
    }  # fmt: skip


def _watched(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Largest resident memory of the process and of any of its children, in MB, while it runs."""
    peaks = {"client": 0.0, "worker": 0.0}
    ended = threading.Event()

    def look() -> None:
        client = psutil.Process(process.pid)
        while not ended.wait(SAMPLED_EVERY):
            with suppress(psutil.Error):  # one that has just ended
                for one in (client, *client.children(recursive=True)):
                    who = "client" if one == client else "worker"
                    peaks[who] = max(peaks[who], one.memory_info().rss / 1e6)

    watcher = threading.Thread(target=look)
    watcher.start()
    process.wait()
    ended.set()
    watcher.join()
    return peaks
