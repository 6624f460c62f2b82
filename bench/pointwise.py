"""Pointwise kernels against neural-tangents: time per entry, and error against 30 digits.

The digits are those of tests/data/neural_tangents.csv.  neural-tangents does not import
with today's JAX; its side runs in an environment made for it (`bench.neural_tangents`), with
doubles, compiled beforehand.  Both sides run on one core and count its time, so that others on
the machine do not matter.  "as erf" is their Sigmoid_like, a scaled erf in place of the sigmoid;
what has no closed form there is their Gauss-Hermite rule, ElementwiseNumerical.
"""

from __future__ import annotations

import contextlib
import csv
import math
import os
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

from bench.neural_tangents.environment import ask
from bench.report import console, goal, write
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network

REFERENCES = Path("tests/data/neural_tangents.csv")
NUMBERS = {
    "slope": float, "power": int, "nodes": int, "depth": int,
    "weight_variance": float, "bias_variance": float,
}  # fmt: skip
POINTS, POINTS_BY_NODES, DIM = 600, {25: 60, 100: 30}, 10


def run(
    depths: tuple[int, ...] = (1, 2, 3, 4), points: int = POINTS, theirs: bool = True
) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    cases = [case for case in references() if case["network"]["depth"] in depths]
    with one_core():
        answers = _theirs(cases, points) if theirs else [{} for _ in cases]
        ours = _all_ours(cases, points)
    rows = [_row(*sides) for sides in zip(cases, ours, answers, strict=True)]
    goals = _goals(rows)
    write("pointwise", rows, goals)
    return goals


def _goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    errors = [row[name] for row in rows for name in ("error", "at 1") if row[name] != "-"]
    numbers = [error for error in errors if error != "nan"]
    if not numbers:
        return []
    worst, met = max(numbers), len(numbers) == len(errors) and max(numbers) <= 1e-13
    goals = [goal("pointwise kernels, error over K(1)", "<= 1e-13", worst, met)]
    # Closed forms of both sides; "as erf" and quadratures are something else.
    deep = [row for row in rows if row["depth"] > 1 and row["their side"] == "closed"]
    for which, some in (
        ("gaussian", [row for row in deep if row["network"] == "gaussian"]),
        ("the others", [row for row in deep if row["network"] != "gaussian"]),
    ):
        ratios = [row["ratio"] for row in some if row["ratio"] != "-"]
        if ratios:
            what = f"their time over ours, closed forms of depth 2 to 4, least: {which}"
            goals.append(goal(what, ">= 1", min(ratios), min(ratios) >= 1.0))
    return goals


def references(path: Path = REFERENCES) -> list[dict[str, Any]]:
    """Networks of the file, with t and the exact kernel, and neural-tangents' variants of them."""
    cases: dict[tuple[str, ...], dict[str, Any]] = {}
    with path.open() as file:
        for row in csv.DictReader(line for line in file if line[0] != "#"):
            key = tuple(row[name] for name in ("activation", *NUMBERS))
            network = {n: number(row[n]) for n, number in NUMBERS.items() if row[n]}
            nodes = network.pop("nodes", None)
            network = {"activation": row["activation"], **network}
            kernel = "nngp" if row["exact_ntk"] == "nan" else "ntk"
            new = {"network": network, "nodes": nodes, "kernel": kernel, "t": [], "exact": []}
            case = cases.setdefault(key, new)
            case["t"].append(float(row["t"]))
            case["exact"].append(mpmath.mpf(row[f"exact_{kernel}"]))
    return [other for case in cases.values() for other in (case, *_other_ways(case))]


def _other_ways(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if case["nodes"] and case["network"]["depth"] == 1:
        yield {**case, "nodes": 100}
    if case["network"]["activation"] == "sigmoid":
        yield {**case, "nodes": None}


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and its children on one core, if the system allows it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(function: Callable[[], Any], repeats: int = 5) -> float:
    """Median processor time of a call, after one that is not counted, as `measure.py` has it."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def _all_ours(cases: list[dict[str, Any]], points: int) -> list[dict[str, Any]]:
    """Our answers for all cases, once per network; empty, with the reason, if refused."""
    done: dict[str, dict[str, Any]] = {}
    refused: Counter[str] = Counter()
    for case in cases:
        key = str(case["network"])
        if key in done:
            continue
        try:
            done[key] = _ours(case, points)
        except (NtkspecError, TypeError) as refusal:
            done[key] = {}
            refused[f"{_name(case)}: {refusal}"] += 1
    for reason, count in refused.items():
        console.print(f"skipped ({count}): {reason}", highlight=False)
    return [done[str(case["network"])] for case in cases]


def _ours(case: dict[str, Any], points: int) -> dict[str, Any]:
    """Values at t and times per entry."""
    net = Network(**case["network"], trained="all")
    values = getattr(net, case["kernel"])(case["t"])
    x = np.random.default_rng(0).standard_normal((points, DIM))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    matrix, pointwise = getattr(net, f"{case['kernel']}_matrix"), getattr(net, case["kernel"])
    t = np.linspace(-1.0, 1.0, points * 20)
    return {
        case["kernel"]: [float(value) for value in values],
        "seconds": cpu_seconds(lambda: matrix(x)) / points**2,
        "seconds_t": cpu_seconds(lambda: pointwise(t)) / t.size,
    }


def _theirs(cases: list[dict[str, Any]], points: int) -> list[dict[str, Any]]:
    """Answers of neural-tangents; empty, with a message, if it cannot be installed."""
    requests = []
    for case in cases:
        size = min(points, POINTS_BY_NODES.get(case["nodes"], points))
        request = {**case["network"], **{name: case[name] for name in ("nodes", "kernel", "t")}}
        requests.append({**request, "points": size, "dim": DIM})
    try:
        answer = ask(requests)
    except (OSError, subprocess.CalledProcessError) as failure:
        console.print(f"skipped: neural-tangents: {failure}", highlight=False)
        return [{} for _ in cases]
    console.print("the other side:", answer["versions"], highlight=False)
    results: list[dict[str, Any]] = answer["results"]
    return results


def _row(case: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    inner, at_one = _errors(case, ours)
    their_inner, their_at_one = _errors(case, theirs)
    network = case["network"]
    both = ours and theirs
    return {
        "network": _name(case),
        "depth": network["depth"],
        "s_w": network["weight_variance"],
        "s_b": network["bias_variance"],
        "ns": ours["seconds"] * 1e9 if ours else "-",
        "ns, ntk(t)": ours["seconds_t"] * 1e9 if ours else "-",
        "their side": _how(case),
        "their ns": theirs["seconds"] * 1e9 if theirs else "-",
        "ratio": theirs["seconds"] / ours["seconds"] if both else "-",
        "error": inner,
        "their error": their_inner,
        "at 1": at_one,
        "theirs at 1": their_at_one,
    }


def _errors(case: dict[str, Any], side: dict[str, Any]) -> tuple[Any, Any]:
    """Worst error over K(1) at the t below 1, and at 1; "nan" for what is not a number."""
    if not side:
        return "-", "-"
    top, inner, at_one = abs(case["exact"][-1]), [], []
    for t, value, exact in zip(case["t"], side[case["kernel"]], case["exact"], strict=True):
        with mpmath.workdps(40):
            held = value is not None and math.isfinite(value)
            error = float(abs(mpmath.mpf(value) - exact) / top) if held else "nan"
        (at_one if t == 1 else inner).append(error)
    return _worst(inner), _worst(at_one)


def _worst(errors: list[Any]) -> Any:
    return "nan" if "nan" in errors else max(errors)


def _name(case: dict[str, Any]) -> str:
    network = case["network"]
    extra = [f"{name} {network[name]}" for name in ("slope", "power") if name in network]
    kernel = ["nngp"] if case["kernel"] == "nngp" else []
    return " ".join([network["activation"], *extra, *kernel])


def _how(case: dict[str, Any]) -> str:
    if case["nodes"]:
        return f"{case['nodes']} nodes"
    return "as erf" if case["network"]["activation"] == "sigmoid" else "closed"
