"""Rules and matrices for the operators in the radius: nodes, weights, and leading eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from flint import arb, arb_mat, ctx, fmpq

from ntkspec.precision import extra_precision, working_precision

__all__ = ["angular_rule", "leading_eigenvalues", "radial_moment", "radial_rule", "series_weights"]


def radial_moment(dim: int, power: float) -> arb:
    """E[(|x|^2 / d)^power] for x ~ N(0, I_d).

    Examples
    --------
    >>> round(float(radial_moment(3, 2)), 12)
    1.666666666667
    """
    half = arb(fmpq(dim, 2))
    with extra_precision(64):
        ratio = ((half + power).lgamma() - half.lgamma()).exp()
    return ratio / half ** arb(power)


def radial_rule(dim: int, count: int, nats: float) -> tuple[list[arb], list[arb]]:
    """Nodes r^2 = |x|^2 / d and weights for x ~ N(0, I_d): the trapezoid rule in a logarithm.

    u = d r^2 / 2 has the density u^(d/2-1) e^-u / Gamma(d/2); with u = exp(s - e^-s) the
    integrand falls doubly exponentially on both sides, and the rule converges geometrically for
    what is analytic in a sector around u > 0.  The omitted weight on either side is below e^-nats.
    """
    shape = 0.5 * dim

    def log_weight(s: float) -> float:
        log_u = s - math.exp(-s)
        return shape * log_u - math.exp(log_u) + math.log1p(math.exp(-s))

    centre = math.log(shape + 1.0)
    top = log_weight(centre)
    ends = []
    for sign in (-1.0, 1.0):
        far = 1e-3
        while log_weight(centre + sign * far) > top - nats:
            far *= 1.05
        ends.append(centre + sign * far)
    low = arb(ends[0])
    step = (arb(ends[1]) - low) / (count - 1)
    half = arb(fmpq(dim, 2))
    squares, weights = [], []
    for i in range(count):
        s = low + step * i
        small = (-s).exp()
        u = (s - small).exp()
        weights.append((half * u.log() - u - half.lgamma()).exp() * (1 + small) * step)
        squares.append(2 * u / dim)
    return squares, weights


@lru_cache(maxsize=8)
def angular_rule(dim: int, count: int, bits: int) -> tuple[list[arb], list[arb]]:
    """Gauss rule for t = cos(angle) of two random directions, density ~ (1 - t^2)^((d-3)/2).

    Nodes by Newton's method from those of doubles; weights 1 / sum p_k(t)^2 over the orthonormal
    polynomials, t p_k = b_(k+1) p_(k+1) + b_k p_(k-1), b_1^2 = 1/d and otherwise
    b_k^2 = k (k+d-3) / ((2k+d-2) (2k+d-4)).
    """
    from scipy.linalg import eigvalsh_tridiagonal

    squares = [fmpq(0), fmpq(1, dim)]
    squares += [
        fmpq(k * (k + dim - 3), (2 * k + dim - 2) * (2 * k + dim - 4)) for k in range(2, count)
    ]
    sides = np.array([math.sqrt(float(b.p) / float(b.q)) for b in squares])
    starts = eigvalsh_tridiagonal(np.zeros(count), sides[1:])
    with working_precision(bits + 32):
        b = [arb(x).sqrt() for x in squares] + [arb(1)]
        nodes = [_polished(arb(float(x)), b) for x in starts]
        weights = [(1 / _orthonormal(t, b)[2]).mid() for t in nodes]
    return nodes, weights


def _polished(t: arb, b: list[arb]) -> arb:
    """Root of p_n by Newton's method."""
    for _ in range(2 + int(math.log2(ctx.prec / 40.0)) + 1):
        value, slope, _ = _orthonormal(t, b)
        t = (t - value / slope).mid()
    return t


def _orthonormal(t: arb, b: list[arb]) -> tuple[arb, arb, arb]:
    """p_n up to a factor, its derivative, and the sum of the squares before it."""
    before, value, slope_before, slope = arb(0), arb(1), arb(0), arb(0)
    total = arb(0)
    for k in range(len(b) - 1):
        total += value * value
        slope_before, slope = slope, (value + t * slope - b[k] * slope_before) / b[k + 1]
        before, value = value, (t * value - b[k] * before) / b[k + 1]
    return value.mid(), slope.mid(), total


def series_weights(dim: int, degree: int, count: int) -> list[arb]:
    """Eigenvalue of t^n on the sphere at a degree, for n = degree, degree + 2, ...

    It is also the square of the part of that degree in a Hermite polynomial of degree n of one
    coordinate, over N(d, degree): docs/domains.rst.
    """
    half = arb(fmpq(dim, 2))
    weight = arb(1)
    for k in range(degree):
        weight = weight * (k + 1) / (2 * (half + k))
    weights = []
    for m in range(count):
        weights.append(weight)
        n = degree + 2 * m
        weight = weight * (n + 1) * (n + 2) / (4 * (m + 1) * (degree + m + half))
    return weights


def leading_eigenvalues(
    diagonal: list[arb], column: Callable[[int], list[arb]], count: int, nats: float
) -> list[arb]:
    """Largest eigenvalues of a positive semidefinite matrix given by its columns.

    Pivoted Cholesky, S = L L', until what is left has a trace below e^-nats of the first pivot:
    by Weyl's inequality no eigenvalue moves by more.  L' L is small and has the same ones.
    """
    rest = [x.mid() for x in diagonal]
    rows: list[list[arb]] = []
    first = max(rest, key=float)
    floor = first * arb(-nats).exp()
    while len(rows) < len(rest):
        pivot = max(range(len(rest)), key=lambda i: float(rest[i]))
        if not rest[pivot] > floor / len(rest):
            break
        row = column(pivot)
        for done in rows:
            factor = done[pivot]
            row = [(x - factor * y).mid() for x, y in zip(row, done, strict=True)]
        root = rest[pivot].sqrt().mid()
        row = [(x / root).mid() for x in row]
        rest = [(x - y * y).mid() for x, y in zip(rest, row, strict=True)]
        rest[pivot] = arb(0)
        rows.append(row)
    factors = arb_mat(rows)
    product = factors * factors.transpose()
    size = len(rows)
    small = arb_mat([[product[i, j].mid() for j in range(size)] for i in range(size)])
    found = small.eig(algorithm="approx")
    values = sorted((x.real.mid() for x in found), key=float, reverse=True)
    return (values + [arb(0)] * count)[:count]
