"""Taylor coefficients at t = 0 of kernels with kinks away from 0, in doubles with error bounds.

One layer without bias: squares of Hermite moments in double-doubles.  All other networks: values
on a circle (`ntkspec.duals.circle`), where E[sigma''(u) sigma''(v)] is elementary but for terms
that are integrated as power series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.duals.circle import Circle
from ntkspec.duals.correlation import Correlation
from ntkspec.duals.darboux import Ends, double_doubles, ends
from ntkspec.duals.layers import Layers, taylor_at_zero
from ntkspec.duals.piecewise import exact, regular_curvature
from ntkspec.duals.squares import double_double
from ntkspec.errors import NtkspecError
from ntkspec.kernels import kinks as kernels
from ntkspec.precision import exclusive, working_precision

__all__ = ["Coefficients", "coefficients"]

#: Least number of coefficients that are computed together, and the most on a circle.
LEAST, MOST = 512, 100_000
#: Bits of places and weights, and the first coefficients that come from power series in balls.
BITS, FIRST = 128, 4
#: Most bits for the first coefficients in balls, and the radius that they should have.
MOST_BITS, SHARP = 512, 2.0**-56
#: Error of one step of a recurrence in double-doubles.
PAIR = 2.0**-98
#: Relative error of the coefficients from a circle for each layer, beside the noise of the
#: transforms: of so many times its root mean square, measured in the last part of the circle.
EACH, NOISE, PART = 1e-15, 8.0, 32
#: Relative error from which the first coefficients, at most so many, are computed in balls.
POOR, MOST_POOR = 2e-14, 64

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Coefficients:
    """a_n = high + low, n < their number, with bounds on the absolute errors; read-only."""

    high: Array
    low: Array
    error: Array


def coefficients(network: Any, kernel: str, count: int) -> Coefficients:
    """The first `count` Taylor coefficients of a network's kernel."""
    size = LEAST
    while size < count:
        size += size // 2
    found = _coefficients(network, kernel, size)
    return Coefficients(found.high[:count], found.low[:count], found.error[:count])


@lru_cache(maxsize=32)
@exclusive()
def _coefficients(network: Any, kernel: str, count: int) -> Coefficients:
    shallow = network.depth == 1 and network.bias_variance == 0.0
    found = (_one_layer if shallow else _composed)(network, kernel, count)
    for values in (found.high, found.low, found.error):
        values.flags.writeable = False
    return found


def _one_layer(network: Any, kernel: str, count: int) -> Coefficients:
    """(dual + tangent n) h_n^2."""
    high, low, size = np.zeros(count), np.zeros(count), np.zeros(count)
    with working_precision(BITS):
        q = arb(network.weight_variance)
        root = q.sqrt()
        places = sorted({kink.place for kink in network.sigma.kinks})
        jumps = {(kink.place, kink.order): kink.jump for kink in network.sigma.kinks}
        rows: list[list[arb]] = [[], [], []]
        for place in places:
            x = exact(place) / root
            density = (-x * x / 2).exp() / (2 * arb.pi()).sqrt()
            rows[0].append(x)
            for order in (1, 2):
                jump = exact(jumps.get((place, order), Fraction(0)))
                rows[order].append(density * root**order * jump)
        where, slopes, curvatures = map(double_doubles, rows)
        kernels.moments(where, slopes, curvatures, high, low, size)
        dual, tangent = network.mixture(kernel)
        n = np.arange(count, dtype=np.float64)
        error = PAIR * (n + 8.0) * size
        error = (dual + tangent * n) * (2.0 * np.abs(high) + error) * error
        kernels.squared(dual, tangent, high, low)
        found = Coefficients(high, low, error + 2.0**-100 * np.abs(high))
    _enclose(found, network, kernel, FIRST)
    return found


def _enclose(found: Coefficients, network: Any, kernel: str, few: int) -> None:
    """Replace the first coefficients by balls, but for those that are 0."""
    few, bits = min(few, found.high.size), BITS
    while True:
        with working_precision(bits):
            balls = taylor_at_zero(Layers(network, kernel), few)
        missing = [i for i, x in enumerate(balls) if x.rad() > SHARP * abs(x.mid())]
        if bits >= MOST_BITS or not any(found.high[i] for i in missing):
            break
        bits *= 2
    for n, ball in enumerate(balls):
        found.high[n], found.low[n] = double_double(ball)
        found.error[n] = float(ball.rad()) + 2.0**-100 * abs(found.high[n])
    found.high[missing] = found.low[missing] = 0.0


# --- on the circle -------------------------------------------------------------------------------


class Place(NamedTuple):
    """The correlation rho of a layer on the circle: 1 - rho, 1 + rho, rho' and rho''."""

    minus: Complex
    plus: Complex
    first: Complex
    second: Complex


class Duals(NamedTuple):
    """The duals of a layer on the circle: F', F'', D, D', and the damped coefficients of F."""

    value_first: Complex
    value_second: Complex
    slope: Complex
    slope_first: Complex
    series: Array


def _composed(network: Any, kernel: str, count: int) -> Coefficients:
    """Layer by layer on a circle."""
    before = [ends(replace(network, depth=i + 1), "nngp") for i in range(network.depth - 1)]
    # The tails of F need half of the circle's coefficients.
    count = max([count, *(-(-known.needed // 4) for known in before)])
    if count > MOST:
        raise NtkspecError(f"needs {count} Taylor coefficients, and at most {MOST} are computed")
    circle = Circle(count)
    weight, bias = network.weight_variance, network.bias_variance
    odd = network.sigma.symmetry == "odd" and bias == 0.0
    ntk = kernel == "ntk"
    with working_precision(BITS):
        layers = Layers(network, kernel)
        q = [float(x.mid()) for x in layers.variances]
        covariance, centre = arb(bias), arb(bias) / layers.variances[0]
        place = Place(
            weight / q[0] * circle.minus,
            weight / q[0] * circle.plus + 2.0 * bias / q[0],
            np.full(circle.t.size, weight / q[0], np.complex128),
            np.zeros(circle.t.size, np.complex128),
        )
        tangent = weight * circle.t + bias
        tangent_first = np.full(circle.t.size, weight, np.complex128)
        for i in range(network.depth):
            if i:
                centre = covariance / layers.variances[i]
            duals = _layer(circle, network.sigma, layers, i, place, centre)
            hidden_first = tangent_first * duals.slope + tangent * duals.slope_first
            if i == network.depth - 1:
                break
            covariance = weight * layers.duals[i][0](Correlation(centre)) + bias
            place = _next(circle, duals, before[i], weight / q[i + 1], odd)
            hidden = tangent * duals.slope
            covariances = weight * circle.values(duals.series) + bias
            tangent = covariances + weight * hidden
            tangent_first = weight * (duals.value_first + hidden_first)
        if ntk:
            raw = circle.damped(
                hidden_first + (duals.value_first if network.trained == "all" else 0.0)
            )
            by = np.arange(1.0, count)
            shift = 1
        else:
            raw = circle.damped(duals.value_second)
            n = np.arange(2.0, count)
            by, shift = n * (n - 1.0), 2
        damping = circle.damping[: count - shift] * by
        high, error = np.zeros(count), np.zeros(count)
        high[shift:] = raw[: count - shift] / damping
        noise = float(np.sqrt(np.mean(raw[-(raw.size // PART) :] ** 2)))
        error[shift:] = NOISE * noise / damping
        if odd:
            high[::2] = error[::2] = 0.0
        poor = np.flatnonzero(error[:MOST_POOR] > POOR * np.abs(high[:MOST_POOR]))
        few = max(shift + 1, int(poor[-1]) + 1 if poor.size else 0)
        error += EACH * network.depth * np.abs(high)
        found = Coefficients(high, np.zeros(count), error)
    _enclose(found, network, kernel, few)
    return found


def _layer(
    circle: Circle, sigma: Any, layers: Layers, number: int, place: Place, centre: arb
) -> Duals:
    """Both duals: D' = q E[sigma'' sigma''] rho', F' = q D rho'; centre: rho at t = 0."""
    ball = layers.variances[number]
    q, point = float(ball.mid()), Correlation(centre)
    value, slope = (float(dual(point).mid()) for dual in layers.duals[number])
    curved = _curvature(circle, sigma, ball, point, place)
    slope_first = q * curved * place.first
    d = circle.values(circle.integrated(slope_first, slope))
    value_first = q * d * place.first
    value_second = q * (slope_first * place.first + d * place.second)
    # The coefficients of F'' are those that keep their accuracy.
    steep = circle.integrated(value_second, q * slope * circle.mean(place.first))
    series = np.append(value, steep[:-1] * (circle.damping[1] / np.arange(1.0, circle.points)))
    return Duals(value_first, value_second, d, slope_first, series)


def _curvature(
    circle: Circle, sigma: Any, q_ball: arb, point: Correlation, place: Place
) -> Complex:
    """E[sigma''(u) sigma''(v)], sigma'' = sum_i c_i delta(x - a_i) + b_i step(x - a_i)."""
    q = float(q_ball.mid())
    jumps: dict[Fraction, list[float]] = {}
    for kink in sigma.kinks:
        jumps.setdefault(kink.place, [0.0, 0.0])[kink.order - 1] += float(kink.jump)
    density = 1.0 / (2.0 * math.pi * q * np.sqrt(place.minus) * np.sqrt(place.plus))
    total = np.zeros(density.size, np.complex128)
    rest = np.zeros(density.size, np.complex128)  # the derivative in rho of the other terms
    curved = any(b for _, b in jumps.values())
    for first, (c1, b1) in jumps.items():
        for second, (c2, b2) in jumps.items():
            if second < first:
                continue
            x, y = float(first), float(second)
            double = 1.0 if first == second else 2.0
            apart, sum_ = (x - y) / place.minus, (x + y) / place.plus
            pair = double * np.exp(-((x - y) * apart + (x + y) * sum_) / (4.0 * q)) * density
            total += c1 * c2 * pair
            if curved:
                # q E[delta'(u - x) delta(v - y)] and with x and y exchanged
                crossed = c1 * b2 * (sum_ + apart) + c2 * b1 * (sum_ - apart)
                rest += (0.5 * crossed + q * b1 * b2) * pair
    if curved:
        start = float(regular_curvature(q_ball, sigma.kinks, point).mid())
        total += circle.values(circle.integrated(rest * place.first, start))
    return total


def _next(circle: Circle, duals: Duals, known: Ends, scale: float, odd: bool) -> Place:
    """The correlation of the next layer, 1 - rho = scale (1 - t) sum_m t^m sum_(n > m) F_n."""
    half = circle.points // 2
    f = duals.series[:half] / circle.damping[:half]
    # The sum after the last from the powers: F(1) - sum F_n would have the error of each F_n.
    first, tail = known.tail(f)
    rest = tail - math.fsum(f[first + 1 :].tolist())
    sums = np.empty(circle.points)
    sums[:half] = rest + np.append(np.cumsum(f[:0:-1])[::-1], 0.0)
    # Beyond, what is damped by 1e-8 falls as m^(-3/2).
    sums[half:] = rest * (half / np.arange(half, circle.points)) ** 1.5
    minus = scale * circle.minus * circle.values(sums * circle.damping)
    plus = circle.opposite(minus) if odd else 2.0 - minus
    return Place(minus, plus, scale * duals.value_first, scale * duals.value_second)
