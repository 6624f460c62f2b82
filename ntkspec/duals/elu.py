"""Enclosures of the duals of elu at real and complex angles: Taylor polynomials with a proven rest.

With r = sqrt(q) and M(b) = int_0^inf s exp(-b s - s^2/2) ds, which is entire, D = E[sigma' sigma']
is (pi - theta) / (2 pi) + 2 O + B for

    O(theta) = (1/2pi) int_0^theta M(r sin x) dx,
    B(theta) = (1/pi) int_0^((pi-theta)/2) M(2 r cos(theta/2) cos x) dx,

and F = E[sigma sigma] has the derivative -q sin(theta) D.  B solves a linear equation,
B' + q sin(theta) B = sqrt(2 q / pi) sin(theta) e^x erfc(sqrt x) / 2 - 1 / (2 pi), x =
q sin(theta)^2 / 2.  The values at 0 are known, and each polynomial gives those where the next
begins.  On |theta - c| <= R Cauchy's estimate bounds the rest: |sin x| <= cosh R there, and
|M(b)| <= 1 + |b| sqrt(2 pi) e^(|b|^2/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from flint import acb, acb_poly, arb, arb_poly, arb_series, ctx

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.layers import series_length
from ntkspec.duals.memory import remembered
from ntkspec.precision import extra_precision

__all__ = ["enclosed_elu_dual"]

#: Radii on which the duals are bounded.
RADII = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.625, 2.75, 2.875, 3.0, 3.25, 3.5)
#: Complex angles at this distance from a centre are wanted to some digits.
FAR, FAR_BITS = 2.1, 32
#: The centres reach from there below 0, or half a piece beyond, to pi.
LEAST = 1.6
#: Distance of the corners of a grid of complex angles, and the terms of polynomials around them.
GRID, FEW = 0.25, 32
LN2 = math.log(2.0)

Function = Callable[[Correlation], Any]
#: An angle, and polynomials of D and F around it with balls that bound their errors.
_Corner = tuple[acb, list[tuple[acb_poly, acb]] | None]


class _Piece(NamedTuple):
    """Polynomials of D and F around an angle."""

    centre: arb
    slope: arb_poly
    value: arb_poly


@remembered
def enclosed_elu_dual(q: arb) -> tuple[Function, Function]:
    """Duals of elu at a variance, proved at real and complex angles.

    Examples
    --------
    >>> value, slope = enclosed_elu_dual(arb(1))
    >>> value(Correlation(arb(0), arb.pi() / 2)).str(10)
    '[0.02576685412 +/- 7.83e-13]'
    """
    expansion = _Expansion(q)

    def value(point: Correlation) -> Any:
        return expansion.at(point.angle, slope=False)

    def slope(point: Correlation) -> Any:
        return expansion.at(point.angle, slope=True)

    return value, slope


class _Expansion:
    def __init__(self, q: arb) -> None:
        self.q = q
        self.corners = dict[tuple[int, int], _Corner]()
        size = float(q.upper())
        self.count = max(2, math.ceil(2.0 * math.sqrt(size)))
        self.bounds = [self._bounds(arb(radius)) for radius in RADII]
        half = 0.5 * math.pi / self.count
        self.terms = max(self._terms(half, ctx.prec + 8), self._terms(FAR, FAR_BITS))
        # The coefficients of the polynomials are larger than their sum.
        with extra_precision(32 + int(0.5 * size * (1.0 + math.cosh(half)) ** 2 / LN2)):
            start = self._start()
            below = math.ceil(LEAST / (2.0 * half))
            self.pieces = self._pieces(start, below, -1)[::-1]
            self.first = -below
            self.pieces += self._pieces(start, self.count, 1)
            self.at_zero = start[1:]

    def at(self, angle: Any, slope: bool) -> Any:
        """D or F at an angle; at a complex one to some digits."""
        if angle.is_zero():
            return self.at_zero[0 if slope else 1]
        if isinstance(angle, acb):
            return self._near(angle)[0 if slope else 1]
        piece = self._piece(float(angle.mid()))
        z = angle - piece.centre
        rest = self._rest(abs(z).upper(), slope)
        if rest is None:
            return arb("nan")
        return (piece.slope if slope else piece.value)(z) + arb(0, rest.upper())

    def _piece(self, angle: float) -> _Piece:
        number = math.floor(angle * self.count / math.pi) - self.first
        return self.pieces[min(max(number, 0), len(self.pieces) - 1)]

    def _near(self, angle: acb) -> tuple[Any, Any]:
        """D and F over a box, from polynomials around the nearest corner of a grid.

        So the values are not much wider than the box makes them.
        """
        x, y = float(angle.real.mid()), float(angle.imag.mid())
        if not math.isfinite(x + y):
            return arb("nan"), arb("nan")
        corner = round(x / GRID), round(y / GRID)
        if corner not in self.corners:
            self.corners[corner] = self._corner(*corner)
        middle, polynomials = self.corners[corner]
        z = angle - middle
        if polynomials is None or not abs(z).upper() < 1.5 * GRID:
            return arb("nan"), arb("nan")
        slope, value = (polynomial(z) + ball for polynomial, ball in polynomials)
        return slope, value

    def _corner(self, x: int, y: int) -> _Corner:
        middle = acb(x * GRID, y * GRID)
        piece = self._piece(x * GRID)
        z = middle - piece.centre
        size = abs(z).upper() + 1.5 * GRID
        found = []
        for polynomial, slope in ((piece.slope, True), (piece.value, False)):
            rest = self._rest(size, slope)
            if rest is None:
                return middle, None
            # Shifting cancels all but some digits of the coefficients around the corner.
            with extra_precision(ctx.prec + 2 * polynomial.degree()):
                shifted = acb_poly(polynomial)(acb_poly([z, 1])).coeffs()
            few = shifted[:FEW]
            for n, c in enumerate(shifted[FEW:], FEW):
                rest += abs(c) * arb(1.5 * GRID) ** n
            ball = arb(0, rest.upper())
            found.append((acb_poly([1 * c for c in few]), acb(ball, ball)))
        return middle, found

    def _bounds(self, radius: arb) -> tuple[arb, arb]:
        """Bounds of |D| and |F| at |theta - c| <= R, c one of the centres."""
        b = self.q.sqrt() * (1 + radius.cosh())
        moment = 1 + b * (2 * arb.pi()).sqrt() * (b * b / 2).exp()
        way = arb.pi() + arb(1.5 * LEAST) + radius  # not less than |theta| and |pi - theta|
        slope = way / (2 * arb.pi()) * (1 + 3 * moment)
        value = self.q + 1 + self.q * way * radius.cosh() * slope
        return slope.upper(), value.upper()

    def _rest(self, size: arb, slope: bool) -> arb | None:
        """Bound of the terms left out at a distance from the centre, or None."""
        rests = [
            both[0 if slope else 1] * (size / radius) ** self.terms / (1 - size / radius)
            for radius, both in zip(RADII, self.bounds, strict=True)
            if size < 0.99 * radius
        ]
        return min(rests, key=lambda rest: float(rest.log().mid())) if rests else None

    def _terms(self, size: float, bits: int) -> int:
        """Number of terms for which the rest is below 2^-bits."""
        numbers = [
            (bits * LN2 + float(both[1].log())) / math.log(radius / size)
            for radius, both in zip(RADII, self.bounds, strict=True)
            if radius > 1.1 * size
        ]
        return math.ceil(min(numbers)) + 4

    def _start(self) -> tuple[arb, arb, arb]:
        """B, D and F at 0."""
        root, two = self.q.sqrt(), arb(2)
        both = (2 * self.q).exp() * (2 * root / two.sqrt()).erfc() / 2  # E[e^2u 1(u<0)]
        one = (self.q / 2).exp() * (root / two.sqrt()).erfc() / 2  # E[e^u 1(u<0)]
        return both, arb(1) / 2 + both, self.q / 2 + both - 2 * one + arb(1) / 2

    def _pieces(self, start: tuple[arb, arb, arb], count: int, way: int) -> list[_Piece]:
        """Polynomials of so many pieces from 0 on, upwards or downwards."""
        q, pi, pieces = self.q, arb.pi(), list[_Piece]()
        both, slope, value = start
        half = way * pi / (2 * self.count)
        with series_length(self.terms):
            for i in range(count):
                centre = (2 * i + 1) * half
                angle = arb_series([centre, 1], self.terms)
                sine, damping = angle.sin(), (q * angle.cos()).exp()
                x = (q / 2).sqrt() * sine
                scaled = x * (x * x).exp() * x.erfc()
                # B = damping (constant + the integral of the rest), from B at the near end.
                right = scaled / pi.sqrt() - 1 / (2 * pi)
                particular = damping * (right / damping).integral()
                gap = both + self._ball(half, True) - _polynomial(particular)(-half)
                series = particular + gap / _polynomial(damping)(-half) * damping
                both = self._after(series, half, True)
                # D' = -1 / (2 pi) + M(r sin) / pi + B'
                steep = (1 - pi.sqrt() * scaled) / pi - 1 / (2 * pi)
                slopes = self._started(steep.integral() + series, slope, half, True)
                values = self._started((-q * sine * slopes).integral(), value, half, False)
                slope, value = self._after(slopes, half, True), self._after(values, half, False)
                pieces.append(_Piece(centre, _polynomial(slopes), _polynomial(values)))
        return pieces

    def _started(self, series: arb_series, start: arb, half: arb, slope: bool) -> arb_series:
        """The series plus the constant that gives it this value at the near end."""
        return series + (start + self._ball(half, slope) - _polynomial(series)(-half))

    def _after(self, series: arb_series, half: arb, slope: bool) -> arb:
        """The function's value at the far end."""
        return _polynomial(series)(half) + self._ball(half, slope)

    def _ball(self, half: arb, slope: bool) -> arb:
        rest = self._rest(abs(half).upper(), slope)
        assert rest is not None
        return arb(0, rest.upper())


def _polynomial(series: arb_series) -> arb_poly:
    return arb_poly([series[n] for n in range(series.length())])
