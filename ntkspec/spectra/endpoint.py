"""Spectra of networks with a kink at 0: the kernel's powers at t = 1 and -z, and a remainder.

K(t) = S(t) + sum_n b_n t^n, where S is a sum of powers c (1 - t)^s and e (z + t)^s, whose
eigenvalues are known (docs/kinks.rst).  Let a_n >= 0 be the Taylor coefficients of K.  As the
eigenvalues of t^n are positive, leaving out the b_n from N on costs a relative error of at most
max |b_n| / a_n over n >= N in every eigenvalue of every dimension.  The powers left out of S and
the singularities outside of |t| = 1 make that ratio fall with n; it is computed from N to 2 N, and
its largest value there, with a margin, is the bound.  All coefficients have bounds on their errors:
they are double-doubles, or balls where these lose too many digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from ntkspec.conventions import MAX_DIM
from ntkspec.domains import Domain
from ntkspec.duals import Correlation, Layers
from ntkspec.duals.layers import taylor_at_zero
from ntkspec.duals.pairs import PairSeries
from ntkspec.duals.singular import (
    Power,
    powers_at_one,
    powers_beyond,
    root_at_one,
)
from ntkspec.errors import NtkspecError
from ntkspec.kernels import endpoint as kernels
from ntkspec.kernels.scaled import dd_add, dd_mul
from ntkspec.locks import cached_property
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, working_precision
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.parity import Parity
from ntkspec.spectra.parity import parity as parity_of
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Passed, Scaled, normalized

__all__ = ["ROUTE", "Kinked", "has_parts", "power_eigenvalue"]

UNIT = 2.0**-53
#: Precisions of balls that are tried, numbers of Taylor coefficients to begin with (of elu in depth
#: with and without a bias), their largest number, and how far the powers go: more of them need
#: fewer coefficients, but cancel more in low degrees.
BITS = (128, 256, 512)
FEW, FEW_OF_ELU, MOST_COUNT = 128, (256, 576), 1024
REACHES = (16, 14, 12, 9)
#: Activations whose duals, besides those of powers, take series of double-doubles.
IN_PAIRS = ("elu", "selu", "softsign", "finer")
#: Those whose powers of 1 - t diverge; how far these go, and where they must not cancel much.
DIVERGENT = ("softsign", "finer")
LONG, SHORT = (24, 20, 16, 12), (12, 9, 8, 7, 6, 5, 4, 3)
#: For those: the number of coefficients to begin with, the most of them for one layer and for more,
#: and how many follow from the powers.
FIRST_COUNT, MOST_DIVERGENT, LONGER, LONGEST = 512, (2**16, 2**14), 2**14, 2**20
#: The margin of the bound on what is left out.
MARGIN = 4.0
#: Largest relative error of Taylor coefficients, and the smallest ones that double-doubles serve.
LOST, SMALLEST = 2.0**-56, 2.0**-700
#: Errors in units of a double-double for one step of a sum's recurrences, and the most steps.
PAIR, MOST_STEPS = 2.0**-103, 8.0e6
#: Most Taylor coefficients of the powers of z + t that are summed instead of their eigenvalues.
MOST_SUMMED = 2048
#: Deepest network, and largest correlation of sigma(u) and sigma(-u), or minus that: close to 1,
#: and in great depth, the kernel has singularities close to t = 1 and -z.  Where the correlation is
#: negative, a bias of this fraction of the weight variance keeps them apart.
MOST_DEPTH, MOST_OPPOSITE, LEAST_BIAS = 12, 0.9, 0.03
#: Most roots of 1 - t that a power series is in: of step, to depth 6.
MOST_ROOTS = 32
#: From this degree on the recurrences of the powers of z + t have terms of one sign.
ABOVE = 64
#: Degrees of the powers of z + t are computed down to this fraction of the highest at a time.
OCTAVES = 4
#: Fraction of a sum that is nothing, though the powers of 1 - t and z + t may cancel.
UNSEEN = 2.0**-115

Array = NDArray[np.float64]


class _Budget(NamedTuple):
    """Largest relative error of eigenvalues, and largest |b_n| / a_n that is left out."""

    error: float
    negligible: float


FINE, COARSE = _Budget(4.0 * UNIT, 2.0**-58), _Budget(32.0 * UNIT, 2.0**-52)

#: Double-doubles and exponents of 2.
_Sums = tuple[Array, Array, NDArray[np.int64]]


@dataclass(frozen=True)
class _Sum:
    """sum_i c_i (1 - t)^s_i, or of (z + t)^s_i, as double-doubles."""

    powers: Array
    high: Array
    low: Array

    def below(self, power: float) -> _Sum:
        """The lower powers."""
        some = self.powers < power
        return _Sum(self.powers[some], self.high[some], self.low[some])


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

    walks = True
    degrees_alone = True

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self._network, self._kernel = network, kernel

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of all eigenvalues."""
        return _budget(self._network).error

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
        line = network.program.lines()[0]
        assert line is not None
        self._ratio = line[1], line[0]
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
        values = [power_eigenvalue(power, z[0], dim, top) for power in (s, s - 1)]
        high, low, exponent = _scaled_pairs(values)
        sign = -1.0 if degrees[0] % 2 else 1.0
        kernels.beyond_row(
            degrees, dim, far.powers[0], sign * far.high, sign * far.low, top, high[0], low[0],
            high[1], low[1], exponent + self._parts.scale, *_pair(z[0]), *_pair(z[1]), UNSEEN, *out,
        )  # fmt: skip


def _zeros(size: int) -> _Sums:
    return np.zeros(size), np.zeros(size), np.zeros(size, np.int64)


# --- eigenvalues of powers -----------------------------------------------------------------------


def power_eigenvalue(s: fmpq, z: arb, dim: int, k: int) -> arb:
    """Eigenvalue of (z - t)^s, z >= 1, of a degree."""
    half, rising = arb(fmpq(dim, 2)), arb(k - s).gamma() / arb(-s).gamma()
    if z == 1:
        value = half.gamma() * arb(s + fmpq(dim - 1, 2)).gamma() * rising
        value /= arb.pi().sqrt() * arb(s + k + dim - 1).gamma()
        return value * arb(2) ** arb(s + dim - 2)
    first, last, x = (k - s) / 2, half + k, 1 / (z * z)
    if first > 0 and dim >= max(4 * k, 256):
        series = _hypergeometric(float(first.p) / float(first.q), 0.5 * dim + k, x)
    else:
        series = x.hypgeom_2f1(arb(first), arb(first + fmpq(1, 2)), last)
    return rising * half.gamma() / (half + k).gamma() * z ** arb(s - k) * series / arb(2) ** k


def _hypergeometric(a: float, c: float, x: arb) -> arb:
    """2F1(a, a + 1/2; c; x) for x < 1 and c >= max(6 a, 128), where few terms count, by their sum.

    The terms fall from m on where m e >= a (a + 1/2) - c, with e = c + 1/2 - 2 a >= 4; from c on by
    1 - e / (2 m + 2).  So all from m on are at most 3 (c + 1) times the m-th together.
    """
    total, term, m = arb(0), arb(1), 0
    falls, least = a * (a + 0.5) - c, arb(2) ** (-ctx.prec - 20)
    while m * (c + 0.5 - 2.0 * a) < falls or not term < least:
        total += term
        term = term * x * ((a + m) * (a + m + 0.5)) / ((c + m) * (1.0 + m))
        m += 1
    return total + arb(0, (3 * (c + 1) * term).upper())


def _starts(powers: Array, degree: int, dim: int) -> tuple[Array, Array, int]:
    """Eigenvalues of (1 - t)^s, as double-doubles over a power of 2; the caller may change them."""
    high, low, exponent = _kept_starts(powers.tobytes(), degree, dim)
    return high.copy(), low.copy(), exponent


@lru_cache(maxsize=1024)
def _kept_starts(powers: bytes, degree: int, dim: int) -> tuple[Array, Array, int]:
    with working_precision(160):
        fractions = map(_fraction, np.frombuffer(powers))
        return _scaled_pairs([power_eigenvalue(s, arb(1), dim, degree) for s in fractions])


def _last_degree(s: fmpq, z: arb, dim: int, first: int, last: int) -> int:
    """A degree from which (z + t)^s is negligible beside (1 - t)^s, or at least the last one."""

    def counts(k: int) -> bool:
        least = abs(power_eigenvalue(s, arb(1), dim, k)) * arb(2) ** -120
        return not abs(power_eigenvalue(s, z, dim, k)) < least

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
    zeros = parity_of(network, kernel)
    with working_precision(BITS[0]):
        layers = Layers(network, kernel)
        ends = _Ends(network, layers, zeros)
    divergent = ends.budget is COARSE
    count, most = FEW, MOST_COUNT
    if divergent:
        most = MOST_DIVERGENT[len(network.sigmas) > 1]
        count = min(_first_count(layers), most)
    elif len(network.sigmas) > 1 and any(not sigma.homogeneous for sigma in network.sigmas):
        count = FEW_OF_ELU[not ends.has_bias]
    while True:
        taylor = _taylor(network, kernel, layers, count, zeros)
        if taylor is None:
            return None
        taylor *= 2.0**-ends.scale
        with working_precision(BITS[0]):
            try:
                if divergent:
                    found = _continued(ends, taylor, zeros)
                else:
                    found = _from_taylor(ends, taylor, zeros, REACHES)
            except _HopelessError:
                return None
        if found.relative_error < ends.budget.error:
            return found
        if count >= most:
            return None
        count = min(max(found.needed, count + count // 4), most)


def _budget(network: Network) -> _Budget:
    divergent = any(sigma.shape.base in DIVERGENT for sigma in network.sigmas)
    return COARSE if divergent else FINE


def _first_count(layers: Layers) -> int:
    """Prediction of the number of coefficients, from the slopes q'(1) of the layers' covariances.

    Powers of softsign's fit from about 2100 q'(1) on, and of finer's from about 900 q(1) q'(1) on
    (measured); twice as many are needed.
    """
    count = float(FIRST_COUNT)
    if not layers.program.serial:
        return FIRST_COUNT
    slope = 1.0
    with working_precision(BITS[0]):
        for sigma, factor, q, (_, dual) in zip(
            layers.program.activations, layers.between, layers.variances, layers.duals, strict=True
        ):
            slope *= float(factor)
            if sigma.shape.base == "softsign":
                count = max(count, 4300.0 * slope)
            elif sigma.shape.base == "finer":
                count = max(count, 1800.0 * slope * float(q))
            slope *= float(dual(Correlation.full()))
    return int(min(count, LONGEST))


def _taylor(
    network: Network, kernel: Kernel, layers: Layers, count: int, zeros: Parity
) -> Array | None:
    """The first Taylor coefficients of the kernel, as the rows of a `PairSeries`.

    In double-doubles, or in balls where these lose too many digits.
    """
    if all(sigma.homogeneous or sigma.shape.base in IN_PAIRS for sigma in network.sigmas):
        with working_precision(BITS[0]):
            try:
                rows: Array = layers.at(Correlation(PairSeries.variable(count))).rows
            except NtkspecError:
                return None
        if _accurate(rows, zeros):
            return rows
    if count > MOST_COUNT:
        return None
    for bits in BITS[1:]:
        with working_precision(bits):
            rows = PairSeries.of_balls(taylor_at_zero(Layers(network, kernel), count)).rows
        if _accurate(rows, zeros):
            return rows
    return None


def _accurate(rows: Array, zeros: Parity) -> bool:
    """Whether the errors of the coefficients are negligible, and all in the range of doubles."""
    high, _, error = rows
    some = ~zeros.vanishing(high.size)
    some[:2] &= np.abs(high[:2]) > error[:2]  # 0 as t divides K
    inside = (high > SMALLEST) & (error < LOST * high)
    return bool(np.all(inside[some]) and np.all(np.isfinite(rows)))


class _Ends:
    """The powers of 1 - t and z + t over 2^scale, the lowest ones first."""

    def __init__(self, network: Network, layers: Layers, zeros: Parity) -> None:
        self.order = max(sigma.singularity.order for sigma in network.sigmas)
        self.budget = _budget(network)
        bias, weight = layers.ratio
        self.has_bias = not bias.is_zero()
        self.z = 1 + 2 * bias / weight
        self.scale = _exponent(layers.at_one())
        size = arb(2) ** -self.scale
        most = (LONG if self.budget is COARSE else REACHES)[0] + self.order
        self._near = _sum(powers_at_one(layers, root_at_one(network), most), size)
        if zeros.main is not None:
            sign = -1.0 if zeros.main == 1 else 1.0
            self._far = replace(self._near, high=sign * self._near.high, low=sign * self._near.low)
        else:
            self._far = _sum(powers_beyond(layers, most), size)

    def to(self, reach: int) -> tuple[tuple[_Sum, _Sum], _Sum | None]:
        """The lower powers of 1 - t for even and odd degrees, and those of z + t."""
        near, far = self._near.below(reach + self.order), self._far.below(reach + self.order)
        if self.has_bias:
            return (near, near), far
        return (_merged(near, far, 1.0), _merged(near, far, -1.0)), None


def _sum(terms: list[Power], size: arb) -> _Sum:
    """The terms times a number, as double-doubles."""
    powers = np.array([float(s.p) / float(s.q) for s, _ in terms])
    return _Sum(powers, *_pairs(c * size for _, c in terms))


def _merged(near: _Sum, far: _Sum, sign: float) -> _Sum:
    """One sum with the powers of both, those that cancel left out."""
    total = {s: (hi, lo) for s, hi, lo in zip(near.powers, near.high, near.low, strict=True)}
    for s, hi, lo in zip(far.powers, far.high, far.low, strict=True):
        total[s] = dd_add(*total.get(s, (0.0, 0.0)), sign * hi, sign * lo)
    kept = sorted((s, *pair) for s, pair in total.items() if pair[0] != 0.0)
    powers, high, low = np.array(kept).reshape(-1, 3).T.copy()
    return _Sum(powers, high, low)


def _from_taylor(ends: _Ends, taylor: Array, zeros: Parity, reaches: Sequence[int]) -> _Parts:
    """The parts from some Taylor coefficients; an infinite error if more of them are needed."""
    hopeless, needed, found = 0, LONGEST, None
    for reach in reaches:
        try:
            found = _with_rest(_Fit(ends, reach, taylor, zeros))
        except _HopelessError:
            hopeless += 1
            continue
        if found.relative_error < ends.budget.error:
            return found
        needed = min(needed, found.needed)
    if found is None or hopeless == len(reaches):
        raise _HopelessError
    return replace(found, needed=needed)


def _continued(ends: _Ends, taylor: Array, zeros: Parity) -> _Parts:
    """The parts where the powers diverge: many of them go on with the Taylor coefficients.

    From where on they fit; then few powers, which cancel less in low degrees, fit later ones.
    """
    fits = [_Fit(ends, reach, taylor, zeros) for reach in LONG]
    fit = min(fits, key=lambda fit: fit.kept)
    failed = _Parts(fit.near, fit.far, (np.zeros(0), np.zeros(0)), ends.scale, np.inf, fit.needed)
    with suppress(_HopelessError):
        found = _from_taylor(ends, taylor, zeros, SHORT)
        if found.relative_error < ends.budget.error:
            return found
    if 2 * fit.kept > fit.count:
        return failed
    count = LONGER
    while count <= LONGEST:
        whole = np.concatenate([taylor, fit.powers(count)[0][:, fit.count :]], axis=1)
        found = _from_taylor(ends, whole, zeros, SHORT)
        if found.relative_error < ends.budget.error:
            return found
        count = max(2 * count, found.needed)
    raise _HopelessError


class _Fit:
    """Some powers beside Taylor coefficients: the differences b_n, and max |b_m| / a_m, m >= n."""

    def __init__(self, ends: _Ends, reach: int, taylor: Array, zeros: Parity) -> None:
        self.ends, self.zeros, self.count = ends, zeros, taylor.shape[1]
        self.near, self.far = ends.to(reach)
        powers, moduli = self.powers(self.count)
        self.rest = (PairSeries(taylor) - PairSeries(powers)).rows
        vanishing = zeros.vanishing(self.count)
        self.rest[:, vanishing] = 0.0
        whole = taylor[0] - taylor[2]
        ratio = np.zeros(self.count)
        for n in range(2):
            if not vanishing[n] and not whole[n] > 0.0:
                # 0 as t divides K: the next coefficient is compared with
                ratio[n], whole[n] = np.inf, whole[n + 2] / MAX_DIM
        whole[vanishing] = 1.0
        ratio = np.maximum(ratio, (np.abs(self.rest[0]) + self.rest[2]) / whole)
        self.lost = float(np.max(self.rest[2] / whole))
        self.cancelled = np.where(vanishing, 0.0, moduli / whole)
        self.worst = np.maximum.accumulate(ratio[::-1])[::-1]

    def powers(self, count: int) -> tuple[Array, Array]:
        """The first Taylor coefficients of the powers, and the moduli of their terms."""
        rows, moduli = np.zeros((3, count)), np.zeros(count)
        for parity in (0, 1):
            if parity == 0 or self.near[1] is not self.near[0]:
                found, sizes = _coefficients(self.near[parity], arb(-1), count)
            rows[:, parity::2], moduli[parity::2] = found[:, parity::2], sizes[parity::2]
        if self.far is not None:
            found, sizes = _coefficients(self.far, self.ends.z, count)
            rows, moduli = (PairSeries(rows) + PairSeries(found)).rows, moduli + sizes
        return rows, moduli

    @property
    def kept(self) -> int:
        """Number of b_n that count."""
        small = self.worst <= self.ends.budget.negligible
        return int(np.argmax(small)) if small[-1] else self.count

    @property
    def needed(self) -> int:
        """Prediction of the number of coefficients of which half count.

        Where all count, from |b_n| / a_n, which falls somewhat more slowly than a power of n does.
        """
        if self.kept < self.count:
            return 2 * self.kept + 16
        least = self.worst[-2]  # the last coefficient may be 0 by parity
        falls = math.log(self.worst[self.count // 2] / least)
        more = math.log(least / self.ends.budget.negligible) / falls if falls > 0.0 else 1.0
        return int(self.count * 2.0 ** min(1.0 + 1.1 * max(more, 0.0), 3.0))


def _with_rest(fit: _Fit) -> _Parts:
    """Keep the b_n up to where they can be left out, and bound all errors."""
    ends, count, kept, near, far = fit.ends, fit.count, fit.kept, fit.near, fit.far
    steps = np.minimum(8.0 * np.arange(count) + 200.0, MOST_STEPS)
    # Beyond, powers of 1 - t and z + t cancel less and less: at most as 1 / n, until they do not.
    rounding = PAIR * 2.0 * (float((steps * fit.cancelled).max()) + MOST_STEPS) + fit.lost
    budget = ends.budget
    if not rounding < 0.25 * budget.error or fit.worst[count // 2] > 1.0:
        raise _HopelessError
    if 2 * kept > count:
        return _Parts(near, far, (np.zeros(0), np.zeros(0)), ends.scale, np.inf, fit.needed)
    left_out = MARGIN * (float(fit.worst[kept]) + budget.negligible)
    error = 2.0 * UNIT + left_out + rounding
    high, low = fit.rest[0, :kept].copy(), fit.rest[1, :kept].copy()
    if far is not None:
        # Where few Taylor coefficients of the powers of z + t count, they join the b_n.
        bits = 60.0 + math.log2(max(float(fit.cancelled[kept]), 1.0))
        most = max(kept, kept + int(bits / math.log2(float(ends.z))) + 1)
        if most <= MOST_SUMMED:
            rows, _ = _coefficients(far, ends.z, most)
            joined = (PairSeries(rows) + PairSeries(fit.rest[:, :kept].copy())).rows
            high, low, far = joined[0].copy(), joined[1].copy(), None
    return _Parts(near, far, (high, low), ends.scale, error, count)


def _coefficients(part: _Sum, z: arb, count: int) -> tuple[Array, Array]:
    """Taylor coefficients of sum c (|z| + sign(z) t)^s, and the sums of the moduli of its terms."""
    scales = _pairs(abs(z) ** arb(_fraction(s)) for s in part.powers)
    terms = np.array(
        [dd_mul(*pairs) for pairs in zip(part.high, part.low, *scales, strict=True)]
    ).reshape(-1, 2)
    rows, moduli = np.zeros((3, count)), np.zeros(count)
    high, low = terms.T.copy()
    kernels.power_coefficients(part.powers, high, low, *_pair(z), rows[0], rows[1], moduli)
    rows[2] = 8.0 * PAIR * (np.arange(count) + 8.0 + part.powers.size / 16.0) * moduli
    return rows, moduli


def has_parts(network: Network, kernel: Kernel) -> bool:
    """Whether a network's spectrum is computed from the parts of its kernel."""
    return _parts(network, kernel) is not None


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    """By what costs no time, as the plan of a sweep asks for each of its networks."""
    if not isinstance(source, Network) or source.weights != "gaussian" or source.user:
        return None
    sigmas = source.sigmas
    if any(sigma.singularity.kind != "kink" for sigma in sigmas):
        return None
    if not sigmas or parity_of(source, kernel).last is not None:
        return None
    if len(sigmas) > MOST_DEPTH or root_at_one(source) > MOST_ROOTS:
        return None
    lines = [line for line in source.program.lines() if line is not None]
    if len(lines) > 1 and any(start for _, start in lines):
        return None  # the branch points may differ
    slope, start = lines[0]
    for sigma in sigmas:
        if len(sigmas) > 1 and sigma.homogeneous and sigma.symmetry is None:
            _, right, left = sigma.homogeneous
            near = 2.0 * abs(right * left) > MOST_OPPOSITE * (right * right + left * left)
            apart = left < 0.0 and start >= LEAST_BIAS * slope
            if near and not apart:
                return None
    return "a kink at 0"


ROUTE = row_route(
    "endpoint series", _takes, Kinked, serves="catalogued activations with a kink at 0"
)
