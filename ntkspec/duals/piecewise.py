"""Duals of polynomials between kinks anywhere, from bivariate normal probabilities.

With f_m(x) = x^m / m! for x > 0 and 0 for x < 0 (f_0 is the step, f_(-1) the delta function) the
activation is a polynomial plus a sum of jumps times f_m(x - a), and its dual a sum of

    E_mn = E[f_m(u - a) f_n(v - b)],   m E_mn = -a E_(m-1,n) + q E_(m-2,n) + c E_(m-1,n-1)

(Stein's lemma), u and v of variance q and covariance c = q cos(theta).  E_(-1,n) is an expectation
of one variable, and E_00 is P(u > a, v > b), whose derivative in theta is

    -exp(-alpha / sin(theta/2)^2 - beta / cos(theta/2)^2) / (2 pi),

alpha = (a - b)^2 / (8 q), beta = (a + b)^2 / (8 q).  At theta = 0 this is analytic for a = b and
else vanishes with all derivatives; so it is at theta = pi for a = -b.  Power series at the ends
are therefore asymptotic ones: what vanishes with all derivatives is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from flint import acb, arb, arb_poly, arb_series, ctx, fmpq

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.layers import series_length
from ntkspec.duals.memory import remembered
from ntkspec.precision import extra_precision

Function = Callable[[Correlation], Any]
#: Place of a kink, order of the derivative that jumps there, and its jump.
Kink = tuple[Fraction, int, Fraction]

__all__ = ["Kink", "exact", "piecewise_dual", "regular_curvature"]

#: Ratio of the distances of a panel's ends from the singular end, and the radius, in halves of a
#: panel, of the disc on which the integrand is bounded; on so many arcs of its edge.
RATIO, RADIUS, ARCS = 1.5, 3.2, 32
NONE = Fraction(0)


def exact(number: Fraction) -> arb:
    """A rational number as a ball."""
    return arb(fmpq(number.numerator, number.denominator))


@remembered
def piecewise_dual(
    q: Any, left: tuple[Fraction, ...], kinks: tuple[Kink, ...]
) -> tuple[Function, Function]:
    """Both duals at the variance q, of jumps of the first and second derivatives.

    left: coefficients before the first kink, the constant first, at most two.
    """
    places = sorted({place for place, _, _ in kinks})
    integrals: dict[Any, _Integral] = {}
    pairs = [_Pair(q, a, b, integrals) for a in places for b in places if a <= b]
    slopes = tuple((place, order - 1, jump) for place, order, jump in kinks)
    steepness = arb(0)  # of the dual of the slope, in theta: q E[|sigma''(u) sigma''(v)|]
    for _, m, first in slopes:
        for _, n, second in slopes:
            share = abs(exact(first * second))
            if m + n == 0:
                steepness += share / (2 * arb.pi())
            elif m * n == 0:
                steepness += share * (q / (2 * arb.pi())).sqrt()
            else:
                steepness += share * q
    slope = _Dual(q, tuple(n * c for n, c in enumerate(left))[1:], slopes, pairs, steepness)
    at_one = slope(Correlation.full())
    square = None
    if not q.is_exact() and all(order > 0 for _, order, _ in kinks):
        # By the mean value theorem, so that the ball does not grow from layer to layer.
        exactly = piecewise_dual(q.mid(), left, kinks)[0](Correlation.full())
        growth = at_one + _with_curvature(q, left, kinks, pairs)
        square = exactly + arb(0, (abs(growth) * q.rad()).upper())
    return _Dual(q, left, kinks, pairs, q * at_one, square), slope


def _with_curvature(
    q: arb, left: Sequence[Fraction], kinks: Sequence[Kink], pairs: list[_Pair]
) -> arb:
    """E[sigma(u) sigma''(u)] of a continuous activation."""
    constant, linear = (exact(c) for c in (*left, NONE, NONE)[:2])
    place, total = _Place(Correlation.full()), arb(0)
    known = {pair.places: _Moments(q, pair, place) for pair in pairs}
    for b, n, second in kinks:
        x = exact(b)
        density = (-x * x / (2 * q)).exp() / (2 * arb.pi() * q).sqrt()
        # E[f_i(u - b)] from i = -1 on.
        means = [density, *_means(-x, q.sqrt(), n)]
        expected = constant * means[n - 1]
        expected += linear * (x * density if n == 1 else q * means[n - 2])
        for a, m, first in kinks:
            moments = known[min(a, b), max(a, b)]
            at = (m, n - 2) if a <= b else (n - 2, m)
            expected += exact(first) * moments(*at)
        total += exact(second) * expected
    return total


def regular_curvature(q: arb, kinks: Sequence[Kink], point: Correlation) -> arb:
    """E[sigma''(u) sigma''(v)] but for the products of two delta functions."""
    place, total = _Place(point), arb(0)
    integrals: dict[Any, _Integral] = {}
    for a, m, first in kinks:
        for b, n, second in kinks:
            if m + n > 2:
                moments = _Moments(q, _Pair(q, min(a, b), max(a, b), integrals), place)
                at = (m - 2, n - 2) if a <= b else (n - 2, m - 2)
                total += exact(first * second) * moments(*at)
    return total


class _Dual:
    """One dual, as a function of a Correlation; steepness bounds its derivative in theta.

    at_one: the value at correlation 1, where it is known more sharply.
    """

    def __init__(
        self, q: arb, left: Sequence[Fraction], kinks: Sequence[Kink], pairs: list[_Pair],
        steepness: arb, at_one: arb | None = None,
    ) -> None:  # fmt: skip
        self.q, self.pairs, self.steepness, self.at_one = q, pairs, steepness, at_one
        self.jumps: dict[Fraction, dict[int, arb]] = {}
        for at, order, jump in kinks:
            orders = self.jumps.setdefault(at, {})
            orders[order] = orders.get(order, arb(0)) + exact(jump)
        constant, linear = (exact(c) for c in (*left, NONE, NONE)[:2])
        # E[left(u) left(v)] and its products with the jumps: a constant and a multiple of c.
        self.constant, self.linear = constant * constant, linear * linear
        for place, orders in self.jumps.items():
            for order, size in orders.items():
                means = _means(-exact(place), q.sqrt(), order)
                self.constant += 2 * size * constant * means[order]
                if order:
                    self.linear += 2 * size * linear * means[order - 1]

    def __call__(self, point: Correlation) -> Any:
        place = _Place(point)
        if place.near is not None:
            value = self(place.near)
            return value + arb(0, (self.steepness * place.distance).upper())
        if self.at_one is not None and isinstance(point.angle, arb) and point.angle.is_zero():
            return self.at_one
        total = self.constant + self.linear * self.q * point.cosine
        for pair in self.pairs:
            moments = _Moments(self.q, pair, place)
            double = 1 if pair.places[0] == pair.places[1] else 2
            for m, first in self.jumps[pair.places[0]].items():
                for n, second in self.jumps[pair.places[1]].items():
                    total = total + double * first * second * moments(m, n)
        return total


class _Place:
    """Where a correlation lies: at theta = 0, at theta = pi or between, and half of its angle.

    For a real ball that cannot be told from an end, `near` is that end, at some `distance`.
    """

    def __init__(self, point: Correlation) -> None:
        angle, self.cosine = point.angle, point.cosine
        self.angle, half = angle, angle / 2
        self.sine, self.half_cosine = half.sin(), half.cos()
        first = angle[0] if isinstance(angle, arb_series) else angle
        inside = isinstance(first, acb)
        self.zero = not inside and bool(first.contains(0))
        self.pi = not inside and bool(first.overlaps(arb.pi()))
        self.near: Correlation | None = None
        if isinstance(angle, arb):
            if self.zero and not angle.is_zero():
                self.near, self.distance = Correlation.full(), abs(angle)
            elif self.pi and not (self.cosine.is_exact() and self.cosine == -1):
                self.near = Correlation(arb(-1), arb.pi())
                self.distance = abs(angle - arb.pi())


class _Pair:
    """Two kinks a <= b, and P(u > a, v > b) as a function of the angle."""

    def __init__(self, q: arb, a: Fraction, b: Fraction, integrals: dict[Any, _Integral]) -> None:
        self.places, self.same, self.opposite = (a, b), a == b, a == -b
        self.a, self.b = exact(a), exact(b)
        self.alpha, self.beta = exact((a - b) ** 2) / (8 * q), exact((a + b) ** 2) / (8 * q)
        above, below = ((x / (2 * q).sqrt()).erfc() / 2 for x in (self.a, -self.b))
        self.at_zero = (self.b / (2 * q).sqrt()).erfc() / 2
        self.at_pi = above - below if a + b < 0 else arb(0)
        # Pairs whose ends are exchanged share an integral.
        self.mirrored = abs(a - b) < abs(a + b)
        key = tuple(sorted((abs(a - b), abs(a + b))))
        sizes = (self.alpha, self.beta)
        self.integral = integrals.setdefault(
            key, _Integral(*(sizes[::-1] if self.mirrored else sizes), key[0] == 0)
        )

    def probability(self, place: _Place) -> Any:
        """P(u > a, v > b)."""
        angle = place.angle
        if isinstance(angle, arb_series):
            if not (place.zero or place.pi):
                start = self._at(angle[0])
            elif self.same if place.zero else self.opposite:
                start = self.at_zero if place.zero else self.at_pi
            else:
                return 0 * angle + (self.at_zero if place.zero else self.at_pi)
            density = self.exponent(place).exp() / (2 * arb.pi())
            return start - (density * angle.derivative()).integral()
        if isinstance(angle, acb):
            middle = angle.real

            def density_at(x: acb, _: bool) -> acb:
                found: acb = self.exponent(_Place(Correlation(None, x))).exp() / (2 * arb.pi())
                return found

            return self._at(middle) - acb.integral(density_at, acb(middle), angle)
        if place.zero or place.pi:
            return self.at_zero if place.zero else self.at_pi
        return self._at(angle)

    def exponent(self, place: _Place) -> Any:
        """Of the derivative."""
        total = 0 * place.angle
        if not self.same:
            total = total - self.alpha / (place.sine * place.sine)
        if not self.opposite:
            total = total - self.beta / (place.half_cosine * place.half_cosine)
        return total

    def _at(self, angle: arb) -> arb:
        if self.mirrored:
            return self.at_pi + self.integral(arb.pi() - angle)
        return self.at_zero - self.integral(angle)


class _Moments:
    """E_mn of a pair of kinks at a correlation."""

    def __init__(self, q: arb, pair: _Pair, place: _Place) -> None:
        self.q, self.pair, self.place = q, pair, place
        self.known: dict[tuple[int, int], Any] = {}

    def __call__(self, m: int, n: int) -> Any:
        if (m, n) not in self.known:
            self.known[m, n] = self._computed(m, n)
        return self.known[m, n]

    def _computed(self, m: int, n: int) -> Any:
        pair, covariance = self.pair, self.q * self.place.cosine
        if m == n == 0:
            return pair.probability(self.place)
        if m == -1:
            return self._conditional(pair.a, pair.b, n)
        if n == -1:
            return self._conditional(pair.b, pair.a, m)
        if m == 0:
            below = self.q * self(0, n - 2) + covariance * self(-1, n - 1)
            return (below - pair.b * self(0, n - 1)) / n
        below = self.q * self(m - 2, n) + covariance * self(m - 1, n - 1)
        return (below - pair.a * self(m - 1, n)) / m

    def _conditional(self, a: arb, b: arb, n: int) -> Any:
        """E[delta(u - a) f_n(v - b)]: of the mean a cos(theta) and the spread sqrt(q) sin(theta).

        (mean - b) / spread = ((a - b) cot(theta/2) - (a + b) tan(theta/2)) / (2 sqrt(q)).
        """
        place, pair, root = self.place, self.pair, self.q.sqrt()
        density = (-a * a / (2 * self.q)).exp() / (2 * arb.pi() * self.q).sqrt()
        mean = a * place.cosine - b
        spread = 2 * root * place.sine * place.half_cosine
        ratio = 0 * place.angle
        if not pair.same:
            if place.zero:
                return density * _certain(mean, spread, n, a > b)
            ratio = ratio + (a - b) * place.half_cosine / place.sine
        if not pair.opposite:
            if place.pi:
                return density * _certain(mean, spread, n, a + b < 0)
            ratio = ratio - (a + b) * place.sine / place.half_cosine
        return density * _means(mean, spread, n, ratio / (2 * root))[n]


def _means(mean: Any, spread: Any, n: int, ratio: Any = None) -> list[Any]:
    """E[f_i(x)], i = 0, ..., n, for x of a mean and a spread."""
    ratio = mean / spread if ratio is None else ratio
    bell = (-ratio * ratio / 2).exp() / (2 * arb.pi()).sqrt()
    values = [(-ratio / arb(2).sqrt()).erfc() / 2]
    if n:
        values.append(mean * values[0] + spread * bell)
    for i in range(2, n + 1):
        values.append((mean * values[i - 1] + spread * spread * values[i - 2]) / i)
    return values


def _certain(mean: Any, spread: Any, n: int, positive: bool) -> Any:
    """E[f_n(x)] for an x that is surely positive, or surely negative."""
    before, here = 0 * mean, 0 * mean + (1 if positive else 0)
    for i in range(1, n + 1):
        before, here = here, (mean * here + spread * spread * before) / i
    return here


class _Integral:
    """Int_0^theta exp(-alpha / sin(x/2)^2 - beta / cos(x/2)^2) dx / (2 pi), alpha >= beta.

    Taylor polynomials on panels that shrink towards the singular ends, with proven remainders.
    """

    def __init__(self, alpha: arb, beta: arb, regular: bool) -> None:
        # Exchanged to begin at the end where the integrand may be analytic: `regular`.
        self.alpha, self.beta, self.regular = beta, alpha, regular
        self.panels: list[tuple[float, float, arb_poly, arb]] = []
        self.precision = 0

    def __call__(self, angle: arb) -> arb:
        """The value at an angle in (0, pi)."""
        if self.regular and self.beta.is_zero():
            return angle / (2 * arb.pi())
        if self.precision != ctx.prec:
            self._make()
        return self.whole - self._from_zero(arb.pi() - angle)

    def _from_zero(self, x: arb) -> arb:
        """The integral from 0 with the ends exchanged."""
        at = float(x.mid())
        for low, high, polynomial, start in self.panels:
            if at < high:
                if at < low:
                    break
                found: arb = start + polynomial(x - (arb(low) + arb(high)) / 2)
                return found
        return self._outside(x)

    def _outside(self, x: arb) -> arb:
        """Before the first panel and after the last one the integrand is negligible."""
        if float(x.mid()) < 1.0:
            return arb(0, (x * arb(2) ** -self.precision).upper())
        return self.whole + arb(0, ((arb.pi() - x) * arb(2) ** -self.precision).upper())

    def _make(self) -> None:
        precision = ctx.prec
        with extra_precision(16):
            total, panels = arb(0), list[tuple[float, float, arb_poly, arb]]()
            nats = precision * math.log(2.0)
            for low, high in self._edges(nats):
                polynomial, radius = self._panel(low, high)
                half = (arb(high) - arb(low)) / 2
                start = total - polynomial(-half)
                panels.append((low, high, polynomial + arb(0, radius), start))
                total = start + polynomial(half) + arb(0, radius)
            self.whole = total + arb(0, 4 * arb(2) ** -precision)
        # At the end: an interruption above leaves what was known before.
        self.panels, self.precision = panels, precision

    def _edges(self, nats: float) -> list[tuple[float, float]]:
        """Ends of panels."""
        edges = [math.pi / 2]
        if self.regular:
            edges = [0.0]
            far = math.pi
        else:
            least = 1.9 * math.sqrt(float(self.alpha.mid()) / nats)
            while edges[0] > least:
                edges.insert(0, edges[0] / RATIO)
            far = math.pi / 2
        least = 1.9 * math.sqrt(float(self.beta.mid()) / nats)
        while far > least:
            far /= RATIO
            edges.append(math.pi - far)
        return list(pairwise(edges))

    def _panel(self, low: float, high: float) -> tuple[arb_poly, arb]:
        """The integral from a panel's middle, and a bound on the error."""
        middle, half = (arb(low) + arb(high)) / 2, (arb(high) - arb(low)) / 2
        most = arb(0)
        for i in range(ARCS):  # of the upper half of the circle
            arc = arb(fmpq(2 * i + 1, 2 * ARCS), fmpq(1, 2 * ARCS)) * arb.pi()
            point = acb(middle) + half * RADIUS * acb(arc.cos(), arc.sin())
            most = most.max(abs(self._exponent(point).exp()).upper())
        bits = ctx.prec + max(0, int(float(most.log().upper()) / math.log(2.0)))
        count = int(bits / math.log2(RADIUS)) + 2
        with series_length(count):
            # The exponential cancels as many digits as its terms are large.
            few = self._exponent(arb_series([middle, 1], count))
            size = sum((abs(few[n]) * half**n for n in range(1, count)), arb(0))
            with extra_precision(int(float(size.upper()) / math.log(2.0)) + 8):
                series = self._exponent(arb_series([middle, 1], count)).exp() / (2 * arb.pi())
                terms = [series[n] for n in range(count)]
        polynomial = arb_poly([0, *(c / (n + 1) for n, c in enumerate(terms))])
        ratio = 1 / arb(RADIUS)
        rest = most * ratio**count / (1 - ratio) * half
        return polynomial, rest.upper()

    def _exponent(self, x: Any) -> Any:
        half = x / 2
        cosine = half.cos()
        exponent = -self.beta / (cosine * cosine)
        if not self.regular:
            sine = half.sin()
            exponent = exponent - self.alpha / (sine * sine)
        return exponent
