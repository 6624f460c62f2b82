"""Duals of mish, softsign and finer, from Hermite moments in balls.

h_n = E[sigma(sqrt(q) Z) He_n(Z)] / sqrt(n!) by Gauss-Legendre on panels, where sigma is analytic
around them, with a bound on the error of each.  F(rho) = sum h_n^2 rho^n serves inside of the unit
circle.  softsign and finer have a kink at 0: at rho = +-1 their duals are series in the angle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from flint import acb, arb, arb_poly, arb_series, ctx
from numpy.typing import NDArray

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.growth import mish_factor, series_tail
from ntkspec.duals.layers import series_length
from ntkspec.duals.memory import remembered
from ntkspec.duals.pairs import PairSeries
from ntkspec.errors import NtkspecError
from ntkspec.kernels import moments as kernels
from ntkspec.precision import extra_precision, working_precision

__all__ = ["ScaledMoments", "fourier_moments", "mean_square", "moment_dual", "moments"]

Function = Callable[[Correlation], Any]

LN2 = math.log(2.0)
#: Bits by which recurrences and rules are finer than the working precision.
GUARD = 64
#: Sum of the semi-axes of the ellipses around panels, in units of half a panel; its semi-axes, in
#: panels: how far it reaches beyond the ends, and off the real line.
ELLIPSE, BEYOND, OFF = 4.0, 0.5625, 0.9375
#: Largest number of moments in balls, and in double-doubles.
MOST_MOMENTS, MOST_PAIRS = 2**14, 2**17
#: Nodes that are summed side by side; the error of a step of a double-double recurrence.
LANES, PAIR = 32, 2.0**-102
#: The moments of mish: bits of the weights, the share of the strip around the real line that bounds
#: the rule's error, that error as e^-nats, and the error of all relative to the sum of moduli.
MISH_BITS, STRIP, MISH_NATS, MISH_ERROR = 128, 0.75, 72.0, 2.0**-84
#: How far beyond its peak the integrand of a Fourier integral is negligible.
NEAR = 14.0
UNIT = 2.0**-53
#: Standard deviations by which sums over binomial weights reach beyond their mean.
REACH = 12.0
#: Correlation up to which a dual with a kink is summed from its moments.
INSIDE = 0.9
#: Bits of the precision that the rules over sectors may miss; their refinements, the correlation at
#: which they are checked, and by how much they are finer elsewhere.
AGREED = 12
REFINEMENTS, CHECKED, MARGIN = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0), 0.75, 1.3


@dataclass(frozen=True)
class _Formula:
    """An activation by its parts on x >= 0.

    parts(x) returns the even and the odd part of sigma, the even one None where it is 0; both(x)
    returns sigma and sigma' if it is odd; size(x, y, low) bounds |sigma| for |Re x| <= x,
    |Im x| <= y and Re x >= -low; panel(root) is the length of a panel for the argument root z.
    """

    parts: Callable[[Any], tuple[Any, Any]]
    both: Callable[[arb], tuple[arb, arb]] | None
    size: Callable[[arb, arb, arb], arb]
    panel: Callable[[float], float]
    kink: bool


def _softsign(x: arb) -> tuple[arb, arb]:
    share = 1 / (1 + x)
    return x * share, share * share


def _finer(x: arb) -> tuple[arb, arb]:
    sine, cosine = (x * (x + 1)).sin_cos()
    return sine, (2 * x + 1) * cosine


def _mish_parts(x: Any) -> tuple[Any, Any]:
    # tanh(log(1 + w)) = (w^2 + 2 w) / (w^2 + 2 w + 2), w = e^x, and for -x by its inverse
    e = (-x).exp()
    right = (1 + 2 * e) / (1 + 2 * e + 2 * e * e)
    left = (e * e + 2 * e) / (e * e + 2 * e + 2)
    return x * (right - left) / 2, x * (right + left) / 2


FORMULAS = {
    "mish": _Formula(
        _mish_parts,
        None,
        lambda x, y, low: (x + y) * mish_factor(y),
        lambda root: min(1.5, 1.5 / root),
        False,
    ),
    "softsign": _Formula(
        lambda x: (None, x / (1 + x)),
        _softsign,
        lambda x, y, low: 1 + 1 / (1 - low),
        lambda root: min(1.5, 1.0 / root),
        True,
    ),
    "finer": _Formula(
        lambda x: (None, (x * x + x).sin()),
        _finer,
        lambda x, y, low: ((2 * x + 1) * y).exp(),
        lambda root: min(1.5, 2.0 / (root * root + 0.5)),
        True,
    ),
}


# --- moments -------------------------------------------------------------------------------------


def _growth(n: int, off: arb) -> arb:
    """Bound of |He_n(x + iy)| e^(-x^2/2 + y^2/2) / sqrt(n!) over e^(-x^2/4), |y| <= off.

    By Mehler's formula, sum_n r^n |He_n|^2 / n! = (1 - r^2)^(-1/2)
    exp(x^2 r / (1 + r) + y^2 r / (1 - r)), and every term is at most the sum.
    """
    r = 1 / (1 + (off + arb(1) / 4) / arb(n + 1).sqrt())
    return r ** (-arb(n) / 2) / (1 - r * r).root(4) * (off * off / (2 * (1 - r))).exp()


def _log_growth(n: NDArray[np.float64], off: float) -> NDArray[np.float64]:
    """Logarithms of the same bounds."""
    far = (off + 0.25) / np.sqrt(n + 1.0)
    r = 1.0 / (1.0 + far)
    found: NDArray[np.float64] = 0.5 * n * np.log1p(far) - 0.25 * np.log1p(-r * r)
    return found + 0.5 * off * off / (1.0 - r) + 1e-6


@dataclass(frozen=True)
class _Rule:
    """Nodes z > 0 with weights that hold the density, and the bounds on what it misses."""

    nodes: list[tuple[arb, arb]]
    leak: arb
    off: arb
    end: arb


def _rule(formula: _Formula, root: arb, count: int, power: int = 1) -> _Rule:
    """A rule for moments below `count`: its error is `leak` times `_growth`, and the tail's.

    `power`: 2 for the squares of sigma and its derivatives.
    """
    nats = ctx.prec * LN2
    size = float(root.mid())
    panel = formula.panel(size)
    end = math.sqrt(4.0 * (nats + 8.0 + math.log(count + 2.0) + math.log1p(size)))
    if not formula.kink:
        return _trapezoid(formula, root, count, end)
    panels = math.ceil(end / panel)
    off, beyond = arb(OFF * panel), arb(BEYOND * panel)
    total = arb(0)
    for i in range(panels):
        low, high = arb(i * panel), arb((i + 1) * panel) + beyond
        near = (low - beyond).max(arb(0))
        value = formula.size(root * high, root * off, root * beyond)
        total += value.upper() ** power * (-near * near / 4).exp().upper()
    growth = float((total * _growth(count, off)).log().upper())
    n = 2 * math.ceil(power * (nats + max(growth, 0.0) + 8.0) / (4.0 * math.log(ELLIPSE)))
    constant = (2 * arb.pi()).sqrt()
    nodes = []
    for i in range(panels):
        for x, weight in _gauss(n, ctx.prec):
            z = (panel * (i + (1 + x) / 2)).mid()
            nodes.append((z, weight * panel / 2 * (-z * z / 2).exp() / constant))
    leak = total * arb(64) / 15 / (1 - arb(ELLIPSE) ** -2) * arb(ELLIPSE) ** (-2 * n) * panel
    return _Rule(nodes, leak / constant, off, arb(panels * panel))


def _trapezoid(formula: _Formula, root: arb, count: int, end: float) -> _Rule:
    """The trapezoid rule on the whole line, of which nodes z >= 0 are enough."""
    off = arb(1.4 * formula.panel(float(root.mid())))
    far = arb(end)
    # The integral of |sigma| e^(-x^2/4) on the line Im x = off, |sigma(x)| growing as 1 + |x|.
    total = 8 * (formula.size(arb(1), root * off, arb(0)) + formula.size(root, root * off, arb(0)))
    constant = (2 * arb.pi()).sqrt()
    growth = float((total * _growth(count, off)).log().upper())
    step = 2 * arb.pi() * off / (ctx.prec * LN2 + max(growth, 0.0) + 4)
    nodes = []
    for i in range(math.ceil(end / float(step)) + 1):
        z = (step * i).mid()
        weight = step * (-z * z / 2).exp() / constant
        nodes.append((z, weight if i else weight / 2))
    leak = total / constant / ((2 * arb.pi() * off / step).exp() - 1)
    return _Rule(nodes, leak, off, far)


@lru_cache(maxsize=8)
def _gauss(n: int, bits: int) -> list[tuple[arb, arb]]:
    return [arb.legendre_p_root(n, i, True) for i in range(n)]


@remembered
def moments(q: arb, name: str, count: int) -> list[arb]:
    """h_0, ..., h_(count-1) of mish, softsign or finer, with a bound on the rule's error.

    The He_n e^(-z^2/4) / sqrt(n!), which are bounded, come from their recurrence in fixed point,
    GUARD bits finer than the working precision: it is stable, and half of these bits are kept.
    """
    formula, root = FORMULAS[name], q.sqrt()
    with extra_precision(GUARD):
        bits = ctx.prec
        rule = _rule(formula, root, count)
        halves = [(-z * z / 4).exp() for z, _ in rule.nodes]
        parts = [formula.parts(root * z) for z, _ in rule.nodes]
        sides: list[Any] = []
        for side in (0, 1):
            some = parts[0][side] is not None
            sides.append(
                _fixed(
                    [
                        w / half * part[side]
                        for (_, w), half, part in zip(rule.nodes, halves, parts, strict=True)
                    ]
                )
                if some
                else None
            )
        points, here = _fixed([z for z, _ in rule.nodes]), _fixed(halves)
        before = 0 * here
        found = []
        rounding = arb(2) ** (GUARD // 2 - bits)
        unit = arb(2) ** -(2 * bits)
        for n in range(count):
            weights = sides[n % 2]
            if weights is None:
                found.append(arb(0))
            else:
                bound = rule.leak * _growth(n, rule.off) + _beyond(n, rule.end, root) + rounding
                found.append(2 * unit * int(weights @ here) + arb(0, (2 * bound).upper()))
            up, down = (
                math.isqrt((1 << 2 * bits) // (n + 1)),
                math.isqrt((n << 2 * bits) // (n + 1)),
            )
            here, before = (up * (points * here >> bits) - down * before) >> bits, here
    return found


@remembered
def pair_moments(q: arb, name: str, count: int) -> NDArray[np.float64]:
    """h_0, ..., h_(count-1) of softsign or finer as double-doubles, and bounds on their errors."""
    formula, root = FORMULAS[name], q.sqrt()
    rule = _rule(formula, root, count)
    halves = [(-z * z / 4).exp() for z, _ in rule.nodes]
    rows, n = np.zeros((3, count)), np.arange(count + 0.0)
    bounds = np.exp(_log_growth(n, float(rule.off)) + float(rule.leak.log().upper()))
    bounds += float(_beyond(0, rule.end, root).upper()) * (n + 2.0) ** 0.25
    for side in (0, 1):
        weights = []
        for (z, weight), half in zip(rule.nodes, halves, strict=True):
            part = formula.parts(root * z)[side]
            if part is not None:
                weights.append(2 * weight / half * part)
        if weights:
            mass = sum(abs(float(w)) for w in weights)
            points = _blocks([z for z, _ in rule.nodes])
            out = np.empty((2, (count + 1 - side) // 2))
            kernels.hermite_sums(points, _blocks(weights), _blocks(halves), side, out)
            rows[:2, side::2] = out
            rows[2, side::2] = (2.0 * bounds + PAIR * (n + 16.0) * mass)[side::2]
    return rows


@dataclass(frozen=True)
class ScaledMoments:
    """Moments of number first, first + stride, ...: (high + low) 2^exponent.

    `error` bounds the relative errors.
    """

    first: int
    stride: int
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    exponent: NDArray[np.int64]
    error: float


def fourier_moments(q: arb, name: str, count: int) -> ScaledMoments:
    """Compute moments h_n, n < count, of mish from n = 2 on, tanh and x tanh(x).

    mish(x) = x/2 + int_0^inf (A(s) x sin(s x) - B(s) x cos(s x)) / sinh(pi s) ds, of which
    h_n = +- q^(-1/2) int_0^inf g(w / sqrt(q)) w^n e^(-w^2/2) / sqrt(n!) dw, g the derivative of
    A / sinh(pi s) for even n and of B / sinh(pi s) for odd n.  Of tanh g(s) = 1 / sinh(pi s / 2)
    for odd n, and of x tanh(x) minus its derivative for even n.  By the trapezoid rule with nodes
    between the multiples of its step, in double-doubles.
    """
    first, stride = (2, 1) if name == "mish" else (1 if name == "tanh" else 2, 2)
    with working_precision(MISH_BITS):
        root = q.sqrt()
        size = float(root) if name == "mish" else 2.0 * float(root)  # the distance of the poles
        off = min(STRIP * size, 6.0)
        step = 2.0 * math.pi * off / (MISH_NATS + off * off)
        rate = (0.75 if name == "mish" else 1.0) * math.pi / size
        peak = 2.0 * count / (rate + math.sqrt(rate * rate + 4.0 * count))
        beyond = min(
            math.sqrt(2.0 * MISH_NATS), (math.sqrt(2.0 * MISH_NATS * count) + MISH_NATS) / rate
        )
        nodes = [step * (i + arb(0.5)) for i in range(int((peak + beyond) / step) + 1)]
        squares = _pairs([w * w for w in nodes])
        # The peak of w^n e^(-w^2/2) is at sqrt(n), and falls as e^(-x^2/2) at least from there.
        near = np.maximum(np.array([float(w) for w in nodes]) - NEAR, 0.0)
        rows: list[list[arb]] = [[] for _ in range(2 // stride)]
        starts = [
            np.maximum((near**2 - first - side) / 2.0, 0.0).astype(np.int64)
            for side in range(2 // stride)
        ]
        for i, w in enumerate(nodes):
            log, square = w.log(), w * w / 2
            for side, value in enumerate(_transforms(name, w / root)):
                n = first + side + 2 * int(starts[side][i])
                rows[side].append(value * (n * log - square - arb(n + 1).lgamma() / 2).exp())
        parts = [_scaled_pairs([step / root * x for x in row]) for row in rows]
    number = (count - first + stride - 1) // stride
    values, exponent = np.empty((3, number)), np.empty(number, np.int64)
    for side, (terms, exponents) in enumerate(parts):
        at = np.s_[side :: 2 // stride]
        found, found_exponent = np.empty_like(values[:, at]), np.empty_like(exponent[at])
        kernels.fourier_moments(
            squares, terms, exponents, starts[side], first + side,
            found[0], found[1], found_exponent, found[2],
        )  # fmt: skip
        values[:, at], exponent[at] = found, found_exponent
    high, low, lost = values
    error = float((MISH_ERROR * lost).max())
    return ScaledMoments(first, stride, high, low, exponent, error)


def _scaled_pairs(balls: list[arb]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Double-doubles, and the exponents of 2**500 that they are without."""
    exponents = [int(float(abs(x).log()) / (500.0 * LN2)) for x in balls]
    scaled = [x * arb(2) ** (-500 * e) for x, e in zip(balls, exponents, strict=True)]
    return _pairs(scaled), np.array(exponents, np.int64)


def _pairs(balls: list[arb]) -> NDArray[np.float64]:
    """Middles of balls as double-doubles."""
    high = [float(x) for x in balls]
    low = [float(x - h) for x, h in zip(balls, high, strict=True)]
    return np.array([high, low])


def _transforms(name: str, s: arb) -> tuple[arb, ...]:
    """g of one parity of n, or of both."""
    if name == "mish":
        return _mish_transforms(s)
    sinh, cosh = (arb.pi() * s / 2).sinh_cosh()
    return (1 / sinh if name == "tanh" else arb.pi() / 2 * cosh / (sinh * sinh),)


def _mish_transforms(s: arb) -> tuple[arb, arb]:
    """The derivatives of A / sinh(pi s) and B / sinh(pi s)."""
    u, v = s * arb(2).log() / 2, s * arb.pi() / 4
    du, dv = arb(2).log() / 2, arb.pi() / 4
    sin, cos = u.sin_cos()
    sinh, cosh = v.sinh_cosh()
    a, b = cos * cosh + sin * sinh, sin * cosh - cos * sinh
    da = (du + dv) * cos * sinh + (dv - du) * sin * cosh
    db = (du - dv) * cos * cosh + (du + dv) * sin * sinh
    sinh, cosh = (arb.pi() * s).sinh_cosh()
    square = sinh * sinh
    return (da * sinh - arb.pi() * a * cosh) / square, (db * sinh - arb.pi() * b * cosh) / square


def _blocks(balls: list[arb]) -> NDArray[np.float64]:
    """Double-doubles in blocks of LANES, filled up with zeros."""
    rows = _pairs(balls)
    size = -(-len(balls) // LANES) * LANES
    return np.pad(rows, ((0, 0), (0, size - len(balls)))).reshape(2, -1, LANES)


def _whole(x: arb) -> int:
    """The whole number below an exact ball."""
    man, exp = (int(part) for part in x.man_exp())
    return man << exp if exp >= 0 else man >> -exp


def _fixed(values: list[arb]) -> Any:
    """Midpoints in units of 2^-ctx.prec, as an array of whole numbers."""
    scale = arb(2) ** ctx.prec
    return np.array([_whole((x.mid() * scale).mid()) for x in values], object)


def _beyond(n: int, end: arb, root: arb) -> arb:
    """Bound of the moment's part beyond the rule, |sigma(x)| <= 1 + |x|."""
    whole = (1 + root * end) * (-end * end / 4).exp() * 4 * arb(n + 2).root(4)
    return 4 * whole * (1 + 2 / end)


# --- duals ---------------------------------------------------------------------------------------


@remembered
def moment_dual(q: arb, name: str) -> tuple[Function, Function]:
    """Duals of mish, softsign or finer at a variance, at the working precision."""
    dual = _MomentDual(q, name)
    return (lambda point: dual.at(point, 0)), (lambda point: dual.at(point, 1))


def mean_square(q: arb, name: str) -> arb:
    """E[sigma(sqrt(q) Z)^2]."""
    found: arb = _MomentDual(q, name).at(Correlation.full(), 0)
    return found


class _MomentDual:
    """Evaluates F (0) and D (1) of an activation at correlations, balls or power series."""

    def __init__(self, q: arb, name: str) -> None:
        self.q, self.name, self.formula = q, name, FORMULAS[name]
        self.nats = ctx.prec * LN2
        self._full: dict[int, arb] = {}
        self._expanded: list[arb_series] = []
        self._sectors: tuple[Any, ...] = (None,)
        self._pairs: tuple[Any, ...] = (None,)
        self._finer: float | None = None

    def at(self, point: Correlation, order: int) -> Any:
        cosine = point.cosine
        if isinstance(cosine, PairSeries):
            if self._pairs[0] is not cosine:
                self._pairs = cosine, *self._at_pairs(cosine)
            return self._pairs[1 + order]
        if isinstance(cosine, arb_series):
            return self._at_series(point, order)
        if isinstance(cosine, acb):
            return self._summed(cosine, order, abs(cosine).upper())
        if (cosine - 1).is_zero():
            return self._at_one(order)
        if not self.formula.kink:
            return self._summed(cosine, order, arb(abs(cosine).upper()).min(arb(1)))
        if (cosine + 1).is_zero():
            return self._at_one(order) * (1 if order else -1)
        if abs(cosine) < INSIDE:
            return self._summed(cosine, order, abs(cosine).upper())
        angle = point.angle
        if self._sectors[0] is not angle:
            self._sectors = angle, *self._by_sectors(angle)
        return self._sectors[1 + order]

    def _terms(self, count: int, order: int) -> list[arb]:
        """Coefficients of F or D in the correlation: `count` of them."""
        size = 64
        while size < count + order:
            size *= 2
        if size > MOST_MOMENTS:
            raise NtkspecError(
                f"{self.name} needs more than {MOST_MOMENTS} Hermite moments here; lower "
                "weight_variance and bias_variance, or the degree and dimension, which set the bits"
            )
        h = moments(self.q, self.name, size)
        squares = [x * x for x in h[: count + order]]
        if order == 0:
            return squares
        return [(n + 1) * x / self.q for n, x in enumerate(squares[1:])]

    def _rest(self, count: int, order: int, size: arb) -> arb:
        """Bound of the terms from number `count` on at a correlation of this size."""
        if self.formula.kink:
            return (self._at_one(order) * size**count).upper()
        value, slope = series_tail(self.name, self.q, count + order)
        return ((slope if order else value) * size**count).upper()

    def _enough(self, order: int, size: arb) -> int:
        """Number of terms whose rest is below the working precision."""
        count = 32
        while self._rest(count, order, size) > arb(-self.nats).exp():
            count += count // 2
            if count > MOST_MOMENTS:
                break
        return count

    def _summed(self, cosine: Any, order: int, size: arb) -> Any:
        count = self._enough(order, size)
        rest = arb(0, self._rest(count, order, size))
        total = arb_poly(self._terms(count, order))(cosine)
        return total + (acb(rest, rest) if isinstance(cosine, acb) else rest)

    # --- power series

    def _at_pairs(self, rho: PairSeries) -> tuple[PairSeries, PairSeries]:
        """F and D of a series with terms >= 0 that is 1 at t = 1: D composed, F by integration.

        In y = (rho - c) / p, c the first term and p = 1 - c.  The moments left out count as errors:
        all that D(1) bounds is put on the first of them.
        """
        count = rho.rows.shape[1]
        c = rho[0] if rho.rows[0, 0] else arb(0)
        p = 1 - c
        mean = float((count + REACH**2 * c) / p)
        terms = count if c.is_zero() else int(mean + REACH * math.sqrt(mean * float(c / p))) + 64
        if terms >= MOST_PAIRS:
            raise NtkspecError(f"{self.name} needs more than {MOST_PAIRS} Hermite moments here")
        squares = PairSeries(pair_moments(self.q, self.name, terms + 1)).squared()
        slopes = squares.derivative() / self.q
        along = rho.derivative()
        if not c.is_zero():
            for rows, order in ((squares.rows, 0), (slopes.rows, 1)):
                rows[:, terms] = 0.0, 0.0, float(self._at_one(order).upper())
            start = squares.shifted(c, p, 1)[0]
            slopes = slopes.shifted(c, p, count)
        else:
            start = squares[0]
        if rho.rows[0, 2:].any():
            rho = rho - c
            rho.rows[:, 0] = 0.0
            slopes = slopes.of(rho / p)
        slopes = PairSeries(slopes.rows[:, :count].copy())
        return start + (self.q * slopes * along).integral(), slopes

    def _at_series(self, point: Correlation, order: int) -> Any:
        start = point.cosine[0]
        if self.formula.kink and not abs(start) < 1:
            # The angle, or at rho = -1 its distance from pi, without the constant.
            turn = -1 if start < 0 else 1
            steps = [turn * point.angle[i] for i in range(1, len(point.angle))]
            angle = arb_series([arb(0), *steps], ctx.cap)
            found = self._expansion()[order](angle)
            return -found if start < 0 and order == 0 else found
        return self._composed(point.cosine, order)

    def _composed(self, cosine: Any, order: int) -> Any:
        """Sum h_n^2 rho^n of a series; the rest by Cauchy's estimate of a majorant at x = r."""
        length = ctx.cap
        inner = [cosine[i] for i in range(length)]
        sizes = arb_poly([abs(c).upper() for c in inner])
        if len([c for c in inner[2:] if not c.is_zero()]) == 0 and inner[0].is_zero():
            terms = self._terms(length, order)
            power = arb(1)
            for n in range(length):
                terms[n] *= power
                power *= inner[1]
            return arb_series(terms, length)
        best = None
        for i in range(1, 41):
            r = arb(2) ** (-arb(i) / 8)
            size = sizes(r)
            if not size < 1:
                continue
            # size^N r^-length < e^-nats
            need = (self.nats + 8.0 - length * float(r.log())) / -float(size.log())
            if best is None or need < best[0]:
                best = need, r, size
        if best is None or best[0] > MOST_MOMENTS:
            raise NtkspecError(f"the series of {self.name} needs too many Hermite moments here")
        count = max(math.ceil(best[0]), 32)
        _, r, size = best
        shifted = arb_poly(self._terms(count, order))(arb_poly([inner[0], 1]))
        outer = arb_series([shifted[j] for j in range(min(length, shifted.length()))], length)
        total = outer(arb_series([arb(0), *inner[1:]], length))
        rest = self._at_one(order) * size**count
        balls = [total[j] + arb(0, (rest * r**-j).upper()) for j in range(length)]
        return arb_series(balls, length)

    # --- near rho = 1

    def _at_one(self, order: int) -> arb:
        """E[sigma^2] or E[sigma'^2]."""
        if order not in self._full:
            self._full[order] = self._squares(order + 1)[order]
        return self._full[order]

    def _squares(self, count: int) -> list[arb]:
        """E[sigma^(j)(x)^2], j < count, of the derivatives without the jumps at 0."""
        with extra_precision(GUARD):
            rule = _rule(self.formula, self.q.sqrt(), 2 * count, 2)
            totals = [arb(0)] * count
            with series_length(count):
                for z, weight in rule.nodes:
                    even, odd = self.formula.parts(arb_series([self.q.sqrt() * z, 1], count))
                    for part in (even, odd):
                        if part is not None:
                            for j in range(count):
                                value = part[j]
                                totals[j] += 2 * weight * value * value
        return [x * arb(j).fac() ** 2 for j, x in enumerate(totals)]

    def _expansion(self) -> list[arb_series]:
        """F and D as series in the angle.

        With h_j = sigma^(j) without the parts at 0 and G_j(rho) = E[h_j(u) h_j(v)]:
        dG_j / d rho = q E[h_j' h_j'], h_j' = J_j delta + h_(j+1), where
        E[delta(u) delta(v)] = 1 / (2 pi q sin(theta)) and E[delta(u) h(v)] is the mean of h at
        variance q sin(theta)^2 over sqrt(2 pi q), a series in the derivatives of h at 0.
        """
        length = ctx.cap
        if self._expanded and len(self._expanded[0]) >= length:
            return self._expanded
        top = length // 2 + 2
        with series_length(length + top + 2):
            x = arb_series([0, 1], length + top + 2)
            jet = self.formula.parts(x)[1]
            g = [jet[i] * arb(i).fac() for i in range(length + top + 2)]
        squares = self._squares(top + 1)
        with series_length(length):
            sine = arb_series([0, 1], length).sin()
            root = self.q.sqrt()
            density = root / (2 * arb.pi()).sqrt()
            found = [arb_series([squares[top]], length)]
            for j in range(top - 1, -1, -1):
                slope = self.q * found[-1] * sine
                jump = 2 * g[j]
                if j % 2 == 0 and not jump.is_zero():
                    mean, power, factor = arb_series([0], length), sine, arb(1)
                    for m in range(length):
                        moment = arb(2) ** (arb(m) / 2) * (arb(m + 1) / 2).gamma() / arb.pi().sqrt()
                        mean += power * (g[j + 1 + m] * factor * moment / arb(m).fac())
                        power, factor = power * sine, factor * root
                    slope += jump * jump / (2 * arb.pi()) + 2 * jump * density * mean
                found.append(squares[j] - slope.integral())
        self._expanded = [found[-1], found[-2]]
        return self._expanded

    def _by_sectors(self, angle: arb) -> tuple[arb, arb]:
        """F and D at an angle, over the sectors where both arguments are positive, or one is."""
        if self._finer is None:
            self._finer = self._fine_enough()
        f, d = self._at_angle(angle, MARGIN * self._finer)
        unit = arb(2) ** (AGREED - ctx.prec)
        return (
            f + arb(0, (unit * self._at_one(0)).upper()),
            d + arb(0, (unit * self._at_one(1)).upper()),
        )

    def _fine_enough(self) -> float:
        """Refinement of the rules at which they agree with the sum over the moments."""
        cosine = arb(CHECKED)
        known = [self._summed(cosine, order, cosine) for order in (0, 1)]
        for finer in REFINEMENTS:
            found = self._at_angle(cosine.acos(), finer)
            if all(
                abs(x - y) < arb(2) ** (AGREED - ctx.prec) * self._at_one(order)
                for order, (x, y) in enumerate(zip(found, known, strict=True))
            ):
                return finer
        raise NtkspecError(
            f"{self.name} varies too fast for the rules of its dual; lower weight_variance, "
            "bias_variance or depth"
        )

    def _at_angle(self, angle: arb, finer: float) -> tuple[arb, arb]:
        (f, d), (of, od) = (self._wedge(one, finer) for one in (angle, arb.pi() - angle))
        return (f - of) / arb.pi(), (d + od) / arb.pi()

    def _wedge(self, angle: arb, finer: float) -> tuple[arb, arb]:
        """Int r e^(-r^2/2) g(root r cos(b + angle/2)) g(root r cos(b - angle/2)) dr db, and of g'.

        By Gauss's rules, whose errors are not bounded: `_fine_enough` checks them.
        """
        assert self.formula.both is not None
        bits, root, both = ctx.prec, self.q.sqrt(), self.formula.both
        end = arb(2.0 * bits * LN2 + 20.0).sqrt()
        radial = []
        for y, density in _gauss(24 + int(0.9 * finer * bits * LN2), bits):
            r = end * (1 + y) / 2
            radial.append((r, density * end / 2 * r * (-r * r / 2).exp()))
        half, width = angle / 2, (arb.pi() - angle) / 2
        value, slope = arb(0), arb(0)
        for x, weight in _gauss(2 * (8 + int(finer * bits / 12)), bits):
            b = width * (1 + x) / 2
            u, v = root * (b + half).cos(), root * (b - half).cos()
            f, d = arb(0), arb(0)
            for r, mass in radial:
                (g, dg), (h, dh) = both(r * u), both(r * v)
                f += mass * g * h
                d += mass * dg * dh
            value, slope = value + weight * f, slope + weight * d
        return value * width, slope * width
