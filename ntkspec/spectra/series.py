"""Spectra as sums of positive terms: activations that are affine in tanh."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.kernels import moments, series
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Scaled, normalized

__all__ = ["ROUTE", "PositiveSeries", "squared_moments", "takes_series"]

#: Largest number of coefficients; a spectrum that needs more is refused, as it takes minutes.
MOST_COEFFICIENTS = 2**23
#: Smallest number of moments that are computed together.
FIRST = 512


def squared_moments(variance: float, count: int) -> Scaled:
    """h_n^2 of tanh(sqrt(q) Z) for n = 1, 3, ..., count of them, scaled and read-only."""
    mantissa, exponent = _first_squares(variance, _rounded(count))
    return mantissa[:count], exponent[:count]


def _rounded(count: int) -> int:
    """The least FIRST 2^j that holds so many."""
    size = FIRST
    while size < count:
        size *= 2
    return size


@lru_cache(maxsize=64)
def _first_squares(variance: float, size: int) -> Scaled:
    """The first FIRST 2^j of them; each is computed independently of the size."""
    done = size // 2 if size > FIRST else 0
    mantissa, exponent = np.empty(size), np.empty(size, np.int64)
    if done:
        mantissa[:done], exponent[:done] = _first_squares(variance, done)
    m, e = mantissa[done:], exponent[done:]
    moments.hermite_moments(2 * done + 1, variance, 0.0, False, m, e)
    m *= m
    e *= 2
    for values in (mantissa, exponent):
        values.flags.writeable = False
    return mantissa, exponent


class PositiveSeries:
    """Spectrum of K(t) = constant + sum over odd n of (dual + tangent n) h_n^2 t^n.

    h_n are amplitude times the moments of tanh(sqrt(q) Z), q = `variance`, in which the rate is.
    """

    walks = True
    degrees_alone = True

    def __init__(
        self, variance: float, amplitude: float, constant: float, dual: float, tangent: float
    ) -> None:
        self._constant = constant
        self._amplitude = amplitude
        self._dual = dual
        self._tangent = tangent
        self._variance = variance
        # Squared moments, then the moves of a run and one chunk of its sum.
        units = 2.0 * moments.moment_error(variance, MOST_COEFFICIENTS)
        units += 3.0 * series.RUN + series.CHUNK + 8.0
        self.relative_error = units * 2.0**-53

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        if parity == 1:
            return None
        return (0,) if self._constant != 0.0 else ()

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Do nothing: rows and columns are computed separately."""

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        if degrees[0] % 2 == 0:
            return normalized(np.where(degrees == 0, self._constant, 0.0), np.int64(0))
        last = int(degrees[-1])
        enough = _coefficients_needed(*self._series, dim, last)
        return self._sum(degrees.size, lambda *a: series.row(degrees, 1, dim, *a), last, enough)

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions of one parity."""
        if degree % 2 == 0:
            constant = self._constant if degree == 0 else 0.0
            return normalized(np.full(dims.size, constant), np.int64(0))
        return self._sum(dims.size, lambda *a: series.column(degree, 1, dims, *a), degree, FIRST)

    def _sum(self, size: int, kernel: Callable[..., int], degree: int, count: int) -> Scaled:
        mantissa, exponent = np.empty(size), np.empty(size, np.int64)
        count = max(count, degree)
        while kernel(*_coefficients(*self._series, _rounded(count)), mantissa, exponent) < size:
            count = _more(count, degree)
        return mantissa, exponent

    @property
    def _series(self) -> tuple[float, float, float, float]:
        return self._variance, self._amplitude, self._dual, self._tangent


def _more(count: int, degree: int) -> int:
    """Twice as many coefficients."""
    if 2 * count > MOST_COEFFICIENTS:
        raise _too_many(degree)
    return 2 * count


def _too_many(degree: int) -> NtkspecError:
    return NtkspecError(
        f"degree = {degree} needs more than {MOST_COEFFICIENTS} coefficients at this "
        "weight_variance; lower the degree or the weight_variance"
    )


@lru_cache(maxsize=1024)
def _coefficients_needed(
    variance: float, amplitude: float, dual: float, tangent: float, dim: int, degree: int
) -> int:
    """Number of coefficients that the eigenvalue of an odd degree needs."""
    # The largest term is near n = (degree^2 / rate)^(2/3), rate = pi / sqrt(q).
    if (degree * degree * math.sqrt(variance) / math.pi) ** (2 / 3) > 2 * MOST_COEFFICIENTS:
        raise _too_many(degree)
    row: Callable[..., int] = series.row
    degrees, out = np.array([degree]), (np.empty(1), np.empty(1, np.int64))
    count = max(FIRST, degree)
    arguments = variance, amplitude, dual, tangent
    while row(degrees, 1, dim, *_coefficients(*arguments, _rounded(count)), *out) < 1:
        count = _more(count, degree)
    return count


@lru_cache(maxsize=64)
def _coefficients(
    variance: float, amplitude: float, dual: float, tangent: float, size: int
) -> tuple[NDArray[Any], ...]:
    """Scaled a_1, a_3, ... (size of them) and their ratios as double-doubles.

    Only the compiled loops read them; read-only arrays would be compiled for a second time.
    """
    squares, scale = squared_moments(variance, size)
    n = 1.0 + 2.0 * np.arange(size)
    mantissa, extra = np.frexp(squares * (amplitude**2 * (dual + tangent * n)))
    exponent = scale + extra
    high, low = np.empty(size - 1), np.empty(size - 1)
    series.ratios(mantissa, exponent, high, low)
    return mantissa, exponent, high, low


def takes_series(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    """The reason for a positive series, if the kernel has one."""
    if not isinstance(source, Network) or source.weights != "gaussian":
        return None
    if not source.uniform:
        return None
    if source.depth == 1 and source.bias_variance == 0.0 and source.sigma.tanh is not None:
        return "one layer of tanh or sigmoid without bias"
    return None


def _rows(network: Network, kernel: Kernel) -> PositiveSeries:
    assert network.sigma.tanh is not None
    offset, amplitude, rate = network.sigma.tanh
    dual, tangent = network.mixture(kernel)
    variance = network.weight_variance * rate**2
    return PositiveSeries(variance, amplitude, dual * offset**2, dual, tangent)


ROUTE = row_route(
    "positive series", takes_series, _rows, "one layer of tanh or sigmoid without bias"
)
