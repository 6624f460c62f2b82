"""Spectra as sums over the Taylor coefficients of K(t): lambda_k = sum_n a_n w(k, n), all >= 0.

How many coefficients count is proved from K and its derivatives at t = 1, f_j = K^(j)(1) / j!:

    sum_(n >= N) a_n w(k, n) <= f_j w(k, N) / C(N, j)

where N (d - 1 + 2j) > (j - 1)(j - 2) + (k - 2)(k + d), as w(k, n) / C(n, j) falls with n then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.duals import taylor
from ntkspec.duals.squares import FAMILIES
from ntkspec.duals.tails import ORDERS, TailBounds, more_orders, tail_bounds
from ntkspec.errors import NtkspecError
from ntkspec.kernels import series
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Passed, Scaled, normalized

__all__ = [
    "LEFT_OUT",
    "MOST_DIRECT",
    "ROUTE",
    "Coefficients",
    "TaylorRows",
    "predicted_count",
    "series_sum",
    "takes_taylor",
]

LN2 = math.log(2.0)
#: Bits of a degree's largest term below which its terms are left out.
BITS = 72.0
#: The coefficients left out add at most this, relatively.
LEFT_OUT = 2.0**-56
#: Largest number of coefficients of deep networks, and of one layer.
MOST_COMPOSED, MOST_DIRECT = 20_000, 200_000
#: Largest number of coefficients that come from balls.
MOST_BALLS = 3000
UNIT = 2.0**-53

Array = NDArray[np.float64]


class Coefficients:
    """Taylor coefficients of a kernel, and how many an eigenvalue needs."""

    def __init__(
        self, network: Network, kernel: Kernel, zeros: Parity, most_balls: int = MOST_BALLS
    ) -> None:
        self.network, self.kernel, self.zeros = network, kernel, zeros
        self.most_balls = most_balls

    @property
    def in_doubles(self) -> bool:
        """Whether they are composed in doubles, if these suffice, or in balls at once."""
        return {sigma.shape.base for sigma in self.network.sigmas} <= set(FAMILIES)

    @property
    def most(self) -> int:
        """Largest number of coefficients that are computed."""
        if not self.in_doubles:
            return self.most_balls
        return MOST_DIRECT if len(self.network.sigmas) == 1 else MOST_COMPOSED

    def bounds(self, count: int) -> TailBounds:
        """Bounds of what the coefficients from this number on add."""
        orders: int | None = ORDERS[0]
        while orders is not None:
            found = tail_bounds(self.network, self.kernel, orders)
            orders = more_orders(found.log_f, count, orders)
        return found

    def first(
        self, count: int, error: Callable[[taylor.Coefficients], float] = taylor.LARGEST
    ) -> taylor.Coefficients:
        """The first coefficients: so many, or a few more.

        `error` returns how large their relative errors are where they count: by default the
        largest.

        Raises
        ------
        Passed
            When they are too many, or do not come to the accuracy of doubles.
        """
        count = -(-count // 32) * 32
        if count > self.most:
            raise Passed(f"needs {count} Taylor coefficients, and at most {self.most} are computed")
        try:
            return taylor.coefficients(self.network, self.kernel, count, self.zeros, error)
        except taylor.OutOfRangeError:
            raise Passed(f"needs {count} Taylor coefficients beyond the range of doubles") from None
        except NtkspecError as error:
            raise Passed(str(error)) from None

    def predicted(self, dim: int, degree: int) -> int:
        """A number of coefficients that is probably enough for a degree."""
        slack = 4.0 if self.network.kind == "kink" else 1.2
        orders: int | None = ORDERS[0]
        while orders is not None:
            bounds = tail_bounds(self.network, self.kernel, orders)
            count = predicted_count(bounds, slack, dim, degree)
            orders = more_orders(bounds.log_f, count, orders)
        return count


def predicted_count(bounds: TailBounds, slack: float, dim: int, degree: int) -> int:
    """A number of coefficients that is probably enough for a degree.

    slack: by how many powers of n the bound of a coefficient exceeds it.
    """
    count = degree + 8
    peak = -np.inf
    log_w = np.empty(1)
    while True:
        series.log_weights(np.array([degree]), dim, count, log_w)
        tail = bounds.log_sum(count) + log_w[0]
        peak = max(peak, tail - slack * math.log(count))
        if tail < peak - 41.0 or count > 2 * MOST_DIRECT:
            return count
        count += max(8, count // 24)


class TaylorRows:
    """Rows and columns of a network's eigenvalues from its kernel's Taylor coefficients."""

    walks = True
    degrees_alone = False

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self.parity: Parity = parity(network, kernel)
        self.series = Coefficients(network, kernel, self.parity)
        self.found: taylor.Coefficients | None = None
        self.error = math.inf

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of all eigenvalues."""
        return self.error + (3.0 * series.RUN + series.CHUNK + 10.0) * UNIT

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return self.parity.isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Find the coefficients that the lowest dimension and the last degree need."""
        degree = last
        if self.parity.main is not None and (last - self.parity.main) % 2:
            degree = max(last - 1, self.parity.main)
        count = self.series.predicted(low, degree)
        while True:
            self.found = self.series.first(count, lambda found: self._error(found, low, degree))
            if self._proved(low, degree):
                self.error = self._error(self.found, low, degree)
                return
            count += count // 8 + 8

    def _error(self, found: taylor.Coefficients, dim: int, degree: int) -> float:
        """Bound on what the errors of the coefficients add to the degrees 0 to `degree`.

        That is their mean with the weights a_n w(k, n).  It is the largest for the highest degree
        and the lowest dimension, as the errors grow with n, and as w(k, n + 2) / w(k, n) does with
        k, and falls with the dimension.
        """
        worst = 0.0
        for k in (degree, degree - 1):
            if k < 0:
                continue
            single = self.isolated(k % 2)
            if single is not None:
                worst = max(worst, float(found.errors[max(single, default=0)]))
            elif not self.parity.vanishes(k):
                weighted = replace(found, mantissa=found.mantissa * found.errors)
                whole, e = _row(found, dim, np.array([k]))
                part, f = _row(weighted, dim, np.array([k]))
                worst = max(worst, 1.001 * math.ldexp(part[0] / whole[0], int(f[0] - e[0])))
        return worst

    def _proved(self, dim: int, degree: int) -> bool:
        """Whether the coefficients left out are negligible for the degrees 0 to `degree`.

        Then they are for lower degrees and higher dimensions: w(k, n) grows the more with n, the
        higher the degree, and the lower the dimension.
        """
        assert self.found is not None
        count = self.found.mantissa.size
        bounds = self.series.bounds(count)
        for k in (degree, degree - 1):
            if k < 0 or self.parity.vanishes(k) or self.isolated(k % 2) is not None:
                continue
            log_w = np.empty(1)
            series.log_weights(np.array([k]), dim, count, log_w)
            m, e = self._row(dim, np.array([k]))
            tail = bounds.log_tail(count, k, dim) + log_w[0]
            if not tail <= math.log(m[0]) + e[0] * LN2 + math.log(LEFT_OUT):
                return False
        return True

    def serves(self, low: int, last: int) -> bool:
        """Whether dimensions from `low` and degrees to `last` probably need few coefficients."""
        return self.series.predicted(low, last) <= self.series.most

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        single = self.isolated(int(degrees[0]) % 2)
        if single is not None:
            values = [self._isolated(int(k), dim) if k in single else (0.0, 0) for k in degrees]
            return _stacked(values)
        return self._row(dim, degrees)

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions of one parity."""
        single = self.isolated(degree % 2)
        if single is not None:
            return _stacked(
                [self._isolated(degree, int(d)) if degree in single else (0.0, 0) for d in dims]
            )
        mantissa, exponent = np.empty(dims.size), np.empty(dims.size, np.int64)
        assert self.found is not None
        a = _of_parity(self.found, degree % 2)
        any_column: Callable[..., None] = series.any_column
        any_column(degree, degree % 2, dims, *a, BITS, mantissa, exponent)
        return mantissa, exponent

    def _row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        assert self.found is not None
        return _row(self.found, dim, degrees)

    def _isolated(self, degree: int, dim: int) -> tuple[float, int]:
        """An eigenvalue from the few coefficients of a polynomial part, in exact weights."""
        assert self.found is not None
        total = Fraction(0)
        for n in range(degree, max(self.parity.others) + 1, 2):
            m = (n - degree) // 2
            weight = Fraction(math.factorial(n), 2**m * math.factorial(m))
            for j in range(degree + m):
                weight /= dim + 2 * j
            a = Fraction(float(self.found.mantissa[n])) * Fraction(2) ** int(self.found.exponent[n])
            total += a * weight
        mantissa, exponent = normalized(np.array([float(total)]), np.int64(0))
        return float(mantissa[0]), int(exponent[0])


def _row(found: taylor.Coefficients, dim: int, degrees: NDArray[np.int64]) -> Scaled:
    """Sums over the coefficients for degrees of one parity."""
    mantissa, exponent = np.empty(degrees.size), np.empty(degrees.size, np.int64)
    first = int(degrees[0]) % 2
    any_row: Callable[..., None] = series.any_row
    any_row(degrees, first, dim, *_of_parity(found, first), BITS, mantissa, exponent)
    return mantissa, exponent


def _of_parity(found: taylor.Coefficients, first: int) -> tuple[NDArray[Any], ...]:
    """Coefficients of a parity, and their ratios as double-doubles."""
    mantissa, exponent = found.mantissa[first::2].copy(), found.exponent[first::2].copy()
    high, low = np.empty(mantissa.size - 1), np.empty(mantissa.size - 1)
    series.ratios(mantissa, exponent, high, low)
    return mantissa, exponent, high, low


def _stacked(values: list[tuple[float, int]]) -> Scaled:
    return np.array([m for m, _ in values]), np.array([e for _, e in values], np.int64)


def series_sum(a: list[arb], degree: int, dim: int) -> tuple[arb, arb]:
    """Sum of a_n w(k, n) over coefficients in balls, and the weight of the next one."""
    weight = arb(1)
    for j in range(degree):
        weight = weight * (j + 1) / (2 * j + dim)
    total = arb(0)
    n = degree
    while n < len(a):
        total += a[n] * weight
        m = (n - degree) // 2
        weight = weight * ((n + 1) * (n + 2)) / (2 * (m + 1) * (2 * degree + 2 * m + dim))
        n += 2
    return total, weight


def takes_taylor(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    """The reason for a series, if the kernel has one."""
    if not isinstance(source, Network) or source.weights != "gaussian" or source.user:
        return None
    if parity(source, kernel).last is not None:
        return None
    return "Taylor coefficients at t = 0, all positive"


ROUTE = row_route(
    "Taylor series",
    takes_taylor,
    TaylorRows,
    serves="catalogued activations with Gaussian weights, where few enough coefficients count",
)
