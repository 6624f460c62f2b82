"""Spectra as sums over the Taylor coefficients of K(t): lambda_k = sum_n a_n w(k, n), all >= 0.

How many coefficients count is proved from K and its derivatives at t = 1, f_j = K^(j)(1) / j!:

    sum_(n >= N) a_n w(k, n) <= f_j w(k, N) / C(N, j)

where N (d - 1 + 2j) > (j - 1)(j - 2) + (k - 2)(k + d), as w(k, n) / C(n, j) falls with n then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.duals import taylor
from ntkspec.duals.squares import FAMILIES
from ntkspec.duals.tails import FEW_ORDERS, TailBounds, tail_bounds
from ntkspec.kernels import series
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Passed, Scaled, normalized

__all__ = ["ROUTE", "TaylorRows"]

LN2 = math.log(2.0)
#: Bits of a degree's largest term below which its terms are left out.
BITS = 72.0
#: The coefficients left out add at most this, relatively.
LEFT_OUT = 2.0**-56
#: Largest number of coefficients of deep networks, and of one layer.
MOST_COMPOSED, MOST_DIRECT = 6000, 200_000
#: Largest number of coefficients that come from balls.
MOST_BALLS = 3000
UNIT = 2.0**-53

Array = NDArray[np.float64]


def coefficients(
    network: Network, kernel: Kernel, count: int, zeros: Parity
) -> taylor.Coefficients:
    """Taylor coefficients of a kernel, as `duals.taylor.coefficients`, or Passed."""
    try:
        return taylor.coefficients(network, kernel, -(-count // 32) * 32, zeros)
    except taylor.OutOfRangeError:
        raise Passed(f"{count} Taylor coefficients leave the range of doubles") from None


class TaylorRows:
    """Rows and columns of a network's eigenvalues from its kernel's Taylor coefficients."""

    walks = True
    degrees_alone = False

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self.network, self.kernel = network, kernel
        self.parity: Parity = parity(network, kernel)
        self.found: taylor.Coefficients | None = None

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of all eigenvalues."""
        assert self.found is not None
        return self.found.relative_error + (3.0 * series.RUN + series.CHUNK + 10.0) * UNIT

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return self.parity.isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Find the coefficients that the lowest dimension and the last degree need."""
        degree = last
        if self.parity.main is not None and (last - self.parity.main) % 2:
            degree = max(last - 1, self.parity.main)
        bounds = tail_bounds(self.network, self.kernel, FEW_ORDERS)
        count = self._predicted(bounds, low, degree)
        if bounds.short(count):
            bounds = tail_bounds(self.network, self.kernel)
            count = self._predicted(bounds, low, degree)
        while True:
            self._check(count)
            self.found = coefficients(self.network, self.kernel, count, self.parity)
            if self._proved(bounds, low, degree):
                return
            count = count + count // 8 + 8

    def _check(self, count: int) -> None:
        most = MOST_DIRECT if self.network.depth == 1 else MOST_COMPOSED
        if self.network.sigma.name not in FAMILIES:
            most = MOST_BALLS
        if count > most:
            raise Passed(f"needs {count} Taylor coefficients, and at most {most} are computed")

    def _predicted(self, bounds: TailBounds, dim: int, degree: int) -> int:
        """A number of coefficients that is probably enough."""
        count = degree + 8
        peak = -np.inf
        # By how many powers of n the bound of a coefficient exceeds it.
        slack = 4.0 if self.network.sigma.singularity.kind == "kink" else 1.2
        while True:
            log_w = np.empty(1)
            series.log_weights(np.array([degree]), dim, count, log_w)
            tail = bounds.log_coefficient(count) + log_w[0]
            peak = max(peak, tail - slack * math.log(count))
            if tail < peak - 41.0 or count > 2 * MOST_DIRECT:
                return count
            count += max(8, count // 24)

    def _proved(self, bounds: TailBounds, dim: int, degree: int) -> bool:
        """Whether the coefficients left out are negligible for the degrees 0 to `degree`.

        Then they are for lower degrees and higher dimensions: w(k, n) grows the more with n, the
        higher the degree, and the lower the dimension.
        """
        assert self.found is not None
        count = self.found.mantissa.size
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
        a = self._coefficients(degree % 2)
        any_column: Callable[..., None] = series.any_column
        any_column(degree, degree % 2, dims, *a, BITS, mantissa, exponent)
        return mantissa, exponent

    def _row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        mantissa, exponent = np.empty(degrees.size), np.empty(degrees.size, np.int64)
        first = int(degrees[0]) % 2
        a = self._coefficients(first)
        any_row: Callable[..., None] = series.any_row
        any_row(degrees, first, dim, *a, BITS, mantissa, exponent)
        return mantissa, exponent

    def _coefficients(self, first: int) -> tuple[NDArray[Any], ...]:
        assert self.found is not None
        mantissa = self.found.mantissa[first::2].copy()
        exponent = self.found.exponent[first::2].copy()
        high, low = np.empty(mantissa.size - 1), np.empty(mantissa.size - 1)
        series.ratios(mantissa, exponent, high, low)
        return mantissa, exponent, high, low

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


def _stacked(values: list[tuple[float, int]]) -> Scaled:
    return np.array([m for m, _ in values]), np.array([e for _, e in values], np.int64)


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network) or source.weights != "gaussian" or source.sigma.user:
        return None
    if parity(source, kernel).last is not None:
        return None
    return "Taylor coefficients at t = 0, all positive"


ROUTE = row_route("Taylor series", _takes, TaylorRows)
