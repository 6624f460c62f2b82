"""E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] by two-dimensional quadrature, in balls (Arb).

(u, v) is centred Gaussian of variance q and covariance q cos(theta).  In polar coordinates
u = sqrt(q) r cos(a), v = sqrt(q) r cos(a - theta), with the angle a uniform and r of density
r exp(-r^2/2).  No closed-form dual and no Hermite moment is used:

* smooth sigma: over a by the trapezoid rule, over r by Gauss-Legendre.  The mean over a is a
  periodic convolution, so what is kept are its cosine coefficients, all of them positive: with
  psi_j(r) = mean of sigma(sqrt(q) r cos a) cos(j a), the dual is
  E_r[psi_0^2] + 2 sum_j E_r[psi_j^2] cos(j theta);
* sigma with a kink at 0: the rays a = +-pi/2 and theta +- pi/2 cut the plane into four sectors, in
  each of which the integrand is entire; Gauss-Legendre over the angle, sector by sector.

The estimates of sizes and decay determine the number of nodes, never the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from flint import acb, arb, arb_mat, arb_poly, ctx, fmpq

from ntkspec.reference.balls.clipped import ClippedDual
from ntkspec.reference.balls.legendre import cosine_sums, entire_rule_size, gauss_legendre
from ntkspec.reference.description import Description

__all__ = [
    "ODD",
    "PARTS",
    "Dual",
    "FoldedCosines",
    "Smooth",
    "highest_frequency",
    "log_series_eigenvalue",
    "make_dual",
    "radial_rule",
    "smooth_of",
]


class Dual(Protocol):
    """Both expectations as functions of theta, for one activation and one variance q."""

    def at_zero(self) -> tuple[arb, arb]:
        """Return E[sigma(u)^2] and E[sigma'(u)^2]."""
        ...

    def at(self, points: Sequence[acb]) -> tuple[list[arb], list[arb]]:
        """Return both at the angles theta of the points e^(i theta) of the upper half circle."""
        ...


def make_dual(network: Description, variance: arb, nats: float) -> Dual:
    """Tabulate the duals of a layer of variance q > 0, to exp(-nats) times their size."""
    if network.smooth:
        return _SmoothDual(smooth_of(network), variance, nats)
    if network.clipped:
        return ClippedDual(network, variance, nats)
    if network.exponential:
        return _EluDual(variance, nats, network.exponential)
    if network.odd:
        return _OddDual(variance, nats, network.base)
    return _PowerDual(network, variance, nats)


# --- smooth activations -------------------------------------------------------------------------

#: Even and odd part of sigma(x), then of sigma'(x); None for a part that is 0.
Parts = tuple[arb | None, arb | None, arb | None, arb | None]


@dataclass(frozen=True)
class Smooth:
    """A smooth activation by its parts, and what determines the effort.

    `pole` is the distance of the nearest singularity from the real axis; an entire function has
    inf, and grows like exp(growth y^2 + rate |y|) in the direction of the imaginary axis; `rising`:
    it grows as exp(rate x) on the real one too.  Of a polynomial `degree` is the degree.
    """

    parts: Callable[[arb], Parts]
    pole: float = math.inf
    growth: float = 0.0
    rate: float = 1.0
    rising: bool = False
    degree: int = 0


def _tanh(x: arb) -> Parts:
    y = x.tanh()
    return None, y, 1 - y * y, None


def _sigmoid(x: arb) -> Parts:
    h = (x / 2).tanh() / 2
    return arb(0.5), h, arb(0.25) - h * h, None


def _silu(x: arb) -> Parts:
    # x (1/2 + h)
    h = (x / 2).tanh() / 2
    return x * h, x / 2, arb(0.5), h + x * (arb(0.25) - h * h)


def _softplus(x: arb) -> Parts:
    # log(1 + e^x) = x/2 + log(2 cosh(x/2))
    e = (-x).exp()
    return x / 2 + e.log1p(), x / 2, arb(0.5), (1 - e) / (1 + e) / 2


def _erf(x: arb) -> Parts:
    return None, x.erf(), 2 / arb.pi().sqrt() * (-x * x).exp(), None


def _gelu(x: arb) -> Parts:
    # x (1/2 + h), h = erf(x / sqrt 2) / 2
    h = (x / arb(2).sqrt()).erf() / 2
    density = (-x * x / 2).exp() / (2 * arb.pi()).sqrt()
    return x * h, x / 2, arb(0.5), h + x * density


def _sin(x: arb) -> Parts:
    sine, cosine = x.sin_cos()
    return None, sine, cosine, None


def _cos(x: arb) -> Parts:
    sine, cosine = x.sin_cos()
    return cosine, None, None, -sine


def _gaussian(x: arb) -> Parts:
    y = (-x * x / 2).exp()
    return y, None, None, -x * y


def _swish(beta: arb) -> Callable[[arb], Parts]:
    def parts(x: arb) -> Parts:
        h = (beta * x / 2).tanh() / 2
        return x * h, x / 2, arb(0.5), h + beta * x * (arb(0.25) - h * h)

    return parts


def _mish(x: arb) -> Parts:
    # x times tanh(log(1 + e^x)), whose even part is p and whose odd part is m
    right, left = (y.exp().log1p().tanh() for y in (x, -x))
    slope, other = ((1 - s * s) / (1 + (-y).exp()) for s, y in ((right, x), (left, -x)))
    p, m = (right + left) / 2, (right - left) / 2
    return x * m, x * p, p + x * (slope - other) / 2, m + x * (slope + other) / 2


def _exp(x: arb) -> Parts:
    return x.cosh(), x.sinh(), x.cosh(), x.sinh()


def _snake(a: arb) -> Callable[[arb], Parts]:
    def parts(x: arb) -> Parts:
        sine = (a * x).sin()
        return sine * sine / a, x, arb(1), (2 * a * x).sin()

    return parts


def _gabor(omega: arb, scale: arb) -> Callable[[arb], Parts]:
    def parts(x: arb) -> Parts:
        sine, cosine = (omega * x).sin_cos()
        window = (-((scale * x) ** 2)).exp()
        slope = -window * (omega * sine + 2 * scale**2 * x * cosine)
        return cosine * window, None, None, slope

    return parts


def _polynomial(coefficients: Sequence[arb]) -> Callable[[arb], Parts]:
    def parts(x: arb) -> Parts:
        found: list[arb | None] = [None] * 4
        for n, c in enumerate(coefficients):
            if c != 0:
                found[n % 2] = (found[n % 2] or arb(0)) + c * x**n
                if n:
                    slope = 2 + (n - 1) % 2
                    found[slope] = (found[slope] or arb(0)) + n * c * x ** (n - 1)
        return found[0], found[1], found[2], found[3]

    return parts


PARTS = {
    "tanh": Smooth(_tanh, pole=math.pi / 2),
    "sigmoid": Smooth(_sigmoid, pole=math.pi),
    "silu": Smooth(_silu, pole=math.pi),
    "softplus": Smooth(_softplus, pole=math.pi),
    "erf": Smooth(_erf, growth=1.0),
    "gelu": Smooth(_gelu, growth=0.5),
    "sin": Smooth(_sin),
    "cos": Smooth(_cos),
    "gaussian": Smooth(_gaussian, growth=0.5),
    "mish": Smooth(_mish, pole=0.75 * math.pi),
    "exp": Smooth(_exp, rising=True),
}


def smooth_of(network: Description) -> Smooth:
    """A smooth activation with its parameters."""
    if network.base in PARTS:
        return PARTS[network.base]
    numbers = network.numbers
    exact = [arb(x) for x in numbers]
    if network.base == "swish":
        return Smooth(_swish(*exact), pole=math.pi / numbers[0])
    if network.base == "snake":
        return Smooth(_snake(*exact), rate=2.0 * numbers[0])
    if network.base == "polynomial":
        return Smooth(_polynomial(exact), degree=len(exact) - 1)
    return Smooth(_gabor(*exact), growth=numbers[1] ** 2, rate=numbers[0])


def highest_frequency(sigma: Smooth, variance: float, nats: float) -> float:
    """Estimate the j from which on the cosine coefficients of a dual are below exp(-nats).

    With a pole they fall like exp(-min_r(r^2/2 + 2 j w(r))), w(r) the width of the strip in which
    sigma(sqrt(q) r cos a) is analytic; with Gaussian growth geometrically, since the dual has its
    singularity at t = 1 + 1/(2 growth q); else like the Bessel functions I_j(q), or they end.
    """
    if sigma.degree:
        return sigma.degree + 1.0
    if math.isfinite(sigma.pole):
        r = np.linspace(0.05, math.sqrt(2 * nats), 2000)
        width = np.arcsinh(sigma.pole / (math.sqrt(variance) * r))
        return float(np.max((nats - r * r / 2) / (2 * width)))
    if sigma.growth:
        fall = math.acosh(1 + 1 / (2 * sigma.growth * variance))
        if sigma.rate == 1.0:
            return nats / fall
        # Times exp(2 sqrt(c j)), of an essential singularity.
        half = math.sqrt(sigma.rate**2 / (2 * sigma.growth * (1 + 2 * sigma.growth * variance)))
        return ((half + math.sqrt(half * half + fall * nats)) / fall) ** 2
    variance *= sigma.rate**2
    j = math.ceil(variance)
    while math.lgamma(j + 1) - j * math.log(variance / 2) < nats:
        j += 1
    return float(j)


def log_series_eigenvalue(sigma: Smooth, variance: float, dim: int, degree: int) -> float:
    """max over n of a_n's estimate times the part of t^n in degree k; to steer only."""
    best = -math.inf
    if not (math.isfinite(sigma.pole) or sigma.growth):
        variance *= sigma.rate**2
    for m in range(10 * degree + 60):
        n = degree + 2 * m
        if math.isfinite(sigma.pole):
            a = -2 * sigma.pole * math.sqrt(n / variance)
        elif sigma.growth:
            a = -n * math.log1p(1 / (2 * sigma.growth * variance))
        else:
            a = n * math.log(variance) - math.lgamma(n + 1) - variance
        part = math.lgamma(n + 1) - n * math.log(2) - math.lgamma(m + 1)
        best = max(best, a + part + math.lgamma(dim / 2) - math.lgamma(n - m + dim / 2))
    return best


class _SmoothDual:
    """Cosine coefficients of both duals by the trapezoid rule in a, Gauss-Legendre in r."""

    def __init__(self, sigma: Smooth, variance: arb, nats: float) -> None:
        q = float(variance)
        quarter = math.ceil(highest_frequency(sigma, q, nats) / 2 + 0.05 * nats)
        rate = sigma.rate * math.sqrt(q)
        # exp(2 rate r) moves the Gaussian by 2 rate.
        more = (math.sqrt(2 * (nats + 12)) + 2 * rate) ** 2 / 2 - 12 if sigma.rising else nats
        # r^(2p) adds at most 2 p log r.
        more += 2 * sigma.degree * math.log(math.sqrt(2 * nats) + 4 * sigma.degree)
        radii, weights = radial_rule(more, sigma.pole / math.sqrt(q), 2 * sigma.growth * q, rate)
        rows = [arb.cos_pi_fmpq(fmpq(i, 2 * quarter)) for i in range(quarter + 1)]
        scales = [variance.sqrt() * r for r in radii]
        samples = [[sigma.parts(scale * c) for c in rows] for scale in scales]
        even, odd = FoldedCosines(quarter, 0), FoldedCosines(quarter, 1)
        self.series = [
            _interleave(
                *(
                    _mean_squares([[p[part] for p in row] for row in samples], transform, weights)
                    for part, transform in ((first, even), (first + 1, odd))
                )
            )
            for first in (0, 2)
        ]

    def at_zero(self) -> tuple[arb, arb]:
        f, d = (sum(series, arb(0)) for series in self.series)
        return f, d

    def at(self, points: Sequence[acb]) -> tuple[list[arb], list[arb]]:
        f, d = cosine_sums(self.series, points)
        return f, d


class FoldedCosines:
    """Means over 4 quarter equal angles of g(a) cos(j a), from g at a = 0 .. pi/2.

    g has the parity of j about pi/2; j = parity, parity + 2, ... < 2 quarter.  The angles of even
    and of odd numbers apart: j and 2 quarter - j differ in the sign of the odd ones alone.
    """

    def __init__(self, quarter: int, parity: int) -> None:
        self.quarter, turn = quarter, 4 * quarter
        self.orders = range(parity, 2 * quarter, 2)
        self.low = range(parity, quarter + 1, 2)
        cosines = [arb.cos_pi_fmpq(fmpq(2 * n, turn)) for n in range(turn)]
        fold = [arb(fmpq(2 if i in (0, quarter) else 4, turn)) for i in range(quarter + 1)]
        self.halves = [
            arb_mat([[cosines[i * j % turn] * fold[i] for j in self.low] for i in angles])
            for angles in (range(0, quarter + 1, 2), range(1, quarter + 1, 2))
        ]

    def __call__(self, rows: Sequence[Sequence[arb]]) -> list[list[arb]]:
        """Return the means of every row of values."""
        parts = [
            (arb_mat([row[first::2] for row in rows]) * half).tolist()
            for first, half in enumerate(self.halves)
        ]
        # Of the orders above the quarter, the last comes from the first.
        mirrored = [
            (2 * self.quarter - j - self.low.start) // 2 for j in self.orders[len(self.low) :]
        ]
        return [
            [x + y for x, y in zip(even, odd, strict=True)] + [even[n] - odd[n] for n in mirrored]
            for even, odd in zip(*parts, strict=True)
        ]


def _mean_squares(
    samples: list[list[arb | None]], transform: FoldedCosines, weights: Sequence[arb]
) -> list[arb]:
    """sum_r weight psi_j(r)^2 for all j of one parity; zeros where that part is absent."""
    present = [[x for x in row if x is not None] for row in samples]
    totals = [arb(0)] * len(transform.orders)
    if not present[0]:
        return totals
    for weight, row in zip(weights, transform(present), strict=True):
        for j, x in enumerate(row):
            totals[j] += weight * x * x
    return totals


def _interleave(even: list[arb], odd: list[arb]) -> list[arb]:
    """Coefficients of cos(j theta), j = 0, 1, 2, ...: all but the first count twice."""
    series = [2 * c for pair in zip(even, odd, strict=True) for c in pair]
    series[0] = even[0]
    return series


# --- the radius ---------------------------------------------------------------------------------


def radial_rule(
    nats: float, pole: float = math.inf, growth: float = 0.0, rate: float = 0.0
) -> tuple[list[arb], list[arb]]:
    """Gauss-Legendre in r on [0, R], with the density r exp(-r^2/2) in the weights.

    The rest of the integrand is analytic except at r = +- i y, y >= pole, and grows at most like
    exp(growth y^2 + 2 rate |y|), y = Im r; that gives the number of nodes.
    """
    reach = math.sqrt(2 * (nats + 12))
    n = 2 * math.ceil(_radial_nodes(nats, reach, pole, growth, rate) / 2)
    half = arb(reach) / 2
    radii, weights = [], []
    for x, w in gauss_legendre(n, ctx.prec):
        r = half * (1 + x)
        radii.append(r)
        weights.append(half * w * r * (-r * r / 2).exp())
    return radii, weights


def _radial_nodes(nats: float, reach: float, pole: float, growth: float, rate: float) -> float:
    """min over ellipses rho of (nats + log of the integrand's maximum) / (2 log rho)."""
    best = math.inf
    angle = np.linspace(0.0, math.pi, 400)
    for log_rho in np.linspace(0.05, 3.0, 200):
        x, y = math.cosh(log_rho) * np.cos(angle), math.sinh(log_rho) * np.sin(angle)
        x, y = reach / 2 * (1 + x), reach / 2 * y
        if np.any((x < 0.2) & (y > 0.9 * pole)):
            break
        excess = growth * np.maximum(y * y - x * x, 0.0) + 2 * rate * y if pole == math.inf else 0.0
        size = float(np.max((y * y - x * x) / 2 + excess))
        best = min(best, (nats + size) / (2 * log_rho))
    return best + 0.05 * nats


# --- activations with a kink at 0 ---------------------------------------------------------------


def _wedge(angle: arb, rule: Sequence[tuple[arb, arb]]) -> list[tuple[arb, arb, arb]]:
    """Nodes over the sector between two rays, of opening pi - angle, as (cos, cos, weight).

    The rays a = angle - pi/2 and pi/2 bound the directions on which cos(a) and cos(a - angle) are
    both positive; with a = angle/2 + b these are cos(b + angle/2) and cos(b - angle/2).
    """
    half, width = angle / 2, (arb.pi() - angle) / 2
    sine, cosine = half.sin_cos()
    nodes = []
    for x, w in rule:
        s, c = (width * x).sin_cos()
        nodes.append((c * cosine - s * sine, c * cosine + s * sine, width * w))
    return nodes


class _SectorDual:
    """Duals that are integrated at every angle."""

    def at_zero(self) -> tuple[arb, arb]:
        return self._at_angle(arb(0))

    def at(self, points: Sequence[acb]) -> tuple[list[arb], list[arb]]:
        pairs = [self._at_angle(p.arg()) for p in points]
        return [f for f, _ in pairs], [d for _, d in pairs]

    def _at_angle(self, angle: arb) -> tuple[arb, arb]:
        raise NotImplementedError


class _PowerDual(_SectorDual):
    """sigma = x^p for x > 0 and left |x|^p for x < 0: r^(2p) comes out of the angular integral."""

    def __init__(self, network: Description, variance: arb, nats: float) -> None:
        self.power = p = network.order
        self.left = arb(network.left)
        n = 2 * math.ceil((entire_rule_size(2 * p + 2.0, nats) + 0.05 * nats) / 2)
        self.rule = gauss_legendre(n, ctx.prec)
        radii, weights = radial_rule(nats + 3 * p)
        # E[(q r^2)^p] / (2 pi), and the same for p - 1
        self.radial = [
            sum((w * (variance * r * r) ** e for r, w in zip(radii, weights, strict=True)), arb(0))
            / (2 * arb.pi())
            for e in (p, max(p - 1, 0))
        ]

    def _at_angle(self, angle: arb) -> tuple[arb, arb]:
        # Signs (+,+) and (-,-) on wedges of opening pi - angle, (+,-) and (-,+) of opening angle.
        p, left = self.power, self.left
        same, opposite = self._moments(angle), self._moments(arb.pi() - angle)
        f = self.radial[0] * ((1 + left**2) * same[0] + 2 * left * opposite[0])
        d = self.radial[1] * p**2 * ((1 + left**2) * same[1] - 2 * left * opposite[1])
        return f, d

    def _moments(self, angle: arb) -> tuple[arb, arb]:
        p = self.power
        of_f = of_d = arb(0)
        for x, y, w in _wedge(angle, self.rule):
            lower = w * (x * y) ** max(p - 1, 0)
            of_d += lower
            of_f += lower * x * y if p else lower
        return of_f, of_d


class _EluDual(_SectorDual):
    """sigma = a x for x > 0, b (e^(c x) - 1) for x < 0; the radial sums are done first.

    On the negative side only E_r[r^e exp(-c sqrt(q) r x)], e = 0 and 1, is needed, for x in [0, 2]:
    the radial rule applied to the Taylor polynomial of the exponential about x = 1.
    """

    def __init__(
        self, variance: arb, nats: float, sides: tuple[Fraction, Fraction, Fraction]
    ) -> None:
        right, left, rate = (arb(fmpq(x.numerator, x.denominator)) for x in sides)
        self.squares, self.slopes = (right * right, left * left, right * left), left * rate
        self.right = right
        self.root, self.scale = variance.sqrt(), rate * variance.sqrt()
        # sqrt(q) r stands in the exponent: the angular integrand grows like the radial one.
        bandwidth = math.pi * (1 + float(self.scale)) + 0.12 * nats
        n = 2 * math.ceil((entire_rule_size(bandwidth, nats) + 0.05 * nats) / 2)
        self.rule = gauss_legendre(n, ctx.prec)
        radii, weights = radial_rule(nats, rate=float(self.scale))
        self.square = variance * sum(
            (w * r * r for r, w in zip(radii, weights, strict=True)), arb(0)
        )
        self.laplace = [_laplace(radii, weights, self.scale, e, nats) for e in (0, 1)]

    def _at_angle(self, angle: arb) -> tuple[arb, arb]:
        f = d = arb(0)
        r0, r1 = self.laplace
        of_right, of_left, mixed = self.squares
        slope, right = self.slopes, self.right
        none, none_r = r0(arb(-1)), r1(arb(-1))
        for x, y, w in _wedge(angle, self.rule):
            both = r0(x + y - 1)
            # (+,+), and (-,-) with (e^u - 1)(e^v - 1); the wedge is symmetric in x and y
            f += w * (of_right * self.square * x * y + of_left * (both - 2 * r0(x - 1) + none))
            d += w * (right * right * none + slope * slope * both)
        for x, y, w in _wedge(arb.pi() - angle, self.rule):
            # (+,-) and (-,+): twice u (e^v - 1)
            f += 2 * w * mixed * self.root * x * (r1(y - 1) - none_r)
            d += 2 * w * right * slope * r0(y - 1)
        turn = 2 * arb.pi()
        return f / turn, d / turn


class _OddDual(_SectorDual):
    """softsign and finer: both sums are done at every angle."""

    def __init__(self, variance: arb, nats: float, name: str) -> None:
        self.function = ODD[name]
        size = float(variance)
        self.scale = variance.sqrt()
        n = 2 * math.ceil((entire_rule_size(math.pi, nats) + (0.3 + 1.5 * size) * nats) / 2)
        self.rule = gauss_legendre(n, ctx.prec)
        if name == "softsign":  # the pole of its right side is at -1
            self.radial = radial_rule(nats, pole=0.7 / math.sqrt(size))
        else:  # it grows as exp(2 |x y|) off the real line, up to x = sqrt(2 nats)
            self.radial = radial_rule(nats, rate=2.0 * size * math.sqrt(2.0 * nats))

    def _at_angle(self, angle: arb) -> tuple[arb, arb]:
        (f, d), (of_f, of_d) = (self._moments(x) for x in (angle, arb.pi() - angle))
        return (f - of_f) / arb.pi(), (d + of_d) / arb.pi()

    def _moments(self, angle: arb) -> tuple[arb, arb]:
        f = d = arb(0)
        for x, y, w in _wedge(angle, self.rule):
            for r, weight in zip(*self.radial, strict=True):
                (first, slope), (second, other) = (
                    self.function(self.scale * r * c) for c in (x, y)
                )
                f += w * weight * first * second
                d += w * weight * slope * other
        return f, d


def _softsign(x: arb) -> tuple[arb, arb]:
    return x / (x + 1), (x + 1) ** -2


def _finer(x: arb) -> tuple[arb, arb]:
    sine, cosine = (x * x + x).sin_cos()
    return sine, (1 + 2 * x) * cosine


#: Value and slope of those at x >= 0.
ODD = {"softsign": _softsign, "finer": _finer}


def _laplace(
    radii: Sequence[arb], weights: Sequence[arb], scale: arb, exponent: int, nats: float
) -> arb_poly:
    """Coefficients in y = x - 1 of E_r[r^exponent exp(-scale r x)]."""
    terms = [w * r**exponent * (-scale * r).exp() for r, w in zip(radii, weights, strict=True)]
    steps = [-scale * r for r in radii]
    coefficients: list[arb] = []
    small = arb(-nats - 10).exp()
    while not coefficients or not abs(coefficients[-1]) < small:
        n = len(coefficients) + 1
        coefficients.append(sum(terms, arb(0)))
        terms = [t * s / n for t, s in zip(terms, steps, strict=True)]
    return arb_poly(coefficients)
