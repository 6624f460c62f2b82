"""Inputs as people have them: densities, Fourier features, vectors of any norm, data sets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.report import goal, write
from ntkspec import Network, Sphere, Torus, spectrum
from ntkspec.domains import Cap, Pieces, VonMises

#: A process of its own, whose peak of memory is that of the data set's spectrum.
DATA = r"""
import json, re, time
import numpy as np
from ntkspec import data_spectrum
x = np.random.default_rng(0).standard_normal(({n}, {dim}))
data_spectrum("relu", x[:600], count=2)
peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) / 1024
before = peak()
wall, start = time.perf_counter(), time.process_time()
s = data_spectrum("relu", x, count=20, further={further})
spent = time.process_time() - start, time.perf_counter() - wall
print(json.dumps([*spent, peak() - before, float(s.residuals[:20].max())]))
"""
CIRCLE = Sphere(2, density=Pieces([1, 2, 4]))


def run(
    degree: int = 199, size: int = 512, points: int = 2000, data: int = 10_000
) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals.

    Densities take degrees to `degree`, tori `size` frequencies along each axis, matrices
    `points` rows, and data sets `data` vectors.
    """
    rows: list[dict[str, Any]] = []
    goals = []
    zonal = Sphere(3, density=VonMises(2.0))
    whole = _row(
        rows, "relu, density of von Mises, d = 3, all blocks", lambda: _whole(zonal, degree)
    )
    goals.append(
        goal(f"a density, relu, d = 3, degrees to {degree}", "<= 4 s", whole, whole <= 4, "s")
    )
    _row(
        rows,
        f"relu, three arcs, {degree // 2} eigenvalues",
        lambda: _largest(CIRCLE, degree // 2, degree),
    )
    _row(rows, f"tanh, cap, d = 5, {degree // 4} eigenvalues",
         lambda: _largest(Sphere(5, density=Cap(2.0)), degree // 4, degree, "tanh"))  # fmt: skip
    torus = Torus.positional_encoding(3, dim=2)
    for name, most in (("tanh", 10.0), ("gelu", 1.0)):
        spent = _row(
            rows, f"{name}, positional encoding, {size} x {size} frequencies",
            lambda n=name: spectrum(Network(n, bias_variance=0.1), torus, size=size).eigenvalues,
        )  # fmt: skip
        what = f"Fourier features in the plane, {name}, {size} x {size}"
        goals.append(goal(what, f"<= {most:g} s", spent, spent <= most, "s"))
    x = np.random.default_rng(0).standard_normal((points, 30))
    for network in (
        Network("relu"),
        Network("relu", depth=3, bias_variance=0.1),
        Network("gelu", depth=2),
        Network("tanh"),
    ):
        _row(rows, f"matrix of {points} vectors, {network!r}",
             lambda n=network: n.ntk_matrix(x, fan_in=True))  # fmt: skip
    for dim, further in ((10, 0), (50, 0), (10, 40)):
        goals += _data_set(rows, data, dim, further)
    write("inputs", rows, goals)
    return goals


def _data_set(
    rows: list[dict[str, Any]], size: int, dim: int, further: int
) -> list[dict[str, Any]]:
    """Twenty eigenvalues of a kernel matrix, and further ones as they come."""
    code = DATA.format(n=size, dim=dim, further=further)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    processor, wall, peak, residual = json.loads(done.stdout)
    what = f"20{f' + {further}' if further else ''} eigenvalues, relu, {size} vectors, d = {dim}"
    rows.append(
        {
            "what": what, "first, processor s": processor, "again, processor s": processor,
            "again, s": wall,
        }
    )  # fmt: skip
    return [
        goal(what, "<= 30 s", wall, wall <= 30, "s"),
        goal(f"{what}, residual", "<= 1e-6", residual, residual <= 1e-6),
        goal(f"{what}, memory", "<= 300 MB", peak, peak <= 300, "MB"),
    ]


def _row(rows: list[dict[str, Any]], what: str, call: Callable[[], Any]) -> float:
    """Time a call for the first time, and again with other arrays kept; return the second."""
    spent = []
    for _ in range(2):
        wall, start = time.perf_counter(), time.process_time()
        call()
        spent.append((time.process_time() - start, time.perf_counter() - wall))
    rows.append(
        {
            "what": what, "first, processor s": spent[0][0],
            "again, processor s": spent[1][0], "again, s": spent[1][1],
        }
    )  # fmt: skip
    return spent[1][0]


def _whole(domain: Sphere, degree: int) -> Any:
    return spectrum("relu", domain, max_degree=degree).eigenvalues


def _largest(domain: Sphere, count: int, degree: int, name: str = "relu") -> Any:
    network = Network(name, bias_variance=0.1)
    return spectrum(network, domain, count=count, max_degree=degree).eigenvalues
