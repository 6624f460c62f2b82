"""The Boolean cube in high dimensions: sums over the Taylor coefficients of K(t), all >= 0.

Each power of t has eigenvalues c_(n,k) >= 0 (`ntkspec.kernels.ehrenfest`), so that
mu_k = sum_n a_n c_(n,k) keeps the relative accuracy of the coefficients.  The coefficients left
out are bounded by their sums and by c_(n,k), of which three bounds are known:

* sum_n c_(n,k) x^n / n! = sinh(x/d)^k cosh(x/d)^(d-k), so that c_(n,k) <= n! x^-n times that, for
  every x > 0;
* c_(n,k) <= E[|t|^n], which falls with n, and is c_(n,0) for even n;
* sum_k binom(d, k) c_(n,k) = 1.
"""

from __future__ import annotations

import math

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.duals import Correlation, Layers
from ntkspec.duals.squares import VARIANCE_BITS
from ntkspec.duals.tails import TailBounds
from ntkspec.errors import NtkspecError
from ntkspec.kernels import ehrenfest
from ntkspec.locks import cached_property
from ntkspec.networks import Kernel, Network
from ntkspec.precision import working_precision
from ntkspec.spectra.parity import parity
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.rows import Passed
from ntkspec.spectra.taylor import LEFT_OUT, Coefficients, takes_taylor

__all__ = ["ROUTE", "log_power"]

#: Below, sums over all points of the cube take less time.
LEAST_DIM = 64
LEAST_KINKED = 2000
#: Largest dimension whose points are summed over.
MOST_POINTS = 10_000
#: Largest number of coefficients that come from balls: some seconds.
MOST_BALLS = 6000
LN2 = math.log(2.0)
UNIT = 2.0**-53
#: Number of coefficients to which the simplest bound takes less time than it costs coefficients.
FEW = 800
#: Blocks of coefficients whose tails are bounded one by one, and Newton's steps in each.
BLOCKS, NEWTON = 40, 12
#: Largest log r at which kernels are evaluated beyond the bounds of `duals.tails`.
LARGEST = 32.0

Array = NDArray[np.float64]


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
    series = Coefficients(network, kernel, zeros, MOST_BALLS)
    last = int(wanted[-1])
    count = series.predicted(domain.dim, last)
    tails = _Tails(series, domain, wanted)
    while True:
        found = series.first(count)
        sums, exponents = np.empty(last + 1), np.empty(last + 1, np.int64)
        roundings = np.empty(last + 1)
        ehrenfest.powers_sum(domain.dim, found.mantissa, found.exponent, sums, exponents, roundings)
        m, e = sums[wanted], exponents[wanted]
        if np.any(m <= 0.0):
            count += count // 4
            continue
        # More coefficients only add to the sums, so that these serve to find their number.
        count = found.mantissa.size
        allowed = np.log(m) + e * LN2 + math.log(LEFT_OUT)
        while not tails.below(count, allowed) and count <= series.most:
            count += 32 + count // 32 if count > FEW else count // 4
        if count == found.mantissa.size:
            break
    at = np.searchsorted(degrees, wanted)
    mantissa[at], exponent[at] = m, e
    error[at] = found.relative_error + (roundings[wanted] + 2.0) * UNIT
    return mantissa, exponent, error


class _Tails:
    """Bounds of what the coefficients from any number on add to the eigenvalues."""

    def __init__(self, series: Coefficients, domain: Domain, degrees: NDArray[np.int64]) -> None:
        self.series, self.dim, self.degrees = series, domain.dim, degrees
        self.log_counts = domain.log_multiplicity(degrees)

    def below(self, first: int, allowed: Array) -> bool:
        """Whether the tails from a coefficient on are below what is allowed, in logarithms."""
        width, total = 16, np.full(allowed.size, -np.inf)
        for _ in range(BLOCKS if first > FEW else 1):
            after = first + width
            log_sum = self._log_sum(first)
            rest = log_sum + np.minimum(self._log_moment(first), -self.log_counts)
            if np.all(np.logaddexp(total, rest) <= allowed):
                return True
            block = log_sum + log_power(self.dim, first, after - 1, self.degrees)
            total = np.logaddexp(total, np.minimum(block, rest))
            if np.any(total > allowed):
                return False
            first, width = after, width + width // 3
        return False

    def _log_moment(self, first: int) -> float:
        """Upper bound of log E[|t|^n] for n >= first, with about the best x = d u."""
        n = first - first % 2
        u = max(math.sqrt(n / self.dim), n / self.dim)
        cosh = self.dim * (u - LN2 + math.log1p(math.exp(-2.0 * u)))
        return math.lgamma(n + 1.0) - n * math.log(self.dim * u) + cosh + 1e-6

    def _log_sum(self, first: int) -> float:
        bound = self.series.bounds(first).log_sum(first)
        if first <= FEW:
            return bound
        log_r, log_k = self.continued
        return min(bound, float(np.min(log_k - first * log_r, initial=np.inf)))

    @cached_property
    def continued(self) -> tuple[Array, Array]:
        """Logarithms of some r > 1 and of K(r)."""
        series = self.series
        return _near_the_singularity(series.network, series.kernel, series.bounds(1))


def log_power(dim: int, first: int, last: int, degrees: NDArray[np.int64]) -> Array:
    """Upper bounds of log c_(n,k) for all n from first to last, by one x for each degree k.

    x = d u is the best for `last`: k u coth u + (d - k) u tanh u = n.  In n the bound is convex,
    so that its largest value is at one of the ends.
    """
    k, d = degrees.astype(np.float64), float(dim)
    u = np.full(k.size, last / d + 0.3)
    for _ in range(NEWTON):
        tanh = np.tanh(u)
        gap = k * u / tanh + (d - k) * u * tanh - last
        slope = k * (1.0 / tanh + u * (1.0 - 1.0 / tanh**2))
        slope += (d - k) * (tanh + u * (1.0 - tanh**2))
        u = np.maximum(u - gap / slope, 0.1 * u)
    # k log sinh u + (d - k) log cosh u, for any u > 0.
    both = k * np.log(-np.expm1(-2.0 * u)) + (d - k) * np.log1p(np.exp(-2.0 * u)) + d * (u - LN2)
    ends = [math.lgamma(n + 1.0) - n * np.log(d * u) for n in (first, last)]
    bound: Array = both + np.maximum(*ends)
    return bound + 1e-6  # far above the rounding of these logarithms


def _near_the_singularity(
    network: Network, kernel: Kernel, bounds: TailBounds
) -> tuple[Array, Array]:
    """Logarithms of r and K(r) at the r > 1 of the bounds, and of some beyond the last."""
    log_r, log_k = list(bounds.log_r), list(bounds.log_k)
    if log_r and log_r[-1] < LARGEST:
        low, high = log_r[-1], log_r[-1] * 2.0**0.25
        with working_precision(VARIANCE_BITS):
            layers = Layers(network, kernel)
            for _ in range(8):
                middle = 0.5 * (low + high)
                r = arb(middle).exp()
                value = layers.at(Correlation(r))
                if value.is_finite() and value > 0:
                    low = middle
                    log_r.append(float(r.log().lower()))
                    log_k.append(float(value.log().upper()) + 1e-9)
                else:
                    high = middle
    return np.array(log_r), np.array(log_k)


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
