"""Taylor coefficients of deep kernels in double-doubles, where doubles lose too many digits.

For activations whose Hermite moments are integrals: F(rho) = sum h_n^2 rho^n is expanded around the
start c of the series rho = c + p y, D is composed with y, and F integrated.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.conventions import Shape
from ntkspec.duals.composition import LN2, MOST_SQUARES, OutOfRangeError, first_terms, log_rests
from ntkspec.duals.pairs import PairSeries
from ntkspec.duals.squares import (
    MOST_VARIANCE,
    VARIANCE_BITS,
    double_double,
    pair_squares,
    squares,
    variances_of,
)
from ntkspec.duals.tails import LEAST, enough_derivatives, log_bounds, log_tail
from ntkspec.kernels import taylor
from ntkspec.precision import working_precision
from ntkspec.rules import State, follow

__all__ = ["composed_pairs"]

#: What sums leave out, in nats below the smallest coefficient.
NATS = 64.0 * LN2

Array = NDArray[np.float64]


def composed_pairs(network: Any, kernel: str, count: int) -> PairSeries:
    """The first coefficients of the kernel, each with a bound on its error.

    Raises
    ------
    OutOfRangeError
        When a number leaves the range of doubles.
    """
    program, ntk = network.program, kernel == "ntk"
    with working_precision(VARIANCE_BITS):
        variances, sizes = variances_of(program)
        if not all(LEAST < q < MOST_VARIANCE for q in variances):
            raise OutOfRangeError

        def activate(index: int, state: State) -> State:
            shape, q = program.activations[index].shape, variances[index]
            dual, slope = _duals(shape, q, state.covariance, len(variances))
            tangent = None if state.tangent is None else state.tangent * slope
            return State(dual, tangent)

        end = follow(
            program, State(PairSeries.variable(count)), activate, lambda index, _: sizes[index],
            arb, ntk,
        )  # fmt: skip
        found: PairSeries = end.tangent if ntk else end.covariance
        return found


def _duals(
    shape: Shape, q: arb, covariance: PairSeries, depth: int
) -> tuple[PairSeries, PairSeries]:
    """F and D of an activation at the series of its covariance."""
    rho = covariance / q
    count = rho.rows.shape[1]
    start = rho[0] if rho.rows[0, 0] else arb(0)
    c, p = start.mid(), 1 - start.mid()
    if not p > 0:
        raise OutOfRangeError
    line = not rho.rows[0, 2:].any()
    b = _shifted(shape, q, c, p, count + 2)
    # F^(j)(c) / j! changes with c by (j + 1) times the next one, and p^j by j / p.
    j, spread = np.arange(count + 1.0), float((start.rad() / p).upper())
    b.rows[2, :-1] += 1.01 * spread * ((j + 1.0) * b.rows[0, 1:] + line * j * b.rows[0, :-1])
    slopes = PairSeries((b.derivative() / (q * p)).rows[:, :count].copy())
    if line:  # y is t
        return PairSeries(b.rows[:, :count].copy()), slopes
    y = rho / p
    y.rows[:, 0] = 0.0
    slope = _composed(slopes, y, enough_derivatives(shape, q, depth, count), q, p)
    return b[0] + (slope * covariance.derivative()).integral(), slope


def _shifted(shape: Shape, q: arb, c: arb, p: arb, count: int) -> PairSeries:
    """The first coefficients in y of F(c + p y)."""
    if c.is_zero():
        return pair_squares(shape, q, count)
    terms, rests = _enough_squares(shape, q, c, p, count)
    found = _shifted_series(pair_squares(shape, q, terms), c, p, count)
    found.rows[2] += rests
    return found


def _shifted_series(series: PairSeries, c: arb, p: arb, count: int) -> PairSeries:
    """The first coefficients in y of a series of c + p y, with all powers or of one parity."""
    rows = series.rows
    first = 2 if rows[0, 2] > 0.0 else 3
    stride = 1 if rows[0, first + 1] > 0.0 else 2
    high, low, error = rows[:, first::stride]
    size = int(np.argmin(np.append(high, 0.0) > 0.0))
    high, low, error = high[:size], low[:size], error[:size]
    mantissa, exponent = np.frexp(high)
    exponent = exponent.astype(np.int64)
    # Of one type with the moments, so that `shifted` compiles it once.
    mantissa.flags.writeable = exponent.flags.writeable = False
    found, numbers = np.zeros((3, count)), np.empty(count, np.int64)
    taylor.shifted_pairs(
        mantissa, np.ldexp(low, -exponent), exponent, first, stride,
        *double_double(c), *double_double(p), found[0], found[1], numbers,
    )  # fmt: skip
    found[:2] = np.ldexp(found[:2], numbers)
    found[2] = (float((error / high).max()) + taylor.PAIR_ERROR) * found[0]
    return PairSeries(found) + PairSeries.of_balls([series[0] + series[1] * c, series[1] * p])


def _enough_squares(shape: Shape, q: arb, c: arb, p: arb, count: int) -> tuple[int, Array]:
    """How many moments count in these coefficients, and bounds of what the others add."""
    log_f = log_bounds(shape, float(q.upper()), 400)
    parts = double_double(c), double_double(p)
    terms = first_terms(count, parts[1][0])
    while True:
        few = squares(shape, q, terms)
        mantissa, exponent = np.empty(count), np.empty(count, np.int64)
        taylor.shifted(
            few.mantissa, few.exponent, few.first, few.stride, *parts[0], *parts[1],
            mantissa, exponent,
        )  # fmt: skip
        with np.errstate(divide="ignore"):
            least = np.log(mantissa) + exponent * LN2 - NATS

        def rests(n: int) -> Array:
            return log_rests(log_f, n, float(c.upper()), float(p.upper()), count) + 1e-6

        if np.all(rests(terms) <= least):
            break
        terms *= 2
        if terms > MOST_SQUARES:
            raise OutOfRangeError
    low = terms // 2
    while terms - low > 128:
        middle = (low + terms) // 2
        low, terms = (low, middle) if np.all(rests(middle) <= least) else (middle, terms)
    return terms, np.exp(rests(terms))


def _composed(slopes: PairSeries, y: PairSeries, log_f: Array, q: arb, p: arb) -> PairSeries:
    """D from its coefficients in y, as many as count, and the error of the others."""
    j = np.arange(log_f.size - 1.0)
    log_d = (
        log_f[1:] + np.log(j + 1.0) + j * math.log(float(p.upper())) - math.log(float(q.lower()))
    )
    n = np.flatnonzero(y.rows[0])
    floor = math.log(slopes.rows[0, slopes.rows[0] > 0.0][:2].min()) + math.log(y.rows[0, n].min())
    low, terms = 4, y.rows.shape[1]
    if log_tail(log_d, terms) <= floor - NATS:
        while terms - low > 4:
            middle = (low + terms) // 2
            enough = log_tail(log_d, middle) <= floor - NATS
            low, terms = (low, middle) if enough else (middle, terms)
    found = PairSeries(slopes.rows[:, :terms].copy()).of(y)
    if terms < y.rows.shape[1]:
        found.rows[2] += math.exp(log_tail(log_d, terms) + 1e-6)
    return found
