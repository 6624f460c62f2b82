"""Taylor coefficients of deep kernels: positive series composed in doubles, with error bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from flint import acb, arb
from numpy.typing import NDArray

from ntkspec.duals.squares import (
    MOST_VARIANCE,
    UNIT,
    VARIANCE_BITS,
    Squares,
    double_double,
    mean_square,
    squares,
    variances_of,
)
from ntkspec.duals.tails import LEAST, enough_derivatives, log_binomials, log_bounds, log_tail
from ntkspec.kernels import taylor
from ntkspec.precision import working_precision
from ntkspec.rules import State, follow

__all__ = [
    "MOST_ERROR",
    "Coefficients",
    "Composition",
    "OutOfRangeError",
    "first_terms",
    "frozen",
    "log_rests",
]

LN2 = math.log(2.0)
#: Largest bound on the relative error of coefficients in doubles.
MOST_ERROR = 9e-13
#: Largest exponent of a coefficient with a tilt.
LARGEST = 432
#: Largest number of Hermite moments.
MOST_SQUARES = 2**20

Array = NDArray[np.float64]
#: A double-double.
Pair: TypeAlias = tuple[float, float]


class OutOfRangeError(Exception):
    """Doubles do not serve: a number out of their range, or too large a bound on the error."""


@dataclass(frozen=True)
class Coefficients:
    """Scaled Taylor coefficients, read-only: a_n = mantissa[n] 2**exponent[n], n < their number.

    `errors` bounds the relative error of each, and does not fall with n.
    """

    mantissa: Array
    exponent: NDArray[np.int64]
    errors: Array

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of every one."""
        return float(self.errors[-1])


def frozen(mantissa: Array, exponent: NDArray[np.int64], errors: float | Array) -> Coefficients:
    """Coefficients whose arrays are read-only from now on."""
    errors = np.maximum.accumulate(np.broadcast_to(errors, mantissa.shape))
    for array in (mantissa, exponent, errors):
        array.flags.writeable = False
    return Coefficients(mantissa, exponent, errors)


def log_rests(log_f: Array, n: int, c: float, p: float, count: int) -> Array:
    """Logarithms of bounds of what the moments from the n-th on add to each b_j of F(c + p y).

    Their sum is at most sum h_n^2, at most p^j sum h_n^2 C(n, j), and at most the sum of the
    weights C(n, j) c^(n-j) p^j, which falls geometrically, times F(1).  `log_f`: `log_bounds`.
    """
    whole = log_tail(log_f, n)
    orders = min(log_f.size, n + 1)
    falls = log_f[:orders] - log_binomials(n, orders)
    falls = np.minimum.accumulate(falls[::-1])[::-1]
    j = np.arange(count)
    shared = np.full(count, np.inf)
    some = j[: min(orders, count)]
    shared[: some.size] = some * math.log(p) + log_binomials(n, some.size) + falls[: some.size]
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = 1.0 - c * (n + 1.0) / (n + 1.0 - j)
        geometric = log_f[0] + log_binomials(n, count) + (n - j) * math.log(c)
        geometric += j * math.log(p) - np.log(np.maximum(fall, 0.0))
    geometric[~(fall > 0.0) | (j >= n)] = np.inf
    rests: Array = np.minimum(np.minimum(shared, whole), geometric)
    return rests


def first_terms(count: int, p: float) -> int:
    """A number of moments that may be enough for b_j, j < count: the largest terms are at j / p.

    Raises
    ------
    OutOfRangeError
        For more than MOST_SQUARES.
    """
    terms = max(2 * count, 128)
    while terms < count / p:
        terms *= 2
    if terms > MOST_SQUARES:
        raise OutOfRangeError
    return terms


class Composition:
    """The composition in doubles; raises OutOfRangeError where they do not serve.

    `exactly`: products and sums of series are rounded once, which takes several times as long.
    """

    def __init__(self, network: Any, kernel: str, count: int, exactly: bool) -> None:
        self.program, self.kernel, self.exactly = network.program, kernel, exactly
        self.count, self.size = count, count + 1
        self.tilt: int | None = None
        with working_precision(VARIANCE_BITS):
            self.variances, self.sizes = variances_of(self.program)
        if not all(q > LEAST for q in self.variances):
            raise OutOfRangeError

    def result(self) -> Coefficients:
        """The kernel's coefficients."""
        ntk = self.kernel == "ntk"
        if len(self.variances) == 1:
            return self._one_layer()
        with working_precision(VARIANCE_BITS):
            end = follow(
                self.program, State(acb(0, 1)), self._activate,
                lambda index, _: self.sizes[index], arb, ntk,
            )  # fmt: skip
        found = end.tangent if ntk else end.covariance
        assert self.tilt is not None
        values, errors = found.written()
        kernel = values[: self.count]
        mantissa, extra = np.frexp(kernel)
        exponent = extra.astype(np.int64) - 1 - self.tilt * np.arange(self.count)
        return frozen(
            2.0 * mantissa, np.where(kernel == 0.0, 0, exponent), errors[: self.count] + UNIT
        )

    def _activate(self, index: int, state: State) -> State:
        if isinstance(state.covariance, acb):
            return self._first(index, state)
        return self._layer(index, state)

    def _one_layer(self) -> Coefficients:
        """Of one activation: k_0 + k_1 t + k_2 F + k_3 T D, with lines q = s t + c and T."""
        lines: list[State] = []

        def activate(index: int, state: State) -> State:
            lines.append(state)
            tangent = None if state.tangent is None else np.array([0.0, 0.0, 0.0, 1.0])
            return State(np.array([0.0, 0.0, 1.0, 0.0]), tangent)

        one, t = np.eye(4)[:2]
        end = follow(
            self.program, State(t), activate, lambda index, _: float(self.sizes[index]),
            tangent=self.kernel == "ntk", constant=lambda bias: bias * one,
        )  # fmt: skip
        sums = end.tangent if self.kernel == "ntk" else end.covariance
        tangent = np.zeros(4) if lines[0].tangent is None else lines[0].tangent
        m, e, errors = self._shifted(0, *self._line(0), self.size + 1, -np.inf)
        slope = lines[0].covariance[1]
        n = np.arange(self.count + 0.0)
        here = (sums[2] + sums[3] * (tangent[1] / slope) * n) * m[: self.count]
        ahead = sums[3] * (tangent[0] / slope) * (n + 1.0) * m[1 : self.count + 1]
        # A coefficient that is 0 has no exponent of its own.
        scale = np.where(m[: self.count] == 0.0, e[1 : self.count + 1], e[: self.count])
        shift = np.where(m[1 : self.count + 1] == 0.0, -1000, e[1 : self.count + 1] - scale)
        total = here + np.ldexp(ahead, np.clip(shift, -1000, 900))
        total[:2] += np.ldexp(sums[:2], -scale[:2])[: self.count]
        mantissa, extra = np.frexp(total)
        exponent = np.where(total == 0.0, 0, scale + extra - 1)
        roundings = 6.0 + 4.0 * len(self.program.steps) * (self.program.normalizes)
        return frozen(2.0 * mantissa, exponent, float(errors.max()) + roundings * UNIT)

    def _line(self, index: int, line: acb | None = None) -> tuple[Pair, Pair]:
        """c and p of F(c + p t), from q = s t + c."""
        with working_precision(VARIANCE_BITS):
            if line is None:
                found = self.program.lines(acb(0, 1), arb)[index]
                assert found is not None
                line = acb(found[1], found[0])
            q = self.variances[index]
            return double_double(line.real / q), double_double(line.imag / q)

    def _first(self, index: int, state: State) -> State:
        """F and T D of an activation whose q and T are lines in t."""
        size = self.size
        m, e, errors = self._shifted(index, *self._line(index, state.covariance), size + 1, -np.inf)
        filled = np.flatnonzero(m)
        if self.tilt is None:
            self.tilt = _tilt(filled, e[filled]) if e[filled].min() < -600 else 0
        tilt, n = self.tilt, np.arange(size + 1)
        exponents = e + tilt * n
        _check_range(m[filled], exponents[filled], tilt)
        f = np.ldexp(m, exponents)
        r = 2.0**tilt
        errors = np.maximum.accumulate(errors)
        each, ahead = errors[:size], errors[1 : size + 1]
        tangent = None
        if state.tangent is not None:
            d = (n[1:] * f[1:]) / (float(state.covariance.imag) * r)  # (j + 1) b_(j+1) / s
            start = np.zeros(size)
            start[:2] = float(state.tangent.real), float(state.tangent.imag) * r
            tangent = _Series(_first_products(start, d), ahead + 8.0 * UNIT, None, tilt)
        return State(_Series(f[:size], each, self._top(index), tilt), tangent)

    def _top(self, index: int) -> arb:
        """F(1)."""
        return mean_square(self.program.activations[index].shape, self.variances[index])

    def _shifted(
        self, index: int, c: Pair, p: Pair, count: int, floor: float
    ) -> tuple[Array, NDArray[np.int64], Array]:
        """Scaled b_0, ..., b_(count-1) of F(c + p y), and bounds on their relative errors."""
        shape, q = self.program.activations[index].shape, self.variances[index]
        if not q < MOST_VARIANCE:
            raise OutOfRangeError
        log_f = log_bounds(shape, float(q.mid()) * (1.0 + UNIT), 400)
        terms = count if c[0] == 0.0 else first_terms(count, p[0])
        while True:
            found = squares(shape, q, terms, self.exactly)
            out = self._thinned(found, c, p, count)
            if c[0] == 0.0:
                return out
            with np.errstate(divide="ignore"):
                log_b = np.log(out[0]) + out[1] * LN2
            first = found.first + found.stride * found.mantissa.size
            rests = log_rests(log_f, first, c[0], p[0], count)
            if np.all(rests <= np.maximum(log_b, floor) - 58.0 * LN2):
                return out
            terms *= 2
            if terms > MOST_SQUARES:
                raise OutOfRangeError

    def _thinned(
        self, found: Squares, c: Pair, p: Pair, count: int
    ) -> tuple[Array, NDArray[np.int64], Array]:
        mantissa, exponent = np.zeros(count), np.zeros(count, np.int64)
        roundings, errors = 1.0, np.full(count, found.relative_error)
        if c[0] == 0.0:
            at = np.s_[found.first :: found.stride]
            size = mantissa[at].size
            mantissa[at], exponent[at] = found.mantissa[:size], found.exponent[:size]
        else:
            roundings += taylor.ROUNDINGS
            taylor.shifted(
                found.mantissa, found.exponent, found.first, found.stride, *c, *p,
                mantissa, exponent,
            )  # fmt: skip
        if found.sharp:
            errors = np.full(count, found.sharp_error)
            errors[found.sharp :] = found.relative_error
            if c[0] != 0.0:
                # The error of a b_j is the mean of its terms'.
                few = (found.sharp - found.first) // found.stride
                rest, rest_exponent = np.empty(count), np.empty(count, np.int64)
                taylor.shifted(
                    found.mantissa[few:], found.exponent[few:], found.sharp, found.stride, *c, *p,
                    rest, rest_exponent,
                )  # fmt: skip
                shift = np.exp2(np.clip(rest_exponent - exponent, -1000, 60) + 0.0)
                share = np.divide(rest, mantissa, out=np.ones(count), where=mantissa > 0.0) * shift
                errors = found.sharp_error + np.minimum(share, 1.0) * found.relative_error
        low = mantissa[:2] * np.exp2(exponent[:2].astype(np.float64))
        low[0] += found.constant + found.linear * c[0]
        low[1] += found.linear * p[0]
        m, e = np.frexp(low)
        mantissa[:2], exponent[:2] = m, e
        return mantissa, exponent, errors + roundings * UNIT

    def _layer(self, index: int, state: State) -> State:
        """F and T D of an activation, from the series of q and T.

        Where the error of the n-th coefficient of y is at most u + v n, that of the n-th one of
        y^j is at most u j + v n.  So the share of each power in a coefficient weights u:
        [t^n](y F'(y)) / [t^n] F(y).
        """
        found: _Series = state.covariance
        ball, before, tilt = self.variances[index], found.base, found.tilt
        sigma = self.program.activations[index]
        q, weight = float(ball.mid()), float(found.factor.mid())
        odd = sigma.symmetry == "odd" and found.is_odd
        assert found.top is not None
        pq = q if odd else weight * (float(found.top.mid()) - before[0])
        if not pq > 0.0:
            raise OutOfRangeError  # K(1) - K(0) is lost
        with working_precision(VARIANCE_BITS):
            c = (found.factor * arb(before[0]) + found.start) / ball if not odd else arb(0)
            p = pq / ball if not odd else arb(1)
            high, low = double_double(found.factor / pq)
        y = high * before + low * before
        y[0] = 0.0
        starts, slopes = _lines(np.append(0.0, found.errors[1:] + 2.0 * UNIT))
        # y in a unit of which no power has a coefficient above 1, as without a tilt.
        unit = math.frexp(float(np.sum(y)))[1] if tilt else 0
        b, errors = self._powers(index, y, double_double(c), double_double(p), tilt, unit)
        y = np.ldexp(y, -unit)
        pq = math.ldexp(pq, unit)
        j = np.arange(b.size)
        d_terms = j[1:] * b[1:] / pq
        second = j[1:-1] * d_terms[1:]
        # dD/dy is composed, and D integrated; F too, or composed, which leaves a smaller error.
        terms = np.stack([second, b[: second.size]] if self.exactly else [second])
        (slope, *first), roundings, added = self._composed(terms, y, odd)
        d = self._integrated(slope, y, d_terms[0])
        f = first[0] if first else self._integrated(pq * d, y, b[0])
        _check_range(f[f != 0.0], 0, tilt)
        _check_range(d[d != 0.0], 0, tilt)
        far_f, far_d = _share(pq * _product(y, d), f), _share(_product(y, slope), d)
        product = taylor.roundings(self.size, self.exactly) * UNIT
        integral = product + 3.0 * UNIT
        each_d = (added + 4.0) * UNIT + integral
        each_f = (added + 1.0) * UNIT if self.exactly else each_d + UNIT + integral
        c_error = weight * before[0] * float(found.errors[0]) / pq
        n = np.arange(self.size)
        from_y = [np.min(far * starts + slopes * n, axis=0) for far in (far_f, far_d)]
        # The b_j: their errors are below lines in j, and far is the mean of j.
        starts, slopes = _lines(errors)
        from_b = [
            np.min(starts + slopes * (far + i), axis=0) for i, far in enumerate((far_f, far_d))
        ]
        each_power = roundings * UNIT
        e_f = from_y[0] + from_b[0] + far_f * each_power + each_f + c_error * _share(pq * d, f)
        e_d = from_y[1] + from_b[1] + far_d * each_power + each_d + c_error * _share(slope, d)
        after = None
        if state.tangent is not None:
            tangent, e_t = self._as_series(state.tangent, tilt).written()
            new = _product(tangent, d, self.exactly)
            _check_range(new[new != 0.0], 0, tilt)
            e_td = _share(_product(tangent * e_t, d) + _product(tangent, d * e_d), new) + product
            after = _Series(new, 1.001 * e_td, None, tilt)
        return State(_Series(f, e_f, self._top(index), tilt), after)

    def _as_series(self, tangent: Any, tilt: int) -> _Series:
        return tangent if isinstance(tangent, _Series) else _of_line(tangent, self.size, tilt)

    def _composed(self, outers: Array, y: Array, odd: bool) -> tuple[Array, float, float]:
        """Series in y, and the roundings of a term in y^j: j times the first plus the second."""
        full = np.zeros((outers.shape[0], y.size))
        if not odd:
            return full, *taylor.compose(outers, y, self.exactly, full)
        # All are odd: series in t^2.
        half = y[1::2].copy()
        inner = np.zeros((y.size + 1) // 2)
        inner[1:] = _product(half, half, self.exactly)[: inner.size - 1]
        out = np.empty((outers.shape[0], inner.size))
        roundings, added = taylor.compose(outers[:, 1::2].copy(), inner, self.exactly, out)
        for row, found in zip(full, out, strict=True):
            row[1::2] = _product(half, found[: half.size], self.exactly)
        each = taylor.roundings(half.size, self.exactly)
        return full, 0.5 * (roundings + each) + 1.0, added + each

    def _integrated(self, slope: Array, y: Array, start: float) -> Array:
        """The series that is `start` at t = 0 and whose derivative in y is this one."""
        n = np.arange(y.size - 1.0) + 1.0
        out = np.empty(y.size)
        out[0] = start
        out[1:] = _product(slope[:-1], n * y[1:], self.exactly) / n
        return out

    def _powers(
        self, index: int, y: Array, center: Pair, part: Pair, tilt: int, unit: int
    ) -> tuple[Array, Array]:
        """b_j of F(c + p y), as many as count in the first `size` coefficients of F and D.

        In powers of y / 2**unit.
        """
        c, p, n = center[0], part[0], np.flatnonzero(y)
        log_y = float(np.min(np.log(y[n]) - n * (tilt * LN2)))
        shape, q = self.program.activations[index].shape, self.variances[index]
        log_f = enough_derivatives(shape, q, len(self.variances), self.size).copy()
        log_f += np.arange(log_f.size) * math.log(p)
        found = squares(shape, q, 4)
        low = _low_squares(found)
        log_1 = math.log(max(p * max(low[1], 2.0 * c * low[2], 3.0 * c * c * low[3]), 1e-300))
        second = max(low[2] * p * p, 3.0 * low[3] * c * p * p, low[3] * p**3)
        if not second > 0.0:
            raise OutOfRangeError
        log_2 = math.log(second)
        limit = log_y - 58.0 * LN2

        def enough(terms: int) -> bool:
            values = log_tail(log_f, terms) <= log_1 + limit
            slopes = log_tail(log_f[2:], terms) + math.log(terms + 1.0) * 2.0
            return values and slopes <= log_2 + limit

        terms = self.size
        low_end, high_end = 4, self.size
        if enough(terms):
            while high_end - low_end > 4:
                middle = (low_end + high_end) // 2
                low_end, high_end = (low_end, middle) if enough(middle) else (middle, high_end)
            terms = high_end
        floor = min(log_1, log_2) + log_y - 2.0 * math.log(terms + 1.0)
        m, e, errors = self._shifted(index, center, part, terms + 2, floor)
        e += unit * np.arange(m.size)
        if not np.all(e[m > 0.0] < LARGEST):
            raise OutOfRangeError
        return np.ldexp(m, np.maximum(e, -1100)), errors


@dataclass(frozen=True)
class _Series:
    """factor base(t) + start: coefficients, the n-th times 2^(tilt n), and their relative errors.

    `errors` and `top`, the value at t = 1 (of a covariance), are those of the base.
    """

    base: Array
    errors: Array
    top: arb | None
    tilt: int
    factor: arb = field(default_factory=lambda: arb(1))
    start: arb = field(default_factory=lambda: arb(0))

    @property
    def is_odd(self) -> bool:
        """Whether it is an odd function of t."""
        return self.start.is_zero() and not np.any(self.base[::2])

    def written(self) -> tuple[Array, Array]:
        """The coefficients and bounds of their relative errors."""
        factor, start = float(self.factor.mid()), float(self.start.mid())
        values = self.base if factor == 1.0 else factor * self.base
        errors = self.errors + (2.0 * UNIT if factor != 1.0 else 0.0)
        if start:
            values = values.copy()
            values[0] += start
            errors = errors + UNIT
        return values, errors

    def __mul__(self, number: arb) -> _Series:
        return replace(self, factor=self.factor * number, start=self.start * number)

    __rmul__ = __mul__

    def __truediv__(self, size: arb) -> _Series:
        return self * (1 / size)

    def __add__(self, other: Any) -> _Series:
        if isinstance(other, arb):
            return replace(self, start=self.start + other)
        if isinstance(other, acb):
            other = _of_line(other, self.base.size, self.tilt)
        start = self.start + other.start
        if (self.factor - other.factor).is_zero():
            factor = self.factor
            mine, theirs = (self.base, self.errors), (other.base, other.errors)
        else:
            factor = arb(1)
            mine, theirs = (replace(x, start=arb(0)).written() for x in (self, other))
        top = None
        if self.top is not None and other.top is not None:
            top = (self.factor * self.top + other.factor * other.top) / factor
        errors = np.maximum(mine[1], theirs[1]) + UNIT
        return _Series(mine[0] + theirs[0], errors, top, self.tilt, factor, start)

    __radd__ = __add__


def _of_line(line: acb, size: int, tilt: int) -> _Series:
    """The line s t + c, given as c + i s."""
    base = np.zeros(size)
    base[1] = float(line.imag.mid()) * 2.0**tilt
    return _Series(base, np.full(size, UNIT), line.imag, tilt, start=line.real)


def _low_squares(found: Squares) -> Array:
    """h_0^2, ..., h_3^2."""
    low = np.zeros(4)
    low[0], low[1] = found.constant, found.linear
    at = np.arange(found.first, 4, found.stride)
    low[at] += found.mantissa[: at.size] * np.exp2(found.exponent[: at.size] + 0.0)
    return low


def _tilt(n: NDArray[np.int64], exponents: NDArray[np.int64]) -> int:
    """The tilt that keeps coefficients of these exponents the nearest to 1."""
    low, high = 0, int(np.max(-exponents / np.maximum(n, 1))) + 1
    while low < high:  # the largest distance is convex in the tilt
        middle = (low + high) // 2
        here, ahead = (np.max(np.abs(exponents + tilt * n)) for tilt in (middle, middle + 1))
        low, high = (low, middle) if here <= ahead else (middle + 1, high)
    return low


def _check_range(values: Array, exponents: Any, tilt: int) -> None:
    """Raise unless all values are well inside the range of doubles.

    Products below `taylor.FLOOR` are left out.  Without a tilt no factor exceeds 1; with one, those
    of the outer series do not exceed 2**LARGEST.
    """
    with np.errstate(over="ignore", under="ignore"):
        size = np.ldexp(values, exponents)
    least = 2.0**-LARGEST if tilt else 1e-250
    if not (np.all(size > least) and np.all(size < 1.0 / least)):
        raise OutOfRangeError


def _lines(errors: Array) -> tuple[Array, Array]:
    """Starts and slopes (m, 1) of lines above the errors of coefficients, for `min`."""
    n = np.arange(errors.size)
    mean = float(np.max(errors)) / errors.size
    slopes = mean * np.array([0.0, *(2.0 ** np.arange(-3, 7))])[:, np.newaxis]
    return np.max(errors - slopes * n, axis=1, keepdims=True), slopes


def _product(a: Array, b: Array, exactly: bool = False) -> Array:
    """Product of two series, truncated."""
    out = np.empty(a.size)
    taylor.product(a, 0, b, 0, a.size, exactly, out)
    return out


def _first_products(start: Array, d: Array) -> Array:
    """Product with a series of two terms."""
    out: Array = start[0] * d
    out[1:] += start[1] * d[:-1]
    return out


def _share(part: Array, whole: Array) -> Array:
    """Ratios of the coefficients of two series; 0 where they vanish."""
    return np.divide(part, whole, out=np.zeros(part.size), where=whole > 0.0)
