"""Eigenvalues on the torus from Taylor coefficients of K(t): c_m = sum_n a_n [t^n]_m, all >= 0.

[t^n]_m is the probability that a walk of n steps b_j or -b_j, of probability w_j / 2 each, is at m.
`kernels.torus.horner` adds the probabilities of frequencies that share a place of a cycle, so that
what it finds is too large by at most the probability that a walk leaves the box.  By Chernoff's
bound this is, in each coordinate, at most

    2 sum_n a_n min_s e^(-s V) t(i s)^n,  t(i s) = sum_j w_j cosh(s b_j)

beyond the distance V.  The terms that are left out add at most the sum of their a_n.
"""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Torus
from ntkspec.duals import taylor
from ntkspec.kernels import torus as kernels
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Eigenvalues, Source
from ntkspec.spectra.rows import Passed
from ntkspec.spectra.taylor import Coefficients
from ntkspec.spectra.torus.reach import box, reached
from ntkspec.spectra.zonal import PositiveCoefficients, has_series

__all__ = ["by_powers", "takes_powers"]

Array = NDArray[np.float64]

LN2 = math.log(2.0)
UNIT = 2.0**-53
#: Fewest coefficients that are computed.
FEWEST = 32
#: What is left out, and what shares a place, is wanted to add at most this, relatively.
LEFT_OUT = 1e-14
#: Bound on the relative error with which no further run is made.
ENOUGH = 1e-12
#: K(1) is scaled to this power of 2; what falls below the other is not normal.
TOP, BOTTOM = 960, -1022
#: Most products of places, features and powers, and most places: some 10 s.
MOST_WORK, MOST_PLACES = 3e10, 2**23
#: Tilts s at which bounds are tried, in units of the longest step, and blocks of powers.
TILTS, BLOCKS = np.geomspace(1e-5, 50.0, 400), 1000
#: Taken off the logarithm of the smallest eigenvalue, which is a guess.
MARGIN = 3.0
#: Sizes of eigenvalues, on a logarithmic scale, whose roundings are counted.
SIZES = 2000


def takes_powers(source: Source, kernel: Kernel) -> bool:
    """Whether few Taylor coefficients count, and are known."""
    if not isinstance(source, Network):
        return has_series(source)
    if source.weights != "gaussian" or source.user or source.kind not in ("pole", "entire"):
        return False
    return parity(source, kernel).last is None


def by_powers(source: Source, torus: Torus, size: int, kernel: Kernel) -> Eigenvalues:
    """Eigenvalues of half a box of frequencies; not those that are exactly 0.

    Raises
    ------
    Passed
        When it takes too many coefficients or places.
    """
    zeros = parity(source, kernel)
    coefficients = (
        Coefficients(source, kernel, zeros)
        if isinstance(source, Network)
        else PositiveCoefficients(source)
    )
    found, least = _summed(coefficients, zeros, torus, size, math.inf)
    known = reached(torus, zeros, box(torus.dim, size)) & (found[0] > 0.0)
    smallest = float(np.min(np.log(found[0][known]) + found[1][known] * LN2, initial=math.inf))
    if smallest < least and found[2][known].max() > ENOUGH:
        # The corners of the box did not have the smallest.
        with suppress(Passed):
            found, _ = _summed(coefficients, zeros, torus, size, smallest)
    return found


def _summed(
    coefficients: Coefficients | PositiveCoefficients, zeros: Parity, torus: Torus, size: int,
    smallest: float,
) -> tuple[Eigenvalues, float]:  # fmt: skip
    """Eigenvalues, and the logarithm down to which they have all digits: `smallest`, or a guess."""
    steps, weights = torus.distinct
    count = _fewest(coefficients) if zeros.last is None else zeros.last + 1
    while True:
        first = coefficients.first(count)
        with np.errstate(divide="ignore"):
            logs = np.log(first.mantissa) + first.exponent * LN2
        tail = -math.inf
        if zeros.last is None:
            tail = coefficients.bounds(logs.size).log_sum(logs.size)
        walk = _Walk(logs, steps, weights, size, smallest)
        if tail <= walk.least + math.log(LEFT_OUT) or zeros.last is not None:
            break
        if 2 * logs.size * steps.shape[0] * walk.inner > MOST_WORK:
            raise Passed(f"needs more than {logs.size} Taylor coefficients")
        count = logs.size + max(32, logs.size // 3)
    sides, crossing = walk.sides()
    places = int(np.prod(2 * sides + 1))
    if places > MOST_PLACES or 0.5 * places * steps.shape[0] * logs.size > MOST_WORK:
        raise Passed(f"needs {logs.size} Taylor coefficients on {places} frequencies")
    shift = TOP - math.ceil(np.logaddexp.reduce(logs) / LN2)
    values = _walked(first, shift, steps, weights, sides, size)
    error = first.relative_error
    found = _with_bounds(values, shift, error, logs, tail, crossing, steps.shape[0])
    return found, walk.least


def _fewest(coefficients: Coefficients | PositiveCoefficients) -> int:
    """A number of coefficients that is not too large: no eigenvalue is above their sum, K(1)."""
    allowed = coefficients.bounds(0).log_sum(0) + math.log(LEFT_OUT)
    count = FEWEST
    while count < coefficients.most and coefficients.bounds(2 * count).log_sum(2 * count) > allowed:
        count *= 2
    return count


class _Walk:
    """Estimates and bounds of sum_n a_n P_n(m), to choose a number of powers and a box."""

    def __init__(
        self, logs: Array, steps: NDArray[np.int64], weights: Array, size: int, smallest: float
    ) -> None:
        self.steps, self.weights, self.size = steps, weights, size
        self.widest = np.abs(steps).max(axis=0)
        self.inner = 0.5 * float(np.prod(2.0 * (size + self.widest) + 1.0))
        # Blocks of powers: the first of each, and the sum of its coefficients.
        first = np.unique(np.geomspace(1, logs.size, BLOCKS).astype(np.int64)) - 1
        self.log_sums = np.logaddexp.reduceat(logs, first)
        self.last = np.append(first[1:] - 1, logs.size - 1).astype(np.float64)
        self.least = min(self._least() - MARGIN, smallest)

    def log_reached(self, steps: Array, distance: float, tilts: tuple[Array, Array]) -> float:
        """Chernoff's bound of log sum_n a_n P(S_n >= distance), S_n along projected steps."""
        s, log_t = tilts
        powers = np.min(self.last[:, np.newaxis] * log_t - s * distance, axis=1)
        return float(np.logaddexp.reduce(self.log_sums + np.minimum(powers, 0.0)))

    def tilts(self, steps: Array) -> tuple[Array, Array]:
        """Tilts s > 0, and log t(i s)."""
        s = TILTS / float(np.abs(steps).max())
        terms = np.logaddexp(s[:, np.newaxis] * steps, -s[:, np.newaxis] * steps) - LN2
        return s, np.logaddexp.reduce(np.log(self.weights) + terms, axis=1)

    def _least(self) -> float:
        """Estimate of the logarithm of the smallest eigenvalue in the box, that of a corner."""
        dim = self.steps.shape[1]
        spread = (self.steps * self.weights[:, np.newaxis]).T @ self.steps
        found = []
        for signs in range(2 ** (dim - 1)):
            corner = np.array([self.size * (-1.0) ** (signs >> d & 1) for d in range(dim)])
            along = np.linalg.pinv(spread.astype(np.float64)) @ corner
            if not np.any(self.steps @ along):
                continue
            steps = self.steps @ along
            found.append(self.log_reached(steps, float(along @ corner), self.tilts(steps)))
        # The saddle point's factor, of some (2 pi n)^(-1/2) in each dimension.
        volume = 2.0 * math.pi * (self.last[-1] + 1.0) * float(self.widest.max()) ** 2
        least: float = min(found, default=0.0)
        return float(least - 0.5 * dim * math.log(volume + 1.0))

    def sides(self) -> tuple[NDArray[np.int64], float]:
        """Half sides of the box, and the logarithm of what leaves it."""
        allowed = self.least + math.log(LEFT_OUT / (2.0 * self.widest.size))
        sides = np.empty(self.widest.size, np.int64)
        crossing = []
        for d, widest in enumerate(self.widest.tolist()):
            sides[d] = self.size + 1
            if widest == 0:
                continue
            steps = self.steps[:, d].astype(np.float64)
            tilts = self.tilts(steps)
            low, high = self.size + 1, int(self.last[-1] + 2) * widest + self.size + 2
            while low < high:
                distance = (low + high) // 2
                enough = self.log_reached(steps, float(distance), tilts) <= allowed
                low, high = (low, distance) if enough else (distance + 1, high)
            # Frequencies that share a place are 2 side + 1 apart in a coordinate, or more.
            sides[d] = max((low + self.size + 1) // 2, widest, self.size + 1)
            beyond = 2.0 * float(sides[d]) + 1.0 - self.size
            crossing.append(self.log_reached(steps, beyond, tilts) + LN2)
        return sides, float(np.logaddexp.reduce(crossing)) if crossing else -math.inf


def _walked(
    first: taylor.Coefficients, shift: int, steps: NDArray[np.int64], weights: Array,
    sides: NDArray[np.int64], size: int,
) -> Array:  # fmt: skip
    """Half a box of sum_n a_n P_n, times 2^shift."""
    exponents = np.clip(first.exponent + shift, -2000, 2000).astype(np.int32)
    a = np.ldexp(first.mantissa, exponents)
    # Rows of the last coordinate, folded where its sign does not matter and the places beyond their
    # ends are few; else all in one column.
    folded = bool(2 * np.abs(steps[:, -1]).max() < sides[-1]) and _is_mirrored(steps, weights)
    widths = 2 * sides + 1
    along = widths[:-1] if folded else widths
    strides = np.append(np.cumprod(along[::-1])[::-1][1:], 1)
    half = (int(np.prod(along)) - 1) // 2
    places = steps[:, : along.size] @ strides
    columns = steps[:, -1] * np.where(places < 0, -1, 1) if folded else np.zeros_like(places)
    missing = [0] * (places.size % 2)
    out = np.empty((half + 1, int(sides[-1]) + 1 if folded else 1))
    kernels.horner(
        a, np.append(np.abs(places), missing).astype(np.int64),
        np.append(columns, missing).astype(np.int64), np.append(0.5 * weights, missing), half,
        out.shape[1], out,
    )  # fmt: skip
    wanted = box(sides.size, size)
    rows = np.abs(wanted[..., : along.size] @ strides)
    return np.asarray(out[rows, np.abs(wanted[..., -1]) if folded else 0])


def _is_mirrored(steps: NDArray[np.int64], weights: Array) -> bool:
    """Whether each step has a mirror image along the last of several coordinates, as likely."""
    if steps.shape[1] == 1:
        return False
    likely = {tuple(b): w for b, w in zip(steps.tolist(), weights.tolist(), strict=True)}
    likely |= {tuple(-x for x in b): w for b, w in likely.items()}
    return all(likely.get((*b[:-1], -b[-1])) == w for b, w in likely.items())


def _roundings(log_values: Array, rests: Array) -> Array:
    """How many powers' roundings count: those of n steps n times, and of those beyond at most N.

    The number falls with the value, and is that of the next smaller value of a scale.
    """
    finite = log_values[np.isfinite(log_values)]
    if not finite.size:
        return np.full(log_values.shape, float(rests.size))
    low, high = float(finite.min()) - 1e-9, float(finite.max())
    scale, step = np.linspace(low, high, SIZES, retstep=True)
    n = np.unique(np.geomspace(1, rests.size - 1, SIZES).astype(np.int64))
    beyond = np.exp(np.minimum(np.subtract.outer(rests[n], scale), 1.0))
    least = np.minimum(float(rests.size), np.min(n[:, np.newaxis] + rests.size * beyond, axis=0))
    at = np.clip(np.nan_to_num((log_values - low) / step - 0.5, neginf=0.0), 0, SIZES - 1)
    return np.asarray(least[at.astype(np.int64)])


def _with_bounds(
    values: Array, shift: int, error: float, logs: Array, tail: float, crossing: float, count: int
) -> Eigenvalues:
    """Scaled eigenvalues with bounds on their relative errors."""
    scale = shift * LN2
    # What the powers from n on add, at most.
    rests = np.logaddexp.accumulate(logs[::-1])[::-1]
    rests = np.logaddexp(rests, tail) + scale
    per_power = UNIT * (math.ceil(count / kernels.FEATURES) + 5.0)
    lost = logs.size * (2.0 * count + 3.0) * 2.0**-1074
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        log_values = np.log(values)
        effective = _roundings(log_values, rests)
        more = np.exp(np.logaddexp(tail, crossing) + scale - log_values) + lost / values
        errors = error + per_power * (effective + 1.0) + more
        errors = np.where(errors < 0.5, errors / (1.0 - errors), np.inf)
    errors[~(values > 0.0)] = np.inf
    mantissas, exponents = np.frexp(values)
    exponents = np.where(mantissas > 0.0, exponents.astype(np.int64) - 1 - shift, 0)
    return 2.0 * mantissas, exponents, errors
