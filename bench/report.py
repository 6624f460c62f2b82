"""Common code of the benchmarks: timing, tables on the screen, JSON files."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OUT = Path("out/bench")
console = Console(width=None if os.isatty(1) else 130)


def scratch(folder: Path = OUT) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder; git does not look below OUT, should a run be killed."""
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=folder.resolve())


def seconds(function: Callable[[], Any], repeats: int = 7) -> float:
    """Median time of a call, after a first one that is not counted (compilation, caches)."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def write(name: str, rows: Sequence[dict[str, Any]], goals: Sequence[dict[str, Any]] = ()) -> None:
    """Print rows as a table and write them, with the machine's facts, as JSON."""
    if rows:
        table = Table(*rows[0].keys(), title=name, box=None)
        for row in rows:
            table.add_row(*(_cell(value) for value in row.values()))
        console.print(table)
    OUT.mkdir(parents=True, exist_ok=True)
    document = {"name": name, "machine": machine(), "rows": list(rows), "goals": list(goals)}
    (OUT / f"{name}.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def goal(what: str, wanted: str, measured: float, met: bool, unit: str = "") -> dict[str, Any]:
    """One line of the summary."""
    return {"figure": what, "goal": wanted, "measured": measured, "unit": unit, "met": bool(met)}


def machine() -> dict[str, Any]:
    """Processor, cores, versions, date and commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    libraries = ("numpy", "scipy", "numba", "mpmath", "h5py")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
