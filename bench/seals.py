"""Cost of verifying seals when a table is opened and a slice of it is read."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

from bench.report import goal, write
from ntkspec.files.seals import SealedFile
from ntkspec.opening import open_table
from ntkspec.sweeps import run_shard
from ntkspec.sweeps.merge import merge
from ntkspec.tables.atlas import atlas_path

RECIPE = """dims = "2:514"
degrees = "0:2048"
compression = "{compression}"
checks = {{samples = 0}}
networks = [{{activation = "relu"}}, {{activation = "tanh"}}]
"""
#: The slices: a few entries, a row, a column, and a rectangle of many chunks.
SLICES: dict[str, dict[str, Any]] = {
    "entries": dict(dim=3, degrees=[1, 11]),
    "row": dict(dim=10),
    "column": dict(degrees=100),
    "all": {},
}
REPEATS = 9


def run() -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as there:
        for name, path, network in _tables(Path(there)):
            for what, choice in SLICES.items():
                sealed, unsealed, plain = _times(path, network, choice)
                cost = sealed / unsealed - 1
                rows.append(
                    {
                        "table": name, "slice": what, "ms": 1e3 * sealed,
                        "without comparing": 1e3 * unsealed, "h5py alone": 1e3 * plain,
                        "cost of the seal": cost,
                    }
                )  # fmt: skip
                goals.append(goal(f"cost of the seal, {name}, {what}", "<= 0.2", cost, cost <= 0.2))
    write("seals", rows, goals)
    return goals


def _tables(folder: Path) -> Iterator[tuple[str, Path, str]]:
    yield "atlas", atlas_path(), "tanh"
    for compression in ("gzip", "none"):
        for layout in ("single", "virtual"):
            path = folder / f"{compression}-{layout}.h5"
            recipe = path.with_suffix(".toml")
            recipe.write_text(RECIPE.format(compression=compression))
            run_shard(recipe, path, "1/1")
            merge([f"{path}.parts"], path, layout=layout)  # type: ignore[arg-type]
            yield f"{compression}, {layout}", path, "tanh"


def _times(path: Path, network: str, choice: dict[str, Any]) -> tuple[float, float, float]:
    """Processor seconds, the smallest of several rounds: sealed, without checksums, h5py."""

    def read() -> None:
        with open_table(path) as table:
            table.select(network, **choice)

    def plain() -> None:
        with h5py.File(path, "r") as file:
            group = file[network]
            rows = np.searchsorted(group["dim"][...], choice.get("dim", group["dim"][...]))
            columns = np.searchsorted(
                group["degree"][...], choice.get("degrees", group["degree"][...])
            )
            for name in ("eigenvalue", "log_eigenvalue"):
                rectangle = (_span(rows), _span(columns))
                group[name][rectangle]

    best = [float("inf")] * 3
    for _ in range(REPEATS):
        best[0] = min(best[0], _timed(read))
        with _not_comparing():
            best[1] = min(best[1], _timed(read))
        best[2] = min(best[2], _timed(plain))
    return best[0], best[1], best[2]


def _span(places: Any) -> slice:
    found = np.atleast_1d(places)
    return slice(int(found.min()), int(found.max()) + 1)


def _timed(function: Callable[[], None]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


@contextmanager
def _not_comparing() -> Iterator[None]:
    """Skip all checksums of structure and chunks."""

    def stored(self: SealedFile, place: int, name: str) -> tuple[bytes, int, int]:
        offset, size, mask, digest = self.seal.chunks[place].tolist()
        return os.pread(self.handle, size, offset), mask, digest

    with (
        mock.patch.object(SealedFile, "check_structure", return_value=None),
        mock.patch.object(SealedFile, "stored", stored),
    ):
        yield
