"""Taylor coefficients at t = 0 of kernels with kinks away from 0, in doubles with error bounds.

One plain layer without bias: squares of Hermite moments in double-doubles.  All other networks:
values on a circle (`ntkspec.duals.circle`), where E[sigma''(u) sigma''(v)] is elementary but for
terms that are integrated as power series.  Smooth activations between those with kinks have
elementary duals (`SMOOTH`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.duals.circle import Circle
from ntkspec.duals.correlation import Correlation
from ntkspec.duals.darboux import Ends, double_doubles, ends, kinks_of
from ntkspec.duals.layers import Layers, taylor_at_zero
from ntkspec.duals.piecewise import Kink, exact, regular_curvature
from ntkspec.duals.squares import double_double
from ntkspec.errors import NtkspecError
from ntkspec.kernels import kinks as kernels
from ntkspec.precision import exclusive, working_precision
from ntkspec.rules import Activate, Affine, State, follow

__all__ = ["SMOOTH", "Coefficients", "coefficients", "single"]

#: Least number of coefficients that are computed together, and the most on a circle.
LEAST, MOST = 512, 100_000
#: Bits of places and weights, and the first coefficients that come from power series in balls.
BITS, FIRST = 128, 4
#: Most bits for the first coefficients in balls, and the radius that they should have.
MOST_BITS, SHARP = 512, 2.0**-56
#: Error of one step of a recurrence in double-doubles.
PAIR = 2.0**-98
#: Absolute error of a coefficient, for n <= 10^6, from what falls below the range of doubles.
UNDERFLOW = 2.0**-1000
#: Relative error of the coefficients from a circle for each layer, beside the noise of the
#: transforms: of so many times its root mean square, measured in the last part of the circle.
EACH, NOISE, PART = 1e-15, 8.0, 32
#: Largest variance of smooth activations, and fraction of coefficients that is their noise.
MOST_SMOOTH, NEGLIGIBLE = 50.0, 2.0**-51
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


def coefficients(network: Any, kernel: str, count: int, parity: int | None = None) -> Coefficients:
    """The first `count` Taylor coefficients of a network's kernel.

    `parity` is that of the powers that may all be there, None for both.
    """
    size = LEAST
    while size < count:
        size += size // 2
    found = _coefficients(network, kernel, size, parity)
    return Coefficients(found.high[:count], found.low[:count], found.error[:count])


def single(network: Any) -> bool:
    """Whether the coefficients are squares of Hermite moments: one hidden layer without bias.

    The readout adds a constant at most, however it is scaled and trained.
    """
    steps = network.program.steps
    if [type(step) for step in steps] != [Affine, Activate, Affine]:
        return False
    return not (steps[0].bias or steps[0].own_bias)


@lru_cache(maxsize=32)
@exclusive()
def _coefficients(network: Any, kernel: str, count: int, parity: int | None) -> Coefficients:
    if single(network):
        found = _one_layer(network, kernel, count)
    else:
        found = _composed(network, kernel, count, parity)
    for values in (found.high, found.low, found.error):
        values.flags.writeable = False
    return found


def _one_layer(network: Any, kernel: str, count: int) -> Coefficients:
    """(dual + tangent n) h_n^2, as T F'(t) = own t F'(t) / q beside the readout's factors."""
    hidden, _, readout = network.program.steps
    sigma = network.sigma
    high, low, size = np.zeros(count), np.zeros(count), np.zeros(count)
    with working_precision(BITS):
        q = arb(hidden.weight)
        root = q.sqrt()
        places = sorted({kink.place for kink in sigma.kinks})
        jumps = {(kink.place, kink.order): kink.jump for kink in sigma.kinks}
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
        own = readout.own if kernel == "ntk" else readout.weight
        steep = hidden.own if kernel == "ntk" else 0.0
        factors = arb(own), arb(readout.weight) * steep / q
        dual, tangent = (np.array(double_double(factor)) for factor in factors)
        n = np.arange(count, dtype=np.float64)
        error = PAIR * (n + 8.0) * size
        error = (dual[0] + tangent[0] * n) * (2.0 * np.abs(high) + error) * error
        kernels.squared(dual, tangent, high, low)
        found = Coefficients(high, low, error + 2.0**-100 * np.abs(high) + UNDERFLOW)
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
        found.error[n] = float(ball.rad()) + 2.0**-100 * abs(found.high[n]) + UNDERFLOW
    found.high[missing] = found.low[missing] = 0.0


# --- on the circle -------------------------------------------------------------------------------


class Place(NamedTuple):
    """The correlation rho of a layer on the circle: 1 - rho, 1 + rho, rho' and rho''."""

    minus: Complex
    plus: Complex
    first: Complex
    second: Complex


@dataclass(frozen=True)
class Wave:
    """A function of t on the circle: its values and two derivatives; the second may be missing."""

    value: Any
    first: Any
    second: Any = None

    def __add__(self, other: Wave | float) -> Wave:
        if not isinstance(other, Wave):
            return Wave(self.value + other, self.first, self.second)
        both = self.second is not None and other.second is not None
        second = self.second + other.second if both else None
        return Wave(self.value + other.value, self.first + other.first, second)

    def __rmul__(self, factor: float) -> Wave:
        second = None if self.second is None else factor * self.second
        return Wave(factor * self.value, factor * self.first, second)

    def __truediv__(self, size: float) -> Wave:
        second = None if self.second is None else self.second / size
        return Wave(self.value / size, self.first / size, second)


def _composed(network: Any, kernel: str, count: int, parity: int | None) -> Coefficients:
    """Layer by layer on a circle, by the rules of the parts."""
    program, ntk = network.program, kernel == "ntk"
    sigmas, last = program.activations, len(program.activations) - 1
    before = [
        ends(program.until(i), "nngp") if any(map(kinks_of, sigmas[: i + 1])) else None
        for i in range(last)
    ]
    # The tails of F need half of the circle's coefficients.
    count = max([count, *(-(-known.needed // 4) for known in before if known is not None)])
    if count > MOST:
        raise NtkspecError(f"needs {count} Taylor coefficients, and at most {MOST} are computed")
    circle = Circle(count)
    with working_precision(BITS):
        layers = Layers(network, kernel)
        sizes = [float(x.mid()) for x in layers.sizes]

        def activate(index: int, state: State) -> State:
            place = _place(circle, layers, index, state)
            first, second, d, d_first = _layer(circle, layers, index, place)
            value: Any = math.nan
            gap: Any = math.nan
            if index < last:
                series = _series(circle, layers, index, place, second)
                gap = _gap(circle, series, before[index])
                value = float(layers.fulls[index].mid()) - gap
            tangent = None
            if state.tangent is not None:
                t = state.tangent
                tangent = Wave(t.value * d, t.first * d + t.value * d_first)
            return State(Wave(value, first, second), tangent, gap)

        start = Wave(circle.t, np.ones_like(circle.t), np.zeros_like(circle.t))
        end = follow(
            program, State(start, None, circle.minus), activate,
            lambda index, _: sizes[index], tangent=ntk,
        )  # fmt: skip
        n = np.arange(count, dtype=np.float64)
        wave = end.tangent if ntk else end.covariance
        if wave.second is None:
            raw, by, shift = circle.damped(wave.first), n[1:], 1
        else:
            raw, by, shift = circle.damped(wave.second), n[2:] * (n[2:] - 1.0), 2
        damping = circle.damping[: count - shift] * by
        high, error = np.zeros(count), np.zeros(count)
        high[shift:] = raw[: count - shift] / damping
        noise = float(np.sqrt(np.mean(raw[-(raw.size // PART) :] ** 2)))
        error[shift:] = NOISE * noise / damping
        if parity is not None:
            high[1 - parity :: 2] = error[1 - parity :: 2] = 0.0
        poor = np.flatnonzero(error[:MOST_POOR] > POOR * np.abs(high[:MOST_POOR]))
        few = max(shift + 1, int(poor[-1]) + 1 if poor.size else 0)
        error += EACH * len(sigmas) * np.abs(high) + UNDERFLOW
        found = Coefficients(high, np.zeros(count), error)
    _enclose(found, network, kernel, few)
    return found


def _place(circle: Circle, layers: Layers, index: int, state: State) -> Place:
    """The correlation of an activation's arguments."""
    q, line, c = float(layers.variances[index].mid()), layers.lines[index], state.covariance
    if line is not None:
        slope, start = (float(x.mid()) for x in line)
        minus, plus = slope / q * circle.minus, slope / q * circle.plus + 2.0 * start / q
    else:
        minus, parity = state.gap / q, layers.program.parities()[index]
        if parity == 0:  # as accurate at t = -1 as at t = 1
            minus = np.where(circle.t.real < 0.0, circle.opposite(minus), minus)
        plus = circle.opposite(minus) if parity == 1 else 2.0 - minus
    return Place(minus, plus, c.first / q, c.second / q)


def _layer(
    circle: Circle, layers: Layers, index: int, place: Place
) -> tuple[Complex, Complex, Complex, Complex]:
    """F', F'', D and D' of an activation: D' = q E[sigma'' sigma''] rho', F' = q D rho'."""
    sigma, ball = layers.program.activations[index], layers.variances[index]
    q, point = float(ball.mid()), layers.centres[index]
    if sigma.shape.base in SMOOTH:
        shape = sigma.shape
        squared, scale = float(shape.inner**2), float((shape.outer * shape.inner) ** 2)
        if squared * q > MOST_SMOOTH:
            raise NtkspecError(f"the variance {q:g} of {sigma.name} is too large")
        d, curved = SMOOTH[sigma.shape.base](squared * q, squared * q * (1.0 - place.minus))
        d, curved = scale * d, scale * squared * curved
        slope_first = q * curved * place.first
    else:
        slope = float(layers.duals[index][1](point).mid())
        slope_first = q * _curvature(circle, kinks_of(sigma), ball, point, place) * place.first
        d = circle.values(circle.integrated(slope_first, slope))
    return q * d * place.first, q * (slope_first * place.first + d * place.second), d, slope_first


def _series(circle: Circle, layers: Layers, index: int, place: Place, second: Complex) -> Array:
    """The damped coefficients of F: those of F'' keep their accuracy."""
    value, slope = (float(dual(layers.centres[index]).mid()) for dual in layers.duals[index])
    start = float(layers.variances[index].mid()) * slope * circle.mean(place.first)
    steep = circle.integrated(second, start)
    return np.append(value, steep[:-1] * (circle.damping[1] / np.arange(1.0, circle.points)))


# --- activations whose duals are elementary: D and dD/dc at a variance and covariances -----------


def _erf(q: float, c: Complex) -> tuple[Any, Any]:
    low, high = 1.0 + 2.0 * q - 2.0 * c, 1.0 + 2.0 * q + 2.0 * c
    d = 4.0 / math.pi / (np.sqrt(low) * np.sqrt(high))
    return d, 4.0 * c * d / (low * high)


def _gelu(q: float, c: Complex) -> tuple[Any, Any]:
    square = (1.0 + q - c) * (1.0 + q + c)
    both = 1.0 / (2.0 * math.pi * np.sqrt(1.0 + q - c) * np.sqrt(1.0 + q + c))
    constant, inverse = 2.0 / (1.0 + q), 1.0 / square
    d = 0.25 + np.arcsin(c / (1.0 + q)) / (2.0 * math.pi) + both * c * (constant + inverse)
    return d, both * (1.0 + constant + inverse + c * c * inverse * (constant + 3.0 * inverse))


def _gaussian(q: float, c: Complex) -> tuple[Any, Any]:
    root = 1.0 / (np.sqrt(1.0 + q - c) * np.sqrt(1.0 + q + c))
    return c * root**3, root**3 + 3.0 * c * c * root**5


def _exponentials(q: float, c: Complex) -> tuple[Any, Any]:
    """e^(-q) sinh(c) and e^(-q) cosh(c)."""
    up, down = 0.5 * np.exp(c - q), 0.5 * np.exp(-c - q)
    return up - down, up + down


def _sin(q: float, c: Complex) -> tuple[Any, Any]:
    sine, cosine = _exponentials(q, c)
    return cosine, sine


def _snake(q: float, c: Complex) -> tuple[Any, Any]:
    sine, cosine = _exponentials(4.0 * q, 4.0 * c)
    return 1.0 + sine, 4.0 * cosine


SMOOTH: dict[str, Callable[[float, Complex], tuple[Any, Any]]] = {
    "erf": _erf, "gelu": _gelu, "gaussian": _gaussian, "sin": _sin, "cos": _exponentials,
    "snake": _snake,
}  # fmt: skip


def _curvature(
    circle: Circle, kinks: Sequence[Kink], q_ball: arb, point: Correlation, place: Place
) -> Complex:
    """E[sigma''(u) sigma''(v)], sigma'' = sum_i c_i delta(x - a_i) + b_i step(x - a_i)."""
    q = float(q_ball.mid())
    jumps: dict[Fraction, list[float]] = {}
    for at, order, jump in kinks:
        jumps.setdefault(at, [0.0, 0.0])[order - 1] += float(jump)
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
        start = float(regular_curvature(q_ball, kinks, point).mid())
        total += circle.values(circle.integrated(rest * place.first, start))
    return total


def _gap(circle: Circle, series: Array, known: Ends | None) -> Complex:
    """F(1) - F = (1 - t) sum_m t^m sum_(n > m) F_n, from the damped F_n.

    known: their powers and oscillations; None where they fall geometrically.
    """
    half = circle.points // 2
    f = series[:half] / circle.damping[:half]
    sums = np.zeros(circle.points)
    if known is None:
        n = np.arange(half, dtype=np.float64)
        steep = np.abs(n * n * series[:half])
        count = int(np.flatnonzero(steep > NEGLIGIBLE * np.max(steep))[-1]) + 1
        if 2 * count > half:
            raise NtkspecError("the coefficients of a smooth layer fall too slowly")
        sums[: count - 1] = np.cumsum(f[count - 1 : 0 : -1])[::-1]
    else:
        # The sum after the last from the powers: F(1) - sum F_n would have the error of each F_n.
        first, tail = known.tail(f)
        rest = tail - math.fsum(f[first + 1 :].tolist())
        sums[:half] = rest + np.append(np.cumsum(f[:0:-1])[::-1], 0.0)
        # Beyond, what is damped by 1e-8 falls as m^(-3/2).
        sums[half:] = rest * (half / np.arange(half, circle.points)) ** 1.5
    return circle.minus * circle.values(sums * circle.damping)
