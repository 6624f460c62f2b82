"""The Boolean cube in high dimensions: sums over the Taylor coefficients of K(t), all >= 0.

Each power of t has eigenvalues c_(n,k) >= 0 (`ntkspec.kernels.ehrenfest`), so that
mu_k = sum_n a_n c_(n,k) keeps the relative accuracy of the coefficients.  What the coefficients
from N on add is at most their sum times E[|t|^N], and at most their sum over binom(d, k), as
sum_k binom(d, k) c_(n,k) = 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.kernels import ehrenfest
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.parity import parity
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.rows import Passed
from ntkspec.spectra.taylor import LEFT_OUT, Coefficients, takes_taylor

__all__ = ["ROUTE"]

#: Below, sums over all points of the cube take less time.
LEAST_DIM = 64
LEAST_KINKED = 2000
#: Largest dimension whose points are summed over.
MOST_POINTS = 10_000
LN2 = math.log(2.0)
UNIT = 2.0**-53


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    assert isinstance(source, Network)
    try:
        return _by_series(source, domain, degrees, kernel)
    except Passed as reason:
        if domain.dim > MOST_POINTS:
            raise NtkspecError(
                f"dim = {domain.dim} with degree = {int(degrees[-1])} {reason}; lower the degree "
                f"or the depth, or use a dim to {MOST_POINTS}"
            ) from None
        raise


def _by_series(
    network: Network, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    zeros = parity(network, kernel)
    wanted = degrees[[not zeros.vanishes(int(k)) for k in degrees]]
    mantissa, exponent = np.zeros(degrees.size), np.zeros(degrees.size, np.int64)
    error = np.zeros(degrees.size)
    if wanted.size == 0:
        return mantissa, exponent, error
    series = Coefficients(network, kernel, zeros)
    last = int(wanted[-1])
    count = series.predicted(domain.dim, last)
    log_counts = domain.log_multiplicity(wanted)
    while True:
        found = series.first(count)
        count = found.mantissa.size
        sums, exponents = np.empty(last + 1), np.empty(last + 1, np.int64)
        roundings = np.empty(last + 1)
        log_power = LN2 * ehrenfest.powers_sum(
            domain.dim, found.mantissa, found.exponent, sums, exponents, roundings
        )
        m, e = sums[wanted], exponents[wanted]
        tail = series.bounds(count).log_sum(count) + np.minimum(log_power, -log_counts)
        if np.all(m > 0.0) and np.all(tail <= np.log(m) + e * LN2 + math.log(LEFT_OUT)):
            break
        count += count // 4
    at = np.searchsorted(degrees, wanted)
    mantissa[at], exponent[at] = m, e
    error[at] = found.relative_error + (roundings[wanted] + 2.0) * UNIT
    return mantissa, exponent, error


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    kinked = isinstance(source, Network) and source.kind == "kink"
    least = LEAST_KINKED if kinked else LEAST_DIM
    return takes_taylor(source, domain, kernel) if domain.dim >= least else None


ROUTE = Route(
    "Taylor series",
    _takes,
    _eigenvalues,
    serves=f"catalogued activations from dimension {LEAST_DIM}, with a kink from {LEAST_KINKED}",
)
