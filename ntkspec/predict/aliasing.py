"""Rates of a residual on equispaced points of the circle, where degrees alias.

On n points the harmonics e^(ij phi), j = k modulo n, are one: the blocks of residual and data of
the kernel matrix over n are the sums over all such whole j of lambda_j v v*, v = (a_j, 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import zeta

from ntkspec.conventions import MAX_DEGREE
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.operators import Operator
from ntkspec.parameters import lacking
from ntkspec.predict.by_degree import Array
from ntkspec.spectra import spectrum
from ntkspec.zonal import ZonalKernel

__all__ = ["Aliased", "aliased"]

#: Relative size of what is left out of sums of smooth kernels, and accepted errors of others.
NEGLIGIBLE, ENOUGH = 1e-17, 1e-9
#: Degrees up to this many times n are summed for kernels with kinks; the rest is extrapolated.
PERIODS = 64
#: Powers of 1/j in the continuation of the summands.
POWERS = 7


@dataclass(frozen=True)
class Aliased:
    """Sums of each degree k over all j that are k modulo n.

    Attributes
    ----------
    log_scale : (K,) float64 array
        Natural logarithm of what the sums are divided by.
    residual : (K,) float64 array
        sum abs(a_j)^2 lambda_j.
    mixed : (K,) complex128 array
        sum a_j lambda_j.
    data : (K,) float64 array
        sum lambda_j.
    determinant : (K,) float64 array
        residual data - abs(mixed)^2, without cancellation.
    relative_error : float
        Estimate of the largest relative error of these.
    """

    log_scale: Array
    residual: Array
    mixed: NDArray[np.complex128]
    data: Array
    determinant: Array
    relative_error: float


@lacking("tolerance")
def aliased(
    source: Network | ZonalKernel, kernel: Kernel, operator: Operator,
    degrees: NDArray[np.int64], points: int, leading: float,
) -> Aliased:  # fmt: skip
    """Sums for degrees up to points / 2, `leading` being m of `ntkspec.predict.smoothness`.

    Raises
    ------
    NtkspecError
        When the sums need degrees that are not known.

    Examples
    --------
    >>> found = aliased(Network("tanh"), "ntk", Operator(), np.array([1]), 8, math.inf)
    >>> (np.exp(found.log_scale) * found.residual).round(4)
    array([0.821])
    """
    last = PERIODS * points if math.isfinite(leading) else max(4 * points, 64)
    while True:
        if last > MAX_DEGREE:
            raise NtkspecError(
                f"points = {points} is not allowed here; the degrees that alias are needed up to "
                f"{last}, and at most {MAX_DEGREE} are known"
            )
        found = spectrum(source, 2, range(last + 1), kernel=kernel)
        parts = [
            _of_degree(found.log_eigenvalues, operator, k, points, leading)
            for k in degrees.tolist()
        ]
        error = max(one[-1] for one in parts)
        if error <= (ENOUGH if math.isfinite(leading) else NEGLIGIBLE):
            break
        if math.isfinite(leading):
            raise NtkspecError(
                f"points = {points}: the sum over the degrees that alias is known to {error:.1g} "
                f"only, and {ENOUGH:g} is wanted; use more points"
            )
        last *= 2
    scale, residual, mixed, data, determinant, _ = (np.array(x) for x in zip(*parts, strict=True))
    doubt = float(found.relative_error[degrees].max()) + error
    return Aliased(scale, residual, mixed, data, determinant, doubt)


def _of_degree(
    logs: Array, operator: Operator, k: int, points: int, leading: float
) -> tuple[float, float, complex, float, float, float]:
    """Scale, sums, determinant and error of a degree."""
    last = logs.size - 1
    up = np.arange(k, last + 1, points)
    down = np.arange(k - points, -last - 1, -points)
    every = np.concatenate([up, down])
    weights = logs[np.abs(every)]
    scale = float(weights.max())
    if scale == -math.inf:
        return 0.0, 0.0, 0j, 0.0, 0.0, 0.0
    values = np.exp(weights - scale)
    symbols = operator.symbol(every, 2)
    # The determinant is a variance: a shift of the symbols leaves it, and no large part cancels.
    moved = symbols - symbols[int(np.argmax(weights))]
    terms = np.array(
        [np.abs(symbols) ** 2 * values, symbols * values, values, np.abs(moved) ** 2 * values,
         moved * values]
    )  # fmt: skip
    sums, error = terms.sum(axis=1), 0.0
    if math.isfinite(leading):
        # Of j and of its even multiples away: degrees of one parity have one expansion.
        q, fall = operator.order, 1.0 + leading
        powers = fall - np.array([2 * q, q, 0, 2 * q, q])
        tails, doubts = _tails(every, terms, powers, 2 * points)
        sums = sums + tails
        sizes = np.array([abs(sums[0]), math.sqrt(abs(sums[0] * sums[2])), abs(sums[2])])
        error = float((doubts[:3] / sizes).max())
    else:
        far = np.abs(every) > last // 2
        error = float(np.abs(terms[0, far]).sum() / abs(sums[0])) if sums[0] else 0.0
        error = max(error, float(values[far].sum()))
    residual, data, spread = (float(sums[i].real) for i in (0, 2, 3))
    determinant = max(spread * data - abs(sums[4]) ** 2, 0.0)
    return scale, residual, complex(sums[1]), data, determinant, error


def _tails(
    every: NDArray[np.int64], terms: NDArray[np.complex128], powers: Array, period: int
) -> tuple[NDArray[np.complex128], Array]:
    """Sums of the terms beyond the last, and estimates of their errors.

    In each class of j modulo the period, by sign, a term continues as abs(j)^-c times a polynomial
    in 1/j, fitted to the last three quarters; what a polynomial of two powers fewer adds up to
    differs by the estimate.  The sum of (r + i period)^-c is a Hurwitz zeta function.
    """
    tails = np.zeros(powers.size, np.complex128)
    doubts = np.zeros(powers.size)
    for sign in (1, -1):
        for residue in np.unique((sign * every[sign * every > 0]) % period):
            at = (sign * every > 0) & ((sign * every) % period == residue)
            j = np.abs(every[at]).astype(np.float64)
            order = np.argsort(j)
            j, mine = j[order], terms[:, at][:, order]
            kept = j > 0.25 * j[-1]
            j, mine = j[kept], mine[:, kept]
            for i, c in enumerate(powers):
                found = [
                    _tail(j, mine[i], float(c), period, count) for count in (POWERS, POWERS - 2)
                ]
                tails[i] += found[0]
                doubts[i] += abs(found[0] - found[1])
    return tails, doubts


def _tail(j: Array, values: NDArray[np.complex128], c: float, period: int, count: int) -> complex:
    last = j[-1]
    exponents = np.arange(count)
    basis = (last / j)[:, np.newaxis] ** exponents
    found = np.linalg.lstsq(basis, values * (j / last) ** c, rcond=None)[0]
    start = last / period + 1.0
    # sum over i >= 0 of ((last + period + i period) / last)^-(c + e)
    sums = zeta(c + exponents, start) * (last / period) ** (c + exponents)
    return complex(found @ sums)
