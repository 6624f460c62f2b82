"""Spectra of networks with kinks away from 0, and of kinks at 0 with smooth activations.

K(t) = sum_n a_n t^n, a_n >= 0, and b_n are the coefficients of the powers of 1 - t and 1 + t in K
(`ntkspec.duals.darboux`), whose eigenvalues M are known:

    lambda_k = sum_i (c_i + (-1)^k e_i) M_(s_i, k) + sum_n (a_n - b_n) chi(sqrt(n)) w(k, n),

where chi cuts the sum off beyond the terms that count for k, so slowly that the oscillation of the
terms left out cancels.  In high degrees the powers alone suffice; in high dimensions so few
coefficients do that all of them are summed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray

from ntkspec.activations import Activation
from ntkspec.domains import Domain
from ntkspec.duals.clipped import SMOOTH, Coefficients, coefficients, single
from ntkspec.duals.darboux import BITS, Ends, ends
from ntkspec.errors import NtkspecError
from ntkspec.kernels import kinks as kernels
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.endpoint import power_eigenvalue
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Passed, Scaled, normalized

__all__ = ["ROUTE", "KinkedRows"]

UNIT = 2.0**-53
#: Relative rounding of the terms of a sum in double-doubles.
ROUNDING = 2.0**-88
#: Largest number of coefficients, of one layer without bias and of other networks.
MOST, MOST_COMPOSED = 400_000, 60_000
#: Roundings of sums, powers and scales, which the estimates of errors do not count.
ROUNDINGS = 6.0 * UNIT
#: Largest relative error that is accepted.
MOST_ERROR = 9e-13
#: Margin of the error in dimensions between those where it is known.
MARGIN = 3.0
#: Degrees at which what chi leaves is measured.
PROBES = 5
#: Degrees between two values of Gamma functions.
STRIDE = 64

Array = NDArray[np.float64]
#: Mantissas, exponents of 2 and bounds of the relative errors.
_Found: TypeAlias = tuple[Array, NDArray[np.int64], Array]


@dataclass(frozen=True)
class Sums:
    """The terms (2, N) of the sums over the coefficients: the same for all dimensions.

    errors: bounds of the terms' errors; rest: sums of the moduli from each on.
    """

    terms: Array
    errors: Array
    rest: Array


def _prepared(high: Array, low: Array, errors: Array) -> Sums:
    size = np.abs(high)
    rest = np.ascontiguousarray(np.cumsum(size[::-1])[::-1])
    return Sums(np.stack([high, low]), errors + ROUNDING * size, rest)


def _found(network: Network, kernel: Kernel, count: int) -> Coefficients:
    return coefficients(network, kernel, count, parity(network, kernel).main)


@lru_cache(maxsize=64)
def _damped(network: Network, kernel: Kernel, degree: int, shift: float) -> Sums:
    """(a_n - b_n) chi(sqrt(n)) for degrees up to this one; chi moved by a part of a wave."""
    known = ends(network.program, kernel)
    found = _found(network, kernel, known.count(degree))
    high, low, size = known.rest(found.high, found.low)
    chi = known.cut_off(known.middle(degree) + shift * math.pi / known.frequency, high.size)
    n = np.arange(chi.size, dtype=np.float64)
    if float(np.max((1.0 - chi[1:]) * np.exp(-known.fall * n[1:]))) > UNIT:
        raise Passed("a small bias_variance leaves a singularity too near to t = -1")
    errors = found.error + ROUNDING * size + np.where(chi < 1.0, 2.0 * UNIT * np.abs(high), 0.0)
    return _prepared(high * chi, low * chi, errors * chi)


@lru_cache(maxsize=32)
def _whole(network: Network, kernel: Kernel, count: int) -> Sums:
    """All coefficients."""
    found = _found(network, kernel, count)
    return _prepared(found.high, found.low, found.error)


class KinkedRows:
    """Rows and columns of a network's eigenvalues."""

    walks = True
    degrees_alone = True

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self.network, self.kernel = network, kernel
        self.parity: Parity = parity(network, kernel)
        self.relative_error = MOST_ERROR
        self._kept: dict[int, tuple[NDArray[np.int64], Scaled]] = {}

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return self.parity.isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Bound the errors by rows of some of the dimensions, or raise Passed."""
        degrees = np.arange(last + 1) if wanted is None else np.array(sorted(wanted))
        between = {2**i for i in range(1, 21) if low < 2**i < high}
        self._kept, worst = {}, 0.0
        for dim in sorted({low, max(low, high - 1), high} | between):
            mantissa, exponent, error = self._checked(dim, degrees)
            self._kept[dim] = degrees, (mantissa, exponent)
            worst = max(worst, error)
            if not worst < MOST_ERROR:
                raise Passed(f"the sums at dim = {dim} have errors up to {worst:.1e}")
        self.relative_error = worst if low == high else min(MARGIN * worst, MOST_ERROR)

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees."""
        known, (mantissa, exponent) = self._kept.get(dim, (degrees[:0], (np.zeros(0), degrees[:0])))
        if np.isin(degrees, known).all():
            at = np.searchsorted(known, degrees)
            return mantissa[at], exponent[at]
        mantissa, exponent, error = self._checked(dim, degrees)
        if not error <= self.relative_error:
            raise NtkspecError(
                f"the eigenvalues at dim = {dim} are known to {error:.1e} only, beside "
                f"{self.relative_error:.1e} in neighbouring dimensions; compute this one apart"
            )
        return mantissa, exponent

    def _checked(
        self, dim: int, degrees: NDArray[np.int64]
    ) -> tuple[Array, NDArray[np.int64], float]:
        """Scaled eigenvalues and a bound on all errors."""
        mantissa, exponent = np.zeros(degrees.size), np.zeros(degrees.size, np.int64)
        there = np.flatnonzero([not self.parity.vanishes(int(k)) for k in degrees])
        if not there.size:
            return mantissa, exponent, 0.0
        try:
            mantissa[there], exponent[there], error = self._row(dim, degrees[there])
        except NtkspecError as problem:
            raise Passed(str(problem)) from None
        return mantissa, exponent, float(np.max(error))

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions."""
        rows = [self.row(int(dim), np.array([degree])) for dim in dims]
        return np.concatenate([m for m, _ in rows]), np.concatenate([e for _, e in rows])

    def _row(self, dim: int, degrees: NDArray[np.int64]) -> _Found:
        """Mantissas, exponents and bounds of the relative errors."""
        known, last = ends(self.network.program, self.kernel), int(degrees[-1])
        near = min(last, _last_degree(known, dim))
        count = known.count(near)
        most = MOST if single(self.network) else MOST_COMPOSED
        few = self._few(dim, degrees, min(count, most))
        if few is not None:
            return few
        if count > most:
            raise Passed(f"needs {count} Taylor coefficients, and at most {most} are computed")
        return self._by_powers(known, dim, degrees, near)

    def _few(self, dim: int, degrees: NDArray[np.int64], most: int) -> _Found | None:
        """By all coefficients that count, if they are fewer than `most`.

        As the a_n are positive and their sum is K(1), those from N on add at most K(1) w(k, N)
        where w(k, n) falls from there on (`ntkspec.spectra.taylor`).
        """
        last = int(degrees[-1])
        count = 2 * last + 64 + 8 * last * last // dim
        at_one = ends(self.network.program, self.kernel).at_one
        while count < most:
            sums, errors, weights, exponents = _weighted(
                degrees, dim, _whole(self.network, self.kernel, count)
            )
            sums = sums[0]
            falls = count * (dim - 1.0) > 2.0 + (last - 2.0) * (last + dim)
            rest = at_one * weights
            if falls and np.all(rest <= 2.0**-56 * sums):
                if not np.all(errors < sums):
                    raise Passed("the coefficients are below the range of doubles")
                mantissa, exponent = normalized(sums, exponents)
                return mantissa, exponent, (errors + rest) / sums + ROUNDINGS
            count += count // 2
        return None

    def _by_powers(self, known: Ends, dim: int, degrees: NDArray[np.int64], near: int) -> _Found:
        """By the powers at both ends and, to the degree `near`, a damped sum."""
        for odd in set((degrees % 2).tolist()):
            ends = zip(known.near, known.far, strict=True)
            if all((c - e if odd else c + e).contains(0) for c, e in ends):
                raise Passed("the powers at both ends cancel in one parity")
        close = degrees[degrees <= near]
        probes = close[:: max(1, -(-close.size // PROBES))]
        if close.size < degrees.size:
            probes = np.append(probes, [near - 1, near])
            probes = np.unique([k for k in probes if not self.parity.vanishes(int(k))])
        every = np.union1d(degrees, probes)
        values = _of_powers(known, dim, every)
        some = every[every <= near]
        sums, errors, _, exponents = _weighted(some, dim, self._terms(near, 0.0))
        with working_precision(BITS):
            for i, (x, y, e) in enumerate(zip(*sums.tolist(), exponents.tolist(), strict=True)):
                values[i] += (arb(x) + y) * arb(2) ** e
            pairs = [split(value) for value in values]
        mantissa, exponent = np.array([m for m, _ in pairs]), np.array([e for _, e in pairs])
        size = np.abs(mantissa[: some.size])

        def relative(x: Array, e: NDArray[np.int64], at: Any = slice(None)) -> Array:
            shift = np.clip(e - exponent[: some.size][at], -2000, 1000)
            with np.errstate(over="ignore"):
                found: Array = np.ldexp(np.abs(x), shift) / size[at]
            return found

        error = np.full(every.size, ROUNDINGS)
        error[: some.size] += relative(errors, exponents)
        # What chi leaves of the oscillations, from falls a quarter and a half of a wave farther.
        at = np.searchsorted(some, probes)
        leak = 0.0
        for shift in (0.5, 1.0):
            other, _, _, scale = _weighted(probes, dim, self._terms(near, shift))
            there = np.ldexp(sums[:, at], np.clip(exponents[at] - scale, -2000, 1000))
            change = (other[0] - there[0]) + (other[1] - there[1])
            leak = max(leak, float(np.max(relative(change, scale, at))))
        error[: some.size] += 2.0 * leak
        if some.size < every.size:
            last = relative(sums[0], exponents)[some >= near - 1]
            error[some.size :] += float(np.max(last))
        here = np.searchsorted(every, degrees)
        return mantissa[here], exponent[here], error[here]

    def _terms(self, near: int, shift: float) -> Sums:
        return _damped(self.network, self.kernel, near, shift)


def _weighted(
    degrees: NDArray[np.int64], dim: int, of: Sums
) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """Sums, bounds of their errors and weights at the end, over 2**exponents."""
    sums, (errors, weights) = np.empty((2, degrees.size)), np.empty((2, degrees.size))
    exponents = np.empty(degrees.size, np.int64)
    degrees = np.ascontiguousarray(degrees)
    kernels.weighted_row(
        degrees, dim, of.terms, of.errors, of.rest, weights, exponents, sums, errors
    )
    return sums, errors, weights, exponents


def _last_degree(known: Ends, dim: int) -> int:
    """Degree from which on the essential singularities are negligible: fitted, and checked."""
    return int(1.3 * (400.0 + 15.0 * dim) / known.frequency) + 16


@exclusive()
def _of_powers(known: Ends, dim: int, degrees: NDArray[np.int64]) -> list[arb]:
    """Eigenvalues of sum_i c_i (1 - t)^s_i + e_i (1 + t)^s_i."""
    totals = []
    with working_precision(BITS):
        powers = [fmpq(int(2 * s), 2) for s in known.powers]
        ends = list(zip(known.near, known.far, strict=True))
        at, values = -STRIDE, [arb(0)] * len(powers)
        for degree in degrees.tolist():
            if degree - at >= STRIDE:
                values, at = [power_eigenvalue(s, arb(1), dim, degree) for s in powers], degree
            for k in range(at, degree):
                values = [
                    x * ((k - s) / (k + s + dim - 1)) for x, s in zip(values, powers, strict=True)
                ]
            at = degree
            sign = -1 if degree % 2 else 1
            terms = [(c + sign * e) * x for (c, e), x in zip(ends, values, strict=True)]
            totals.append(sum(terms, arb(0)))
    return totals


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    """By what costs no time, as the plan of a sweep asks for each of its networks."""
    if not isinstance(source, Network) or source.weights != "gaussian":
        return None
    sigmas = source.sigmas
    away, smooth, at_0 = (
        [f(sigma) for sigma in sigmas]
        for f in (lambda x: bool(x.kinks), lambda x: x.shape.base in SMOOTH, _has_one)
    )
    if not all(map(any, zip(away, smooth, at_0, strict=True))):
        return None
    # Networks whose kinks are all at 0 have endpoint series.
    if not any(away) and not (any(smooth) and any(at_0)):
        return None
    if parity(source, kernel).last is not None:
        return None
    return "kinks away from 0" if any(away) else "kinks at 0 and smooth activations"


def _has_one(sigma: Activation) -> bool:
    """Whether the only kink is at 0, and sigma a line before it and a polynomial of order 2."""
    return sigma.homogeneous is not None and (
        sigma.homogeneous[0] == 1 or (sigma.homogeneous[0] == 2 and sigma.homogeneous[2] == 0.0)
    )


ROUTE = row_route(
    "series at kinks",
    _takes,
    KinkedRows,
    serves="kinks away from 0, and kinks with smooth activations whose duals are elementary",
)
