"""Peak memory of a sweep against the size of its table, with the same block size."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.report import goal, write

RECIPE = """
dims = "2:{top}"
degrees = "0:1025"
block_eigenvalues = 65536
checks = {{samples = 0}}
networks = [{{activation = "relu"}}]
"""


def run(tops: tuple[int, int] = (130, 1026)) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for top in tops:
            recipe = Path(folder) / "recipe.toml"
            recipe.write_text(RECIPE.format(top=top))
            out = Path(folder) / f"{top}.h5"
            command = ["-m", "ntkspec", "sweep", str(recipe), "-o", str(out), "--workers", "1"]
            code = f"import bench.memory as m; m.measured({command!r})"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            done.check_returncode()
            megabytes = float(done.stdout.split()[-1])
            size = (top - 2) * 1025
            rows.append({"eigenvalues": size, "table MB": size * 16 / 1e6, "peak MB": megabytes})
    growth = rows[1]["peak MB"] - rows[0]["peak MB"]
    share = growth / (rows[1]["table MB"] - rows[0]["table MB"])
    text = "peak memory gained, of the table's growth"
    goals = [goal(text, "<= 0.5", share, share <= 0.5)]
    write("memory", rows, goals)
    return goals


def measured(command: list[str]) -> None:
    """Run a command and print the peak of its largest process, in MB."""
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
