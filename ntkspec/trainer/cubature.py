"""Quadrature weights for points that are given: not negative, exact up to a degree.

After A. Yu, Y. Yang and A. Townsend, "Tuning frequency bias in neural network training with
nonuniform data" (ICLR 2023), who weigh the residual at non-uniform points by a positive quadrature
rule, and build the Sobolev loss on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from ntkspec.errors import NtkspecError
from ntkspec.parameters import whole_number
from ntkspec.trainer.harmonics import Basis, checked_vectors, count

__all__ = ["exact_degree", "quadrature_weights", "rule_error"]

Array = NDArray[np.float64]

#: Largest `rule_error` of a rule that is called exact.
EXACT = 1e-12
#: Steps of Newton's method; it takes five to thirty.
MOST_STEPS = 200
#: Multiplications that finding the exact degree of a given rule may take.
MOST_WORK = 2**31
#: Bytes that the basis' values at the points may take.
MOST_BYTES = 2**31


def rule_error(x: ArrayLike, weights: ArrayLike, degree: int) -> float:
    """Largest integral that a rule gives to a harmonic of unit norm and one degree in 1..degree.

    The true integral is 0.  max_k (sum_m (sum_i w_i Y_km(x_i))^2)^(1/2), which does not depend on
    the basis: the square is sum_ij w_i w_j N(d,k) P_k(<x_i,x_j>).

    Parameters
    ----------
    x : (n, dim) array_like
        Unit vectors.
    weights : (n,) array_like
        Of sum 1.
    degree : int

    Examples
    --------
    >>> round(rule_error([[1.0, 0.0], [-1.0, 0.0]], [0.5, 0.5], 1), 14)
    0.0
    >>> round(rule_error([[1.0, 0.0], [-1.0, 0.0]], [0.5, 0.5], 2), 6)
    1.414214
    """
    return max(_errors(Basis(x, degree), weights), default=0.0)


def _errors(basis: Basis, weights: ArrayLike) -> list[float]:
    """Norm of the rule on each degree from 1."""
    return [float(np.linalg.norm(part)) for part in basis.coefficients(weights)[1:]]


def exact_degree(x: ArrayLike, weights: ArrayLike) -> int:
    """Degree up to which a rule is exact, to 1e-12 in `rule_error`.

    Stops early, with a degree that is right but may be less than the largest, where finding out
    more would take seconds.

    Examples
    --------
    >>> exact_degree([[1.0, 0.0], [-1.0, 0.0]], [0.5, 0.5])
    1
    """
    x = checked_vectors(x)
    found, upper = 0, 1
    while count(x.shape[1], upper) * x.shape[0] <= MOST_WORK:
        errors = _errors(Basis(x, upper), weights)
        found = next((k for k, error in enumerate(errors) if error > EXACT), upper)
        if found < upper:
            break
        upper *= 2
    return found


def quadrature_weights(x: ArrayLike, degree: int | None = None) -> tuple[Array, int]:
    """Weights of a rule that is exact on all harmonics up to a degree.

    Parameters
    ----------
    x : (n, dim) array_like
        Unit vectors.
    degree : int, optional
        By default the largest that can be reached with weights that are not negative.

    Returns
    -------
    weights : (n,) ndarray of float64
        Not negative, of sum 1, as near to 1/n as can be in the sum of squares.
    degree : int
        Up to which they are exact: `rule_error` was measured, and is at most 1e-12.

    Raises
    ------
    NtkspecError
        For a degree that cannot be reached, with the largest that can.

    Notes
    -----
    The nearest rule to 1/n has the weights max(0, 1/n + p(x_i)) with a polynomial p of that degree,
    the solution of the convex dual problem, which Newton's method finds.  Where there is no rule,
    a polynomial whose mean is above all its values at the points proves it (Farkas' lemma).

    Examples
    --------
    >>> angle = np.array([0.0, 1.0, 2.0, 3.0, 4.5])
    >>> x = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    >>> weights, degree = quadrature_weights(x)
    >>> weights.round(4), degree
    (array([0.2619, 0.0878, 0.1976, 0.169 , 0.2837]), 2)
    """
    x = checked_vectors(x)
    if degree is None:
        weights, reached = _largest(x)
    else:
        asked = whole_number(degree, "degree", least=1)
        best = _rule(x, asked)
        if best is None:
            reached = _largest(x)[1]
            raise NtkspecError(
                f"degree = {asked} is not allowed; weights that are not negative can be exact up "
                f"to degree {reached} at these {x.shape[0]} points"
            )
        weights, reached = best, asked
    return weights, reached


def _largest(x: Array) -> tuple[Array, int]:
    """Weights of the largest degree: what is exact to a degree is so to all below."""
    n, dim = x.shape
    best = np.full(n, 1.0 / n)
    reached = exact_degree(x, best)
    refused: int | None = None
    while refused is None or refused - reached > 1:
        middle = _next_degree(dim, n, reached) if refused is None else (reached + refused) // 2
        weights = _rule(x, middle)
        if weights is None:
            refused = middle
        else:
            best, reached = weights, middle
    return best, reached


def _next_degree(dim: int, n: int, reached: int) -> int:
    """Degree to try: as many conditions as half the points, then all, then one more each time.

    More conditions than points are met by points of much symmetry alone.
    """
    for harmonics in (n // 2, n):
        degree = reached
        while count(dim, degree + 1) <= harmonics:
            degree += 1
        if degree > reached:
            return degree
    return reached + 1


def _rule(x: Array, degree: int) -> Array | None:
    """Weights exact to a degree; None where there are none.

    A rule exact to twice a degree has at least as many points as there are harmonics up to it.
    """
    n, dim = x.shape
    if count(dim, degree // 2) > n:
        return None
    bytes_needed = 8 * n * count(dim, degree)
    if bytes_needed > MOST_BYTES:
        raise NtkspecError(
            f"degree = {degree} at {n} points is not allowed: it would take {bytes_needed:.3g} "
            f"bytes, and {MOST_BYTES:.3g} are the most; give a lower degree or fewer points"
        )
    basis = Basis(x, degree)
    u = _nearest(basis.matrix().T / math.sqrt(n))
    if u is None:
        return None
    weights = np.asarray(u / u.sum())
    return weights if max(_errors(basis, weights)) <= EXACT else None


@dataclass
class _Step:
    """A dual point y, the weights times n that it gives, and the violation of the conditions."""

    y: Array
    q: Array
    u: Array
    violation: Array
    value: float


def _nearest(g: Array) -> Array | None:
    """The u >= 0 nearest to 1 with g u = (sqrt(n), 0, ..., 0); None where there is none.

    Newton's method for the convex function |max(0, 1 + g'y)|^2/2 - sqrt(n) y_0, whose gradient is
    the violation g u - (sqrt(n), 0, ...), u = max(0, 1 + g'y).
    """
    now = _at(g, np.zeros(g.shape[0]))
    for _ in range(MOST_STEPS):
        size = float(np.linalg.norm(now.violation))
        if size <= 1e-10:
            return _polished(g, now)
        if now.y[0] / math.sqrt(g.shape[1]) > now.q.max() + 1e-9 * np.abs(now.q).max():
            return None
        direction = -_solve(g, now.u > 0.0, now.violation, 1e-8 * min(size, 1.0))
        better = _search(g, now, direction)
        if better is None:
            return None
        now = better
    return None


def _at(g: Array, y: Array) -> _Step:
    q = y @ g
    u = np.maximum(0.0, 1.0 + q)
    violation = g @ u
    violation[0] -= math.sqrt(g.shape[1])
    return _Step(y, q, u, violation, 0.5 * float(u @ u) - math.sqrt(g.shape[1]) * float(y[0]))


def _solve(g: Array, active: NDArray[np.bool_], right: Array, shift: float) -> Array:
    """(g D g' + shift)^-1 right, D picking the active columns."""
    part = g[:, active]
    square = part @ part.T
    square.flat[:: g.shape[0] + 1] += shift + 1e-14 * g.shape[0]
    return np.asarray(linalg.cho_solve(linalg.cho_factor(square, overwrite_a=True), right))


def _search(g: Array, now: _Step, direction: Array) -> _Step | None:
    """First of the steps 1, 1/2, 1/4, ... that lowers the value enough, or the violation."""
    slope = float(now.violation @ direction)
    for halving in range(40):
        step = 0.5**halving
        new = _at(g, now.y + step * direction)
        if new.value <= now.value + 1e-4 * step * slope:
            return new
        if np.linalg.norm(new.violation) <= 0.5 * np.linalg.norm(now.violation):
            return new
    return None


def _polished(g: Array, now: _Step) -> Array:
    """The conditions met to rounding: corrections of least norm on the positive weights."""
    u, active = now.u, now.u > 0.0
    for _ in range(3):
        violation = g @ u
        violation[0] -= math.sqrt(g.shape[1])
        u = u - active * (_solve(g, active, violation, 0.0) @ g)
        u = np.maximum(u, 0.0)
    return u
