"""Taylor coefficients at t = 0 of a network's kernel K(t) = sum a_n t^n, all of them >= 0.

* Duals in closed form: power series in balls, at a precision that leaves enough digits.
* tanh, sigmoid, silu, softplus and elu: Hermite moments as positive numbers, and the composition
  of positive series in doubles, with a bound on the rounding that is carried through the layers;
  in double-doubles where that bound is too large, and in balls where they leave their range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from operator import attrgetter
from typing import Any, Protocol

import numpy as np
from flint import arb, arb_poly, arb_series, ctx

from ntkspec.conventions import Shape
from ntkspec.duals.composition import (
    MOST_ERROR,
    Coefficients,
    Composition,
    OutOfRangeError,
    frozen,
    log_rests,
)
from ntkspec.duals.correlation import Correlation
from ntkspec.duals.growth import series_tail
from ntkspec.duals.hermite import HermiteSeries, hermite_series, log_square
from ntkspec.duals.layers import Layers, series_length, taylor_at_zero
from ntkspec.duals.paired import composed_pairs
from ntkspec.duals.squares import FAMILIES, INTEGRALS, UNIT, elu_squares, times, variances_of
from ntkspec.duals.tails import log_bounds
from ntkspec.precision import split, working_precision
from ntkspec.rules import Affine, State, follow

__all__ = ["LARGEST", "Coefficients", "OutOfRangeError", "coefficients", "in_balls"]

LN2 = math.log(2.0)
#: Bits that coefficients from balls keep, and bits to compute them with at most.
KEPT = 62
MOST_BITS = 4096
#: Largest bound in doubles that rounding each coefficient of a product once may still mend, and
#: the most coefficients for which that takes no longer than some seconds.
MOST_RETRIED, MOST_EXACT = 10 * MOST_ERROR, 6000
#: Activations whose moments are known as double-doubles; the most coefficients that are composed
#: from them, for mish and by the work of the others, the powers N^(5/2) of their numbers; and the
#: smallest, so that their errors are in the range of doubles.
PAIRED = (*INTEGRALS, "mish")
MOST_PAIRED, MOST_WORK, LEAST_PAIR = 8192, 4e9, 2.0**-830
#: Largest number of coefficients in balls of duals in closed form: some seconds.
MOST_IN_BALLS = 6000
#: Largest number of Hermite moments of elu as balls, and of coefficients composed in balls from
#: moments, with the largest weight_variance: more takes minutes.
MOST_SQUARES, MOST_FROM_MOMENTS, MOST_VARIANCE = 2**14, 3000, 20.0

#: The largest error of any coefficient.
LARGEST: Callable[[Coefficients], float] = attrgetter("relative_error")

Balls = list[arb]


class Zeros(Protocol):
    """Knowledge of the coefficients that are exactly 0."""

    def __hash__(self) -> int: ...

    def vanishes(self, degree: int) -> bool:
        """Whether the coefficient of a power is 0."""


def coefficients(
    network: Any,
    kernel: str,
    count: int,
    zeros: Zeros,
    error: Callable[[Coefficients], float] = LARGEST,
) -> Coefficients:
    """The first `count` Taylor coefficients of a network's kernel, to the accuracy of doubles.

    `zeros` knows those that are exactly 0, and `error` returns how large the relative errors are
    where they count.

    Raises
    ------
    OutOfRangeError
        When they cannot be computed to a relative error of 1e-12.

    Examples
    --------
    >>> from ntkspec import Network
    >>> from ntkspec.spectra.parity import parity
    >>> network = Network("tanh")
    >>> a = coefficients(network, "nngp", 4, parity(network, "nngp"))
    >>> np.ldexp(a.mantissa, a.exponent).round(6)
    array([0.      , 0.366879, 0.      , 0.022034])
    """
    bases = {sigma.shape.base for sigma in network.sigmas}
    if bases <= set(FAMILIES):
        found = _in_doubles(network, kernel, count, False)
        if found is not None:
            known = error(found)
            if known < MOST_ERROR:
                return found
            if known < MOST_RETRIED and count <= MOST_EXACT:
                exact = _in_doubles(network, kernel, count, True)
                if exact is not None and error(exact) < MOST_ERROR:
                    return exact
            if bases <= set(PAIRED) and count <= _most_paired(network, bases):
                paired = _in_pairs(network, kernel, count, zeros)
                if paired is not None and error(paired) < MOST_ERROR:
                    return paired
        from_moments = bases & set(INTEGRALS)
        if count > (MOST_FROM_MOMENTS if from_moments else MOST_IN_BALLS) or (
            from_moments and _largest_weight(network) > MOST_VARIANCE
        ):
            raise OutOfRangeError
    return _from_balls(network, kernel, count, zeros)


def _most_paired(network: Any, bases: set[str]) -> float:
    """Number of coefficients to which double-doubles serve.

    Beyond, balls on the real line are faster, but those of mish, which take minutes.
    """
    compositions = max(len(network.sigmas) - 1, 1)
    return MOST_PAIRED if "mish" in bases else (MOST_WORK / compositions) ** 0.4


@lru_cache(maxsize=64)
def _in_doubles(network: Any, kernel: str, count: int, exactly: bool) -> Coefficients | None:
    """From doubles, or None where a number leaves their range."""
    with suppress(OutOfRangeError):
        return Composition(network, kernel, count, exactly).result()
    return None


@lru_cache(maxsize=64)
def _in_pairs(network: Any, kernel: str, count: int, zeros: Zeros) -> Coefficients | None:
    """From double-doubles, or None where a number leaves their range."""
    try:
        high, _, error = composed_pairs(network, kernel, count).rows
    except OutOfRangeError:
        return None
    null = np.array([zeros.vanishes(n) for n in range(count)])
    values = np.where(null, 0.0, high)
    if not np.all(values[~null] > LEAST_PAIR):
        return None
    mantissa, exponent = np.frexp(values)
    errors = np.divide(error, values, out=np.zeros(count), where=~null)
    return frozen(
        2.0 * mantissa, np.where(null, 0, exponent.astype(np.int64) - 1), 1.01 * errors + 2.0 * UNIT
    )


def _largest_weight(network: Any) -> float:
    return max(step.weight for step in network.program.steps if isinstance(step, Affine))


def in_balls(network: Any, kernel: str, count: int) -> Balls:
    """The first coefficients as balls, at the working precision."""
    if {sigma.shape.base for sigma in network.sigmas} & set(INTEGRALS):
        return _composed_balls(network, kernel, count)
    return taylor_at_zero(Layers(network, kernel), count)


@lru_cache(maxsize=64)
def _from_balls(network: Any, kernel: str, count: int, zeros: Zeros) -> Coefficients:
    """Coefficients from balls, at a precision that proves almost all of their bits."""
    bits = 128 + count // 16
    while True:
        with working_precision(bits):
            balls = in_balls(network, kernel, count)
            missing = max(
                (
                    KEPT - x.rel_accuracy_bits()
                    for n, x in enumerate(balls)
                    if not zeros.vanishes(n)
                ),
                default=0,
            )
            if missing <= 0:
                mantissa, exponent = np.zeros(count), np.zeros(count, np.int64)
                for n, ball in enumerate(balls):
                    if not zeros.vanishes(n):
                        mantissa[n], exponent[n] = split(ball)
                return frozen(mantissa, exponent, 2.0 * UNIT)
        bits += max(missing + 16, 48) if missing < bits else bits
        if bits > MOST_BITS:
            raise OutOfRangeError


def _composed_balls(network: Any, kernel: str, count: int) -> Balls:
    """Coefficients as balls, of activations whose duals are series in Hermite moments."""
    program, ntk = network.program, kernel == "ntk"
    variances, sizes = variances_of(program)
    needed = program.needed(not ntk)
    with series_length(count):

        def activate(index: int, state: State) -> State:
            q, shape = variances[index], program.activations[index].shape
            covariance = state.covariance
            c = covariance[0] / q
            # Where q = s t + c, as for the first activation, the powers of y are those of t.
            if shape.base not in INTEGRALS:
                value, slope = program.activations[index].dual(q)
                point = Correlation(covariance / q)
                tangent = None if state.tangent is None else state.tangent * slope(point)
                return State(value(point) if needed[index] else None, tangent)
            line = all(covariance[n].is_zero() for n in range(2, count))
            y = [covariance[n] / (q * (1 - c)) for n in range(1, count)]
            f, d = (
                arb_series(b, count)
                if line
                else arb_series(b, count)(arb_series([arb(0), *y], count))
                for b in _shifted_balls(shape, q, c, count)
            )
            tangent = None if state.tangent is None else state.tangent * d
            return State(f if needed[index] else None, tangent)

        end = follow(
            program, State(arb_series([0, 1], count)), activate, lambda index, _: sizes[index], arb,
            ntk,
        )  # fmt: skip
        series = end.tangent if ntk else end.covariance
        return [series[n] for n in range(count)]


def _shifted_balls(shape: Shape, q: arb, c: arb, count: int) -> tuple[Balls, Balls]:
    """Coefficients in y of F(c + p y) and D(c + p y), p = 1 - c, as balls."""
    family, inner = shape.base, times(q, shape.inner**2)
    shifted = (
        _shifted_elu(inner, c, count + 1)
        if family == "elu"
        else _shifted_tanh(family, inner, c, count + 1)
    )
    shifted = [times(x, shape.outer**2) for x in shifted]
    return shifted[:count], [(j + 1) * x / (q * (1 - c)) for j, x in enumerate(shifted[1:])]


def _shifted_elu(q: arb, c: arb, count: int) -> Balls:
    p, nats = 1 - c, ctx.prec * LN2
    terms = count + 1
    fall = float(-c.log()) if c > 0 else math.inf
    if not c < 1:
        raise OutOfRangeError
    if c > 0:
        terms += int((nats + count * float((1 + p / c).log() + 2)) / max(fall, 1e-6)) + 8
    if terms > MOST_SQUARES:
        raise OutOfRangeError
    f = arb_poly(elu_squares(q, terms))(arb_poly([c, p]))
    rests = _geometric_rests(q, c, p, terms, count)
    return [f[j] + arb(0, rests[j].upper()) for j in range(count)]


def _shifted_few(family: str, q: arb, c: arb, count: int) -> Balls:
    """From all moments down to the precision: few where the variance is small."""
    series = hermite_series(q, family, ctx.prec * LN2)
    f = arb_poly(_moments(series))(arb_poly([c, 1 - c]))
    rest, _ = series_tail(family, q, series.first + 2 * len(series.terms))
    return [f[j] + arb(0, rest.upper()) for j in range(count)]


def _moments(series: HermiteSeries) -> Balls:
    a = [arb(0)] * (series.first + 2 * len(series.terms))
    a[0], a[1] = series.constant, series.linear
    for i, x in enumerate(series.terms):
        a[series.first + 2 * i] += x
    return a


def _shifted_tanh(family: str, q: arb, c: arb, count: int) -> Balls:
    """From as many moments of tanh as every coefficient needs at the precision."""
    p = 1 - c
    inner = float(q.mid()) * (1.0 if family == "tanh" else 0.25)
    if inner < 0.5:
        return _shifted_few(family, q, c, count)
    log_f = log_bounds(Shape(family), float(q.upper()), 400)
    terms = count + 1 if c == 0 else max(2 * count, 128)
    while True:
        nats = ctx.prec * LN2 - log_square(float(terms), inner)
        series = hermite_series(q, family, nats, terms // 2 + 1)
        a = _moments(series)
        terms = len(a)
        f = a if c == 0 else list(arb_poly(a)(arb_poly([c, p])))
        f = f[:count]
        if c == 0:
            return f
        # 1e-6 is far above the rounding of these logarithms.
        rests = log_rests(log_f, terms, float(c.upper()), float(p.upper()), count) + 1e-6
        logs = np.array([float(abs(x).log().lower()) if x != 0 else -np.inf for x in f])
        if np.all(rests <= logs - ctx.prec * LN2):
            return [x + arb(0, arb(r).exp().upper()) for x, r in zip(f, rests, strict=True)]
        terms *= 2
        if terms > MOST_SQUARES:
            return _shifted_few(family, q, c, count)


def _geometric_rests(q: arb, c: arb, p: arb, first: int, count: int) -> Balls:
    """Bounds of sum_(n >= N) C(n, j) c^(n-j) p^j, times F(1), for elu."""
    if not c > 0:
        return [arb(0)] * count
    rests = []
    weight = c ** (first - 1)
    for j in range(count):
        fall = 1 - c * first / (first - j)
        if not fall > 0:
            raise OutOfRangeError
        rests.append(weight / fall * (q + 1))
        weight = weight * (first - 1 - j) / (j + 1) * p / c
    return rests
