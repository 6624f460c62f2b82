"""Times of tables, single spectra and enclosures by seeds in ball arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bench.report import goal, write
from ntkspec.conventions import check_degrees
from ntkspec.networks import Network
from ntkspec.spectra import table_block
from ntkspec.spectra.certified import certify
from ntkspec.spectra.rows import both_parities
from ntkspec.spectra.seeds import BallSeeds


def run(top: int = 129, degrees: int = 1001) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    deep = Network("tanh", depth=3)
    _once(lambda: table_block(Network("relu", depth=2), range(2, 5), range(4)))  # compilation
    table = _once(lambda: table_block(deep, range(2, top), range(degrees)))
    single = min(_fresh(Network("relu", depth=2), 3, 201) for _ in range(3))
    rows = [
        _row(f"table, tanh, depth 3, d = 2..{top - 1}, k < {degrees}", table),
        _row("spectrum, relu, depth 2, d = 3, k <= 200", single),
    ]
    for name in ("gelu", "elu", "silu", "step"):
        network = Network(name, depth=3, bias_variance=0.1)
        kernel = "nngp" if name == "step" else "ntk"
        seconds = _fresh(network, 3, 101, kernel)
        rows.append(_row(f"spectrum, {name}, depth 3, bias, d = 3, k <= 100", seconds))
    for name in ("relu", "tanh"):
        network = Network(name, depth=2)
        seconds = _once(lambda n=network: certify(n, 3, range(31), digits=20))
        rows.append(_row(f"enclosures to 20 digits, {name}, depth 2, d = 3, k <= 30", seconds))
    goals = [
        goal("table, tanh, depth 3, one core", "< 60 s", table, table < 60.0, "s"),
        goal("spectrum, relu, depth 2, k <= 200", "< 0.5 s", single, single < 0.5, "s"),
    ]
    write("seeds", rows, goals)
    return goals


def _row(what: str, seconds: float) -> dict[str, Any]:
    return {"what": what, "processor seconds": seconds}


def _once(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _fresh(network: Network, dim: int, count: int, kernel: Any = "ntk") -> float:
    """With new seeds, so that no earlier results are used."""
    seeds = BallSeeds.of_network(network, kernel)
    return _once(lambda: both_parities(seeds, dim, check_degrees(range(count))))
