"""Taylor coefficients at t = 0 of a network's kernel K(t) = sum a_n t^n, all of them >= 0.

* Duals in closed form: power series in balls, at a precision that leaves enough digits.
* tanh, sigmoid, silu, softplus and elu: Hermite moments as positive numbers, and the composition
  of positive series in doubles, with a bound on the rounding that is carried through the layers;
  in balls where that bound is too large.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from flint import arb, arb_poly, arb_series, ctx

from ntkspec.duals.composition import (
    MOST_ERROR,
    Coefficients,
    Composition,
    OutOfRangeError,
    frozen,
)
from ntkspec.duals.growth import series_tail
from ntkspec.duals.hermite import hermite_series
from ntkspec.duals.layers import Layers, compose, series_length, taylor_at_zero
from ntkspec.duals.squares import FAMILIES, INTEGRALS, UNIT, elu_squares, mean_square
from ntkspec.precision import split, working_precision

__all__ = ["Coefficients", "OutOfRangeError", "coefficients", "in_balls"]

LN2 = math.log(2.0)
#: Bits that coefficients from balls keep, and bits to compute them with at most.
KEPT = 62
MOST_BITS = 4096
#: Largest bound in doubles that rounding each coefficient of a product once may still mend.
MOST_RETRIED = 24 * MOST_ERROR
#: Largest number of Hermite moments of elu as balls, and of coefficients composed in balls.
MOST_SQUARES, MOST_IN_BALLS = 2**14, 1500
#: Largest weight_variance of deep networks that are composed in balls: more takes minutes.
MOST_BALL_VARIANCE = 6.0

Balls = list[arb]


class Zeros(Protocol):
    """Knowledge of the coefficients that are exactly 0; hashable."""

    def vanishes(self, degree: int) -> bool:
        """Whether the coefficient of a power is 0."""


@lru_cache(maxsize=64)
def coefficients(network: Any, kernel: str, count: int, zeros: Zeros) -> Coefficients:
    """The first `count` Taylor coefficients of a network's kernel, to the accuracy of doubles.

    `zeros` knows those that are exactly 0.

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
    if network.sigma.name in FAMILIES:
        try:
            return Composition(network, kernel, count, False).result()
        except OutOfRangeError as error:
            exactly = error.relative_error < MOST_RETRIED
        if exactly:
            with suppress(OutOfRangeError):
                return Composition(network, kernel, count, True).result()
        if count > MOST_IN_BALLS or network.weight_variance > MOST_BALL_VARIANCE:
            raise OutOfRangeError
    return _from_balls(network, kernel, count, zeros)


def in_balls(network: Any, kernel: str, count: int) -> Balls:
    """The first coefficients as balls, at the working precision."""
    if network.sigma.name in INTEGRALS:
        return _composed_balls(network, kernel, count)
    return taylor_at_zero(Layers(network, kernel), count)


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
    weight, bias = arb(network.weight_variance), arb(network.bias_variance)
    q = weight + bias
    c = bias / q
    with series_length(count):
        y = arb_series([0, 1], count)
        start = weight * y + bias

        def duals(layer: int, covariance: Any) -> tuple[Any, Any]:
            nonlocal q, c, y
            if layer:
                q = weight * mean_square(network.sigma.name, q) + bias
                c = covariance[0] / q
                rest = [covariance[n] / (q * (1 - c)) for n in range(1, count)]
                y = arb_series([arb(0), *rest], count)
            f, d = _shifted_balls(network.sigma.name, q, c, count)
            if layer == 0:
                return arb_series(f, count), arb_series(d, count)
            return arb_series(f, count)(y), arb_series(d, count)(y) if ntk else None

        ntk = kernel == "ntk"
        layers = compose(weight, bias, start, duals, network.depth)
        end = deque(layers, 1).pop()
        series = end.kernel(network.trained) if ntk else end.dual
        return [series[n] for n in range(count)]


def _shifted_balls(family: str, q: arb, c: arb, count: int) -> tuple[Balls, Balls]:
    """Coefficients in y of F(c + p y) and D(c + p y), p = 1 - c, as balls."""
    nats = ctx.prec * LN2
    p = 1 - c
    if family == "elu":
        terms = count + 2
        fall = float(-c.log()) if c > 0 else math.inf
        if not c < 1:
            raise OutOfRangeError
        if c > 0:
            terms += int((nats + count * float((1 + p / c).log() + 2)) / max(fall, 1e-6)) + 8
        if terms > MOST_SQUARES:
            raise OutOfRangeError
        a = elu_squares(q, terms)
        rests = _geometric_rests(q, c, p, terms, count)
    else:
        series = hermite_series(q, family, nats)
        terms = series.first + 2 * len(series.terms)
        a = [arb(0)] * terms
        a[0], a[1] = series.constant, series.linear
        for i, x in enumerate(series.terms):
            a[series.first + 2 * i] += x
        value, slope = series_tail(family, q, terms)
        rests = [(value, slope)] * count
    line = arb_poly([c, p])
    f = arb_poly(a)(line)
    d = arb_poly([n * x / q for n, x in enumerate(a)][1:])(line)
    return (
        [f[j] + arb(0, rests[j][0].upper()) for j in range(count)],
        [d[j] + arb(0, rests[j][1].upper()) for j in range(count)],
    )


def _geometric_rests(q: arb, c: arb, p: arb, first: int, count: int) -> list[tuple[arb, arb]]:
    """Bounds of sum_(n >= N) C(n, j) c^(n-j) p^j, times F(1) and D(1), for elu."""
    if not c > 0:
        return [(arb(0), arb(0))] * count
    rests = []
    weight = c ** (first - 1)
    for j in range(count):
        fall = 1 - c * first / (first - j)
        if not fall > 0:
            raise OutOfRangeError
        rest = weight / fall
        rests.append((rest * (q + 1), rest))
        weight = weight * (first - 1 - j) / (j + 1) * p / c
    return rests
