"""Squares of Hermite moments as scaled doubles, and the variances of the layers after them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from ntkspec.conventions import SELU_ALPHA, SELU_LAMBDA, Shape
from ntkspec.duals.correlation import Correlation
from ntkspec.duals.hermite import hermite_series, log_square, softplus_mean
from ntkspec.duals.memory import remembered
from ntkspec.duals.moments import fourier_moments
from ntkspec.duals.moments import mean_square as moments_mean_square
from ntkspec.duals.moments import moments as moments_in_balls
from ntkspec.duals.pairs import PairSeries
from ntkspec.kernels import moments
from ntkspec.precision import extra_precision, split, working_precision
from ntkspec.rules import Program, State, follow

__all__ = [
    "BOUNDED",
    "EXPONENTIAL",
    "FAMILIES",
    "INTEGRALS",
    "MOST_VARIANCE",
    "RATIOS",
    "SHARP_ERROR",
    "UNIT",
    "VARIANCE_BITS",
    "Squares",
    "double_double",
    "elu_squares",
    "mean_square",
    "pair_squares",
    "squares",
    "times",
    "variances_of",
]

#: Activations whose Hermite moments are integrals, and those whose moments have known ratios.
INTEGRALS = ("tanh", "sigmoid", "silu", "softplus", "elu")
RATIOS = ("erf", "gelu", "sin", "cos", "gaussian")
FAMILIES = (*INTEGRALS, *RATIOS, "mish")
#: Activations whose derivatives `tails.log_bounds` bounds.
BOUNDED = (*INTEGRALS, "mish", "selu")
#: (factor, left) of elu and selu: factor times x for x > 0, left (e^x - 1) for x < 0.
EXPONENTIAL = {"elu": (1.0, 1.0), "selu": (SELU_LAMBDA, SELU_ALPHA)}
UNIT = 2.0**-53
#: Number of moments that are computed in balls if needed, and the error of their squares.
SHARP, SHARP_ERROR = 128, 3.0 * UNIT
#: Bits of the variances of the layers.
VARIANCE_BITS = 112
#: Largest variance of the argument of an activation whose moments are computed.
MOST_VARIANCE = 1e4

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Squares:
    """h_n^2 of an activation at a variance: those of n = 0 and 1, then n = first, first + stride...

    `constant` and `linear` are 0 where the sequence holds them.  `relative_error` bounds the errors
    of all, and `sharp_error` that of n below `sharp`.  The arrays are read-only, so that callers
    share them and compiled functions meet one type.
    """

    constant: float
    linear: float
    first: int
    stride: int
    mantissa: Array
    exponent: NDArray[np.int64]
    relative_error: float
    sharp: int = 0
    sharp_error: float = SHARP_ERROR

    def __post_init__(self) -> None:
        self.mantissa.flags.writeable = self.exponent.flags.writeable = False

    def scaled(self, by: Fraction) -> Squares:
        """The same times a number."""
        if by == 1:
            return self
        factor = float(by)
        return replace(
            self, constant=factor * self.constant, linear=factor * self.linear,
            mantissa=factor * self.mantissa, relative_error=self.relative_error + 2.0 * UNIT,
            sharp_error=self.sharp_error + 2.0 * UNIT,
        )  # fmt: skip


def times(x: arb, factor: Fraction) -> arb:
    """A ball times a rational number."""
    return x if factor == 1 else x * fmpq(factor.numerator, factor.denominator)


def squares(shape: Shape, q: arb, count: int, sharply: bool = False) -> Squares:
    """h_n^2 for n below `count` at least; `sharply`: the first ones from balls."""
    with working_precision(VARIANCE_BITS):
        inner = times(q, shape.inner**2)
    return _squares(shape.base, inner, count, sharply).scaled(shape.outer**2)


def _squares(family: str, q: arb, count: int, sharply: bool) -> Squares:
    high, low = double_double(q)
    size = 128
    while size < count:
        size *= 2
    found = squares_to(family, high, low, size)
    if not sharply or found.relative_error <= SHARP_ERROR or family == "mish":
        return found
    mantissa, exponent = found.mantissa.copy(), found.exponent.copy()
    few = _sharp_squares(family, high, low)
    few = few[: mantissa.size]
    mantissa[: len(few)], exponent[: len(few)] = zip(*few, strict=True)
    sharp = found.first + found.stride * len(few)
    return replace(found, mantissa=mantissa, exponent=exponent, sharp=sharp)


@lru_cache(maxsize=32)
def _sharp_squares(family: str, high: float, low: float) -> list[tuple[float, int]]:
    """The first ones of the sequence, from moments in balls."""
    size = high if family == "tanh" else 0.25 * high
    with working_precision(VARIANCE_BITS):
        nats = 45.0 - log_square(2.0 * SHARP, size)
        series = hermite_series(arb(high) + low, family, nats, SHARP)
        return [split(x) for x in series.terms]


@lru_cache(maxsize=128)
def squares_to(family: str, high: float, low: float, size: int) -> Squares:
    if family == "elu":
        return _elu_squares(high, low, size)
    if family in RATIOS:
        return _ratio_squares(family, high, low, size)
    if family == "mish":
        return _mish_squares(high, low, size)
    double = family == "silu"
    scale = 1.0 if family == "tanh" else 0.25
    n = (2 if double else 1) + 2.0 * np.arange((size + 1) // 2)
    mantissa, exponent = np.empty(n.size), np.empty(n.size, np.int64)
    moments.hermite_moments(int(n[0]), scale * high, scale * low, double, mantissa, exponent)
    mantissa *= mantissa
    exponent *= 2
    error = (2.0 * moments.moment_error(scale * high, n[-1]) + 4.0) * UNIT
    constant = linear = 0.0
    first = int(n[0])
    if family == "sigmoid":
        constant, mantissa = 0.25, 0.25 * mantissa
    elif family == "softplus":
        constant, linear, first = _softplus_mean(high, low) ** 2, 0.25 * high, 2
        mantissa *= 0.25 * high / (n + 1.0)
    elif family == "silu":
        m, e = moments.hermite_moment(1, scale * high, scale * low, False)
        constant, linear = 0.25 * high * (m * 2.0**e) ** 2, 0.25 * high
        mantissa *= 0.25 * high
    return Squares(constant, linear, first, 2, mantissa, exponent, error)


def _ratio_squares(family: str, high: float, low: float, size: int) -> Squares:
    """From the coefficients of the dual in closed form: docs/taylor.rst."""
    m = np.arange((size + 1) // 2, dtype=np.float64)
    constant, linear, shift = 0.0, 0.0, (0.0, 0.0)
    with working_precision(VARIANCE_BITS):
        q = arb(high) + low
        x = q / (1 + q)
        first = 1 if family in ("erf", "sin") else 0
        if family == "erf":
            x = 2 * q / (1 + 2 * q)
            start, top, bottom = 2 * x / arb.pi(), (2 * m + 1) ** 2, (2 * m + 2) * (2 * m + 3)
        elif family == "gelu":  # but for (q + n)^2
            first, m, shift = 2, m + 1.0, (high, low)
            start = x * x / (4 * arb.pi() * (1 + q))
            top, bottom = (2 * m - 1) ** 2, (2 * m + 1) * (2 * m + 2)
            constant, linear = float((q * x / (2 * arb.pi())).mid()), float((q / 4).mid())
        elif family == "gaussian":
            start, top, bottom = 1 / (1 + q), 2 * m + 1, 2 * m + 2
        else:
            x = q
            start, top = (-q).exp() * (q if first else 1), np.ones(m.size)
            bottom = (2 * m + first + 1) * (2 * m + first + 2)
        begin, exponent = split(start)
        power = split(x * x)[1]
        x2 = double_double(x * x * arb(2) ** -power)
    mantissa, exponents = np.empty(m.size), np.empty(m.size, np.int64)
    moments.hypergeometric(
        begin, exponent, *x2, power, top[:-1], bottom[:-1], *shift, 2.0 * m, mantissa, exponents
    )
    return Squares(constant, linear, first, 2, mantissa, exponents, 3.0 * UNIT)


def _softplus_mean(high: float, low: float) -> float:
    with working_precision(VARIANCE_BITS):
        return float(softplus_mean(arb(high) + low, 0.7 * VARIANCE_BITS).mid())


def _elu_squares(high: float, low: float, size: int) -> Squares:
    with working_precision(VARIANCE_BITS):
        balls = elu_squares(arb(high) + low, size)
        pairs = [split(x) for x in balls]
    mantissa = np.array([m for m, _ in pairs])
    exponent = np.array([e for _, e in pairs], np.int64)
    return Squares(0.0, 0.0, 0, 1, mantissa, exponent, 2.0 * UNIT)


def _mish_squares(high: float, low: float, size: int) -> Squares:
    with working_precision(VARIANCE_BITS):
        q = arb(high) + low
        constant, linear = (float((h * h).mid()) for h in moments_in_balls(q, "mish", 2))
        found = fourier_moments(q, "mish", size)
    error = 2.0 * (UNIT + found.error) + UNIT
    return Squares(constant, linear, 2, 1, found.high * found.high, 2 * found.exponent, error)


def pair_squares(shape: Shape, q: arb, count: int) -> PairSeries:
    """h_n^2 of an activation of INTEGRALS or mish for n < count, as double-doubles.

    Those below 2^-1022 are 0.
    """
    inner, size = times(q, shape.inner**2), max(count, 8)
    if shape.base == "elu":
        squared = PairSeries.of_balls(elu_squares(inner, size))
    elif shape.base == "mish":
        squared = _pair_moments(inner, "mish", size).squared()
        squared += PairSeries.of_balls([h * h for h in moments_in_balls(inner, "mish", 2)])
    elif shape.base == "tanh":
        squared = _pair_moments(inner, "tanh", size).squared()
    elif shape.base == "silu":  # x + x tanh(x) for x of variance q / 4
        mean = inner / 4 * _pair_moments(inner / 4, "tanh", 8).squared()[1]
        squared = _pair_moments(inner / 4, "x tanh(x)", size).squared()
        squared += PairSeries.of_balls([mean, inner / 4])
    else:
        squared = _pair_moments(inner / 4, "tanh", size).squared() / 4
        if shape.base == "sigmoid":
            squared += arb(1) / 4
        else:  # n h_n^2 / q are the squares of the sigmoid
            mean = softplus_mean(inner, 0.7 * VARIANCE_BITS)
            squared = squared.integral() * inner + PairSeries.of_balls([mean * mean, inner / 4])
    return PairSeries(squared.rows[:, :count].copy()) * times(arb(1), shape.outer**2)


def _pair_moments(q: arb, name: str, count: int) -> PairSeries:
    """The moments that `fourier_moments` computes, the others 0."""
    found = fourier_moments(q, name, count)
    rows, at = np.zeros((3, count)), np.s_[found.first :: found.stride]
    rows[0, at] = np.ldexp(found.high, found.exponent)
    rows[1, at] = np.ldexp(found.low, found.exponent)
    # h_n changes with q by at most (n + 2) / q times its change.
    spread = (count + 2.0) * float((q.rad() / q).upper())
    rows[2] = (found.error + spread) * np.abs(rows[0])
    return PairSeries(rows)


def elu_squares(q: arb, count: int) -> list[arb]:
    """h_n^2 of elu as balls: docs/taylor.rst.

    h_(2m+3) = q B_m / sqrt((2m+3)!), h_(2m+2) = q^(3/2) B_(m-1) / sqrt((2m+2)!) with
    B_m = (1/pi) int_0^inf s^(2m+2) e^(-s^2/2) / (q + s^2) ds = M_m - q B_(m-1).
    """
    loss = 2 * int(float(q.upper())) + 2 * count.bit_length() + 64
    with extra_precision(loss):
        root, damping = q.sqrt(), (q / 2).exp()
        below = (root / arb(2).sqrt()).erfc() / 2  # P(Z < -sqrt q)
        mean = root / (2 * arb.pi()).sqrt() + damping * below - arb(1) / 2
        h = [mean, root * (arb(1) / 2 + damping * below), q * damping * below / arb(2).sqrt()]
        # M_m = (2m - 1)!! sqrt(pi / 2) / pi; B_(-1) = e^(q/2) P(Z < -sqrt q) / sqrt q
        moment, before = 1 / (2 * arb.pi()).sqrt(), damping * below / root
        factorial = arb(2).sqrt()  # sqrt((2m + 2)!)
        for m in range(count // 2 + 1):
            b = moment - q * before
            if m:
                factorial *= arb((2 * m + 1) * (2 * m + 2)).sqrt()
                h.append(q * root * before / factorial)
            h.append(q * b / (factorial * arb(2 * m + 3).sqrt()))
            moment, before = moment * (2 * m + 1), b
        return [x * x for x in h[:count]]


def mean_square(shape: Shape, q: arb) -> arb:
    """E[sigma(x)^2] for x = sqrt(q) Z, as a ball."""
    return times(_mean_square(times(q, shape.inner**2), shape.base), shape.outer**2)


@remembered
def _mean_square(q: arb, family: str) -> arb:
    """E[sigma(x)^2] for x = sqrt(q) Z, with a proven bound on the error of the trapezoid rule.

    For q >= 1 as a limit for |x| -> inf and the expectation of a function that falls as e^-|x|:
    tanh^2 = 1 - sech^2, silu(x)^2 + silu(-x)^2 = x^2 - x^2 sech^2(x/2) / 2, and
    softplus(x)^2 + softplus(-x)^2 = x^2 + 2 softplus(x) softplus(-x).
    """
    if family in RATIOS:
        return _mean_in_closed_form(family, q)
    if family == "mish":
        return moments_mean_square(q, family)
    if family in EXPONENTIAL:
        factor, left = map(arb, EXPONENTIAL[family])
        middle = q.mid()
        lost = max(0.0, -float(middle.log().mid()) / math.log(2.0))
        with extra_precision(64 + int(lost)):
            root, two = middle.sqrt(), arb(2)
            below = (root / two.sqrt()).erfc() / 2
            twice = (2 * root / two.sqrt()).erfc() / 2
            of_left = (2 * middle).exp() * twice - 2 * (middle / 2).exp() * below + arb(1) / 2
            exact: arb = factor * factor * (middle / 2 + left * left * of_left)
        # Its derivative in q is E[sigma'^2 + sigma sigma''], at most the largest slope's square.
        slope = factor * factor * (left * left).max(arb(1))
        return exact + arb(0, (slope * q.rad()).upper())
    return _narrow(family, q) if q < 1 else _wide(family, q)


def variances_of(program: Program) -> tuple[list[arb], list[arb]]:
    """q(1) at every activation and at every normalization of a network."""
    variances: list[arb] = []
    sizes: list[arb] = []

    def activate(index: int, state: State) -> State:
        variances.append(state.covariance)
        sigma, q = program.activations[index], state.covariance
        if sigma.shape.base in FAMILIES + BOUNDED:
            return State(mean_square(sigma.shape, q))
        return State(sigma.dual(q)[0](Correlation.full()))

    def size(index: int, state: State) -> arb:
        sizes.append(state.covariance)
        return sizes[-1]

    follow(program, State(arb(1)), activate, size, arb, tangent=False)
    return variances, sizes


def _mean_in_closed_form(family: str, q: arb) -> arb:
    """The dual at t = 1."""
    if family == "sin":
        return -(-2 * q).expm1() / 2
    if family == "cos":
        return (1 + (-2 * q).exp()) / 2
    if family == "gaussian":
        return 1 / (1 + 2 * q).sqrt()
    if family == "erf":
        return 2 * (2 * q / (1 + 4 * q).sqrt()).atan() / arb.pi()
    root = (1 + 2 * q).sqrt()
    angle = (1 + 2 * (q / root).atan() / arb.pi()) / 4
    return q * angle + q * q / (arb.pi() * root * (1 + q))


def _wide(family: str, q: arb) -> arb:
    """The limit, and nodes that do not depend on q."""
    nats = ctx.prec * math.log(2.0)
    rate = 2 if family == "tanh" else 1
    # On the line Im x = a: |sech(y)|^2 <= sech(Re y)^2 / cos(Im y)^2, and
    # |softplus(x) softplus(-x)| <= (|x| + a + 1) e^-|x| for a <= pi / 2.
    a = arb(0.5 * math.pi if family == "softplus" else 0.8 * math.pi / rate)
    h = 2 * math.pi * a / (nats + 8.0)
    count = int((nats + 12.0 + 2.0 * math.log(nats)) / rate / float(h)) + 1

    def value(x: arb) -> arb:
        if family == "softplus":
            small = (-x).exp().log1p()
            return small * (x + small)
        square = x.sech() if family == "tanh" else (x / 2).sech()
        square *= square
        return -square if family == "tanh" else -square * (x * x if family == "silu" else 1) / 4

    total = value(arb(0)) / 2
    for i in range(1, count + 1):
        x = h * i
        total += value(x) * (-x * x / (2 * q)).exp()
    density = 1 / (2 * arb.pi() * q).sqrt()
    if family == "softplus":
        size = 2 * (2 + a)
    else:
        size = (4 * arb.pi() ** 2 / 3 + 4 * a * a + 4) / (rate * a / 2).cos() ** 2
    leak = 2 * size * (a * a / (2 * q)).exp() / ((2 * arb.pi() * a / h).exp() - 1)
    end = h * count
    tail = 16 * (end + 2) ** 2 * (-rate * end).exp()
    limit = {"tanh": arb(1), "sigmoid": arb(1) / 2, "silu": q / 2, "softplus": q / 2}[family]
    found: arb = limit + density * (2 * h * total + arb(0, (leak + tail).upper()))
    return found


def _narrow(family: str, q: arb) -> arb:
    """The trapezoid rule in Z; on Im Z = a the integrand is bounded by |tanh| <= max(1, tan a).

    And of tanh by |tanh(w)| <= |w| tan(Im w) / Im w: the error is small beside small q.
    """
    root, rate = q.sqrt(), 1 if family == "tanh" else arb(1) / 2
    nats = ctx.prec * math.log(2.0)
    strip = 0.8 * 0.5 * math.pi / float((rate * root).mid())
    height = min(strip, math.sqrt(2.0 * nats))
    h = arb(2.0 * math.pi * height / (nats + 0.5 * height * height + 8.0))
    count = int((math.sqrt(2.0 * nats) + 4.0) / float(h)) + 1

    def value(x: Any) -> Any:
        if family == "tanh":
            return x.tanh() ** 2
        if family == "softplus":  # half of softplus(x)^2 + softplus(-x)^2
            small = (-abs(x)).exp().log1p()
            return ((abs(x) + small) ** 2 + small**2) / 2
        near = (x / 2).tanh()
        if family == "sigmoid":
            return (1 + near**2) / 4
        return x * x * (1 + near**2) / 4

    total = value(arb(0)) / 2
    for i in range(1, count + 1):
        z = h * i
        total += value(root * z) * (-z * z / 2).exp()
    total = 2 * total * h / (2 * arb.pi()).sqrt()
    a, r = arb(height), root * height
    size = (rate * r).tan().max(arb(1))
    if family == "softplus":  # |log(1 + e^x)| <= |Re x| + log 2 + |log cos(Im x / 2)| + pi
        square = 2 * (q + (arb(2).log() + abs((r / 2).cos().log()) + arb.pi()) ** 2)
    else:
        square = size * size
        if family == "silu":
            square *= 2 * (q + r * r)
        if family == "tanh":
            square = square.min((r.tan() / r) ** 2 * (q + r * r))
    leak = 2 * square * (a * a / 2).exp() / ((2 * arb.pi() * a / h).exp() - 1)
    end = h * count
    least = 0 if family in ("tanh", "silu") else 2
    tail = 2 * (least + q * (end + 1) ** 2) * (-end * end / 2).exp()
    found: arb = total + arb(0, (leak + tail).upper())
    return found


def double_double(x: arb) -> tuple[float, float]:
    """A ball's midpoint as a double-double."""
    with working_precision(VARIANCE_BITS):
        high = float(x.mid())
        return high, float((x - high).mid())
