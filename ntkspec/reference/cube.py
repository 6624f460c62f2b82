"""Eigenvalues on the Boolean cube from the values of a kernel there, by the definition, exactly.

A parity x^S of k coordinates has the eigenvalue E[x^S K(sum_i x_i / d)], a sum over the number j
of coordinates that are -1 with whole weights.  `ntkspec.reference.balls` and
`ntkspec.reference.mpmath` compute the d + 1 values of K.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import mpmath
from mpmath.libmp import from_man_exp

__all__ = ["CubeValue", "cube_eigenvalues", "parity_weights"]

#: Digits of the first values beyond the requested ones, and the most.
FIRST_DIGITS, MOST_DIGITS = 8, 2000

#: values(digits, second) returns K(1 - 2j/d), j = 0..d, and their rounding in units of 2^-bits, and
#: bits; the second time by other rules.
Values = Callable[[int, bool], tuple[Sequence[int], int, int]]


@dataclass(frozen=True)
class CubeValue:
    """An eigenvalue, a bound on its error, and the change between two runs."""

    value: mpmath.mpf
    error: mpmath.mpf
    change: mpmath.mpf


def parity_weights(dim: int, degree: int) -> list[int]:
    """Sum of x^S, |S| = degree, over the points with j coordinates -1, for j = 0..dim.

    Krawtchouk's numbers: (j+1) w_(j+1) = (d - 2k) w_j - (d - j + 1) w_(j-1), MacWilliams and
    Sloane 1977, ch. 5, theorem 19.

    Examples
    --------
    >>> parity_weights(4, 1)
    [1, 2, 0, -2, -1]
    """
    weights, before = [1], 0
    for j in range(dim):
        value = ((dim - 2 * degree) * weights[j] - (dim - j + 1) * before) // (j + 1)
        before = weights[j]
        weights.append(value)
    return weights


def cube_eigenvalues(
    values: Values, dim: int, degrees: Iterable[int], digits: int, is_zero: Callable[[int], bool]
) -> dict[int, CubeValue]:
    """Raise the precision until two runs agree in the digits of every eigenvalue.

    By Cauchy and Schwarz an error of K changes an eigenvalue by at most that over the square root
    of binom(d, k).  That of an eigenvalue which `is_zero` is measured by the smaller neighbour.
    """
    wanted = sorted(set(degrees))
    around = sorted({k + i for k in wanted for i in (-1, 0, 1) if 0 <= k + i <= dim})
    weights = {k: parity_weights(dim, k) for k in around}
    working = digits + FIRST_DIGITS
    while True:
        row, noise, bits = values(working, False)
        noise += max(map(abs, row)) // 10**working + 1
        sums = {k: sum(w * v for w, v in zip(weights[k], row, strict=True)) for k in around}
        missing, change = _missing(sums, wanted, dim, noise, digits, is_zero), 0
        if not missing or working >= MOST_DIGITS:
            other, _, _ = values(working, True)
            change = max(abs(x - y) for x, y in zip(row, other, strict=True))
            missing = _missing(sums, wanted, dim, noise + change, digits, is_zero)
        if not missing or working >= MOST_DIGITS:
            unit = -(bits + dim)
            return {
                k: CubeValue(
                    _exact(sums[k], unit),
                    _exact(_error(dim, k, noise + change), unit),
                    _exact(_error(dim, k, change), unit),
                )
                for k in wanted
            }
        working = min(working + missing, MOST_DIGITS)


def _error(dim: int, degree: int, noise: int) -> int:
    return (noise << dim) // math.isqrt(math.comb(dim, degree)) + 1


def _missing(
    sums: dict[int, int],
    wanted: Sequence[int],
    dim: int,
    noise: int,
    digits: int,
    is_zero: Callable[[int], bool],
) -> int:
    """Digits that the least accurate eigenvalue lacks."""
    seen = {k: abs(x) for k, x in sums.items() if abs(x) > 2 * _error(dim, k, noise)}
    most = 0
    for k in wanted:
        size = seen.get(k, 0)
        if not size and is_zero(k):
            near = [seen[i] for i in (k - 1, k + 1) if i in seen]
            if not near:
                continue
            size = min(near)
        if not size:
            return digits + 20
        excess = _error(dim, k, noise) * 10**digits // size
        most = max(most, len(str(excess)) + 1 if excess else 0)
    return most


def _exact(n: int, exponent: int) -> mpmath.mpf:
    return mpmath.make_mpf(from_man_exp(n, exponent))
