"""Cost for 1 to 64 times as many degrees and dimensions; one spectrum, cold and warm."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

from bench.report import goal, seconds, write
from ntkspec.networks import Network
from ntkspec.spectra import spectrum, table_block

STEPS = (1, 4, 16, 64)


def run(steps: tuple[int, ...] = STEPS) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    rows = []
    for name in ("relu", "tanh"):
        for factor in steps:
            degrees = range(256 * factor)
            time_k = seconds(lambda d=degrees, n=name: spectrum(n, 3, d), 3)
            dims = range(2, 2 + 16 * factor)
            time_d = seconds(lambda d=dims, n=name: table_block(n, d, range(512)), 3)
            rows.append(
                {
                    "network": name, "factor": factor,
                    "spectrum, k <": degrees.stop, "us/degree": time_k / degrees.stop * 1e6,
                    "table 512 degrees, dims": len(dims),
                    "ns/eigenvalue": time_d / len(dims) / 512 * 1e9,
                }
            )  # fmt: skip
    write("growth", rows)
    return single()


def single() -> list[dict[str, Any]]:
    """One spectrum of degrees 0..1000: the first call, and later ones, each of a new network."""
    rows, goals = [], []
    numbers = count(1)
    for name in ("relu", "leaky_relu", "sigmoid", "tanh"):
        spectrum(name, 3, range(11))
        for dim in (3, 100):
            fresh = Network(name, weight_variance=1.0 + dim * 1e-6)
            start = time.perf_counter()
            spectrum(fresh, dim, range(1001))
            first = time.perf_counter() - start
            others = (Network(name, weight_variance=1.0 + i / 128) for i in numbers)
            warm = seconds(lambda nets=others, d=dim: spectrum(next(nets), d, range(1001)))
            row = {"network": name, "d": dim, "first ms": first * 1e3, "warm ms": warm * 1e3}
            rows.append(row)
    worst = max(row["warm ms"] for row in rows)
    goals.append(goal("one spectrum, k <= 1000, warm", "<= 5 ms", worst, worst <= 5, "ms"))
    write("single", rows, goals)
    return goals
