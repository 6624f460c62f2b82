"""Quadrature weights for given points: non-negative and exact up to a degree.

After A. Yu, Y. Yang and A. Townsend, "Tuning frequency bias in neural network training with
nonuniform data" (ICLR 2023), which weights the residual at non-uniform points by a positive
quadrature rule and builds the Sobolev loss on it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from ntkspec.errors import NtkspecError
from ntkspec.parameters import whole_number
from ntkspec.trainer.checks import checked_vectors
from ntkspec.trainer.harmonics import Basis, count, largest_degree

__all__ = ["exact_degree", "quadrature_weights", "rule_error"]

Array = NDArray[np.float64]

#: Largest `rule_error` of a rule that counts as exact.
EXACT = 1e-12
#: Most steps of Newton's method; it takes 5 to 30.
MOST_STEPS = 200
#: Most multiplications for finding the exact degree of a rule.
MOST_WORK = 2**31
#: Most bytes for the values of the basis at the points.
MOST_BYTES = 2**31


def rule_error(x: ArrayLike, weights: ArrayLike, degree: int) -> float:
    """Largest integral by a rule of a unit-norm harmonic of one degree between 1 and `degree`.

    The true integral is 0.  max_k (sum_m (sum_i w_i Y_km(x_i))^2)^(1/2), which does not depend on
    the basis: the square is sum_ij w_i w_j N(d,k) P_k(<x_i,x_j>).

    Parameters
    ----------
    x : (n, dim) array_like
        Unit vectors.
    weights : (n,) array_like
        With sum 1.
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

    The search stops where it would take seconds; the rule may then be exact to a higher degree.

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
        By default the largest that non-negative weights can reach.

    Returns
    -------
    weights : (n,) ndarray of float64
        Non-negative, with sum 1, as close to 1/n as possible in the sum of squares.
    degree : int
        Degree up to which they are exact: their measured `rule_error` is at most 1e-12.

    Raises
    ------
    NtkspecError
        If the degree cannot be reached; the message gives the largest that can.

    Notes
    -----
    The rule closest to 1/n has the weights max(0, 1/n + p(x_i)) with a polynomial p of that degree.
    Newton's method finds p by solving the convex dual problem.  If no rule exists, a polynomial
    whose mean is above all its values at the points proves it (Farkas' lemma).

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
                f"degree = {asked} is not allowed; non-negative weights at these "
                f"{x.shape[0]} points can be exact up to degree {reached}"
            )
        weights, reached = best, asked
    return weights, reached


def _largest(x: Array) -> tuple[Array, int]:
    """Weights of the largest degree, by bisection: a rule exact to a degree is so to lower ones."""
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
    """Degree to try next: conditions for half the points, then for all, then one degree more.

    Only highly symmetric points satisfy more conditions than there are points.
    """
    degrees = (largest_degree(dim, harmonics, reached) for harmonics in (n // 2, n))
    return next((degree for degree in degrees if degree > reached), reached + 1)


def _rule(x: Array, degree: int) -> Array | None:
    """Weights exact to a degree, or None if there are none.

    A rule exact to twice a degree has at least as many points as there are harmonics up to it.
    """
    n, dim = x.shape
    if count(dim, degree // 2) > n:
        return None
    bytes_needed = 8 * n * count(dim, degree)
    if bytes_needed > MOST_BYTES:
        raise NtkspecError(
            f"degree = {degree} at {n} points is not allowed: it takes {bytes_needed:.3g} "
            f"bytes, and the most is {MOST_BYTES:.3g}; give a lower degree or fewer points"
        )
    basis = Basis(x, degree)
    u = _nearest(basis.matrix().T / math.sqrt(n))
    if u is None:
        return None
    weights = np.asarray(u / u.sum())
    return weights if max(_errors(basis, weights)) <= EXACT else None


class _Step(NamedTuple):
    """A dual point y, the weights times n that it gives, and the violation of the conditions."""

    y: Array
    q: Array
    u: Array
    violation: Array
    value: float


def _nearest(g: Array) -> Array | None:
    """The u >= 0 closest to 1 with g u = (sqrt(n), 0, ..., 0), or None if there is none.

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
    """Satisfy the conditions to rounding, by least-norm corrections of the positive weights."""
    u, active = now.u, now.u > 0.0
    for _ in range(3):
        violation = g @ u
        violation[0] -= math.sqrt(g.shape[1])
        u = u - active * (_solve(g, active, violation, 0.0) @ g)
        u = np.maximum(u, 0.0)
    return u
