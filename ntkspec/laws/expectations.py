"""E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] in doubles, for any variance, at a few points.

Laws need the duals to about ten digits only, also where the engine does not compute them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ntkspec.activations import Activation

__all__ = ["expectations"]

Vector = NDArray[np.float64]

NODES = 16
REACH = 12.0
ROOT_2PI = math.sqrt(2.0 * math.pi)


def expectations(sigma: Activation, q: float, rho: float) -> tuple[float, float]:
    """Both duals at variance q and correlation rho in [-1, 1]; Gauss-Legendre on panels.

    The panels are graded towards 0, where sigma has its kink or comes nearest to a pole.
    """
    assert sigma.derivative is not None
    root = math.sqrt(q)
    u, weight = _nodes(_graded(root)[np.newaxis])
    u, weight = u[0], weight[0] * np.exp(-0.5 * (u[0] / root) ** 2) / (root * ROOT_2PI)
    if abs(rho) == 1.0:
        pairs = [(f(u) * f(rho * u), weight) for f in (sigma.value, sigma.derivative)]
    else:
        spread = root * math.sqrt((1.0 - rho) * (1.0 + rho))
        v, inner = _nodes(_around(rho * u, spread, root))
        inner *= np.exp(-0.5 * ((v - rho * u[:, np.newaxis]) / spread) ** 2) / (spread * ROOT_2PI)
        pairs = [
            (f(u) * np.sum(f(v) * inner, axis=1), weight) for f in (sigma.value, sigma.derivative)
        ]
    value, slope = (float(np.sum(values * by)) for values, by in pairs)
    return value, slope


def _graded(root: float) -> Vector:
    """Ends of panels on [-12 root, 12 root], doubling away from 0."""
    first, last = 0.25 * min(1.0, root), REACH * root
    side = np.append(first * 2.0 ** np.arange(math.ceil(math.log2(last / first))), last)
    return np.concatenate([-side[::-1], [0.0], side])


def _around(centres: Vector, spread: float, root: float) -> Vector:
    """Ends of panels for each centre: those graded towards 0 and the Gaussian's, merged."""
    near = centres[:, np.newaxis] + spread * np.linspace(-REACH, REACH, 13)
    shared = np.broadcast_to(_graded(2.0 * root), (centres.size, _graded(2.0 * root).size))
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
