"""Spectra of networks with a kink at 0: the kernel's powers at t = 1 and -z, and a remainder.

K(t) = S(t) + sum_n b_n t^n, where S is a sum of powers c (1 - t)^s and e (z + t)^s, whose
eigenvalues are known (docs/mathematics.rst).  Let a_n >= 0 be the Taylor coefficients of K.  As the
eigenvalues of t^n are positive, leaving out the b_n from N on costs a relative error of at most
max |b_n| / a_n over n >= N in every eigenvalue of every dimension.  The powers left out of S and
the singularities outside of |t| = 1 make that ratio fall with n; it is computed in ball arithmetic
from N to 2 N, and its largest value there, with a margin, is the bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray

from ntkspec.conventions import MAX_DIM
from ntkspec.domains import Domain
from ntkspec.duals import Layers
from ntkspec.duals.layers import taylor_at_zero
from ntkspec.duals.singular import (
    Power,
    powers_at_one,
    powers_beyond,
    root_at_one,
)
from ntkspec.kernels import endpoint as kernels
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, working_precision
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.parity import Parity
from ntkspec.spectra.parity import parity as parity_of
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Passed, Scaled, normalized

__all__ = ["ROUTE", "Kinked", "has_parts"]

UNIT = 2.0**-53
MOST_ERROR = 4.0 * UNIT
#: Precisions and numbers of Taylor coefficients that are tried, and how far the powers go: more of
#: them need fewer coefficients, but cancel more in low degrees.
BITS = (256, 512)
COUNTS = (128, 192, 256, 384, 512, 768, 1024)
REACHES = (16, 12, 9)
#: Those of activations whose kernels have singularities close to |t| = 1, where more are needed.
ESSENTIAL = {"finer": (2048,)}
#: Largest |b_n| / a_n that is left out, and the margin of the bound.
NEGLIGIBLE, MARGIN = 2.0**-58, 4.0
#: Errors in units of a double-double for one step of a sum's recurrences, and the most steps.
PAIR, MOST_STEPS = 2.0**-103, 8.0e6
#: Most Taylor coefficients of the powers of z + t that are summed instead of their eigenvalues.
MOST_SUMMED = 2048
#: Deepest network, and largest correlation of sigma(u) and sigma(-u): close to 1, and in great
#: depth, the kernel has singularities close to t = 1 and -z.
MOST_DEPTH, MOST_OPPOSITE = 12, 0.9
#: Most roots of 1 - t that a power series is in: of step, to depth 6.
MOST_ROOTS = 32
#: From this degree on the recurrences of the powers of z + t have terms of one sign.
ABOVE = 64
#: Degrees of the powers of z + t are computed down to this fraction of the highest at a time.
OCTAVES = 4
#: Fraction of a sum that is nothing, though the powers of 1 - t and z + t may cancel.
UNSEEN = 2.0**-115

Array = NDArray[np.float64]
#: Double-doubles and exponents of 2.
_Sums = tuple[Array, Array, NDArray[np.int64]]


@dataclass(frozen=True)
class _Sum:
    """sum_i c_i (1 - t)^s_i, or of (z + t)^s_i, as double-doubles."""

    powers: Array
    high: Array
    low: Array


@dataclass(frozen=True)
class _Parts:
    """A kernel over 2^scale: powers of 1 - t for even and odd degrees, of z + t, and b_n.

    `needed` predicts the number of Taylor coefficients for a finite error.
    """

    near: tuple[_Sum, _Sum]
    far: _Sum | None
    rest: tuple[Array, Array]
    scale: int
    relative_error: float
    needed: int

    @property
    def unseen(self) -> float:
        """Fraction of a sum of powers of 1 - t that is nothing beside the eigenvalue."""
        return 2.0**-80 if self.far is None else UNSEEN


class Kinked:
    """Rows and columns of eigenvalues; `prepare` finds the parts of the kernel."""

    relative_error = MOST_ERROR
    walks = True
    degrees_alone = True

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self._network, self._kernel = network, kernel

    @cached_property
    def _rows(self) -> Endpoints:
        parts = _parts(self._network, self._kernel)
        if parts is None:
            raise Passed("the kernel's powers at both ends cancel")
        return Endpoints(self._network, self._kernel, parts)

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return parity_of(self._network, self._kernel).isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Find the parts of the kernel, or raise Passed."""
        self._rows.prepare(low, high, last, wanted)

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        return self._rows.row(dim, degrees)

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions of one parity."""
        return self._rows.column(degree, dims)


class Endpoints:
    """Rows and columns from the parts of a kernel."""

    walks = True
    degrees_alone = True

    def __init__(self, network: Network, kernel: Kernel, parts: _Parts) -> None:
        self._parts, self._parity = parts, parity_of(network, kernel)
        self._ratio = network.bias_variance, network.weight_variance
        self.relative_error = parts.relative_error

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return self._parity.isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Do nothing: rows and columns are computed separately."""

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        out, parts = _zeros(degrees.size), self._parts
        near = parts.near[degrees[0] % 2]
        kernels.taylor_row(degrees, dim, *parts.rest, parts.scale, *out)
        if near.powers.size:
            high, low, exponent = _starts(near.powers, int(degrees[0]), dim)
            kernels.endpoint_row(
                degrees, dim, near.powers, near.high, near.low, high, low,
                exponent + parts.scale, parts.unseen, *out,
            )  # fmt: skip
        self._beyond(dim, degrees, out)
        return self._finished(out, degrees)

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions of one parity."""
        out, parts = _zeros(dims.size), self._parts
        near = parts.near[degree % 2]
        kernels.taylor_column(degree, dims, *parts.rest, parts.scale, *out)
        if near.powers.size:
            high, low, exponent = _starts(near.powers, degree, int(dims[0]))
            kernels.endpoint_column(
                degree, dims, near.powers, near.high, near.low, high, low,
                exponent + parts.scale, *out,
            )  # fmt: skip
        degrees = np.full(dims.size, degree)
        for i, dim in enumerate(dims):
            at = slice(i, i + 1)
            self._beyond(int(dim), degrees[:1], (out[0][at], out[1][at], out[2][at]))
        return self._finished(out, degrees)

    def _finished(self, out: _Sums, degrees: NDArray[np.int64]) -> Scaled:
        high, low, exponent = out
        if self._parity.main is not None:
            zero = [self._parity.vanishes(int(k)) for k in degrees]
            high, low = np.where(zero, 0.0, high), np.where(zero, 0.0, low)
        return normalized(high + low, exponent)

    def _beyond(self, dim: int, degrees: NDArray[np.int64], out: _Sums) -> None:
        """Add the eigenvalues of the powers of z + t, for some octaves of degrees at a time."""
        far = self._parts.far
        if far is None:
            return
        with working_precision(192):
            b = arb(self._ratio[0]) / arb(self._ratio[1])
            z, square = 1 + 2 * b, 4 * b * (1 + b)
            first, last = int(degrees[0]), int(degrees[-1])
            top = _last_degree(_fraction(far.powers[0]), z, dim, first, last)
            while top >= first:
                low = top // OCTAVES if top // OCTAVES >= ABOVE else 0
                at = slice(*np.searchsorted(degrees, (low, top + 1)))
                if at.start < at.stop:
                    mine = out[0][at], out[1][at], out[2][at]
                    self._add_beyond(far, dim, degrees[at], top, (z, square), mine)
                top = low - 1

    def _add_beyond(
        self, far: _Sum, dim: int, degrees: NDArray[np.int64], top: int, z: tuple[arb, arb],
        out: _Sums,
    ) -> None:  # fmt: skip
        s = _fraction(far.powers[0])
        values = [_eigenvalue(power, z[0], dim, top) for power in (s, s - 1)]
        high, low, exponent = _scaled_pairs(values)
        sign = -1.0 if degrees[0] % 2 else 1.0
        kernels.beyond_row(
            degrees, dim, far.powers[0], sign * far.high, sign * far.low, top, high[0], low[0],
            high[1], low[1], exponent + self._parts.scale, *_pair(z[0]), *_pair(z[1]), UNSEEN, *out,
        )  # fmt: skip


def _zeros(size: int) -> _Sums:
    return np.zeros(size), np.zeros(size), np.zeros(size, np.int64)


# --- eigenvalues of powers -----------------------------------------------------------------------


def _eigenvalue(s: fmpq, z: arb, dim: int, k: int) -> arb:
    """Eigenvalue of (z - t)^s, z >= 1, of a degree."""
    half, rising = arb(fmpq(dim, 2)), arb(k - s).gamma() / arb(-s).gamma()
    if z == 1:
        value = half.gamma() * arb(s + fmpq(dim - 1, 2)).gamma() * rising
        value /= arb.pi().sqrt() * arb(s + k + dim - 1).gamma()
        return value * arb(2) ** arb(s + dim - 2)
    series = (1 / (z * z)).hypgeom_2f1(arb(k - s) / 2, arb(k - s + 1) / 2, half + k)
    return rising * half.gamma() / (half + k).gamma() * z ** arb(s - k) * series / arb(2) ** k


def _starts(powers: Array, degree: int, dim: int) -> tuple[Array, Array, int]:
    """Eigenvalues of (1 - t)^s, as double-doubles over a power of 2; the caller may change them."""
    high, low, exponent = _kept_starts(powers.tobytes(), degree, dim)
    return high.copy(), low.copy(), exponent


@lru_cache(maxsize=1024)
def _kept_starts(powers: bytes, degree: int, dim: int) -> tuple[Array, Array, int]:
    with working_precision(160):
        fractions = map(_fraction, np.frombuffer(powers))
        return _scaled_pairs([_eigenvalue(s, arb(1), dim, degree) for s in fractions])


def _last_degree(s: fmpq, z: arb, dim: int, first: int, last: int) -> int:
    """A degree from which (z + t)^s is negligible beside (1 - t)^s, or at least the last one."""

    def counts(k: int) -> bool:
        least = abs(_eigenvalue(s, arb(1), dim, k)) * arb(2) ** -120
        return not abs(_eigenvalue(s, z, dim, k)) < least

    top = max(first, ABOVE)
    if not counts(top):
        return 0 if first >= ABOVE else ABOVE
    while top < last:
        top *= 2
        if not counts(top):
            return top
    return max(last, ABOVE)


def _fraction(power: float) -> fmpq:
    return fmpq(*float(power).as_integer_ratio())


def _pair(value: arb) -> tuple[float, float]:
    """The double-double nearest to a ball."""
    high = float(value.mid())
    return high, float((value - high).mid())


def _pairs(values: Iterable[arb]) -> tuple[Array, Array]:
    high, low = np.array([_pair(value) for value in values]).reshape(-1, 2).T.copy()
    return high, low


def _scaled_pairs(values: Sequence[arb]) -> tuple[Array, Array, int]:
    """Double-doubles over a power of 2, the largest near 1."""
    exponent = max(_exponent(value) for value in values)
    return *_pairs(value * arb(2) ** -exponent for value in values), exponent


def _exponent(value: arb) -> int:
    """Exponent of 2 of a ball's midpoint, which is not 0."""
    man, exp = (int(part) for part in value.mid().man_exp())
    return exp + abs(man).bit_length()


# --- the parts of a kernel -----------------------------------------------------------------------


class _HopelessError(Exception):
    """More coefficients will not help: the sums cancel, or b_n does not fall."""


@lru_cache(maxsize=256)
@exclusive()
def _parts(network: Network, kernel: Kernel) -> _Parts | None:
    """The parts of a kernel, or None if no accurate ones are found."""
    enough = 0
    for count in ESSENTIAL.get(network.sigma.name, COUNTS):
        if count < enough:
            continue
        for bits in BITS:
            try:
                with working_precision(bits):
                    found = _attempt(network, kernel, count)
            except _HopelessError:
                return None
            if found is not None:
                break
        else:
            return None
        if found.relative_error < MOST_ERROR:
            return found
        enough = min(found.needed, COUNTS[-1])
    return None


def _attempt(network: Network, kernel: Kernel, count: int) -> _Parts | None:
    """The parts from `count` Taylor coefficients; None if the precision does not suffice.

    The error is infinite if the number of coefficients does not suffice.
    """
    layers, zeros = Layers(network, kernel), parity_of(network, kernel)
    order = network.sigma.singularity.order
    at_one = powers_at_one(layers, root_at_one(network), REACHES[0] + order)
    even = network.sigma.symmetry == "even"
    beyond = at_one
    if not even and zeros.main is None:
        beyond = powers_beyond(layers, REACHES[0] + order)
    scale = _exponent(layers.at_one())
    size = arb(2) ** -scale
    taylor = [a * size for a in taylor_at_zero(layers, count)]
    sign = -size if zeros.main == 1 else size
    hopeless, needed, found = 0, COUNTS[-1], None
    for reach in REACHES:
        near, far = _sum(at_one, size, reach + order), _sum(beyond, sign, reach + order)
        z, ends = 1 + 2 * layers.bias / layers.weight, (near, near)
        if not layers.has_bias:
            ends = _merged(near, far, 1.0), _merged(near, far, -1.0)
        try:
            found = _with_rest(ends, far if layers.has_bias else None, z, taylor, zeros, scale)
        except _HopelessError:
            hopeless += 1
            continue
        if found is None or found.relative_error < MOST_ERROR:
            return found
        needed = min(needed, found.needed)
    if found is None or hopeless == len(REACHES):
        raise _HopelessError
    return replace(found, needed=needed)


def _sum(terms: list[Power], size: arb, below: int) -> _Sum:
    """The lower terms times a number, as double-doubles."""
    kept = [(float(s.p) / float(s.q), c * size) for s, c in terms if s < below]
    return _Sum(np.array([s for s, _ in kept]), *_pairs(c for _, c in kept))


def _merged(near: _Sum, far: _Sum, sign: float) -> _Sum:
    """One sum with the powers of both, those that cancel left out."""
    total = {s: (hi, lo) for s, hi, lo in zip(near.powers, near.high, near.low, strict=True)}
    for s, hi, lo in zip(far.powers, far.high, far.low, strict=True):
        total[s] = kernels.dd_add(*total.get(s, (0.0, 0.0)), sign * hi, sign * lo)
    kept = sorted((s, *pair) for s, pair in total.items() if pair[0] != 0.0)
    powers, high, low = np.array(kept).reshape(-1, 3).T.copy()
    return _Sum(powers, high, low)


def _with_rest(
    near: tuple[_Sum, _Sum], far: _Sum | None, z: arb, taylor: list[arb], zeros: Parity, scale: int
) -> _Parts | None:
    """Add the b_n, up to where they can be left out, and the bound on all errors."""
    count = len(taylor)
    ends = [_coefficients(part, arb(1), count) for part in near]
    beyond = _coefficients(far, -z, count) if far is not None else [(arb(0), arb(0))] * count
    rest, ratio, cancelled = [arb(0)] * count, np.zeros(count), np.zeros(count)
    for n in range(count):
        if zeros.vanishes(n):
            continue
        rest[n] = taylor[n] - ends[n % 2][n][0] - beyond[n][0]
        whole = taylor[n]
        if whole.contains(0) and n < 2:  # 0 as t divides K: the next coefficient is compared with
            ratio[n], whole = np.inf, taylor[n + 2] / MAX_DIM
        else:
            ratio[n] = float((abs(rest[n]) / whole).upper())
        if not rest[n].rad() < whole * arb(2) ** -80:
            return None
        cancelled[n] = float(((ends[n % 2][n][1] + beyond[n][1]) / whole).upper())
    worst = np.maximum.accumulate(ratio[::-1])[::-1]
    kept = int(np.argmax(worst <= NEGLIGIBLE)) if worst[-1] <= NEGLIGIBLE else count
    steps = np.minimum(8.0 * np.arange(count) + 200.0, MOST_STEPS)
    # Beyond, powers of 1 - t and z + t cancel less and less: at most as 1 / n, until they do not.
    rounding = PAIR * 2.0 * (float((steps * cancelled).max()) + MOST_STEPS)
    if rounding > MOST_ERROR - 3.0 * UNIT or worst[count // 2] > 1.0:
        raise _HopelessError
    if 2 * kept > count:
        # |b_n| / a_n falls somewhat more slowly than a power of n does.
        least = worst[-2]  # the last coefficient may be 0 by parity
        falls = math.log(worst[count // 2] / least)
        more = math.log(least / NEGLIGIBLE) / falls if falls > 0.0 else 1.0
        needed = int(count * 2.0 ** min(1.0 + 1.5 * max(more, 0.0), 3.0))
        return _Parts(near, far, (np.zeros(0), np.zeros(0)), scale, np.inf, needed)
    error = 2.0 * UNIT + MARGIN * (float(worst[kept]) + NEGLIGIBLE) + rounding
    high, low = _pairs(rest[:kept])
    if far is not None:
        # Where few Taylor coefficients of the powers of z + t count, they join the b_n.
        bits = 60.0 + math.log2(max(float(cancelled[kept]), 1.0))
        most = max(kept, kept + int(bits / math.log2(float(z))) + 1)
        if most <= MOST_SUMMED:
            high, low = np.pad(high, (0, most - kept)), np.pad(low, (0, most - kept))
            powers = [z ** arb(_fraction(power)) for power in far.powers]
            sizes = _pairs(
                _ball(pair) * x for *pair, x in zip(far.high, far.low, powers, strict=True)
            )
            kernels.power_coefficients(far.powers, *sizes, *_pair(z), high, low)
            far = None
    return _Parts(near, far, (high, low), scale, error, count)


def _coefficients(part: _Sum, z: arb, count: int) -> list[tuple[arb, arb]]:
    """Taylor coefficients of sum c (|z| - sign(z) t)^s, and the sums of the moduli of its terms."""
    powers = [_fraction(s) for s in part.powers]
    terms = [
        _ball(pair) * abs(z) ** arb(s) for *pair, s in zip(part.high, part.low, powers, strict=True)
    ]
    found, inverse = [], 1 / z
    for n in range(count):
        found.append((sum(terms, arb(0)), sum(map(abs, terms), arb(0))))
        step = inverse / (n + 1)
        terms = [x * ((n - s) * step) for x, s in zip(terms, powers, strict=True)]
    return found


def _ball(pair: Sequence[float]) -> arb:
    return arb(pair[0]) + arb(pair[1])


def has_parts(network: Network, kernel: Kernel) -> bool:
    """Whether a network's spectrum is computed from the parts of its kernel."""
    return _parts(network, kernel) is not None


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    """By what costs no time, as the plan of a sweep asks for each of its networks."""
    if not isinstance(source, Network) or source.weights != "gaussian" or source.sigma.user:
        return None
    if source.sigma.singularity.kind != "kink" or parity_of(source, kernel).last is not None:
        return None
    if source.depth > MOST_DEPTH or root_at_one(source) > MOST_ROOTS:
        return None
    if source.depth > 1 and source.sigma.homogeneous and source.sigma.symmetry is None:
        _, right, left = source.sigma.homogeneous
        if 2.0 * abs(right * left) > MOST_OPPOSITE * (right * right + left * left):
            return None
    return "a kink at 0"


ROUTE = row_route(
    "endpoint series", _takes, Kinked, serves="catalogued activations with a kink at 0"
)
