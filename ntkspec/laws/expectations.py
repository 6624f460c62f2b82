"""E[f(u) f(v)] for sigma and its derivatives in doubles, for any variance, at a few points.

Laws need the duals to about ten digits only, also where the engine does not compute them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import Shape
from ntkspec.errors import NtkspecError

__all__ = ["NEAR", "derivative", "expectations"]

Vector = NDArray[np.float64]
Function = Callable[[Vector], Vector]

NODES = 16
REACH = 12.0
#: Correlations this close to 1 or -1 are rounded to it.
NEAR = 1e-14
#: Relative difference of two rules that both hold the digits of laws.
SETTLED = 1e-11
#: Most parts of a panel.
MOST = 8192
ROOT_2PI = math.sqrt(2.0 * math.pi)


def expectations(functions: Sequence[Function], q: float, rho: float) -> list[float]:
    """E[f(u) f(v)] at variance q and correlation rho in [-1, 1]; Gauss-Legendre on panels.

    A correlation that rounding has moved from 1 or -1, or beyond, is that.

    The panels are graded towards 0, where sigma has its kink or comes nearest to a pole, and split
    until the values at rho = 1 settle: finer oscillates far from 0.
    """
    if abs(rho) > 1.0 - NEAR:
        rho = math.copysign(1.0, rho)
    parts, before = 1, _by_panels(functions, q, 1.0, 1)
    while parts < MOST:
        found = _by_panels(functions, q, 1.0, 2 * parts)
        if np.all(np.abs(found - before) <= SETTLED * np.abs(found)):
            here = before if rho == 1.0 else _by_panels(functions, q, rho, parts)
            return [float(x) for x in here]
        parts, before = 2 * parts, found
    raise NtkspecError(
        f"E[f(u) f(v)] at variance {q:.3g} is not computed: the "
        "function oscillates too fast; lower weight_variance, bias_variance or depth"
    )


def _by_panels(functions: Sequence[Function], q: float, rho: float, parts: int) -> Vector:
    """The same by panels that are split into equal parts."""
    root = math.sqrt(q)
    u, weight = _nodes(_split(_graded(root), parts)[np.newaxis])
    u, weight = u[0], weight[0] * np.exp(-0.5 * (u[0] / root) ** 2) / (root * ROOT_2PI)
    if abs(rho) == 1.0:
        return np.array([np.sum(f(u) * f(rho * u) * weight) for f in functions])
    spread = root * math.sqrt((1.0 - rho) * (1.0 + rho))
    v, inner = _nodes(_around(rho * u, spread, _split(_graded(2.0 * root), parts)))
    inner *= np.exp(-0.5 * ((v - rho * u[:, np.newaxis]) / spread) ** 2) / (spread * ROOT_2PI)
    return np.array([np.sum(f(u) * np.sum(f(v) * inner, axis=1) * weight) for f in functions])


def derivative(shape: Shape, order: int) -> Function:
    """A derivative of tanh, sigmoid, softplus, silu or mish of scaled axes, by Taylor series."""
    inner, factor = float(shape.inner), float(shape.outer * shape.inner**order)

    def of(x: Vector) -> Vector:
        series = _taylor(shape.base, inner * x, order + 1)
        return np.asarray(factor * math.factorial(order) * series[order])

    return of


def _taylor(base: str, x: Vector, count: int) -> Vector:
    """The first Taylor coefficients of an activation, one row for each."""
    line = np.zeros((max(count, 2), *x.shape))
    line[0], line[1] = x, 1.0
    if base == "tanh":
        return _tanh(line)
    sigmoid = 0.5 * _tanh(0.5 * line)
    sigmoid[0] += 0.5
    if base == "sigmoid":
        return sigmoid
    if base == "silu":
        return _times_x(x, sigmoid)
    softplus = np.empty_like(line)
    softplus[0] = np.logaddexp(0.0, x)
    softplus[1:] = np.stack([sigmoid[n] / (n + 1) for n in range(len(line) - 1)])
    return softplus if base == "softplus" else _times_x(x, _tanh(softplus))


def _times_x(x: Vector, series: Vector) -> Vector:
    product = x * series
    product[1:] += series[:-1]
    return product


def _tanh(series: Vector) -> Vector:
    """tanh of a series, from its differential equation."""
    found, slope = np.zeros_like(series), np.zeros_like(series)
    found[0] = np.tanh(series[0])
    slope[0] = 1.0 - found[0] ** 2
    for n in range(1, len(series)):
        found[n] = sum(k * series[k] * slope[n - k] for k in range(1, n + 1)) / n
        slope[n] = -sum(found[i] * found[n - i] for i in range(n + 1))
    return found


def _graded(root: float) -> Vector:
    """Ends of panels on [-12 root, 12 root], doubling away from 0."""
    first, last = 0.25 * min(1.0, root), REACH * root
    side = np.append(first * 2.0 ** np.arange(math.ceil(math.log2(last / first))), last)
    return np.concatenate([-side[::-1], [0.0], side])


def _split(ends: Vector, parts: int) -> Vector:
    """Ends of panels split into equal parts."""
    inner = ends[:-1, np.newaxis] + np.diff(ends)[:, np.newaxis] * np.arange(parts) / parts
    return np.append(inner, ends[-1])


def _around(centres: Vector, spread: float, graded: Vector) -> Vector:
    """Ends of panels for each centre: those graded towards 0 and the Gaussian's, merged."""
    near = centres[:, np.newaxis] + spread * np.linspace(-REACH, REACH, 13)
    shared = np.broadcast_to(graded, (centres.size, graded.size))
    ends = np.concatenate([near, shared], axis=1)
    return np.sort(np.clip(ends, near[:, :1], near[:, -1:]), axis=1)


def _nodes(ends: Vector) -> tuple[Vector, Vector]:
    """Nodes and weights of every panel, one row for each row of ends."""
    x, w = _gauss()
    half = 0.5 * np.diff(ends, axis=1)[..., np.newaxis]
    middle = 0.5 * (ends[:, 1:] + ends[:, :-1])[..., np.newaxis]
    rows = ends.shape[0]
    return (middle + half * x).reshape(rows, -1), (half * w).reshape(rows, -1)


@lru_cache(maxsize=1)
def _gauss() -> tuple[Vector, Vector]:
    return np.polynomial.legendre.leggauss(NODES)
