"""The power series of one layer of tanh or sigmoid, whose terms are all positive.

K(t) = constant + sum over odd n of a_n t^n.  On the cube t^n has the eigenvalues c_(n,k) >= 0: a
walk of Ehrenfest, c_(n+1,k) = (k/d) c_(n,k-1) + ((d-k)/d) c_(n,k+1).  So a relative error of the
a_n is one of the eigenvalues, however small they are, and doubles are enough for the a_n; the sum
of as many terms as count is then evaluated in balls at the points of the cube.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from flint import arb, arb_poly, ctx, fmpq, fmpz

from ntkspec.duals.growth import series_tail
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import working_precision
from ntkspec.spectra.cube.sums import cube_route
from ntkspec.spectra.series import squared_moments, takes_series

__all__ = ["ROUTE", "PowerSeries"]

MOST_TERMS = 200_000
ROUNDING = 2.0**-53


class PowerSeries:
    """Values on the cube of the kernel of one layer of tanh or sigmoid without bias."""

    proved = True

    def __init__(self, network: Network, kernel: Kernel) -> None:
        assert network.sigma.tanh is not None
        offset, amplitude, rate = network.sigma.tanh
        self.family = network.name
        self.variance: float = network.weight_variance
        self.dual, self.tangent = network.mixture(kernel)
        self.constant = self.dual * offset**2
        self.amplitude = amplitude
        self.inner = self.variance * rate**2
        # As for the sphere (`ntkspec.spectra.series`), without the walk's share: the square of a
        # moment, whose exponent pi sqrt(n/q)/2 is kept in double-double, and three products.
        b = 0.5 * math.pi / math.sqrt(self.inner)
        self.relative_error = (2.0 * (16.0 + 0.5 * b * b) + 8.0) * ROUNDING

    def at(self, dim: int, count: int) -> list[arb]:
        """K(1 - 2j/dim) for j < count, up to `slack`."""
        terms = self._terms(dim)
        constant = arb(self.constant)
        series = arb_poly(terms)
        values = []
        for j in range(count):
            t = arb(fmpq(dim - 2 * j, dim))
            values.append(constant + t * series(t * t))
        return values

    def slack(self, dim: int) -> arb:
        """Bound on the omitted terms, E[|t|^n] sum of a_n over n beyond the last."""
        return self._rest(dim, 2 * len(self._terms(dim)) + 1)

    def _terms(self, dim: int) -> list[arb]:
        """a_1, a_3, ...: until the rest is below the unit of the working precision."""
        count = 128
        limit = arb(2) ** -ctx.prec * arb(self._coefficients(1)[0])
        while not self._rest(dim, 2 * count + 1) < limit:
            count = count * 5 // 4
            if count > MOST_TERMS:
                raise NtkspecError(
                    f"weight_variance = {self.variance:g} needs more than {MOST_TERMS} terms of "
                    "the kernel's series on the cube; lower it, or the dimension"
                )
        return self._coefficients(count)

    def _coefficients(self, count: int) -> list[arb]:
        mantissa, exponent = squared_moments(self.inner, count)
        n = 1.0 + 2.0 * np.arange(count)
        weight = self.amplitude**2 * (self.dual + self.tangent * n)
        return [_exact(m, e) for m, e in zip(mantissa * weight, exponent.tolist(), strict=True)]

    def _rest(self, dim: int, first: int) -> arb:
        """E[|t|^first] sum of a_n over n >= first: no eigenvalue has more of these terms."""
        value, slope = series_tail(self.family, arb(self.variance), first)
        tail = self.dual * value + self.tangent * self.variance * slope
        return (tail * _absolute_moment(dim, first)).upper()


def _exact(mantissa: np.float64, exponent: int) -> arb:
    m, e = math.frexp(mantissa)
    return arb(fmpz(int(m * 2.0**53))) * arb(2) ** (exponent + e - 53)


@lru_cache(maxsize=256)
def _absolute_moment(dim: int, n: int) -> arb:
    """E[|t|^n] on the cube, from above."""
    with working_precision(64):
        total = arb(0)
        ways = fmpz(1)
        for j in range(dim // 2 + 1):
            total += arb(ways) * arb(fmpq(dim - 2 * j, dim)) ** n
            ways = ways * (dim - j) // (j + 1)
        return (2 * total / arb(2) ** dim).upper()


ROUTE = cube_route(
    "positive series", takes_series, PowerSeries, "one layer of tanh or sigmoid without bias"
)
