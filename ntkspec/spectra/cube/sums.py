"""The Boolean cube: eigenvalues of a kernel at the parities x^S, from its values on the cube.

The kernel is K(t) with t = <x, x'> / d in {-1, -1 + 2/d, ..., 1} (Yang and Salman 2019, section 3).
Every product x^S of |S| = k coordinates is an eigenfunction, with the eigenvalue

    mu_k = E[x^S K(sum_i x_i / d)] = 2^-d sum_j [z^j] (1 - z)^k (1 + z)^(d - k) K(1 - 2j/d),

the coefficients being Krawtchouk's polynomials.  The d + 1 values of K are taken as integers of a
fixed unit; the sums over them, for all k at once, are two Taylor shifts of a polynomial with whole
coefficients and add no rounding.  The error of the values is divided by sqrt(binom(d, k)) at
least, and the precision is raised until every eigenvalue keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from flint import arb, ctx, fmpz, fmpz_poly
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.seeds import KEPT, bits_kept, like_zeros, refuse_zeros

__all__ = ["Values", "cube_route", "enclosed", "krawtchouk_sums"]

MOST_BITS = 40_000
#: For functions with unknown errors: two precisions must agree instead.
MOST_BITS_UNPROVED = 4_000
ROUNDING = 2.0**-53


class Values(Protocol):
    """K at the d + 1 points of the cube."""

    #: Whether the balls are enclosures; if not, two precisions must agree.
    proved: bool
    #: Bound on a relative error that all eigenvalues share, beyond what the balls show.
    relative_error: float

    def at(self, dim: int, count: int) -> list[arb]:
        """Return K(1 - 2j/dim) for j < count, at the working precision."""

    def slack(self, dim: int) -> arb | None:
        """Return a bound on an error of all eigenvalues that the balls do not include."""


def cube_route(
    name: str,
    takes: Callable[[Source, Domain, Kernel], str | None],
    values: Callable[[Any, Kernel], Values],
    serves: str,
) -> Route:
    """Make a route from a function that returns the values of a source's kernel."""

    def eigenvalues(
        source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
    ) -> Eigenvalues:
        return _rounded(values(source, kernel), parity(source, kernel), domain.dim, degrees)

    return Route(name, takes, eigenvalues, serves=serves)


def _rounded(values: Values, zeros: Parity, dim: int, degrees: NDArray[np.int64]) -> Eigenvalues:
    """Mantissas, exponents and relative errors of increasing degrees."""
    balls = enclosed(values, zeros, dim, degrees.tolist())
    mantissa, exponent = np.zeros(degrees.size), np.zeros(degrees.size, np.int64)
    error = np.zeros(degrees.size)
    for i, k in enumerate(degrees.tolist()):
        if k in balls:
            mantissa[i], exponent[i] = split(balls[k])
            error[i] = values.relative_error + 2.0 * ROUNDING
    return mantissa, exponent, error


# --- from values to eigenvalues ------------------------------------------------------------------


@exclusive()
def enclosed(
    values: Values,
    zeros: Parity,
    dim: int,
    degrees: list[int],
    kept: int = KEPT,
    accuracy: Callable[[arb], int] = bits_kept,
) -> dict[int, arb]:
    """Eigenvalues that do not vanish, the precision raised until each keeps its bits.

    `accuracy` returns the number of correct bits of a ball.
    """
    degrees = [k for k in degrees if k <= dim and not zeros.vanishes(k)]
    bits = kept + (_first_bits(dim, degrees[-1]) if degrees else 4)
    before: dict[int, arb] | None = None
    most = MOST_BITS if values.proved else MOST_BITS_UNPROVED
    while True:
        if bits > most:
            raise NtkspecError(
                f"some eigenvalue of degree {degrees[0]} to {degrees[-1]} in dimension {dim} "
                f"cannot be distinguished from 0 with {most} bits; "
                "leave out degrees that vanish, or lower the degree or the dimension"
            )
        with working_precision(bits):
            balls = _eigenvalues(values, zeros, dim, degrees)
            missing = kept - min(map(accuracy, balls.values()), default=kept)
            if missing <= 0:
                if values.proved or (before and not _differ(balls, before)):
                    return balls
                before, bits = balls, bits + bits // 4
                continue
            if not values.proved:
                refuse_zeros(like_zeros(balls, balls))
        bits += max(missing + 16, 32) if missing < kept else bits // 2


def _eigenvalues(values: Values, zeros: Parity, dim: int, degrees: list[int]) -> dict[int, arb]:
    """Sums of integers at the working precision, with one bound on the rounding of the values."""
    mirror = zeros.whole
    count = dim + 1 if mirror is None else dim // 2 + 1
    balls = values.at(dim, count)
    size = max((abs(ball).upper() for ball in balls), default=arb(0))
    shift = ctx.prec - (int(size.man_exp()[1]) + _length(size) if not size.is_zero() else 0)
    unit = arb(2) ** -shift
    whole = [_nearest(ball, shift) for ball in balls]
    radius = max(arb(ball.rad()) for ball in balls) + unit
    if mirror is not None:
        whole += [(-1) ** mirror * whole[dim - j] for j in range(count, dim + 1)]
        if dim % 2 == 0 and mirror == 1:
            whole[dim // 2] = fmpz(0)
    sums = krawtchouk_sums(whole)
    slack = values.slack(dim)
    result = {}
    counts = _binomials(dim)
    for k in degrees:
        states = counts[k]
        middle = arb(sums[k]) * unit / (arb(states) * arb(2) ** dim)
        error = radius / arb(states).sqrt()
        if slack is not None:
            error += slack
        result[k] = middle + arb(0, error.upper())
    return result


def krawtchouk_sums(values: list[fmpz]) -> list[fmpz]:
    """2^d binom(d, k) mu_k for k = 0..d from whole values of K(1 - 2j/d), exactly.

    sum_k binom(d, k) 2^d mu_k y^k = sum_j binom(d, j) f_j (1 - y)^j (1 + y)^(d - j): with
    u = 1 + y this is u^d P(2/u - 1), P(w) = sum_j binom(d, j) f_j w^j; one shift of the variable
    of P, one of u.

    Examples
    --------
    >>> krawtchouk_sums([fmpz(3), fmpz(0), fmpz(-3)])  # 3 t has mu_1 = 3/2 alone
    [0, 12, 0]
    """
    dim = len(values) - 1
    weighted = fmpz_poly([c * value for c, value in zip(_binomials(dim), values, strict=True)])
    shifted = weighted(fmpz_poly([-1, 1]))
    homogeneous = fmpz_poly([shifted[dim - i] << (dim - i) for i in range(dim + 1)])
    result = homogeneous(fmpz_poly([1, 1]))
    return [result[k] for k in range(dim + 1)]


def _binomials(dim: int) -> list[fmpz]:
    """binom(d, k), k = 0..d."""
    row = [fmpz(1)]
    for k in range(dim):
        row.append(row[-1] * (dim - k) // (k + 1))
    return row


def _nearest(ball: arb, shift: int) -> fmpz:
    """Midpoint in units of 2^-shift, rounded down."""
    man, exp = (int(x) for x in ball.mid().man_exp())
    move = exp + shift
    return fmpz(man << move if move >= 0 else man >> -move)


def _length(ball: arb) -> int:
    return int(abs(int(ball.mid().man_exp()[0]))).bit_length()


def _differ(balls: dict[int, arb], before: dict[int, arb]) -> bool:
    limit = arb(2) ** (4 - KEPT)
    return any(not abs(ball - before[k]) < abs(ball).upper() * limit for k, ball in balls.items())


def _first_bits(dim: int, degree: int) -> int:
    """Bits by which an eigenvalue hardly falls more: k! a_k / d^k, or the limit 2^(1-d)."""
    k = max(degree, 1)
    fall = min(k * math.log2(dim) - math.lgamma(k + 1) / math.log(2.0), float(dim))
    return 48 + int(fall + 4.0 * math.log2(k + 1.0))
