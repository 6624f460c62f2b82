"""Energy of each degree of a function that is known at points."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.trainer.checks import checked_degree, checked_values
from ntkspec.trainer.harmonics import MOST_DEGREE, Basis, count, multiplicity, recurrence
from ntkspec.trainer.points import Points

__all__ = ["degree_energy"]

Array = NDArray[np.float64]

#: Pairs of points in one block: a few of these stay in the cache.
BLOCK = 1 << 15


def degree_energy(r: ArrayLike, points: Points, degrees: Iterable[int]) -> Array:
    """Energy of each degree of a function that is known at points.

    Parameters
    ----------
    r : (n,) array_like
        Its values.
    points : Points
        n points x_i with their weights c_i.
    degrees : iterable of int

    Returns
    -------
    (number of degrees,) ndarray of float64
        sum_ij c_i c_j r_i r_j N(d,k) P_k(<x_i,x_j>) = sum_m (sum_i c_i r_i Y_km(x_i))^2, which is
        the squared norm of the part of degree k when the rule is exact to twice the degree.

    Raises
    ------
    NtkspecError
        If r does not have one value for each point.

    Notes
    -----
    Computed from the basis where that is cheaper, otherwise by the recurrence of P_k on blocks of
    pairs of points; memory grows as n, not as n^2.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> points = circle(16)
    >>> degree_energy(points.x[:, 0] + 2.0, points, [0, 1, 2]).round(12)
    array([4. , 0.5, 0. ])
    """
    wanted = [checked_degree(k) for k in degrees]
    values = checked_values(r, points.n, "r")
    if not wanted:
        return np.empty(0)
    last, weighted = max(wanted), points.weights * values
    if points.features is not None:
        waves = points.basis(last).coefficients(weighted)
        return np.array([float(waves[k] @ waves[k]) for k in wanted])
    few = count(points.dim, last) <= max(points.n * (last + 1) // 4, 64)
    if few and (points.dim == 2 or last <= MOST_DEGREE):
        energy = [float(c @ c) for c in Basis(points.x, last).coefficients(weighted)]
        return np.array([energy[k] for k in wanted])
    return _energy_by_pairs(points.x, weighted, last)[wanted]


def _energy_by_pairs(x: Array, weighted: Array, last: int) -> Array:
    """The double sum over pairs, block by block, each pair of blocks once."""
    n, dim = x.shape
    side = math.isqrt(BLOCK)
    energy = np.zeros(last + 1)
    for i in range(0, n, side):
        for j in range(0, i + 1, side):
            rows, columns = slice(i, i + side), slice(j, j + side)
            t = np.clip(x[rows] @ x[columns].T, -1.0, 1.0)
            times = 1.0 if i == j else 2.0
            before, now, after = np.zeros_like(t), np.ones_like(t), np.empty_like(t)
            for k in range(last + 1):
                energy[k] += times * (weighted[rows] @ now @ weighted[columns])
                a, b = recurrence(dim, k) if k else (1.0, 0.0)
                np.multiply(t, now, out=after)
                after *= a
                before *= b
                after -= before
                before, now, after = now, after, before
    return energy * [float(multiplicity(dim, k)) for k in range(last + 1)]
