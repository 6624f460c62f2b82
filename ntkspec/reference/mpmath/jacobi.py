"""Gauss-Jacobi rules and Gegenbauer polynomials at any precision.

A rule's nodes are the eigenvalues of its Jacobi matrix (Golub and Welsch 1969), taken in doubles
and then improved by Newton's method on the three-term recurrence of the orthonormal polynomials;
the weight at a node x is 1 / sum_(j<n) p_j(x)^2, a sum of positive terms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from ntkspec.errors import NtkspecError
from ntkspec.locks import PROCESS_STATE
from ntkspec.parameters import whole_number
from ntkspec.reference.description import checked_digits
from ntkspec.reference.mpmath.arithmetic import Precision

__all__ = ["gauss_gegenbauer", "gauss_jacobi", "legendre"]

MOST_NODES = 2000
#: Digits of a node from the Jacobi matrix that are certainly correct in doubles.
START_BITS = 40


def gauss_jacobi(
    n: int, alpha: Any, beta: Any, digits: int = 30
) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    """Gauss-Jacobi rule for the weight (1-x)^alpha (1+x)^beta on [-1, 1].

    Parameters
    ----------
    n : int
        Number of nodes, 1 to 2000.
    alpha, beta : number or str
        Exponents > -1; a string or an `mpmath.mpf` where a double is not exact.
    digits : int
        Correct decimal digits, 5 to 1000.

    Returns
    -------
    nodes : list of mpmath.mpf, length n
        Increasing.
    weights : list of mpmath.mpf, length n
        Positive; their sum is 2^(alpha+beta+1) B(alpha+1, beta+1).

    Raises
    ------
    NtkspecError
        When a parameter is not allowed.

    Notes
    -----
    Golub and Welsch, Calculation of Gauss quadrature rules (1969); the coefficients of the
    recurrence follow from DLMF 18.9.2 and table 18.3.1.

    Examples
    --------
    >>> nodes, weights = gauss_jacobi(2, 0, 0, digits=20)
    >>> mpmath.nstr(nodes[1], 18), mpmath.nstr(sum(weights), 5)
    ('0.577350269189625765', '2.0')
    """
    n, digits = whole_number(n, "n", 1, MOST_NODES), checked_digits(digits)
    with PROCESS_STATE:
        precision = Precision(digits)
        mp = precision.mp
        a, b = _exponent(mp, alpha, "alpha"), _exponent(mp, beta, "beta")
        nodes, weights = jacobi_rule(precision, n, a, b)
        mass = mp.mpf(2) ** (a + b + 1) * mp.beta(a + 1, b + 1)
        return [_exported(x) for x in nodes], [_exported(w * mass) for w in weights]


def gauss_gegenbauer(
    n: int, dim: int, digits: int = 30
) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    """Gauss rule for one coordinate t of a uniform point of the sphere S^(dim-1).

    Parameters
    ----------
    n, digits
        As for `gauss_jacobi`, and so are the errors raised.
    dim : int
        d >= 2; the density is c_d (1-t^2)^((d-3)/2).

    Returns
    -------
    nodes, weights : list of mpmath.mpf, length n
        Nodes increasing; the weights sum to 1.

    Examples
    --------
    >>> nodes, weights = gauss_gegenbauer(4, 5, digits=20)
    >>> mpmath.nstr(sum(w * t**2 for t, w in zip(nodes, weights)), 10)
    '0.2'
    """
    n, dim = whole_number(n, "n", 1, MOST_NODES), whole_number(dim, "dim", 2)
    digits = checked_digits(digits)
    with PROCESS_STATE:
        precision = Precision(digits)
        exponent = precision.mp.mpf(dim - 3) / 2
        nodes, weights = jacobi_rule(precision, n, exponent, exponent)
        return [_exported(x) for x in nodes], [_exported(w) for w in weights]


def legendre(degree: int, dim: int, t: Any, digits: int = 30) -> mpmath.mpf:
    """Legendre polynomial P_k(t) in dimension d: a Gegenbauer polynomial with P_k(1) = 1.

    Parameters
    ----------
    degree, dim : int
        k >= 0 and d >= 2; cos(k arccos t) for d = 2.
    t : number or str
        In [-1, 1]; a string or an `mpmath.mpf` where a double is not exact.
    digits : int
        Correct digits, 5 to 1000: the error is at most 10^-digits.

    Returns
    -------
    mpmath.mpf
        C_k^nu(t) / C_k^nu(1), nu = (d-2)/2, by the recurrence DLMF 18.9.1.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed.

    Examples
    --------
    >>> mpmath.nstr(legendre(2, 3, "0.2", digits=20), 15)
    '-0.44'
    """
    dim, degree = whole_number(dim, "dim", 2), whole_number(degree, "degree", 0)
    digits = checked_digits(digits)
    with PROCESS_STATE:
        # A rounding error grows with the square of the degree at most.
        precision = Precision(digits + 2 * len(str(degree)))
        try:
            x = precision.mp.mpf(t)
        except (TypeError, ValueError):
            raise NtkspecError(
                f"t = {t!r} is not allowed; it must be a number in [-1, 1]"
            ) from None
        if not -1 <= x <= 1:
            raise NtkspecError(f"t = {t!r} is not allowed; it must be a number in [-1, 1]")
        before, value = precision.mp.zero, precision.mp.one
        for k in range(degree):
            # At k = 0, d = 2 both sides vanish: P_1 = t in every dimension.
            step = ((2 * k + dim - 2) * x * value - k * before) / (k + dim - 2) if k else x
            before, value = value, step
        return _exported(value)


# --- inside a computation ------------------------------------------------------------------------


@dataclass(frozen=True)
class Recurrence:
    """Coefficients of b_(j+1) p_(j+1) = (x - a_j) p_j - b_j p_(j-1), p_0 = 1, in fixed point.

    The p_j are orthonormal under the weight (1-x)^alpha (1+x)^beta of total mass 1.
    """

    a: list[int]
    b: list[int]
    inverse: list[int]
    bits: int

    @classmethod
    def jacobi(cls, precision: Precision, n: int, alpha: Any, beta: Any) -> Recurrence:
        """Coefficients up to p_n: DLMF 18.9.2, normalized by table 18.3.1."""
        mp, total = precision.mp, alpha + beta
        a, b = [(beta - alpha) / (total + 2)], [mp.zero]
        for j in range(1, n + 1):
            twice = 2 * j + total
            a.append((beta**2 - alpha**2) / (twice * (twice + 2)))
            # (j + total) / (twice - 1) is 1 for j = 1, also where both are 0.
            ratio = mp.one if j == 1 else (j + total) / (twice - 1)
            square = 4 * j * (j + alpha) * (j + beta) * ratio / (twice**2 * (twice + 1))
            b.append(mp.sqrt(square))
        fixed = precision.fixed
        return cls(
            [fixed(x) for x in a],
            [fixed(x) for x in b],
            [0, *(fixed(1 / x) for x in b[1:])],
            precision.bits,
        )

    def rounded(self, bits: int) -> Recurrence:
        """The same with fewer bits."""
        drop = self.bits - bits
        return Recurrence(
            [x >> drop for x in self.a],
            [x >> drop for x in self.b],
            [x >> drop for x in self.inverse],
            bits,
        )

    def values(self, x: int, count: int) -> list[int]:
        """p_0, ..., p_(count-1) at x, in fixed point."""
        bits, before, value = self.bits, 0, 1 << self.bits
        result = [value]
        for a, b, inverse in zip(self.a, self.b[: count - 1], self.inverse[1:], strict=False):
            before, value = value, (((x - a) * value - b * before) >> bits) * inverse >> bits
            result.append(value)
        return result[:count]

    def newton_step(self, x: int, n: int) -> int:
        """p_n(x) / p_n'(x), in fixed point."""
        bits = self.bits
        before = slope_before = slope = 0
        value = 1 << bits
        for a, b, inverse in zip(self.a[:n], self.b, self.inverse[1:], strict=False):
            shifted = x - a
            steeper = value + ((shifted * slope - b * slope_before) >> bits)
            before, value = value, ((shifted * value - b * before) >> bits) * inverse >> bits
            slope_before, slope = slope, steeper * inverse >> bits
        return (value << bits) // slope


def jacobi_rule(precision: Precision, n: int, alpha: Any, beta: Any) -> tuple[list[Any], list[Any]]:
    """Nodes, increasing, and weights that sum to 1, in the context of the precision."""
    if n > MOST_NODES:
        raise NtkspecError(
            f"n = {n} is not allowed; a Gauss rule of the mpmath reference has at most "
            f"{MOST_NODES} nodes"
        )
    fine = _with_guard(precision, n, alpha + beta)
    recurrence = Recurrence.jacobi(fine, n, alpha, beta)
    symmetric = alpha == beta
    starts = _start(recurrence, n)
    if symmetric:
        starts = starts[n // 2 :]
    ladder = _ladder(fine.bits, n)
    stages = [recurrence.rounded(bits) for bits in ladder[:-1]] + [recurrence]
    nodes, weights = [], []
    for i, start in enumerate(starts):
        if symmetric and n % 2 and i == 0:
            x = 0
        else:
            x = int(start * 2.0**52) << (stages[0].bits - 52)
            bits = stages[0].bits
            for stage in stages:
                x <<= stage.bits - bits
                bits = stage.bits
                x -= stage.newton_step(x, n)
        squares = sum(p * p for p in recurrence.values(x, n))
        nodes.append(precision.mp.mpf(fine.float(x)))
        weights.append(1 / precision.mp.mpf(fine.float(squares, 2)))
    if symmetric:
        other = slice(1, None) if n % 2 else slice(None)
        nodes = [-x for x in reversed(nodes[other])] + nodes
        weights = [*reversed(weights[other]), *weights]
    return nodes, weights


def legendre_values(
    precision: Precision, dim: int, top: int, points: Sequence[Any]
) -> list[list[int]]:
    """P_k(t) times the square root of N(d, k), k = 0..top, for each point, in fixed point.

    They are orthonormal, so of moderate size wherever the measure has mass.
    """
    exponent = precision.mp.mpf(dim - 3) / 2
    recurrence = Recurrence.jacobi(precision, max(top, 1), exponent, exponent)
    return [recurrence.values(precision.fixed(t), top + 1) for t in points]


def _with_guard(precision: Precision, n: int, total: Any) -> Precision:
    """Additional digits for the growth of rounding errors: n^2, and 1/b for a narrow weight."""
    return Precision(precision.digits + 2 * len(str(n)) + len(str(int(abs(total)))) + 2)


def _start(recurrence: Recurrence, n: int) -> list[float]:
    """Eigenvalues of the Jacobi matrix, in doubles."""
    unit = 1 << recurrence.bits
    a = np.array([x / unit for x in recurrence.a[:n]])
    b = np.array([x / unit for x in recurrence.b[1:n]])
    matrix = np.diag(a) + np.diag(b, 1) + np.diag(b, -1)
    return [float(x) for x in np.linalg.eigvalsh(matrix)]


def _ladder(bits: int, n: int) -> list[int]:
    """Working precisions of Newton's steps, each of which doubles the correct bits."""
    lost = 2 * n.bit_length() + 8
    right, ladder = START_BITS, []
    while right < bits:
        right = 2 * right - n.bit_length()
        ladder.append(max(min(right + lost, bits), 64))
    return ladder


def _exponent(mp: Any, value: Any, name: str) -> Any:
    try:
        number = mp.mpf(value)
    except (TypeError, ValueError):
        number = mp.nan
    if not -1 < number < math.inf:
        raise NtkspecError(f"{name} = {value!r} is not allowed; it must be a number > -1")
    return number


def _exported(x: Any) -> mpmath.mpf:
    """The same number, exactly, in mpmath's global context."""
    return mpmath.make_mpf(x._mpf_)
