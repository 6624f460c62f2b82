"""The activation functions in mpmath's numbers, and their growth in the complex plane.

For a smooth activation, sigma and sigma' at x >= 0 are fixed-point integers (`arithmetic`),
computed from x and a companion, exp(-c x) or erf(c x), which is cheap at equidistant points; the
values at -x follow from those.
`growth` bounds log |sigma(x + iy)|, up to a constant and powers of x, inside the strip
|y| < `strip`: it sets the steps of the trapezoid rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ntkspec.reference.description import Description
from ntkspec.reference.mpmath.arithmetic import Precision

__all__ = ["SMOOTH", "Pair", "Powers", "Smooth", "powers", "smooth"]

#: sigma and sigma', in fixed point.
Pair = tuple[int, int]


@dataclass(frozen=True)
class Smooth:
    """A smooth activation.

    pair(precision, x, e) returns sigma(x) and sigma'(x) for the number x >= 0 with the companion e,
    which is erf(x sqrt(erf_square)), or exp(-rate x) for 0; opposite(precision, x, value, slope)
    both at -x.  `strip` is the distance of the nearest pole or branch point from the real axis,
    growth(y) bounds log |sigma(x + iy)|, and `parity` is 1, -1 or 0: even, odd or neither.
    """

    pair: Callable[[Precision, Any, int], Pair]
    opposite: Callable[[Precision, Any, int, int], Pair]
    strip: float = math.inf
    growth: Callable[[float], float] = lambda y: 0.0
    parity: int = 0
    erf_square: float = 0.0
    rate: float = 1.0

    def companion(self, p: Precision, x: Any) -> int:
        """Companion of x >= 0, by mpmath's function."""
        mp = p.mp
        return p.fixed(
            mp.erf(x * mp.sqrt(self.erf_square)) if self.erf_square else mp.exp(-self.rate * x)
        )

    def companions(self, p: Precision, start: Any, step: Any, count: int) -> Iterator[int]:
        """Companions of start, start + step, ..., from each to the next."""
        mp, e = p.mp, self.companion(p, start)
        if not self.erf_square:
            ratio = p.fixed(mp.exp(-self.rate * step))
            for _ in range(count):
                yield e
                e = e * ratio >> p.bits
            return
        scale = mp.sqrt(self.erf_square)
        step_fixed = p.fixed(step * scale)
        for i in range(count):
            yield e
            x = (start + i * step) * scale
            density = p.fixed(2 / mp.sqrt(mp.pi) * mp.exp(-x * x))
            e += density * _erf_increment(p, p.fixed(x), step_fixed) >> p.bits if density else 0


def _erf_increment(p: Precision, x: int, step: int) -> int:
    """(erf(x + step) - erf(x)) sqrt(pi)/2 exp(x^2), by Taylor's series (DLMF 7.10.1)."""
    bits = p.bits
    first, second = -2 * x * step >> bits, -2 * step * step >> bits
    # (-1)^n H_n(x) step^n / n!, by H_(n+1) = 2 x H_n - 2 n H_(n-1)
    before, term, total, n = 0, p.one, 0, 0
    while term or before:
        n += 1
        total += term * step // n
        before, term = term, (first * term + second * before >> bits) // n
        if abs(term) <= 1 and abs(before) <= 1:
            break
    return total >> bits


def _tanh(p: Precision, x: Any, e: int) -> Pair:
    square = e * e >> p.bits
    value = ((p.one - square) << p.bits) // (p.one + square)
    return value, p.one - (value * value >> p.bits)


def _sigmoid(p: Precision, x: Any, e: int) -> Pair:
    value = (p.one << p.bits) // (p.one + e)
    return value, e * (value * value >> p.bits) >> p.bits


def _swish(beta: float, p: Precision, x: Any, e: int) -> Pair:
    value, slope = _sigmoid(p, x, e)
    return p.fixed(x) * value >> p.bits, value + (p.fixed(beta * x) * slope >> p.bits)


def _softplus(p: Precision, x: Any, e: int) -> Pair:
    return p.fixed(x + p.mp.log(1 + p.float(e))), _sigmoid(p, x, e)[0]


def _erf(p: Precision, x: Any, e: int) -> Pair:
    mp = p.mp
    return e, p.fixed(2 / mp.sqrt(mp.pi) * mp.exp(-x * x))


def _gelu(p: Precision, x: Any, e: int) -> Pair:
    mp = p.mp
    below, density = (p.one + e) // 2, mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
    return p.fixed(x) * below >> p.bits, below + p.fixed(x * density)


def _sin(p: Precision, x: Any, e: int) -> Pair:
    cosine, sine = p.mp.cos_sin(x)
    return p.fixed(sine), p.fixed(cosine)


def _cos(p: Precision, x: Any, e: int) -> Pair:
    cosine, sine = p.mp.cos_sin(x)
    return p.fixed(cosine), -p.fixed(sine)


def _gaussian(p: Precision, x: Any, e: int) -> Pair:
    y = p.mp.exp(-x * x / 2)
    return p.fixed(y), -p.fixed(x * y)


def _mish(p: Precision, x: Any, e: int) -> Pair:
    """x times tanh(log(1 + e^x)), the second (y^2 - 1) / (y^2 + 1) for y = 1 + e^x."""
    one, square = p.one, e * e >> p.bits
    above, below = one + 2 * e, one + 2 * e + 2 * square
    factor = (above << p.bits) // below
    change = (4 * square * (one + e) // below << p.bits) // below
    return p.fixed(x) * factor >> p.bits, factor + (p.fixed(x) * change >> p.bits)


def _mish_opposite(p: Precision, x: Any, value: int, slope: int) -> Pair:
    one, e = p.one, p.fixed(p.mp.exp(-x))
    square = e * e >> p.bits
    above, below = 2 * e + square, 2 * one + 2 * e + square
    factor = (above << p.bits) // below
    change = (4 * e * (one + e) // below << p.bits) // below
    return -p.fixed(x) * factor >> p.bits, factor - (p.fixed(x) * change >> p.bits)


def _snake(a: float, p: Precision, x: Any, e: int) -> Pair:
    cosine, sine = p.mp.cos_sin(a * x)
    return p.fixed(x + sine * sine / a), p.fixed(1 + 2 * sine * cosine)


def _snake_opposite(p: Precision, x: Any, value: int, slope: int) -> Pair:
    return value - p.fixed(2 * x), 2 * p.one - slope


def _gabor(omega: float, scale: float, p: Precision, x: Any, e: int) -> Pair:
    cosine, sine = p.mp.cos_sin(omega * x)
    narrow = p.mp.mpf(scale) ** 2
    window = p.mp.exp(-narrow * x * x)
    slope = -window * (omega * sine + 2 * narrow * x * cosine)
    return p.fixed(window * cosine), p.fixed(slope)


def _odd(p: Precision, x: Any, value: int, slope: int) -> Pair:
    return -value, slope


def _even(p: Precision, x: Any, value: int, slope: int) -> Pair:
    return value, -slope


def _from_one(p: Precision, x: Any, value: int, slope: int) -> Pair:
    """sigma(-x) = 1 - sigma(x)."""
    return p.one - value, slope


def _from_identity(p: Precision, x: Any, value: int, slope: int) -> Pair:
    """sigma(-x) = sigma(x) - x."""
    return value - p.fixed(x), p.one - slope


SMOOTH = {
    "tanh": Smooth(_tanh, _odd, strip=math.pi / 2, parity=-1),
    "sigmoid": Smooth(_sigmoid, _from_one, strip=math.pi),
    "silu": Smooth(partial(_swish, 1.0), _from_identity, strip=math.pi),
    "softplus": Smooth(_softplus, _from_identity, strip=math.pi),
    # tanh(log(1 + e^x)) has poles where 1 + e^x = +-i.
    "mish": Smooth(_mish, _mish_opposite, strip=0.75 * math.pi),
    "erf": Smooth(_erf, _odd, growth=lambda y: y * y, parity=-1, erf_square=1.0),
    "gelu": Smooth(_gelu, _from_identity, growth=lambda y: y * y / 2, erf_square=0.5),
    "sin": Smooth(_sin, _odd, growth=abs, parity=-1),
    "cos": Smooth(_cos, _even, growth=abs, parity=1),
    "gaussian": Smooth(_gaussian, _even, growth=lambda y: y * y / 2, parity=1),
}


def smooth(network: Description) -> Smooth:
    """A smooth activation with its parameters."""
    if network.base in SMOOTH:
        return SMOOTH[network.base]
    if network.base == "swish":
        (beta,) = network.numbers
        return Smooth(partial(_swish, beta), _from_identity, strip=math.pi / beta, rate=beta)
    if network.base == "snake":
        (a,) = network.numbers
        return Smooth(partial(_snake, a), _snake_opposite, growth=lambda y: 2 * a * abs(y))
    omega, scale = network.numbers
    return Smooth(
        partial(_gabor, omega, scale), _even,
        growth=lambda y: (scale * y) ** 2 + omega * abs(y), parity=1,
    )  # fmt: skip


@dataclass(frozen=True)
class Powers:
    """sigma(x) = x^power for x > 0 and left |x|^power for x < 0."""

    power: int
    left: float


def powers(network: Description) -> Powers | None:
    """Return the activation if it is a power on either side of 0, else None."""
    if network.smooth or network.exponential:
        return None
    return Powers(network.order, network.left)
