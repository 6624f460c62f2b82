"""Cold and warm start of the command line, measured as whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from bench.report import goal, write

EIG = ["-m", "ntkspec", "eig", "relu", "--dim", "3", "--degrees", "0:20"]
COMMANDS = {
    "ntkspec eig relu --dim 3 --degrees 0:20": EIG,
    "ntkspec eig tanh --dim 3 --degrees 0:20": [*EIG[:3], "tanh", *EIG[4:]],
    "ntkspec --help": ["-m", "ntkspec", "--help"],
    "import ntkspec": ["-c", "import ntkspec"],
    "import numpy": ["-c", "import numpy"],
}


def run(repeats: int = 5) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    rows = []
    for name, arguments in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            cold = _process(arguments, {**os.environ, "NUMBA_CACHE_DIR": folder})
        _process(arguments, dict(os.environ))
        warm = [_process(arguments, dict(os.environ)) for _ in range(repeats)]
        rows.append({"command": name, "cold s": cold, "warm s": statistics.median(warm)})
    first = rows[0]["warm s"]
    goals = [goal("ntkspec eig relu as a process, warm", "<= 1 s", first, first <= 1, "s")]
    write("start", rows, goals)
    return goals


def _process(arguments: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start
