"""Spectra of zonal kernels of which more is known than values, from balls that enclose them.

* closed forms
* Taylor series at t = 0 with coefficients a_n >= 0: lambda_k = sum_n a_n w(k, n), what is left out
  bounded by K(1), or by K(r) where K is analytic for |t| <= r (`ntkspec.duals.tails`)
* powers of 1 - t whose series converges on [-1, 1]; M_s(k), the eigenvalues of (1 - t)^s, have
  M_s(k+1) / M_s(k) = (k - s) / (k + s + d - 1).  This ratio falls with s < k, so a term that is
  negligible beside that of a smaller s stays so in all higher degrees.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
from flint import acb, arb, ctx, fmpq
from numpy.typing import NDArray

from ntkspec.conventions import MAX_DIM
from ntkspec.domains import Domain
from ntkspec.duals import taylor
from ntkspec.duals.composition import frozen
from ntkspec.duals.tails import TailBounds
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Passed, Scaled
from ntkspec.spectra.seeds import KEPT, CosineMoments, base_row, bits_kept
from ntkspec.spectra.taylor import (
    MOST_DIRECT,
    Coefficients,
    TaylorRows,
    predicted_count,
    series_sum,
)
from ntkspec.zonal import ZonalKernel
from ntkspec.zonal.formulas import Power

__all__ = [
    "ANALYTIC",
    "CLOSED",
    "GAPS",
    "POWERS",
    "SERIES",
    "proofs",
]

UNIT = 2.0**-53
BITS, MOST_BITS = 128, 2**15
#: Most coefficients where K is not analytic at t = 1; a few, and twice the degree, cost less than
#: powers of 1 - t.
MOST_KINKED, FEW = 20_000, 3000
#: Most bits of a sum of coefficients.
MOST_SUMMED = 8192
#: Most bits that the powers of 1 - t of the last degree lie below 1.
MOST_FALL = 16_000
#: Degrees further apart than this start anew.
GAP = 64
#: Arcs of an ellipse on which a kernel is bounded.
ARCS = 128
#: Intervals of a rule whose cosine coefficients are compared with a declared radius.
TRIED = 96
LN2 = math.log(2.0)

Array = NDArray[np.float64]
#: Enclosures of the eigenvalues of increasing degrees at the working precision.
Enclosures = Callable[[int, list[int]], list[arb]]


class BallRows:
    """Rows and columns from enclosures at any precision."""

    degrees_alone = True

    def __init__(self, source: ZonalKernel, enclosures: Enclosures, walks: bool = True) -> None:
        self.walks, self.relative_error = walks, 2.0 * UNIT
        self._source, self._enclosures = source, enclosures
        self._parity: Parity = parity(source, "ntk")

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return self._parity.isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Do nothing: rows and columns are computed separately."""

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        wanted = [k for k in degrees.tolist() if not self._parity.vanishes(k)]
        mantissa, exponent = np.zeros(degrees.size), np.zeros(degrees.size, np.int64)
        if wanted:
            found = dict(zip(wanted, self._settled(dim, wanted), strict=True))
            for i, k in enumerate(degrees.tolist()):
                mantissa[i], exponent[i] = found.get(k, (0.0, 0))
        return mantissa, exponent

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions of one parity."""
        rows = [self.row(int(dim), np.array([degree])) for dim in dims]
        mantissa, exponent = (np.array([one[i][0] for one in rows]) for i in (0, 1))
        return mantissa, exponent.astype(np.int64)

    @exclusive()
    def _settled(self, dim: int, degrees: list[int]) -> list[tuple[float, int]]:
        """Raise the precision until all eigenvalues keep enough bits."""
        bits = BITS
        while bits <= MOST_BITS:
            with working_precision(bits):
                balls = self._enclosures(dim, degrees)
                missing = max(KEPT - bits_kept(ball) for ball in balls)
                if missing <= 0:
                    return [split(ball) for ball in balls]
            bits += max(missing + 32, 64) if missing <= KEPT else bits
        raise Passed(f"{self._source.name} needs more than {MOST_BITS} bits here: its sums cancel")


# --- closed forms --------------------------------------------------------------------------------


def _takes_closed(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    formula = source.formula if isinstance(source, ZonalKernel) else None
    return "a zonal kernel in closed form" if formula and formula.eigenvalues else None


def _closed_rows(source: ZonalKernel, kernel: Kernel) -> BallRows:
    assert source.formula is not None
    return BallRows(source, source.formula.eigenvalues, source.formula.fixed)


CLOSED = row_route(
    "closed form of a zonal kernel", _takes_closed, _closed_rows, "arc-cosine and Poisson kernels"
)


# --- positive Taylor coefficients ----------------------------------------------------------------


class PositiveCoefficients(Coefficients):
    """Taylor coefficients of a zonal kernel, and how many an eigenvalue needs."""

    def __init__(self, source: ZonalKernel) -> None:
        self.source = source

    @property
    def most(self) -> int:
        """Largest number of coefficients that are computed."""
        return MOST_DIRECT if _radius(self.source) > 1.0 else MOST_KINKED

    def bounds(self, count: int) -> TailBounds:
        """Bounds of what the coefficients from this number on add."""
        found = _bounds(self.source)
        if self.unknown and count:
            found = replace(found, log_f=np.array([_log_rest(self.source, count)]))
        return found

    @property
    def unknown(self) -> bool:
        """Whether it is not known how the coefficients of a user's kernel fall."""
        return callable(self.source.coefficients) and self.source.radius is None

    def first(
        self, count: int, error: Callable[[taylor.Coefficients], float] = taylor.LARGEST
    ) -> taylor.Coefficients:
        """The first coefficients, or a few more."""
        count = -(-count // 32) * 32
        if count > self.most:
            raise Passed(f"needs {count} Taylor coefficients, and at most {self.most} are computed")
        found, zeros = _scaled(self.source, count), parity(self.source, "ntk")
        for first in (0, 1):
            zero = found.mantissa[first : zeros.last and zeros.last + 1 : 2] == 0.0
            if zero.any() and zeros.isolated(first) != ():
                raise Passed("some Taylor coefficients are 0")
        return found

    def predicted(self, dim: int, degree: int) -> int:
        """A number of coefficients that is probably enough for a degree."""
        last = parity(self.source, "ntk").last
        if last is not None:
            return last + 1
        if self.unknown:
            return degree + 64
        slack = 1.2 if _radius(self.source) > 1.0 else 2.0
        return predicted_count(self.bounds(0), slack, dim, degree)


def _radius(source: ZonalKernel) -> float:
    """K is analytic for |t| below this, if its Taylor coefficients are >= 0."""
    return (source.radius or 1.0) if source.formula is None else float(source.formula.radius)


@lru_cache(maxsize=64)
@exclusive()
def _bounds(source: ZonalKernel) -> TailBounds:
    """From K(1), and K(r) at some r > 1 below the radius."""
    if parity(source, "ntk").last is not None:
        return TailBounds(np.empty(0), np.array([1.0]), np.array([-np.inf]))
    with working_precision(BITS):
        function, end = source.in_balls(3), _radius(source)
        log_f = np.array([_log_upper(function(arb(1)))])
        log_r, log_k = [], []
        if math.isinf(end):
            points = [1.0 + 1.25**j for j in range(-60, 90)]
        else:
            points = [1.0 + (end - 1.0) * (1.0 - 0.8**j) for j in range(1, 100)]
        for r in points:
            if not r < end:
                break
            log_r.append(float(arb(r).log().lower()))
            log_k.append(_log_upper(function(arb(r))))
    return TailBounds(log_f, np.array(log_r), np.array(log_k))


@lru_cache(maxsize=64)
@exclusive()
def _log_rest(source: ZonalKernel, count: int) -> float:
    """Upper bound of the logarithm of K(1) minus the first coefficients."""
    with working_precision(min(BITS + 2 * count, MOST_SUMMED)):
        rest = source.in_balls(3)(arb(1)) - sum(source.first_coefficients(count), arb(0))
        if rest.upper() < 0:
            raise NtkspecError(
                f"coefficients of {source.name} add to more than its value at t = 1, "
                f"{float(source.in_balls(3)(arb(1))):g}; give those of its Taylor series"
            )
        return float(arb(rest.upper()).log()) + 1e-9 if rest.upper() > 0 else -math.inf


def _log_upper(value: arb) -> float:
    """Upper bound of a logarithm."""
    return float(value.log().upper()) + 1e-9 if value > 0 else np.inf


@lru_cache(maxsize=32)
@exclusive()
def _scaled(source: ZonalKernel, count: int) -> taylor.Coefficients:
    bits = BITS
    while True:
        with working_precision(bits):
            balls = source.first_coefficients(count)
            least = min(int(a.rel_accuracy_bits()) for a in balls if not a.is_zero())
            if least >= KEPT or bits >= 8 * BITS:
                break
        bits *= 2
    if least < KEPT:
        raise NtkspecError(
            f"coefficients of {source.name} have {max(least, 0)} correct bits only; give whole "
            "numbers, fractions or flint.arb of more bits"
        )
    pairs = [split(a) for a in balls]
    exponent = np.array([e for _, e in pairs], np.int64)
    return frozen(np.array([m for m, _ in pairs]), exponent, 2.0 * UNIT)


class ZonalTaylor(TaylorRows):
    """Rows and columns of a zonal kernel's eigenvalues from its Taylor coefficients."""

    def __init__(self, source: ZonalKernel, kernel: Kernel) -> None:
        self.parity = parity(source, kernel)
        self.series = PositiveCoefficients(source)
        self.source = source
        self.found, self.error = None, math.inf

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Find the coefficients that the lowest dimension and the last degree need."""
        end = self.parity.last
        super().prepare(low, high, last if end is None else min(last, end), wanted)

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        return self._known(degrees, lambda at: self._row(dim, degrees[at]))

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions of one parity."""
        compute = super().column
        if self.parity.last is not None and not self.parity.vanishes(degree):
            rows = [self._row(int(dim), np.array([degree])) for dim in dims]
            return np.array([m[0] for m, _ in rows]), np.array([e[0] for _, e in rows])
        degrees = np.full(dims.size, degree)
        return self._known(degrees, lambda at: compute(degree, dims))

    def _known(
        self, degrees: NDArray[np.int64], compute: Callable[[NDArray[np.int64]], Scaled]
    ) -> Scaled:
        """Values of the degrees that do not vanish, which come first, and zeros."""
        at = np.flatnonzero([not self.parity.vanishes(int(k)) for k in degrees])
        mantissa, exponent = np.zeros(degrees.size), np.zeros(degrees.size, np.int64)
        if at.size:
            mantissa[at], exponent[at] = compute(at)
        return mantissa, exponent


def _takes_series(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if _takes_powers(source, domain, kernel) is not None or not has_series(source):
        return None
    return "Taylor coefficients at t = 0, all positive"


def has_series(source: Source) -> bool:
    """Whether the Taylor coefficients of a zonal kernel are known."""
    if not isinstance(source, ZonalKernel):
        return False
    formula = source.formula
    return (formula or source).coefficients is not None


SERIES = row_route(
    "Taylor series of a zonal kernel", _takes_series, ZonalTaylor,
    "zonal kernels with known coefficients, where few enough count",
)  # fmt: skip


def by_series(source: ZonalKernel, dim: int, degrees: list[int]) -> list[arb]:
    """Enclosures of the eigenvalues of degrees, of any coefficients >= 0."""
    series = PositiveCoefficients(source)
    end = parity(source, "ntk").last
    count = series.predicted(dim, degrees[-1]) + (ctx.prec if end is None else 0)
    while True:
        if count > MOST_KINKED:
            raise Passed(f"needs {count} Taylor coefficients")
        a, found, enough = source.first_coefficients(count), [], True
        bounds = series.bounds(count)
        for k in degrees:
            total, weight = series_sum(a, k, dim)
            if end is None:
                log_tail = bounds.log_tail(count, k, dim)
                tail = weight * arb(log_tail).exp() if log_tail < np.inf else arb("inf")
                enough &= bool(tail.abs_upper() < total.abs_lower() * arb(2) ** (4 - ctx.prec))
                total = total + arb(0).union(tail)
            found.append(total)
        if enough:
            return found
        count += count // 4 + 8


GAPS = row_route(
    "Taylor series of a zonal kernel in balls", _takes_series,
    lambda source, kernel: BallRows(source, partial(by_series, source)),
    "zonal kernels with known coefficients, some of them 0",
)  # fmt: skip


# --- analytic kernels ----------------------------------------------------------------------------


def _takes_analytic(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if isinstance(source, ZonalKernel) and has_ellipse(source):
        return "a user's kernel that is analytic on an ellipse"
    return None


@lru_cache(maxsize=64)
def has_ellipse(source: ZonalKernel) -> bool:
    """Whether a declared radius and a function of complex balls bound the kernel's series."""
    if source.formula is not None or source.radius is None or source.arithmetic != "flint":
        return False
    with working_precision(64), suppress(Exception):  # whatever the user's function raises
        return bool(acb(source.function(acb(0.25, 0.125))).is_finite())
    return False


@lru_cache(maxsize=64)
@exclusive()
def _largest(source: ZonalKernel) -> tuple[tuple[float, arb], ...]:
    """Bounds M of |K(cos z)| for |Im z| <= eta, for several eta."""
    assert source.radius is not None
    top = math.acosh(min(source.radius, 1e4))
    found = []
    with working_precision(64):
        for part in (0.25, 0.5, 0.75, 0.9, 0.97):
            height = arb(part * top)
            worst = arb(0)
            for i in range(ARCS):
                angle = acb(arb.pi() * arb((i + 0.5) / ARCS, 0.501 / ARCS), height)
                worst = worst.max(arb(abs(acb(source.function(angle.cos()))).upper()))
            if worst.is_finite():
                found.append((part * top, worst))
        rule = CosineMoments(lambda x: source.in_balls(2)(x.cos()), TRIED, None)
        for eta, most in found:
            for j, c in enumerate(rule.coefficients[: TRIED // 2]):
                if abs(c) > 4 * most * arb(-j * eta).exp() + rule.coefficients[0].rad() * TRIED:
                    raise NtkspecError(
                        f"radius = {source.radius:g} is not that of {source.name}: its series in "
                        "cos(k theta) falls more slowly; declare a smaller radius"
                    )
    if not found:
        raise NtkspecError(
            f"radius = {source.radius:g}: {source.name} is not bounded on any ellipse inside; "
            "check the radius, or leave it out"
        )
    return tuple(found)


def by_ellipse(source: ZonalKernel, dim: int, degrees: list[int]) -> list[arb]:
    """Enclosures by the trapezoid rule: the cosine coefficients of K are at most 2 M e^(-j eta)."""
    function = source.in_balls(dim)
    reach = degrees[-1] + dim

    def nodes(bound: tuple[float, arb]) -> int:
        height, most = bound
        return math.ceil((ctx.prec * LN2 + max(float(most.log()), 0.0) + 4.0) / height)

    height, most = best = min(_largest(source), key=nodes)
    n = max(nodes(best), reach)
    rule = CosineMoments(lambda angle: function(angle.cos()), n, parity(source, "ntk").whole)
    fall = arb(-height).exp()

    def tail(first: int) -> arb:
        """Bound of the sum of |c_j| from a degree on."""
        return arb(0, (2 * most * fall**first / (1 - fall)).upper())

    for j in range(rule.n):
        rule.coefficients[j] += 2 * tail(2 * rule.n - j)
    rule.coefficients[rule.n] += tail(rule.n)
    moments = [m + tail(rule.n + 1) for m in rule.moments(dim, degrees[-1] + 1)]
    row = base_row(moments, dim)
    return [row[k] for k in degrees]


ANALYTIC = row_route(
    "trapezoid rule in balls", _takes_analytic,
    lambda source, kernel: BallRows(source, partial(by_ellipse, source), source.positive),
    "zonal kernels of balls with a declared radius",
)  # fmt: skip


# --- powers of 1 - t -----------------------------------------------------------------------------


def _takes_powers(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    formula = source.formula if isinstance(source, ZonalKernel) else None
    return "a convergent series of powers of 1 - t" if formula and formula.has_powers else None


@dataclass
class _Term:
    """A term (c + e log(1 - t)) (1 - t)^s at a degree.

    `value` is c M_s(k), or e M_s(k) beside `slope`, e times the derivative of M_s(k) by s, and
    `ratio` is c / e.
    """

    exponent: fmpq
    s: arb
    value: arb
    slope: arb | None
    ratio: arb

    def total(self) -> arb:
        """What the term adds to the eigenvalue."""
        return self.value if self.slope is None else self.slope + self.ratio * self.value

    def advance(self, k: int, dim: int) -> None:
        """From degree k to k + 1."""
        above, below = k - self.s, k + self.s + (dim - 1)
        if self.slope is not None:
            self.slope = (self.slope * above - self.value * (2 * k + dim - 1) / below) / below
        self.value = self.value * above / below


def by_powers(source: ZonalKernel, dim: int, degrees: list[int]) -> list[arb]:
    """Enclosures of the eigenvalues of increasing degrees."""
    assert source.formula is not None
    last = degrees[-1]
    lead = next(one for one in source.formula.powers(16)[0] if not one.polynomial)
    end = _started([lead], dim, last)[0].total()
    goal = ctx.prec - math.floor(float(abs(end).log()) / LN2)
    if goal > MOST_FALL:
        raise Passed(f"degree = {last} needs powers of 1 - t to 2^-{goal}")
    powers, rest = source.formula.powers(goal)
    with working_precision(ctx.prec + 8):
        return _summed(powers, rest, lead.exponent, dim, degrees)


def _summed(powers: list[Power], rest: arb, lead: fmpq, dim: int, degrees: list[int]) -> list[arb]:
    """Sums over the terms; those that became negligible are a fraction of the leading one."""
    least, dropped = arb(2) ** -(ctx.prec + 8), arb(0)
    found: list[arb] = []
    terms: list[_Term] = []
    k = -1
    for degree in degrees:
        if k < 0 or degree - k > GAP:
            powers = [p for p in powers if p.exponent >= degree or not p.polynomial]
            terms = _started(powers, dim, degree)
            k = degree
        while k < degree:
            for term in terms:
                term.advance(k, dim)
            terms = [one for one in terms if one.slope is not None or one.exponent != k]
            k += 1
        values = [term.total() for term in terms]
        main = next(x for x, one in zip(values, terms, strict=True) if one.exponent == lead)
        total = sum(values, arb(0))
        while len(terms) > 1 and terms[-1].exponent < k and terms[-1].exponent != lead:
            if not abs(values[-1]) < abs(main) * least:
                break
            dropped += abs(values.pop() / main)
            gone = terms.pop().exponent
            powers = [p for p in powers if p.exponent < gone]
        error = rest + dropped * abs(main)
        found.append(total + arb(0, error.abs_upper()))
    return found


def _started(powers: list[Power], dim: int, k: int) -> list[_Term]:
    """The terms at a degree."""
    half = arb(fmpq(dim, 2))
    common = arb(2) ** (dim - 2) * half.gamma() / arb.pi().sqrt()
    known: dict[fmpq, arb] = {}
    terms = []
    for s, c, e in powers:
        x = arb(s)
        before = known.get(s - 1)
        if before is not None:  # M_s(k) from M_(s-1)(k)
            value = before * (2 * x + dim - 3) * x / ((x - k) * (x + k + (dim - 2)))
        else:
            value = common * arb(2) ** x * arb(s + fmpq(dim - 1, 2)).gamma()
            value *= arb(-s).rising(k) / arb(s + k + dim - 1).gamma()
        if s.q != 1 or s >= k:
            known[s] = value
        if e.is_zero():
            terms.append(_Term(s, x, c * value, None, arb(0)))
        else:
            terms.append(_Term(s, x, e * value, e * _slope(s, value, common, dim, k), c / e))
    return terms


def _slope(s: fmpq, value: arb, common: arb, dim: int, k: int) -> arb:
    """The derivative of M_s(k) by s at a whole s."""
    m, x = int(s.p), arb(s)
    size: arb
    if k > m:  # only the factor s - m of (-s)_k changes
        size = arb(m + 1).gamma() * arb(k - m).gamma() * (-1) ** (m + 1)
        size *= common * arb(2) ** m * arb(s + fmpq(dim - 1, 2)).gamma()
        size /= arb(m + k + dim - 1).gamma()
        return size
    log = arb(2).log() + arb(s + fmpq(dim - 1, 2)).digamma() - (x + (k + dim - 1)).digamma()
    size = value * (log + (x + 1).digamma() - arb(m - k + 1).digamma())
    return size


class PowerRows(BallRows):
    """Rows and columns by powers of 1 - t, and by Taylor series from a dimension on."""

    def __init__(self, source: ZonalKernel, kernel: Kernel) -> None:
        super().__init__(source, partial(by_powers, source))
        self._taylor = ZonalTaylor(source, kernel)
        self._from = MAX_DIM + 1

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Find the dimension from which few Taylor coefficients count."""
        dim = low
        while dim <= high and self._taylor.series.predicted(dim, last) > FEW + 2 * last:
            dim *= 2
        if dim <= high:
            self._taylor.prepare(dim, high, last, wanted)
            self._from, self.relative_error = dim, self._taylor.relative_error

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        if dim >= self._from:
            return self._taylor.row(dim, degrees)
        return super().row(dim, degrees)

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions of one parity."""
        apart = int(np.searchsorted(dims, self._from))
        below = super().column(degree, dims[:apart])
        if apart == dims.size:
            return below
        above = self._taylor.column(degree, dims[apart:])
        return np.append(below[0], above[0]), np.append(below[1], above[1])


POWERS = row_route(
    "powers of 1 - t and Taylor series", _takes_powers, PowerRows,
    "Laplace, Matern and gamma-exponential kernels",
)  # fmt: skip


def proofs(source: ZonalKernel) -> list[tuple[str, Enclosures]]:
    """What encloses the eigenvalues of a kernel on spheres, with a description."""
    formula = source.formula
    found: list[tuple[str, Enclosures]] = []
    if formula and formula.eigenvalues:
        found.append(("closed form", formula.eigenvalues))
    if formula and formula.has_powers:
        found.append(("powers of 1 - t", partial(by_powers, source)))
    if has_series(source):
        found.append(("Taylor coefficients", partial(by_series, source)))
    if has_ellipse(source):
        found.append(("trapezoid rule, aliasing by |K| on an ellipse", partial(by_ellipse, source)))
    return found
