"""Duals that are costly at every angle, interpolated by a polynomial in the angle.

The dual of a sigma with a kink at 0 is an entire function of theta (`expectations` integrates it
over sectors whose opening is theta), so its Chebyshev coefficients on [0, pi] fall faster than any
geometric series.  It is interpolated where the last eighth of them is below the working precision;
the sum of their sizes and the radii of all coefficients go into the radius of every value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from flint import acb, arb, arb_mat, arb_poly, ctx, fmpq

from ntkspec.precision import extra_precision
from ntkspec.reference.balls.expectations import Dual

__all__ = ["InterpolatedDual", "cancelled_bits", "in_powers"]

#: Bits that a Chebyshev coefficient of order j loses as powers of x: (1 + sqrt 2)^j.
BITS_LOST = 1.28
MOST_POINTS = 4000


class InterpolatedDual:
    """Both expectations of a layer as polynomials in x = 2 theta / pi - 1."""

    def __init__(self, dual: Dual, points: int) -> None:
        self._zero = dual.at_zero()
        tables = _chebyshev(dual, points)
        while not all(map(_has_fallen, tables)) and points < MOST_POINTS:
            points = math.ceil(1.3 * points)
            tables = _chebyshev(dual, points)
        self.polynomials = [in_powers(row) for row in tables]
        self.errors = [arb(0, (_tail(row) + _radii(row)).upper()) for row in tables]
        #: Bits that cancel between the powers.
        self.guard = 8 + max(map(cancelled_bits, self.polynomials))

    def at_zero(self) -> tuple[arb, arb]:
        """Return both at theta = 0, integrated directly."""
        return self._zero

    def at(self, points: Sequence[acb]) -> tuple[list[arb], list[arb]]:
        """Return both at the angles of the points of the upper half circle."""
        f, d = self.polynomials
        of_f, of_d = self.errors
        values: tuple[list[arb], list[arb]] = ([], [])
        with extra_precision(self.guard):
            scale = 2 / arb.pi()
            for p in points:
                x = scale * p.arg() - 1
                values[0].append(f(x) + of_f)
                values[1].append(d(x) + of_d)
        return values


def _tail(series: Sequence[arb]) -> arb:
    """Sum of the sizes of the last eighth."""
    return sum((abs(c) for c in series[-max(len(series) // 8, 1) :]), arb(0))


def _radii(series: Sequence[arb]) -> arb:
    return sum((arb(c.rad()) for c in series), arb(0))


def _has_fallen(series: Sequence[arb]) -> bool:
    """Whether the last coefficients are below the rounding of all."""
    size = max(abs(c.mid()) for c in series)
    return not _tail(series) > _radii(series) + size * arb(2) ** -ctx.prec


def _chebyshev(dual: Dual, n: int) -> list[list[arb]]:
    """Chebyshev coefficients of both expectations, by interpolation at the zeros of T_n."""
    turn = [arb.cos_pi_fmpq(fmpq(j, 2 * n)) for j in range(4 * n)]
    points = []
    half_pi = arb.pi() / 2
    for i in range(n):
        sine, cosine = (half_pi * (1 + turn[2 * i + 1])).sin_cos()
        points.append(acb(cosine, sine))
    transform = arb_mat([[turn[(2 * i + 1) * j % (4 * n)] for j in range(n)] for i in range(n)])
    rows = (arb_mat([list(row) for row in dual.at(points)]) * transform).tolist()
    return [[c * (2 if j else 1) / n for j, c in enumerate(row)] for row in rows]


def in_powers(series: Sequence[arb]) -> arb_poly:
    """The midpoints' sum_j series[j] T_j(x) as a polynomial, by Clenshaw's recurrence."""
    with extra_precision(int(BITS_LOST * len(series))):
        twice = arb_poly([0, 2])
        value, ahead = arb_poly([series[-1].mid()]), arb_poly([0])
        for c in reversed(series[1:-1]):
            value, ahead = arb_poly([c.mid()]) + twice * value - ahead, value
        return arb_poly([series[0].mid()]) + arb_poly([0, 1]) * value - ahead


def cancelled_bits(polynomial: arb_poly) -> int:
    """Bits that cancel between the powers on [-1, 1], where the polynomial is about 1."""
    total = sum((abs(c) for c in polynomial.coeffs()), arb(0))
    return max(int(float(total.mid().log()) / math.log(2.0)) if total > 0 else 0, 0)
