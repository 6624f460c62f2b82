"""Duals of tanh and its relatives as power series of positive terms, with enclosed moments.

E[sigma(u) sigma(v)] = sum_n a_n rho^n, a_n = h_n^2, h_n = E[sigma(sqrt(q) Z) He_n(Z)] / sqrt(n!).
All moments come from those of tanh:

    m_n = |E[tanh(sqrt(q) Z) He_n(Z)]| / sqrt(n!)
        = (q n!)^(-1/2) int_0^inf s^n e^(-s^2/2) / sinh(c s) ds,   c = pi / (2 sqrt(q)), n odd,

an integral over a positive function that is even in s: the trapezoid rule with the residues at
the poles s = 2 i sqrt(q) j subtracted, and a proven bound on the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flint import acb, arb, arb_mat, arb_poly, ctx

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.growth import series_tail
from ntkspec.duals.memory import remembered
from ntkspec.errors import NtkspecError
from ntkspec.precision import extra_precision

__all__ = ["HermiteSeries", "hermite_dual", "hermite_series", "softplus_mean", "tanh_moments"]

Function = Callable[[Correlation], Any]

LN2 = math.log(2.0)
#: Number of moments that are computed together.
BLOCK = 32
MOST_MOMENTS = 400_000


# --- moments of tanh -----------------------------------------------------------------------------


def log_square(n: float, q: float) -> float:
    """Estimate of log(m_n^2), by Laplace's method for the integral and Stirling's formula."""
    c = 0.5 * math.pi / math.sqrt(q)
    peak = 2.0 * n / (c + math.sqrt(c * c + 4.0 * n))
    log_integral = n * math.log(peak) - 0.5 * peak * peak - c * peak
    log_integral += 0.5 * math.log(8.0 * math.pi / (1.0 + n / peak**2))
    return 2.0 * log_integral - math.lgamma(n + 1.0) - math.log(q)


def moments_needed(q: float, nats: float, family: str = "tanh") -> int:
    """Estimate of the odd n from which the sum of n m_n^2 is below e^-nats.

    q is the variance before tanh; a refusal says that before an activation of the family.
    """
    low, high = 1.0, 2.0
    while log_square(high, q) + 1.5 * math.log(high) > -nats - 16.0:
        low, high = high, 2.0 * high
        if high > MOST_MOMENTS:
            variance = q if family == "tanh" else 4.0 * q
            raise NtkspecError(
                f"the variance before a layer of {family} is {variance:.6g}, at which it is so "
                f"steep that it needs more than {MOST_MOMENTS} Hermite moments for "
                f"{nats / LN2:.0f} bits; lower weight_variance, bias_variance or depth, or the "
                "degree and dimension, which set the bits"
            )
    while high - low > 2.0:
        middle = 0.5 * (low + high)
        small = log_square(middle, q) + 1.5 * math.log(middle) < -nats - 16.0
        low, high = (low, middle) if small else (middle, high)
    return 2 * int(0.5 * high) + 1


def tanh_moments(q: arb, count: int, nats: float) -> list[arb]:
    """m_n for n = 1, 3, ..., 2 count - 1, enclosed; the error allowed in m_n^2 is e^-nats."""
    size = float(q.mid())
    with extra_precision(32 + 2 * count.bit_length()):
        powers = _powers_needed(size, 2 * count - 1, nats + 12.0)
        if powers is not None:
            return _by_powers(q, count, powers)
        rule = _Rule(q, nats + 12.0)
        moments: list[arb] = []
        for first in range(0, count, BLOCK):
            n = 2 * first + 1
            wanted = max(nats + 12.0 + log_square(n, size), 24.0)
            moments += rule.block(n, wanted)
    return moments[:count]


def _powers_needed(q: float, n: int, nats: float) -> int | None:
    """Number of powers of q that give m_n to e^-nats of itself; None if no number does."""
    log_q = math.log(8.0 * q / math.pi**2)
    size, count = 0.0, 0
    while size > -nats:
        falls = log_q - math.log(2.0 * (count + 1.0))
        falls += math.log(n + 2.0 * count + 1.0) + math.log(n + 2.0 * count + 2.0)
        if falls > -LN2:
            return None
        size, count = size + falls, count + 1
    return count


def _by_powers(q: arb, count: int, powers: int) -> list[arb]:
    """m_1, m_3, ..., from the powers of q in c^(n+1) int_0^inf s^n e^(-s^2/2) / sinh(c s) ds.

    With I_p = int_0^inf u^p / sinh(u) du = 2 (1 - 2^(-p-1)) p! zeta(p+1) it is the sum of
    (-1)^m I_(n+2m) / (m! (2 c^2)^m), and at most the first term that is left out from it, as
    e^(-x) is from its Taylor polynomial for x > 0.
    """
    c = arb.pi() / (2 * q.sqrt())
    shares = [
        (1 - arb(2) ** -(p + 1)) * arb(p + 1).zeta() for p in range(1, 2 * (count + powers), 2)
    ]
    found, start = [], 2 / (q.sqrt() * c * c)  # 2 n! / (sqrt(q n!) c^(n+1)) at n = 1
    for i in range(count):
        n = 2 * i + 1
        term, total = arb(1), arb(0)
        for m in range(powers):
            total += term * shares[i + m]
            term *= -arb((n + 2 * m + 1) * (n + 2 * m + 2)) / (2 * (m + 1) * c * c)
        rest = abs(term * shares[i + powers]).upper()
        found.append(start * (total + arb(0, rest)))
        start *= arb((n + 1) * (n + 2)).sqrt() / (c * c)
    return found


class _Rule:
    """Trapezoid rule in s for consecutive blocks of moments."""

    def __init__(self, q: arb, nats: float) -> None:
        self.root = q.sqrt()
        self.c = arb.pi() / (2 * self.root)
        size = float(self.root.mid())
        # The line Im s = a runs midway between poles; e^(a^2 - 2 pi a / h) is the error there.
        self.poles = max(0, round((math.sqrt(nats) / size - 1.0) / 2.0))
        a = (2 * self.poles + 1) * size
        self.step = arb(2.0 * math.pi * a / (nats + a * a))
        self.line = (2 * self.poles + 1) * self.root
        # e^(a^2) / (e^(2 pi a / h) - 1)
        decay = 2 * arb.pi() * self.line / self.step
        self.leak = (self.line * self.line).exp() / (decay.exp() - 1)
        self.h = float(self.step)
        self.nodes: list[arb] = []
        self.squares: list[arb] = []
        self.weights: list[arb] = []  # s^n e^(-s^2/2) / sinh(c s) / sqrt(n!)
        self.log_root_factorial = arb(0)
        self.n = 1
        self.residues = [self._residue(j) for j in range(1, self.poles + 1)]

    def _residue(self, j: int) -> tuple[arb, arb]:
        """(y^2, (-1)^j 4 sqrt(q) y e^(y^2/2) / (e^(2 pi y / h) - 1)) at the pole s = i y."""
        y = 2 * j * self.root
        size = (y * y / 2).exp() / ((2 * arb.pi() * y / self.step).exp() - 1)
        return y * y, (-1) ** j * 4 * self.root * y * size

    def block(self, n: int, nats: float) -> list[arb]:
        """Moments n, n + 2, ...: BLOCK of them, in order."""
        assert n == self.n
        reach = math.sqrt(nats) + 3.0
        first = max(1, int((math.sqrt(n) - reach - 1.0) / self.h))
        last = int((math.sqrt(n + 2 * BLOCK) + reach) / self.h) + 2
        self._extend(last)
        rows = [[arb(1)] * (last - first + 1)]
        squares = self.squares[first - 1 : last]
        for _ in range(BLOCK):
            rows.append([x * y for x, y in zip(rows[-1], squares, strict=True)])
        weights = self.weights[first - 1 : last]
        sums = arb_mat(rows[:BLOCK]) * arb_mat([[w] for w in weights])
        moments = []
        factor, leak = arb(1), self._leak(n, n + 2 * BLOCK)
        for row in range(BLOCK):
            k = n + 2 * row
            if row:
                factor = factor / arb((k - 1) * k).sqrt()
            total = self.step * sums[row, 0] * factor
            if k == 1:  # half of the node at 0, where s / sinh(c s) -> 1 / c
                total += self.step / (2 * self.c)
            total += self._cut(rows[row], weights, factor, k, first)
            total -= self._poles_share(k) * factor
            moments.append((total + leak) / self.root)
        self._advance(first, rows[BLOCK], factor, n + 2 * BLOCK)
        return moments

    def _extend(self, last: int) -> None:
        """Nodes up to number `last`, at the present n."""
        for i in range(len(self.nodes) + 1, last + 1):
            s = self.step * i
            power = (self.n * s.log() - s * s / 2 - self.log_root_factorial).exp()
            self.nodes.append(s)
            self.squares.append(s * s)
            self.weights.append(power / (self.c * s).sinh())

    def _advance(self, first: int, ratio: list[arb], factor: arb, n: int) -> None:
        """Weights from the present n to n, of the nodes that the block used.

        Earlier ones are dropped and recomputed on demand.
        """
        del self.nodes[first - 1 + len(ratio) :]
        del self.squares[first - 1 + len(ratio) :]
        del self.weights[first - 1 + len(ratio) :]
        step = factor / arb((n - 1) * n).sqrt()
        for i, growth in enumerate(ratio):
            self.weights[first - 1 + i] = self.weights[first - 1 + i] * growth * step
        self.residues = [(y2, r * y2**BLOCK * step) for y2, r in self.residues]
        self.log_root_factorial = arb(n + 1).lgamma() / 2
        self.n = n

    def _poles_share(self, n: int) -> arb:
        sign = (-1) ** ((n + 1) // 2)
        row = (n - self.n) // 2
        total = arb(0)
        for y2, r in self.residues:
            total += r * y2**row
        return arb(sign) * total

    def _cut(self, row: list[arb], weights: list[arb], factor: arb, n: int, first: int) -> arb:
        """Ball around 0 for the terms outside the window: they fall geometrically."""
        total = arb(0)
        for here, inner in ((-1, -2), (0, 1)):
            if here == 0 and first == 1:
                continue
            edge = self.step * factor * row[here] * weights[here]
            ratio = row[here] * weights[here] / (row[inner] * weights[inner])
            bound = (edge * ratio / (1 - ratio)).upper() if ratio < 1 else arb("inf")
            total += arb(0, bound)
        return total

    def _leak(self, first: int, last: int) -> arb:
        """Ball for the integral along Im s = a, for n from first to last: docs, "Moments of tanh".

        The first term falls with n, the second grows.
        """
        n = arb(first)
        peak = (n / 2 * (n.log() - 1) - (n + 1).lgamma() / 2).exp()
        n = arb(last)
        rest = (n / 2 * arb(2).log() + (n / 2 + 1).lgamma() - (n + 1).lgamma() / 2).exp()
        return arb(0, (2 * self.leak * (peak + rest)).upper())


# --- the four activations ------------------------------------------------------------------------


@dataclass(frozen=True)
class HermiteSeries:
    """F(rho) = constant + linear rho + sum of a_n rho^n over n = first, first + 2, ...

    first is 1 or 2; all terms a_n are positive.
    """

    q: arb
    constant: arb
    linear: arb
    first: int
    terms: list[arb]


def hermite_series(q: arb, family: str, nats: float, count: int = 0) -> HermiteSeries:
    """Series of an activation's dual, of so many moments of tanh.

    By default until the rest is below e^-nats, as estimated.
    """
    inner = q if family == "tanh" else q / 4
    size = float(inner.mid())
    count = count or (moments_needed(size, nats, family) + 1) // 2 + 8
    m = tanh_moments(inner, count, nats + 12.0)
    squares = [x * x for x in m]
    zero = arb(0)
    if family == "tanh":
        return HermiteSeries(q, zero, zero, 1, squares)
    if family == "sigmoid":
        return HermiteSeries(q, arb(1) / 4, zero, 1, [x / 4 for x in squares])
    if family == "softplus":
        mean = softplus_mean(q, nats)
        terms = [
            q / (4 * (n + 1)) * x for n, x in zip(range(1, 2 * count, 2), squares, strict=True)
        ]
        return HermiteSeries(q, mean * mean, q / 4, 2, terms)
    roots = [arb(n).sqrt() for n in range(2 * count + 1)]
    h = [roots[n] * m[n // 2 - 1] - roots[n + 1] * m[n // 2] for n in range(2, 2 * count, 2)]
    return HermiteSeries(q, q / 4 * squares[0], q / 4, 2, [q / 4 * x * x for x in h])


def softplus_mean(q: arb, nats: float) -> arb:
    """E[log(1 + e^x)], x = sqrt(q) Z: that of log(2 cosh(x/2)), by the trapezoid rule."""
    root = q.sqrt()
    strip = 0.8 * math.pi / float(root.mid())
    height = min(strip, math.sqrt(2.0 * nats))
    h = arb(2.0 * math.pi * height / (nats + 0.5 * height * height + 8.0))
    count = int((math.sqrt(2.0 * nats) + 4.0) / float(h)) + 1
    total = arb(2).log() / 2
    for i in range(1, count + 1):
        z = h * i
        x = root * z
        total += (x / 2 + (-x).exp().log1p()) * (-z * z / 2).exp()
    total = 2 * total * h / (2 * arb.pi()).sqrt()
    # On Im z = a: |log 2 cosh(w)| <= log 2 + |Re w| + |log cos(Im w)| + pi/2, w = sqrt(q) z / 2.
    a = arb(height)
    size = arb(2).log() + root / 2 + abs((root * a / 2).cos().log()) + arb.pi() / 2
    leak = 2 * size * (a * a / 2).exp() / ((2 * arb.pi() * a / h).exp() - 1)
    end = h * count
    tail = 2 * (1 + root * (end + 1)) * (-end * end / 2).exp()
    return total + arb(0, (leak + tail).upper())


# --- evaluation ----------------------------------------------------------------------------------


@remembered
def hermite_dual(q: arb, family: str) -> tuple[Function, Function]:
    """Duals of tanh, sigmoid, silu or softplus at a variance, at the working precision.

    Enclosures: of the moments, and of the rest of the series (`growth.series_tail`).
    """
    dual = HermiteDual(hermite_series(q, family, ctx.prec * LN2), family)
    return dual.value, dual.slope


class HermiteDual:
    """Evaluates a series and its derivative over q, with as many terms as the correlation needs."""

    def __init__(self, series: HermiteSeries, family: str) -> None:
        self.series = series
        self.nats = ctx.prec * LN2
        first = series.first
        degrees = range(first, first + 2 * len(series.terms), 2)
        slopes = [n * a / series.q for n, a in zip(degrees, series.terms, strict=True)]
        self.lengths = [len(series.terms)]
        while self.lengths[-1] > 32:
            self.lengths.append(int(self.lengths[-1] * 0.8))
        self.lengths.reverse()
        self.values = [arb_poly(series.terms[:n]) for n in self.lengths]
        self.slopes = [arb_poly(slopes[:n]) for n in self.lengths]
        self.rests = [series_tail(family, series.q, first + 2 * n) for n in self.lengths]
        self.logs = [float(slope.log().mid()) for _, slope in self.rests]

    def _choose(self, cosine: Any) -> int:
        """Index of the length."""
        size = min(float(abs(cosine).upper()), 1.0)
        fall = -2.0 * math.log(size) if size > 0.0 else 700.0
        for at, length in enumerate(self.lengths):
            if self.logs[at] - fall * length < -self.nats - 4.0:
                return at
        return len(self.lengths) - 1

    def _rest(self, at: int, which: int, cosine: Any) -> Any:
        """Ball for the omitted terms."""
        size = self.rests[at][which] * abs(cosine).upper() ** (2 * self.lengths[at])
        ball = arb(0, size.upper())
        return acb(ball, ball) if isinstance(cosine, acb) else ball

    def value(self, point: Correlation) -> Any:
        """F at a correlation."""
        x = point.cosine
        at = self._choose(x)
        square = x * x
        s = self.series
        total = self.values[at](square) + self._rest(at, 0, x)
        return s.constant + s.linear * x + total * (x if s.first == 1 else square)

    def slope(self, point: Correlation) -> Any:
        """D = F' / q at a correlation."""
        x = point.cosine
        at = self._choose(x)
        s = self.series
        total = self.slopes[at](x * x) + self._rest(at, 1, x)
        return s.linear / s.q + total * (x if s.first == 2 else 1)
