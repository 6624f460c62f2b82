"""A function of doubles as polynomials on panels, with its kinks and jumps located.

Panels are halved until the Chebyshev series on each has decayed to the rounding of its values and
predicts the function at points in between.  Around a kink or a jump they shrink to a point, which
becomes an edge.  The unresolved part is measured and returned as a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.kernels.pieces import piecewise

__all__ = ["ORDER", "Pieces", "check_square_integrable", "resolve"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

#: Chebyshev points of a panel; the last coefficients of the series show that it has decayed.
ORDER = 20
TAIL = 4
ROUNDING = 2.0**-53
#: Rounding errors allowed in a function's values, in units of the rounding.
NOISE = 48.0
#: Width at which a panel counts as a point, relative to its position (or absolute below 1).
POINT = 1e-15
#: Panels narrower than this share of the widest lie at a break.
NARROW = 2.0**-12
MOST_PANELS = 3000
#: Factors on the arguments at which growth is measured.
SHIFTS = (1.0, 0.9731, 0.9417)
#: Arguments at which the size near 0 is measured.
NEAR = (0.31, 1.07, 2.3, 4.1)
MOST_BREAKS = 100
#: Number of refinements of the breaks.
ATTEMPTS = 5
#: Widths of the panels next to a break that locate it, and their distance from it in widths.
BESIDE = tuple(2.0**-k for k in range(3, 22, 2))
GAP = 2.0**-14
#: A kink or a jump closer to 0 than this is moved to 0.
KINK_AT_ZERO, JUMP_AT_ZERO = 1e-13, 1e-30


@dataclass(frozen=True)
class Pieces:
    """A function on an interval, resolved by panels.

    Attributes
    ----------
    edges, series : (P + 1,) and (P, ORDER) float64 arrays
        Increasing edges of the panels, and the Chebyshev coefficients on each.
    breaks, loose : (B,) float64 arrays
        Positions at which the function or a derivative jumps, and their largest possible errors.
    misfit, skipped : (P,) float64 arrays
        Largest observed difference between function and series, 0 if it is rounding; and the
        same on panels too narrow to be halved, where `misfit` is 0.
    graded : bool
        Panels shrink to a break that is already an edge: a root or a pole, not a kink.
    """

    edges: Array
    series: Array
    breaks: Array
    loose: Array
    misfit: Array
    skipped: Array
    graded: bool

    def jumps(self) -> Array:
        """Size of the function's jump at each inner edge."""
        signs = (-1.0) ** np.arange(self.series.shape[1])
        return np.asarray(np.abs(self.series[1:] @ signs - self.series[:-1].sum(axis=1)))

    def misplaced(self, norm: float) -> float:
        """Bound on the error of E[f(u) f(v)] from jumps that are not exactly at their breaks.

        norm: sqrt(E[f^2]).
        """
        at = np.searchsorted(self.edges[1:-1], self.breaks)
        jump, size = self.jumps()[at], np.abs(self.series).sum(axis=1)
        largest = size[at] + size[at + 1] + 2.0 * norm
        density = 0.4 * np.exp(-0.5 * self.breaks**2)
        total = float(np.sum(self.loose * density * jump * largest))
        nearest = np.maximum(np.maximum(self.edges[:-1], -self.edges[1:]), 0.0)
        mass = 0.4 * np.diff(self.edges) * np.exp(-0.5 * nearest**2)
        return total + float(np.sum(mass * self.skipped * 2.0 * (size + self.skipped + norm)))

    def misplaced_slope(self, norm: float) -> float:
        """The same for E[f'(u) f'(v)], from kinks that are not exactly at their breaks.

        norm: sqrt(E[f'^2]).
        """
        at = np.searchsorted(self.edges[1:-1], self.breaks)
        width = np.diff(self.edges)
        signs = (-1.0) ** np.arange(self.series.shape[1] - 1)
        slopes = np.polynomial.chebyshev.chebder(self.series, axis=1) * 2.0 / width[:, np.newaxis]
        left, right = slopes[at].sum(axis=1), slopes[at + 1] @ signs
        size = np.abs(left) + np.abs(right)
        # The sides meet at the kink: their distance is the turn times the kink's from the break.
        values = np.abs(self.series).sum(axis=1)
        near = values[at] + values[at + 1]
        rounding = 4.0 * ROUNDING * (2.0 * near + np.abs(self.breaks) * size)
        beside = np.where(np.abs(left - right) > 1e-7 * size, self.jumps()[at] + rounding, 0.0)
        density = 0.4 * np.exp(-0.5 * self.breaks**2)
        return float(np.sum(density * beside * (size + 2.0 * norm)))

    def derivative(self) -> Function:
        """The derivative, from the series without the coefficients that are rounding."""
        width = np.diff(self.edges)[:, np.newaxis]
        size = np.abs(self.series).max(axis=1, keepdims=True)
        kept = np.abs(self.series) > 4.0 * ROUNDING * size
        last = self.series.shape[1] - np.argmax(kept[:, ::-1], axis=1)
        short = np.where(np.arange(self.series.shape[1]) < last[:, np.newaxis], self.series, 0.0)
        slopes = np.polynomial.chebyshev.chebder(short, axis=1) * 2.0 / width
        return lambda x: self._sums(x, slopes)

    def values(self, x: Array) -> Array:
        """The function, by its series."""
        return self._sums(x, self.series)

    def _sums(self, x: Array, series: Array) -> Array:
        flat = np.ascontiguousarray(x, dtype=np.float64).ravel()
        out = np.empty(flat.size)
        piecewise(flat, self.edges, np.ascontiguousarray(series), out)
        return out.reshape(np.shape(x))

    def derivative_noise(self) -> Array:
        """Uncertainty of the derivative on each panel from rounding."""
        size = np.abs(self.series).max(axis=1)
        degree = np.sum(np.abs(self.series) > 4.0 * ROUNDING * size[:, np.newaxis], axis=1)
        return np.asarray(2.0 * ROUNDING * size * (1.0 + degree**1.5) / np.diff(self.edges))


@lru_cache(maxsize=16)
def _panel(probes: int) -> tuple[Array, Array, Array, Array]:
    """Nodes, the matrix to coefficients, probes, and the matrix from coefficients to them."""
    angles = (np.arange(ORDER) + 0.5) * np.pi / ORDER
    x = -np.cos(angles)
    to_series = np.cos(np.outer(np.arange(ORDER), np.pi - angles)) * 2.0 / ORDER
    to_series[0] *= 0.5
    places = (np.arange(probes) + np.random.default_rng(probes).random(probes)) / probes
    between = 2.0 * places - 1.0
    to_probes = np.polynomial.chebyshev.chebvander(between, ORDER - 1).astype(np.float64)
    return np.asarray(x), np.asarray(to_series), np.asarray(between), to_probes


def check_square_integrable(log_size: Callable[[float], float], q: float, name: str) -> None:
    """Raise unless sigma(x)^2 exp(-x^2 / (2q)) decays; log_size(x) = log|sigma(x)|.

    Several points around each argument are evaluated, since sigma may vanish at one.  Growth is
    ignored where sigma is smaller than near 0, and so is growth from 0.
    """
    root = math.sqrt(q)
    usual = max(log_size(sign * z * root) for z in NEAR for sign in (1.0, -1.0))
    for sign in (1.0, -1.0):
        sizes = [
            max(
                2.0 * max(log_size(sign * z * s * root), usual) - 0.5 * (z * s) ** 2 for s in SHIFTS
            )
            for z in (9.0, 18.0, 36.0)
        ]
        second = sizes[0] if sizes[0] > -math.inf else 10.0
        third = min(sizes[1], -100.0) if sizes[1] > -math.inf else -100.0
        if not (sizes[0] < 10.0 and sizes[1] <= second and sizes[2] <= third):
            raise NtkspecError(
                f"{name} is not square integrable against the Gaussian of variance {q:.6g} "
                "before it: it grows too fast"
            )


def resolve(
    function: Function,
    edges: Array,
    negligible: Callable[[Array, Array], Array],
    probes: int = 1024,
    most: int = MOST_PANELS,
    known: tuple[float, ...] = (),
) -> Pieces:
    """Resolve a function of float64 arrays, from first panels with these edges.

    negligible(low, high) returns the negligible misfit of each panel.  In each first panel `probes`
    points are evaluated besides its nodes; halves get half of them, to 16.  If `most` panels do not
    suffice, the misfit is large.  Breaks that are known are not searched for.
    """
    edges = np.asarray(edges, dtype=np.float64)
    breaks, loose, beside = np.array(known), np.zeros(len(known)), 1.0
    for attempt in range(ATTEMPTS):
        found = _halve(function, _with_breaks(edges, breaks), negligible, probes, most, beside)
        narrow = _narrow(found[0], found[1], float(np.diff(edges).max()))
        if narrow.size == 0 or narrow.size > MOST_BREAKS or attempt == ATTEMPTS - 1:
            break
        # Next to a known break, it is the same break, located more accurately.
        apart = np.abs(breaks[:, np.newaxis] - narrow).min(axis=1) > 1e-6
        placed, doubt = _placed(function, narrow, negligible)
        narrow = np.where((placed >= edges[0]) & (placed <= edges[-1]), placed, narrow)
        breaks, first = np.unique(np.concatenate([breaks[apart], narrow]), return_index=True)
        loose, probes = np.concatenate([loose[apart], doubt])[first], min(probes, 16)
        # The error of a kink that is off by 1e-12 is the square of that.
        beside = 1e-5
    low, high, series, misfit, skipped = found
    ends = np.append(low, high[-1])
    return Pieces(ends, series, breaks, loose, misfit, skipped, narrow.size > 0)


def _placed(
    function: Function, places: Array, negligible: Callable[[Array, Array], Array]
) -> tuple[Array, Array]:
    """Breaks located to rounding, and the possible distances of jumps from them.

    Panels on both sides of a break are extrapolated towards it.  A kink is where they meet; a jump
    is where the function changes from the left to the right one.
    """
    placed, doubt = places.copy(), 2.0 * POINT * np.maximum(np.abs(places), 1.0)
    open_ = np.arange(places.size)
    kinks = np.ones(places.size, dtype=bool)
    for width in BESIDE:
        at, gap = places[open_], GAP * width
        low = np.concatenate([at - gap - width, at + gap])
        high = low + width
        series, error, noise, _ = _fitted(function, low, high, 16, 0.5 * (low + high), 1.0)
        good = (error <= np.maximum(noise, negligible(low, high))).reshape(2, -1).all(axis=0)
        left, right = series.reshape(2, at.size, -1)[:, good]
        chosen = open_[good]
        found, jump = _meeting(function, at[good], left, right, width)
        placed[chosen] = np.where(np.isnan(found), placed[chosen], found)
        doubt[chosen] = np.where(jump, 4.0 * ROUNDING * np.abs(found), doubt[chosen])
        kinks[chosen] = ~jump
        open_ = open_[~good]
        if open_.size == 0:
            break
    zero = np.abs(placed) < np.where(kinks, KINK_AT_ZERO, JUMP_AT_ZERO)
    return np.where(zero, 0.0, placed), doubt


def _meeting(
    function: Function, at: Array, left: Array, right: Array, width: float
) -> tuple[Array, NDArray[np.bool_]]:
    """Where the panels left and right of breaks meet, or the function jumps; and which jump."""
    gap = GAP * width

    def side(series: Array, x: Array, middle: Array) -> Array:
        local = (x - middle) / (0.5 * width)
        vander = np.polynomial.chebyshev.chebvander(local, ORDER - 1)
        return np.asarray(np.einsum("pj,pj->p", series, vander))

    def sides(x: Array) -> tuple[Array, Array]:
        before, after = at - gap - 0.5 * width, at + gap + 0.5 * width
        return side(left, x, before), side(right, x, after)

    low, high = at - gap, at + gap
    ends = [np.subtract(*sides(x)) for x in (low, high)]
    # Two secant steps, as the sides are nearly straight over the gap.
    x = at.copy()
    turn = (ends[1] - ends[0]) / (2.0 * gap)
    with np.errstate(all="ignore"):
        for _ in range(3):
            x = x - np.subtract(*sides(x)) / turn
    meets = np.isfinite(x) & (np.abs(x - at) < gap)
    before, after = sides(at)
    size = np.abs(left).sum(axis=1) + np.abs(right).sum(axis=1)
    jump = np.logical_not(meets) & (np.abs(before - after) > 1e-10 * size)
    for _ in range(110):
        if not jump.any():
            break
        middle = 0.5 * (low + high)
        if np.all((middle <= low) | (middle >= high) | ~jump):
            break
        before, after = sides(middle)
        value = function(middle)
        below = np.abs(value - before) < np.abs(value - after)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(meets, x, np.where(jump, high, np.nan)), jump


def _with_breaks(edges: Array, breaks: Array) -> Array:
    """Edges and breaks, without edges that nearly meet a break."""
    if breaks.size == 0:
        return edges
    inside = edges[1:-1]
    far = np.abs(inside[:, np.newaxis] - breaks).min(axis=1) > 1e-3
    return np.unique(np.concatenate([edges[:1], inside[far], breaks, edges[-1:]]))


def _halve(
    function: Function,
    edges: Array,
    negligible: Callable[[Array, Array], Array],
    probes: int,
    most: int,
    beside: float,
) -> tuple[Array, Array, Array, Array, Array]:
    """Panels in order: ends, series, misfit, and misfit of panels that are points."""
    low, high = edges[:-1], edges[1:]
    done: list[tuple[Array, ...]] = []
    count = 0
    odd = 0.5 * (low + high)
    while low.size:
        series, error, noise, odd = _fitted(function, low, high, probes, odd, beside)
        width = high - low
        place = np.maximum(np.abs(low), np.abs(high))
        point = width <= POINT * np.maximum(place, 1.0)
        good = error <= np.maximum(noise, negligible(low, high))
        full = count + 2 * low.size > most
        stop = good | point | full
        misfit = np.where(good | point, 0.0, error)
        skipped = np.where(point & ~good, error, 0.0)
        done.append((low[stop], high[stop], series[stop], misfit[stop], skipped[stop]))
        count += int(stop.sum())
        left, right, odd = low[~stop], high[~stop], np.tile(odd[~stop], 2)
        middle = 0.5 * (left + right)
        low = np.concatenate([left, middle])
        high = np.concatenate([middle, right])
        probes = max(min(probes, 16), probes // 2)
    parts = [np.concatenate(part) for part in zip(*done, strict=True)]
    order = np.argsort(parts[0])
    low, high, series, misfit, skipped = (part[order] for part in parts)
    return low, high, series, misfit, skipped


def _fitted(
    function: Function, low: Array, high: Array, probes: int, odd: Array, beside: float
) -> tuple[Array, Array, Array, Array]:
    """Series, misfit, rounding and the position of the worst misfit on each panel.

    odd: position of the worst misfit of the halved panel, which its halves must evaluate; beside:
    the weight of a misfit right next to the edges.
    """
    x, to_series, between, to_probes = _panel(probes)
    middle, half = 0.5 * (low + high)[:, np.newaxis], 0.5 * (high - low)[:, np.newaxis]
    nodes = middle + half * x
    values = function(nodes)
    series = values @ to_series.T
    # A jump next to an edge lies before the first node.
    place = np.maximum(np.abs(low), np.abs(high))
    inside = np.minimum(4.0 * POINT * np.maximum(place, 1.0), (high - low) / 8.0)
    seen = np.stack(
        [np.clip(odd, low + inside, high - inside), low + inside, high - inside], axis=1
    )
    points = np.concatenate([middle + half * between, seen], axis=1)
    local = np.clip((seen - middle) / half, -1.0, 1.0)
    predicted = np.concatenate(
        [
            series @ to_probes.T,
            np.einsum("pj,psj->ps", series, np.polynomial.chebyshev.chebvander(local, ORDER - 1)),
        ],
        axis=1,
    )
    misfit = np.abs(function(points) - predicted)
    close = np.minimum(seen - low[:, np.newaxis], high[:, np.newaxis] - seen)
    misfit[:, -3:] *= np.where(close <= 1e-11 * np.maximum(place, 1.0)[:, np.newaxis], beside, 1.0)
    worst = np.argmax(misfit, axis=1)
    rows = np.arange(low.size)
    odd = points[rows, worst]
    error = np.maximum(misfit[rows, worst], np.abs(series[:, -TAIL:]).max(axis=1))
    size = np.abs(values).max(axis=1)
    spread = np.ptp(values, axis=1)
    # The rounding of the arguments counts too, but not across a jump.
    moved = np.minimum(place * spread / half[:, 0], 1e9 * spread)
    return series, error, NOISE * ROUNDING * (size + moved), odd


def _narrow(low: Array, high: Array, widest: float) -> Array:
    """Positions towards which panels shrink, with neighbours merged."""
    width = high - low
    small = np.flatnonzero(width < NARROW * widest)
    if small.size == 0:
        return np.empty(0)
    groups = np.split(small, np.flatnonzero(np.diff(small) > 1) + 1)
    places = []
    for group in groups:
        least = group[width[group] <= 2.0 * width[group].min()]
        places.append(0.5 * (low[least[0]] + high[least[-1]]))
    return np.array(places)
