"""Time per eigenvalue of tables, and correct digits, compared with scipy and mpmath."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import scipy.special

from bench.report import goal, write
from ntkspec.networks import Network
from ntkspec.spectra import spectrum, table_block
from ntkspec.sweeps.blocks import compute_block
from ntkspec.sweeps.plan import Plan
from ntkspec.sweeps.recipe import parse_recipe

#: Largest dimension and number of degrees.
SIZES = ((256, 2049), (1024, 4097), (100_001, 1), (100_001, 9))
NODES = 2000
WARM = "warm memory"


def run(sizes: tuple[tuple[int, int], ...] = SIZES) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    rows, goals = [], []
    for name in ("relu", "tanh"):
        mine = [row for top, count in sizes for row in _table(name, top, count)]
        rows += mine
        ours = next(row for row in mine if row["how"] == WARM)
        largest = max(
            (row for row in mine if row["how"] == WARM), key=lambda row: row["eigenvalues"]
        )
        spent, over = largest["ns/eigenvalue"], largest["over writing"]
        figure = f"table into warm memory, {name}"
        goals.append(goal(figure, "<= 2.5 ns", spent, spent <= 2.5, "ns"))
        goals.append(goal(f"{figure}, over writing it", "<= 3", over, over <= 3))
        plain = _scipy(name, *sizes[0])
        plain["over ours"] = plain["ns/eigenvalue"] / ours["ns/eigenvalue"]
        rows.append(plain)
        over = plain["over ours"]
        goals.append(goal(f"scipy over ours, {name}", ">= 1000", over, over >= 1000))
    slow = _mpmath()
    ours = next(row for row in rows if row["network"] == "relu" and row["how"] == WARM)
    slow["over ours"] = slow["ns/eigenvalue"] / ours["ns/eigenvalue"]
    rows.append(slow)
    write("spectra", rows, goals)
    return goals


def _row(
    name: str, how: str, top: int, count: int, nanoseconds: float, digits: Any
) -> dict[str, Any]:
    return {
        "network": name, "how": how, "d": f"2..{top}", "k": f"0..{count - 1}",
        "eigenvalues": (top - 1) * count, "ns/eigenvalue": nanoseconds, "writing, ns": "-",
        "over writing": "-", "over ours": 1.0, "digits held": digits,
    }  # fmt: skip


def _table(name: str, top: int, count: int) -> list[dict[str, Any]]:
    """Into warm buffers and into fresh memory, each beside the same bytes written; to disk."""
    dims, degrees = range(2, top + 1), range(count)
    size = len(dims) * count
    warm = (np.ones((len(dims), count)), np.ones((len(dims), count)))

    def block(**out: Any) -> Any:
        return table_block(name, dims, degrees, **out)

    def fill() -> None:
        for array in warm:
            array[:] = 1.0

    def fill_fresh() -> None:
        for array in [np.empty((len(dims), count)) for _ in warm]:
            array[:] = 1.0

    compute, written = _processor_seconds(lambda: block(out=warm), fill)
    fresh, fresh_written = _processor_seconds(block, fill_fresh)
    times = {
        WARM: (compute, written),
        "fresh memory": (fresh, fresh_written),
        "HDF5 blocks": (_to_disk(name, top, count), None),
    }
    digits, rows = _digits(block().relative_error.max()), []
    for how, (spent, writing) in times.items():
        rows.append(_row(name, how, top, count, spent / size * 1e9, digits))
        rows[-1]["over ours"] = spent / compute
        if writing is not None:
            rows[-1] |= {"writing, ns": writing / size * 1e9, "over writing": spent / writing}
    return rows


def _processor_seconds(*functions: Callable[[], Any], repeats: int = 7) -> list[float]:
    """Median processor times of functions that are called in turn, after a first call of each."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats + 1):
        for function, mine in zip(functions, times, strict=True):
            start = time.process_time()
            function()
            mine.append(time.process_time() - start)
    return [statistics.median(mine[1:]) for mine in times]


def _to_disk(name: str, top: int, count: int) -> float:
    text = f'dims = "2:{top + 1}"\ndegrees = "0:{count}"\nnetworks = [{{activation = "{name}"}}]'
    plan = Plan(parse_recipe(text))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        for key in plan:
            compute_block(plan, key, Path(folder))
        return time.perf_counter() - start


def _scipy(name: str, top: int, count: int) -> dict[str, Any]:
    """What a user writes: 2000 nodes, all polynomials at them, a sum; on a few dimensions.

    The nodes are shared by the degrees of a dimension, the cost of both is counted.
    """
    network = Network(name)
    degrees = np.arange(1, count, count // 128 | 1)  # of either parity
    relative, spent, entries = [], 0.0, 0
    for dim in (3, 10, 64):
        start = time.perf_counter()
        values = scipy_spectrum(network, dim, degrees)
        spent += time.perf_counter() - start
        entries += degrees.size
        true = spectrum(network, dim, degrees).eigenvalues
        kept = true > 0
        relative.append(np.abs(values[kept] / true[kept] - 1))
    worst = np.concatenate(relative)
    held = f"none for {np.mean(~(worst < 1)):.0%} of the nonzero ones"
    row = _row(name, f"scipy, {NODES} nodes", top, count, spent / entries * 1e9, held)
    return row


def scipy_spectrum(network: Network, dim: int, degrees: np.ndarray) -> np.ndarray:
    """Eigenvalues by scipy's Gauss-Gegenbauer rule and Gegenbauer polynomials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nu = (dim - 2) / 2
        nodes, weights = scipy.special.roots_gegenbauer(NODES, nu)
        weights = weights / weights.sum()
        values = weights * network.ntk(nodes)
        out = np.empty(degrees.size)
        for i, k in enumerate(degrees):
            polynomial = scipy.special.eval_gegenbauer(int(k), nu, nodes)
            out[i] = values @ polynomial / scipy.special.eval_gegenbauer(int(k), nu, 1.0)
    return out


def _mpmath() -> dict[str, Any]:
    """`quad` at 200 digits, as used for published NTK spectra."""
    start, count, worst = time.perf_counter(), 0, mpmath.mpf(0)
    with mpmath.workdps(200):
        for dim, degree in ((3, 8), (3, 16), (10, 12)):
            nu = mpmath.mpf(dim - 2) / 2

            def integrand(t: Any, nu: Any = nu, degree: int = degree, dim: int = dim) -> Any:
                kernel = t * (mpmath.pi - mpmath.acos(t)) / (2 * mpmath.pi)
                weight = (1 - t * t) ** (mpmath.mpf(dim - 3) / 2)
                return kernel * mpmath.gegenbauer(degree, nu, t) * weight

            c = mpmath.gamma(mpmath.mpf(dim) / 2) / mpmath.sqrt(mpmath.pi)
            c /= mpmath.gamma(mpmath.mpf(dim - 1) / 2)
            value = c * mpmath.quad(integrand, [-1, 0, 1]) / mpmath.gegenbauer(degree, nu, 1)
            ours = spectrum("relu", dim, degree)
            exact = mpmath.ldexp(mpmath.mpf(float(ours.mantissas[0])), int(ours.exponents[0]))
            worst = max(worst, abs(exact / value - 1))
            count += 1
    spent = (time.perf_counter() - start) / count
    text = f"200 asked; ours agree to {_digits(float(worst))}"
    return _row("relu", "mpmath quad, 200 digits", 10, 17, spent * 1e9, text)


def _digits(error: float) -> float:
    return float(np.floor(-10 * np.log10(max(error, 1e-17))) / 10)
