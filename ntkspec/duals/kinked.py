"""Duals of activations with a kink at 0: integrals over sectors of the plane."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb, arb_mat, arb_poly, ctx, fmpq

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.memory import remembered
from ntkspec.duals.pairs import PairSeries
from ntkspec.errors import NtkspecError
from ntkspec.precision import extra_precision

__all__ = ["Expansion", "elu_dual", "homogeneous_dual"]

#: Numbers of nodes are multiples of this one, so that few rules are computed.
STEP = 12

Function = Callable[[Correlation], Any]
Duals = tuple[Function, Function]


def homogeneous_dual(q: Any, power: int, right: float, left: float) -> Duals:
    """Duals of right x^p for x > 0, left |x|^p for x < 0 (Cho and Saul 2009, eq. 3, by sectors).

    Both signs alike: J_p(theta) = q^p p! / (2 pi) int_0^(pi-theta) (cos theta + cos b)^p db, from
    polar coordinates and cos a cos(a - theta) = (cos theta + cos(2a - theta)) / 2; opposite
    signs: J_p(pi - theta).
    """

    def at(point: Correlation, power: int, right: arb, left: arb) -> Any:
        return q**power * math.factorial(power) * _sectors(point, power, right, left)

    def series(point: Correlation, power: int, right: arb, left: arb) -> tuple[Any, Any]:
        """By integration from the power 0: each derivative is the dual of a power less."""
        if power == 0:
            part = (right - left) ** 2 / (2 * point.pi)  # of the angle that changes a sign
            return (right * right + left * left) / 2 - part * point.angle, None
        slope, _ = series(point, power - 1, power * right, -power * left)
        start = at(point.start, power, right, left)
        return start + (q * slope * point.cosine.derivative()).integral(), slope

    return _duals(
        lambda point: at(point, power, arb(right), arb(left)),
        lambda point: at(point, power - 1, power * arb(right), -power * arb(left)) if power else 0,
        lambda point: series(point, power, arb(right), arb(left)),
    )


def _duals(
    value: Function, slope: Function, series: Callable[[Correlation], tuple[Any, Any]]
) -> Duals:
    """Duals from those of numbers, and from the function of both for a series."""
    series = lru_cache(maxsize=1)(series)
    return (
        lambda point: series(point)[0] if point.is_series else value(point),
        lambda point: series(point)[1] if point.is_series else slope(point),
    )


def _sectors(point: Correlation, power: int, right: arb, left: arb) -> Any:
    total = (right * right + left * left) * _same_sign(
        power, point.pi - point.angle, point.cosine, point.sine
    )
    if not (right * left).is_zero():
        total += 2 * right * left * _same_sign(power, point.angle, -point.cosine, point.sine)
    return total / (2 * point.pi)


def _same_sign(power: int, width: Any, cosine: Any, sine: Any) -> Any:
    """Int_0^width (cosine + cos b)^p db with cos(width) = -cosine, sin(width) = sine."""
    if power == 0:
        return width
    integrals = [width, sine]  # of cos^j
    power_of_cosine = -cosine
    for j in range(2, power + 1):
        integrals.append((power_of_cosine * sine + (j - 1) * integrals[j - 2]) / j)
        power_of_cosine = power_of_cosine * -cosine
    total = integrals[power]
    factor = cosine
    for j in range(power - 1, -1, -1):
        total = total + math.comb(power, j) * factor * integrals[j]
        factor = factor * cosine
    return total


@remembered
def elu_dual(q: Any, left: float = 1.0, factor: float = 1.0) -> Duals:
    """Duals of factor times x for x > 0, left (e^x - 1) for x < 0, sector by sector.

    With M(b) = int_0^inf s exp(b s - s^2/2) ds, the radial integrals leave one over the angle:
    E[e^u 1(u<0, v<0) e^v] = (1/pi) int_0^((pi-theta)/2) M(-2 sqrt(q) cos(theta/2) cos x) dx and
    E[1(u>0) e^v 1(v<0)] = (1/2pi) int_0^theta M(-sqrt(q) sin x) dx.
    """
    weight, scale = arb(left), arb(factor) ** 2
    root = q.sqrt()
    damping = (q / 2).exp()
    half_cdf = (root / arb(2).sqrt()).erfc() / 2  # P(Z < -sqrt q)
    root_2pi = (2 * arb.pi()).sqrt()
    both_negative, one_negative = _Sector(_both_negative, q), _Sector(_one_negative, q)

    @lru_cache(maxsize=1)
    def sectors(point: Correlation) -> tuple[Any, Any]:
        return both_negative(point.angle), one_negative(point.angle)

    def slope(point: Correlation, both: Any, one: Any) -> Any:
        right = (point.pi - point.angle) / (2 * point.pi)
        return scale * (right + 2 * weight * one + weight * weight * both)

    def value(point: Correlation, both: Any, one: Any) -> Any:
        c = q * point.cosine
        angle, sine = point.angle, point.sine
        positive = q * ((point.pi - angle) * point.cosine + sine) / (2 * point.pi)
        negative = (point.pi - angle) / (2 * point.pi)
        step = (q - c) / (2 * root * root_2pi)  # E[relu(u) 1(v<0)]
        exp_step = damping * half_cdf - one  # E[e^u 1(u<0, v<0)]
        # E[relu(u) e^v 1(v<0)] by Stein's lemma
        boundary = (root * sine / arb(2).sqrt()).erfc() / 2 * (-c * c / (2 * q)).exp()
        boundary = damping * root / root_2pi * boundary
        mixed = c * one + boundary - c / root / root_2pi / 2
        of_left = both + negative - 2 * exp_step
        return scale * (positive + 2 * weight * (mixed - step) + weight * weight * of_left)

    def series(point: Correlation) -> tuple[Any, Any]:
        """By integration: D' = q B rho' with B = E[f(u) f(v)], f = e^u 1(u<0), for elu.

        f' = f - delta gives B' = q rho' (B - 2 E[f delta] + E[delta delta]), whose second
        expectation is w / (2 sqrt(2 pi q)), w = e^(z^2) erfc(z) with z = sqrt(q/2) sin(theta).
        With another `left` sigma'' is left f + (1 - left) delta.
        """
        start, cosine = point.start, point.cosine
        both, one = both_negative.alone(start.angle), one_negative.alone(start.angle)
        turn, along = -point.angle.derivative(), cosine.derivative()
        z = root * start.sine / arb(2).sqrt()
        w = _solved(
            -q * (cosine * along), root / root_2pi * 2 * (turn * cosine), (z * z).exp() * z.erfc()
        )
        b = _solved(q * along, turn / (2 * arb.pi()) - root / root_2pi * (w * along), both)
        rise = weight * weight * q * (b * along)
        if left != 1.0:
            rise = rise + weight * (1 - weight) * root / root_2pi * (w * along)
            rise = rise + (1 - weight) ** 2 / (2 * arb.pi()) * turn
        d = slope(start, both, one) + (scale * rise).integral()
        return value(start, both, one) + (q * d * along).integral(), d

    return _duals(
        lambda point: value(point, *sectors(point)),
        lambda point: slope(point, *sectors(point)),
        series,
    )


def _solved(slope: Any, rest: Any, start: arb) -> Any:
    """The series y with y' = slope y + rest, y_0 = start."""
    if isinstance(rest, PairSeries):
        return rest.solved(slope, start)
    growth = slope.integral().exp()
    return growth * (start + (rest / growth).integral())


def _both_negative(angle: Any, root: Any) -> Any:
    """E[e^u 1(u<0) e^v 1(v<0)]."""
    if angle.is_zero():
        return (2 * root * root).exp() * (arb(2).sqrt() * root).erfc() / 2
    near = 2 * root * (angle / 2).cos()
    found = _integral(lambda x: _radial(near * x.cos()), (arb.pi() - angle) / 2, near)
    return found / arb.pi()


def _one_negative(angle: Any, root: Any) -> Any:
    """E[1(u>0) e^v 1(v<0)]."""
    if angle.is_zero():
        return arb(0)
    return _integral(lambda x: _radial(root * x.sin()), angle, root) / (2 * arb.pi())


class _Sector:
    """One of the integrals: an expansion for angles, once there are several."""

    def __init__(self, integral: Callable[[Any, Any], Any], q: arb) -> None:
        self.integral, self.q = integral, q
        self.expansion: Expansion | None = None
        #: For one angle; the last ones are kept.
        self.alone = remembered(lambda angle: integral(angle, q.sqrt()), 4)

    def __call__(self, angle: Any) -> Any:
        if angle.is_zero():
            return self.alone(angle)
        if self.expansion is None:
            self.expansion = self._expanded()
        return self.expansion(angle)

    def _expanded(self) -> Expansion:
        """At the middle of q; its radius is added, as the derivatives in q are below 4 / q."""
        q, middle = self.q, self.q.mid().sqrt()
        pieces = 1 + int(2.0 * math.log1p(float(q.mid()))) if q > 0.5 else 1
        blur = arb(0, (4 * q.rad() / q).upper())
        return Expansion(lambda angle: self.integral(angle, middle), pieces, q, blur)


class Expansion:
    """Polynomials for an entire function of theta in [0, pi], to the working precision.

    By interpolation at Chebyshev points of equal pieces.  The degree grows until each polynomial
    agrees with the function between the points; the difference, with a margin, is its radius.
    """

    def __init__(
        self, function: Callable[[Any], Any], pieces: int, q: arb, blur: arb | None = None
    ) -> None:
        self.pieces = pieces
        self.blur = arb(0) if blur is None else blur
        self.allowed = arb(2) ** (12 - ctx.prec) * (1 + q)
        self.polynomials = [self._piece(function, i) for i in range(pieces)]

    def __call__(self, angle: Any) -> Any:
        """The function's value."""
        x = angle * self.pieces / arb.pi()
        at = min(max(int(float(x.mid())), 0), self.pieces - 1)
        return self.polynomials[at](2 * (x - at) - 1) + self.blur

    def _piece(self, function: Callable[[Any], Any], number: int) -> arb_poly:
        def local(x: Any) -> Any:
            return function(arb.pi() * (2 * number + 1 + x) / (2 * self.pieces))

        degree = 24 + ctx.prec // (4 + 2 * (self.pieces > 1))
        found = interpolated(local, _polynomial, degree, self.allowed)
        if found is None:
            raise NtkspecError("the variance before elu is too large for its dual's expansion")
        polynomial: arb_poly = found[0] + found[1]
        return polynomial


def interpolated(
    function: Callable[[Any], Any], form: Callable[[list[arb]], Any], degree: int, allowed: arb
) -> tuple[Any, arb] | None:
    """Interpolation on [-1, 1] and its error as a ball around 0, or None if it does not converge.

    `form` makes the interpolation from the values at the Chebyshev points, whose number grows
    until it agrees with the function between them to what is allowed.
    """
    most = 2 * ctx.prec + 128
    while degree < most:
        with extra_precision(32):
            angles = [arb.pi() * (2 * i + 1) / (2 * degree) for i in range(degree)]
            found = form([function(angle.cos()).mid() for angle in angles])
            gap = arb(0)
            for x in (arb(-1), arb(fmpq(-2, 3)), arb(fmpq(1, 7)), arb(1)):
                gap += abs(found(x) - function(x)).upper()
        if gap < allowed:
            return found, arb(0, 4 * gap)
        degree += degree // 3
    return None


def chebyshev_coefficients(values: list[arb]) -> list[arb]:
    """Coefficients of the series that has these values at the Chebyshev points."""
    n = len(values)
    angles = [arb.pi() * (2 * i + 1) / (2 * n) for i in range(n)]
    cosines = arb_mat([[(angle * j).cos() for angle in angles] for j in range(n)])
    sums = cosines * arb_mat([[value] for value in values])
    return [sums[j, 0] * (2 if j else 1) / n for j in range(n)]


def _polynomial(values: list[arb]) -> arb_poly:
    """The interpolation in monomials; midpoints only, as monomials would inflate the radii."""
    with extra_precision(3 * len(values)):
        first, *rest = chebyshev_coefficients(values)
        twice_x = arb_poly([0, 2])
        later, last = arb_poly(), arb_poly()
        for c in reversed(rest):  # Clenshaw
            later, last = twice_x * later - last + c, later
        total = arb_poly([0, 1]) * later - last + first
        return arb_poly([c.mid() for c in total.coeffs()])


def _radial(b: Any) -> Any:
    """M(-b) = int_0^inf s exp(-b s - s^2/2) ds."""
    half = b / arb(2).sqrt()
    return 1 - arb.pi().sqrt() * half * (half * half).exp() * half.erfc()


def _integral(function: Callable[[Any], Any], end: Any, size: Any) -> Any:
    """Int_0^end of M(-size cos x) or M(-size sin x), end <= pi / 2 or pi, by Gauss-Legendre."""
    middle = end / 2
    total = arb(0, arb(2) ** -ctx.prec)
    for x, weight in _nodes(_node_count(float(middle.upper()), float(size.upper())), ctx.prec):
        total = total + weight * (function(middle * (1 + x)) + function(middle * (1 - x)))
    return middle * total


def _node_count(middle: float, size: float) -> int:
    """An even number of nodes for an error of less than 2^-(the working precision), relatively.

    On an ellipse around the path where the function is at most m in modulus, whose axes have the
    sum r times the path's half, n nodes have an error of at most (64 / 15) m r^-2n / (1 - r^-2).
    There |M(-b)| <= 1 if Re b >= 0, and at most 1 + |Re b| sqrt(2 pi) e^(Re b^2 / 2) if not.
    """
    r = 1.0 + np.geomspace(0.01, 8.0, 60)
    beyond = np.minimum(middle * (0.5 * (r + 1.0 / r) - 1.0), 0.5 * math.pi)
    negative = size * np.sin(beyond) * np.cosh(middle * 0.5 * (r - 1.0 / r))
    modulus = np.log(1.0 + 2.6 * negative) + 0.5 * negative**2
    nats = (ctx.prec + 2.0) * math.log(2.0) + modulus + 1.5 - np.log(1.0 - r**-2.0)
    least = float(np.min(nats / (2.0 * np.log(r))))
    return STEP * (1 + int(least / STEP))


@lru_cache(maxsize=64)
def _nodes(n: int, precision: int) -> list[tuple[arb, arb]]:
    """The positive ones of an even number of nodes, and weights, at the working precision."""
    return [arb.legendre_p_root(n, i, True) for i in range(n // 2)]
