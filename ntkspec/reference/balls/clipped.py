"""E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] of polynomials between kinks away from 0.

With standard normals X, Y of correlation r and sigma(sqrt(q) x) = sum_i d_i(x) 1(x > h_i), h_0 =
-inf, both are sums of the moments M_ab = E[X^a Y^b; X > h, Y > k].  Stein's lemma reduces these to
moments of one variable and to P(X > h, Y > k) = M_00 (Rosenbaum 1961), and that is a sum of Owen's
T(h, a) = (1/2pi) int_0^a exp(-h^2 (1 + x^2) / 2) / (1 + x^2) dx (Owen 1956), by Gauss-Legendre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from flint import acb, arb, ctx, fmpq

from ntkspec.reference.balls.legendre import gauss_legendre
from ntkspec.reference.description import Description

__all__ = ["ClippedDual"]

#: A polynomial from a place on; None: everywhere.
_Part = tuple["arb | None", list[arb]]


class ClippedDual:
    """Both expectations at every angle."""

    def __init__(self, network: Description, variance: arb, nats: float) -> None:
        breaks, pieces = network.pieces
        slopes = tuple(tuple(n * c for n, c in enumerate(p))[1:] or (Fraction(0),) for p in pieces)
        root = variance.sqrt()
        places = [None, *(_exact(x) / root for x in breaks)]
        self.value, self.slope = (_Parts(places, p, root) for p in (pieces, slopes))
        n = 2 * math.ceil((nats / 3.0 + 12.0 + 0.02 * ctx.prec) / 2)
        self.rule = gauss_legendre(n, ctx.prec)

    def at_zero(self) -> tuple[arb, arb]:
        """Return E[sigma(u)^2] and E[sigma'(u)^2]."""
        return self.value.square(), self.slope.square()

    def at(self, points: Sequence[acb]) -> tuple[list[arb], list[arb]]:
        """Return both at the angles theta of the points e^(i theta) of the upper half circle."""
        pairs = [self._at_point(p.real, p.imag) for p in points]
        return [f for f, _ in pairs], [d for _, d in pairs]

    def _at_point(self, r: arb, sine: arb) -> tuple[arb, arb]:
        if sine.contains(0):
            if r > 0:
                return self.at_zero()
            return self.value.mirrored(), self.slope.mirrored()
        total = [arb(0), arb(0)]
        for i, (h, first) in enumerate(self.value.parts):
            for j, (k, second) in enumerate(self.value.parts):
                if j < i:
                    continue
                moments = _Moments(h, k, r, sine, self.rule)
                pairs = ((first, second), (self.slope.parts[i][1], self.slope.parts[j][1]))
                for n, (p, s) in enumerate(pairs):
                    sum_ = arb(0)
                    for a, x in enumerate(p):
                        for b, y in enumerate(s):
                            if not (x.is_zero() or y.is_zero()):
                                sum_ += x * y * moments(a, b)
                    total[n] += sum_ if i == j else 2 * sum_
        return total[0], total[1]


class _Parts:
    """A function of a standard normal as polynomials, from the places of the breaks on."""

    def __init__(
        self,
        places: Sequence[arb | None],
        pieces: Sequence[Sequence[Fraction]],
        root: arb,
    ) -> None:
        self.places = places
        size = max(map(len, pieces))
        self.pieces = [
            [(_exact(p[n]) if n < len(p) else arb(0)) * root**n for n in range(size)]
            for p in pieces
        ]
        self.parts: list[_Part] = []
        before = [arb(0)] * size
        for place, piece in zip(places, self.pieces, strict=True):
            self.parts.append((place, [x - y for x, y in zip(piece, before, strict=True)]))
            before = piece

    def square(self) -> arb:
        """E[f(X)^2]."""
        ends = [*self.places[1:], None]
        return sum(
            (
                _between(low, high, _product(p, p))
                for low, high, p in zip(self.places, ends, self.pieces, strict=True)
            ),
            arb(0),
        )

    def mirrored(self) -> arb:
        """E[f(X) f(-X)]."""
        breaks = [x for x in self.places if x is not None]
        edges = sorted({float(s * x): s * x for x in breaks for s in (1, -1)}.items())
        inner = [(x + y) / 2 for (_, x), (_, y) in pairwise(edges)]
        inside = [edges[0][1] - 1, *inner, edges[-1][1] + 1]
        cuts = [None, *(x for _, x in edges), None]
        total = arb(0)
        for (low, high), at in zip(pairwise(cuts), inside, strict=True):
            second = [(-1) ** n * c for n, c in enumerate(self._piece(-at))]
            total += _between(low, high, _product(self._piece(at), second))
        return total

    def _piece(self, x: arb) -> list[arb]:
        return self.pieces[sum(bool(x > place) for place in self.places[1:] if place is not None)]


def _exact(x: Fraction) -> arb:
    return arb(fmpq(x.numerator, x.denominator))


def _product(p: Sequence[arb], s: Sequence[arb]) -> list[arb]:
    out = [arb(0)] * (len(p) + len(s) - 1)
    for i, x in enumerate(p):
        for j, y in enumerate(s):
            out[i + j] += x * y
    return out


def _above(h: arb | None) -> arb:
    """P(X > h)."""
    return arb(1) if h is None else (h / arb(2).sqrt()).erfc() / 2


def _density(h: arb | None) -> arb:
    return arb(0) if h is None else (-h * h / 2).exp() / (2 * arb.pi()).sqrt()


def _truncated(h: arb | None, count: int) -> list[arb]:
    """E[X^n; X > h], n < count."""
    row = [_above(h), _density(h)]
    for n in range(2, count):
        edge = arb(0) if h is None else h ** (n - 1) * row[1]
        row.append((n - 1) * row[n - 2] + edge)
    return row[:count]


def _between(low: arb | None, high: arb | None, polynomial: Sequence[arb]) -> arb:
    """E[p(X); low < X < high]."""
    total = _truncated(low, len(polynomial))
    if high is not None:
        total = [x - y for x, y in zip(total, _truncated(high, len(polynomial)), strict=True)]
    return sum((c * x for c, x in zip(polynomial, total, strict=True)), arb(0))


class _Moments:
    """M_ab of two places at one correlation."""

    def __init__(
        self, h: arb | None, k: arb | None, r: arb, sine: arb, rule: Sequence[tuple[arb, arb]]
    ) -> None:
        self.h, self.k, self.r, self.sine, self.rule = h, k, r, sine, rule
        self.known: dict[tuple[int, int], arb] = {}

    def __call__(self, a: int, b: int) -> arb:
        if (a, b) not in self.known:
            self.known[a, b] = self._computed(a, b)
        return self.known[a, b]

    def _computed(self, a: int, b: int) -> arb:
        if a == b == 0:
            return _both_above(self.h, self.k, self.r, self.sine, self.rule)
        if a:
            total = self._edge(self.h, self.k, a - 1, b)
            total += self.r * self._edge(self.k, self.h, b, a - 1)
            total += (a - 1) * self(a - 2, b) if a > 1 else 0
            return total + (self.r * b * self(a - 1, b - 1) if b else 0)
        total = self._edge(self.k, self.h, b - 1, 0) + self.r * self._edge(self.h, self.k, 0, b - 1)
        return total + ((b - 1) * self(0, b - 2) if b > 1 else 0)

    def _edge(self, h: arb | None, k: arb | None, a: int, b: int) -> arb:
        """E[X^a Y^b; Y > k] at X = h, times the density there."""
        if h is None:
            return arb(0)
        mean, spread = self.r * h, self.sine
        z = None if k is None else (k - mean) / spread
        row = [_above(z)]
        bell = spread * _density(z)
        for n in range(1, b + 1):
            edge = arb(0) if k is None else k ** (n - 1) * bell
            below = (n - 1) * spread * spread * row[n - 2] if n > 1 else arb(0)
            row.append(mean * row[n - 1] + below + edge)
        return h**a * _density(h) * row[b]


def _both_above(
    h: arb | None, k: arb | None, r: arb, sine: arb, rule: Sequence[tuple[arb, arb]]
) -> arb:
    """P(X > h, Y > k)."""
    if h is None or k is None:
        return _above(k if h is None else h)
    if h.is_zero() and k.is_zero():
        return (arb.pi() - acb(r, sine).arg()) / (2 * arb.pi())
    total = (_above(h) + _above(k)) / 2
    for x, y in ((h, k), (k, h)):
        if x.is_zero():
            total -= (1 if y > 0 else -1) * arb(1) / 4
        else:
            total -= _owen(x, (y - r * x) / (x * sine), rule)
    product = h * k
    if product < 0 or (product.is_zero() and h + k < 0):
        total -= arb(1) / 2
    return total


def _owen(h: arb, a: arb, rule: Sequence[tuple[arb, arb]]) -> arb:
    """T(h, a), odd in a and even in h; for a > 1 by T(h, a) + T(a h, 1/a)."""
    if a < 0:
        return -_owen(h, -a, rule)
    h = abs(h)
    if a > 1:
        far = a * h
        tails = _above(h), _above(far)
        return (tails[0] + tails[1]) / 2 - tails[0] * tails[1] - _owen(far, 1 / a, rule)
    total, half = arb(0), a / 2
    scale = h * h / 2
    for x, weight in rule:
        square = (half * (1 + x)) ** 2
        total += weight * (-scale * (1 + square)).exp() / (1 + square)
    return total * half / (2 * arb.pi())
