"""Steps of gradient descent per second, and PyTorch's on the CPU for the same problem."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from scipy.linalg import blas

from bench.report import goal, write
from ntkspec import Network
from ntkspec.kernels.elementary import fused
from ntkspec.operators import Operator
from ntkspec.threads import one_blas_thread
from ntkspec.trainer.descent import Descent
from ntkspec.trainer.network import start
from ntkspec.trainer.points import random_points
from ntkspec.trainer.residual import Applied
from ntkspec.trainer.sobolev import L2Loss

SIZES = ((64, 4096), (512, 16_384), (2048, 65_536))
#: Smallest number of pairs of points and neurons for which goals are set.
LARGE = 512 * 16_384
WANTED = {"relu": 15.0, "tanh": 10.0}
DIMS, PRECISIONS = (2, 3, 10), ("float64", "float32")
SECONDS, MOST_STEPS = 1.0, 200
STEP, PINN_STEP = 0.1, 1e-3
#: Widths and numbers of points of networks with two hidden layers, and how long a step may take,
#: in units of the time of its matrix products.
DEEP, DEEP_WANTED = ((1024, 64), (1024, 256), (4096, 64), (4096, 256)), 1.2
#: Dimensions, numbers of points and widths of one hidden layer under an operator.
PINNS = tuple((dim, n, m) for dim, n in ((2, 64), (3, 256), (10, 256)) for m in (1024, 4096))


def run(
    sizes: tuple[tuple[int, int], ...] = SIZES, dims: tuple[int, ...] = DIMS, threads: int = 0
) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    threads = threads or len(os.sched_getaffinity(0))
    peaks = {precision: _peak(precision, threads) for precision in PRECISIONS}
    rows, goals = [], []
    for name in WANTED:
        for precision in PRECISIONS:
            for dim in dims:
                for n, width in sizes:
                    row = _row(name, precision, dim, n, width, threads, peaks[precision])
                    rows.append(row)
                    goals += _goal(row)
    write("training", rows, goals)
    return goals + deep() + pinn()


def deep(
    sizes: tuple[tuple[int, int], ...] = DEEP, names: tuple[str, ...] = ("tanh", "gelu")
) -> list[dict[str, Any]]:
    """A step of two hidden layers over its matrix products and over PyTorch's, on one thread."""
    rows, goals = [], []
    for name in names:
        for width, n in sizes:
            theirs = _torch(name, "float32", 3, n, width, 1, depth=2)
            works = [
                _ours(name, "float32", 3, n, width, 1, depth=2), _products(width, n), theirs,
            ]  # fmt: skip
            ours, products, torch = _alternately([work for work in works if work], len(works))
            rows.append({
                "network": name, "width": width, "n": n, "ms a step": 1e3 * ours,
                "over products": ours / products,
                "PyTorch over ours": torch / ours if theirs else "not installed",
            })  # fmt: skip
            what = f"deep step over its products, {name}, width = {width}, n = {n}"
            ratio = ours / products
            goals.append(goal(what, f"<= {DEEP_WANTED}", ratio, ratio <= DEEP_WANTED, "times"))
            if theirs:
                what = f"PyTorch over ours, deep, {name}, width = {width}, n = {n}"
                goals.append(goal(what, ">= 1", torch / ours, torch >= ours, "times"))
    write("deep", rows, goals)
    return goals


def pinn(sizes: tuple[tuple[int, int, int], ...] = PINNS) -> list[dict[str, Any]]:
    """A step on the residual of Laplace-Beltrami less 1, and PyTorch's, on one thread."""
    rows, goals = [], []
    for precision in PRECISIONS:
        for dim, n, width in sizes:
            theirs = _torch_pinn(precision, dim, n, width)
            works = [_our_pinn(precision, dim, n, width), theirs]
            ours, torch = _alternately([work for work in works if work], len(works))
            rows.append({
                "precision": precision, "d": dim, "n": n, "width": width, "ms a step": 1e3 * ours,
                "PyTorch over ours": torch / ours if theirs else "not installed",
            })  # fmt: skip
            if theirs:
                what = f"PyTorch over ours, PINN, {precision}, d = {dim}, n = {n}, width = {width}"
                goals.append(goal(what, ">= 2", torch / ours, torch >= 2 * ours, "times"))
    write("pinn", rows, goals)
    return goals


def _our_pinn(precision: str, dim: int, n: int, width: int) -> Callable[[], Any]:
    points, target = _problem(dim, n)
    network = Applied(_network("tanh", precision, dim, width, 1), Operator("laplace", -1.0))
    descent = Descent(network, points.x, target, L2Loss(points), step_size=PINN_STEP, threads=1)
    return descent.advance


def _torch_pinn(precision: str, dim: int, n: int, width: int) -> Callable[[], Any] | None:
    """The same step by automatic differentiation; None where PyTorch is not installed.

    Laplace-Beltrami is the Laplacian of f(x / norm(x)), on the circle d^2/dphi^2.
    """
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    points, target = _problem(dim, n)
    weights, readout = map(
        torch.tensor, _network("tanh", precision, dim, width, 1).parameters.values()
    )
    number = getattr(torch, precision)
    x, y = torch.tensor(points.x, dtype=number), torch.tensor(target, dtype=number)
    at = torch.atan2(x[:, 1], x[:, 0])[:, None] if dim == 2 else x
    at.requires_grad = weights.requires_grad = True
    optimizer = torch.optim.SGD([weights], lr=PINN_STEP)

    def step() -> None:
        optimizer.zero_grad()
        on = torch.hstack((at.cos(), at.sin())) if dim == 2 else at / at.norm(dim=1, keepdim=True)
        f = torch.tanh(on @ weights.T) @ readout[0] / width**0.5
        (slopes,) = torch.autograd.grad(f.sum(), at, create_graph=True)
        residual = -f - y
        for i in range(at.shape[1]):
            (second,) = torch.autograd.grad(slopes[:, i].sum(), at, create_graph=True)
            residual = residual + second[:, i]
        (0.5 * (residual @ residual) / n).backward()
        optimizer.step()

    return step


def _alternately(works: list[Callable[[], Any]], count: int) -> list[float]:
    """Shortest time of each, taken in turns, so that all see the same state of the machine."""
    best = [float("inf")] * count
    with one_blas_thread():
        for work in works:
            work()
        begun = time.perf_counter()
        while time.perf_counter() - begun < SECONDS * len(works):
            for number, work in enumerate(works):
                at = time.perf_counter()
                work()
                best[number] = min(best[number], time.perf_counter() - at)
    return best


def _products(width: int, n: int) -> Callable[[], Any]:
    """The products of the wide layer in a step, in place: its values, what goes back, the update.

    By numpy's or scipy's BLAS, of which the faster one counts.
    """
    rng = np.random.default_rng(0)
    weights, values, delta = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((width, width), (width, n), (width, n))
    )
    out = np.empty_like(values)

    def by_numpy() -> None:
        np.matmul(weights, values, out=out)
        np.matmul(weights.T, delta, out=out)

    def by_scipy() -> None:
        blas.sgemm(1.0, values.T, weights.T, beta=0.0, c=out.T, overwrite_c=1)
        blas.sgemm(1.0, delta.T, weights.T, trans_b=1, beta=0.0, c=out.T, overwrite_c=1)

    def update() -> None:
        blas.sgemm(1e-9, values.T, delta.T, beta=1.0, c=weights.T, trans_a=1, overwrite_c=1)

    with one_blas_thread():
        forward = by_numpy if _timed(by_numpy) < _timed(by_scipy) else by_scipy

    def products() -> None:
        forward()
        update()

    return products


def _row(
    name: str, precision: str, dim: int, n: int, width: int, threads: int, peak: float
) -> dict[str, Any]:
    """Both sides alternately, each with its best of three; our result is checked against theirs."""
    ours, theirs = _ours(name, precision, dim, n, width, threads), None
    torch = _torch(name, precision, dim, n, width, threads)
    best = _timed(ours)
    if torch is not None:
        theirs = _timed(torch)
        best = min(best, _timed(ours))
        theirs = min(theirs, _timed(torch))
    operations = n * width * _operations(name, dim)
    return {
        "network": name, "precision": precision, "d": dim, "n": n, "width": width,
        "ms a step": 1e3 * best, "steps/s": 1.0 / best,
        "PyTorch ms": None if theirs is None else 1e3 * theirs,
        "ratio": None if theirs is None else theirs / best,
        "GFLOP/s": operations / best / 1e9, "share of peak": operations / best / peak,
    }  # fmt: skip


def _goal(row: dict[str, Any]) -> list[dict[str, Any]]:
    if row["n"] * row["width"] < LARGE or row["ratio"] is None:
        return []
    wanted = WANTED[row["network"]]
    what = (
        f"PyTorch over ours, {row['network']}, {row['precision']}, d = {row['d']}, n = {row['n']}"
    )
    return [goal(what, f">= {wanted:g}", row["ratio"], row["ratio"] >= wanted, "times")]


def _operations(name: str, dim: int) -> int:
    """Floating-point operations for a point and a neuron: what the formulas need, no more.

    Three products with x (two arguments, the gradient), a product and a sum for value and slope;
    a tanh counts as 30, twice.
    """
    return 3 * 2 * dim + 4 + (60 if name == "tanh" else 2)


def _timed(step: Callable[[], Any]) -> float:
    """Shortest time of a step, after a first one that is not counted."""
    step()
    best, begun, count = float("inf"), time.perf_counter(), 0
    while count < 2 or (time.perf_counter() - begun < SECONDS and count < MOST_STEPS):
        at = time.perf_counter()
        step()
        best, count = min(best, time.perf_counter() - at), count + 1
    return best


def _problem(dim: int, n: int) -> tuple[Any, np.ndarray[Any, Any]]:
    points = random_points(n, dim, seed=1)
    return points, 0.1 * points.x[:, 0]


def _network(name: str, precision: str, dim: int, width: int, depth: int) -> Any:
    return start(
        Network(name, depth=depth),
        width,
        dim,
        seed=0,
        precision=precision,  # type: ignore[arg-type]
    )


def _ours(
    name: str, precision: str, dim: int, n: int, width: int, threads: int, depth: int = 1
) -> Callable[[], Any]:
    points, target = _problem(dim, n)
    network = _network(name, precision, dim, width, depth)
    descent = Descent(network, points.x, target, L2Loss(points), step_size=STEP, threads=threads)
    return descent.advance


def _torch(
    name: str, precision: str, dim: int, n: int, width: int, threads: int, depth: int = 1
) -> Callable[[], Any] | None:
    """The same step as a PyTorch user writes it; None where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    points, target = _problem(dim, n)
    network = _network(name, precision, dim, width, depth)
    number = getattr(torch, precision)
    x, y = torch.tensor(points.x, dtype=number), torch.tensor(target, dtype=number)
    *hidden, last = (torch.tensor(one) for one in network.parameters.values())
    for weights in hidden:
        weights.requires_grad = True
    readout, optimizer = last[0], torch.optim.SGD(hidden, lr=STEP)
    function = getattr(torch, name, None) or getattr(torch.nn.functional, name)

    def step() -> None:
        optimizer.zero_grad()
        h = function(x @ hidden[0].T)
        for weights in hidden[1:]:
            h = function(h @ weights.T / width**0.5)
        residual = h @ readout / width**0.5 - y
        loss = 0.5 * (residual @ residual) / n
        loss.backward()
        optimizer.step()

    return step


def _peak(precision: str, threads: int) -> float:
    """Floating-point operations a second that fused products reach here, all threads together."""
    from concurrent.futures import ThreadPoolExecutor

    number = np.dtype(precision).type
    arrays = [np.ones(512, number) for _ in range(threads)]
    count = 20_000
    _multiply(arrays[0], number(0.999), number(1e-3), 1)
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            begun = time.perf_counter()
            list(pool.map(lambda v: _multiply(v, number(0.999), number(1e-3), count), arrays))
            best = min(best, time.perf_counter() - begun)
    return threads * count * 16 * 512 * 2 / best


@njit(error_model="numpy", nogil=True)
def _multiply(v, a, b, count):  # type: ignore[no-untyped-def]
    for _ in range(count):
        for i in range(v.size):
            y = v[i]
            for _ in range(16):
                y = fused(a, y, b)
            v[i] = y
