"""Duals of activations with a kink at 0: integrals over sectors of the plane."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flint import arb, arb_mat, arb_poly, arb_series, ctx, fmpq

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.memory import remembered
from ntkspec.errors import NtkspecError
from ntkspec.precision import extra_precision

__all__ = ["Expansion", "elu_dual", "homogeneous_dual"]

Function = Callable[[Correlation], Any]


def homogeneous_dual(q: Any, power: int, right: float, left: float) -> tuple[Function, Function]:
    """Duals of right x^p for x > 0, left |x|^p for x < 0 (Cho and Saul 2009, eq. 3, by sectors).

    Both signs alike: J_p(theta) = q^p p! / (2 pi) int_0^(pi-theta) (cos theta + cos b)^p db, from
    polar coordinates and cos a cos(a - theta) = (cos theta + cos(2a - theta)) / 2; opposite
    signs: J_p(pi - theta).
    """
    scale = q**power * math.factorial(power)
    slope_scale = q ** (power - 1) * math.factorial(power - 1) if power else 0

    def value(point: Correlation) -> Any:
        return scale * _sectors(point, power, arb(right), arb(left))

    def slope(point: Correlation) -> Any:
        sides = power * arb(right), -power * arb(left)
        return slope_scale * _sectors(point, power - 1, *sides)

    return value, slope


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
def elu_dual(q: Any, left: float = 1.0, factor: float = 1.0) -> tuple[Function, Function]:
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
    both_negative = _Sector(_both_negative, _both_series, q)
    one_negative = _Sector(_one_negative, _one_series, q)

    @lru_cache(maxsize=1)
    def sectors(point: Correlation) -> tuple[Any, Any]:
        return both_negative(point.angle), one_negative(point.angle)

    def slope(point: Correlation) -> Any:
        both, one = sectors(point)
        right = (point.pi - point.angle) / (2 * point.pi)
        return scale * (right + 2 * weight * one + weight * weight * both)

    def value(point: Correlation) -> Any:
        both, one = sectors(point)
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

    return value, slope


def _both_negative(angle: Any, root: Any) -> Any:
    """E[e^u 1(u<0) e^v 1(v<0)]."""
    near = 2 * root * (angle / 2).cos()
    return (
        _integral(
            lambda x: _radial(near * x.cos()),
            (arb.pi() - angle) / 2,
            4 * float((root * root).mid()),
        )
        / arb.pi()
    )


def _one_negative(angle: Any, root: Any) -> Any:
    """E[1(u>0) e^v 1(v<0)]."""
    return _integral(lambda x: _radial(root * x.sin()), angle, float((root * root).mid())) / (
        2 * arb.pi()
    )


class _Sector:
    """One of the integrals: an expansion for angles, once there are several, and for series."""

    def __init__(
        self, integral: Callable[[Any, Any], Any], series: Callable[[Any, Any], Any], q: arb
    ) -> None:
        self.integral, self.series, self.q = integral, series, q
        self.expansion: Expansion | None = None

    def __call__(self, angle: Any) -> Any:
        if isinstance(angle, arb_series):
            return self.series(angle, self.q)
        if angle.is_zero():
            return self.integral(angle, self.q.sqrt())
        if self.expansion is None:
            self.expansion = self._expanded()
        return self.expansion(angle)

    def _expanded(self) -> Expansion:
        """At the middle of q; its radius is added, as the derivatives in q are below 4 / q."""
        q, middle = self.q, self.q.mid().sqrt()
        pieces = 1 + int(2.0 * math.log1p(float(q.mid()))) if q > 0.5 else 1
        blur = arb(0, (4 * q.rad() / q).upper())
        return Expansion(lambda angle: self.integral(angle, middle), pieces, q, blur)


def _one_series(angle: Any, q: arb) -> Any:
    """`_one_negative` of a series, from its derivative in the angle, M(-sqrt(q) sin x) / (2 pi)."""
    slope = _radial(q.sqrt() * angle.sin()) / (2 * arb.pi()) * angle.derivative()
    return _one_negative(angle[0], q.sqrt()) + slope.integral()


def _both_series(angle: Any, q: arb) -> Any:
    """`_both_negative` of a series, B(theta), from a linear differential equation.

    dB/dc = E[f' f'] with f = e^u 1(u<0), f' = f - delta, gives B' + q sin(theta) B =
    sqrt(2 q / pi) sin(theta) e^x erfc(sqrt x) / 2 - 1 / (2 pi), x = q sin(theta)^2 / 2.
    """
    sine, damping = angle.sin(), (q * angle.cos()).exp()
    root = (q / 2).sqrt() * sine
    right = root / arb.pi().sqrt() * (root * root).exp() * root.erfc() - 1 / (2 * arb.pi())
    whole = (right / damping * angle.derivative()).integral()
    return damping * (_both_negative(angle[0], q.sqrt()) / damping[0] + whole)


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


def _integral(function: Callable[[Any], Any], end: Any, growth: float) -> Any:
    """Int_0^end of an entire function that grows as exp(growth), by Gauss-Legendre."""
    nodes = _nodes(ctx.prec + 16 * min(int(growth), 256), ctx.prec)
    middle = end / 2
    total = arb(0)
    for x, weight in nodes:
        total = total + weight * (function(middle * (1 + x)) + function(middle * (1 - x)))
    return middle * total


@lru_cache(maxsize=8)
def _nodes(bits: int, precision: int) -> list[tuple[arb, arb]]:
    """Nodes and weights for an error of 2^-bits, at the working precision."""
    n = 2 * (16 + bits // 5)
    return [arb.legendre_p_root(n, i, True) for i in range(n // 2)]
