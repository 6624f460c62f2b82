"""The coefficients of kernels with kinks away from 0 far from the first: powers and oscillations.

K is singular at t = 1 and, without bias, at t = -1.  Powers of 1 - t and 1 + t come from pairs of
equal and of opposite kinks; all other pairs have essential singularities, for which the Taylor
coefficients oscillate as cos(f sqrt(n)).  A sum over the coefficients is that over the powers, in
closed form, and a sum of the rest, cut off so slowly that what oscillates beyond cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray
from scipy.special import erfc

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.layers import Layers
from ntkspec.duals.singular import powers_at_one, powers_beyond
from ntkspec.duals.squares import double_double
from ntkspec.errors import NtkspecError
from ntkspec.kernels import kinks as kernels
from ntkspec.precision import exclusive, working_precision

__all__ = ["BITS", "Ends", "double_doubles", "ends"]

BITS = 192
#: Powers 1/2, 3/2, ... of both ends.
POWERS = 8
#: Width of the cut-off in waves of the slowest oscillation, and how many widths from its middle it
#: is 1 or 0: it leaves 2e-16 of an oscillation.
WAVES, ENDS = 1.35, 8.2
#: Least variance of a layer.
LEAST = 1e-100
#: Fraction of the coefficients that the last powers may be.
NEGLIGIBLE = 2.0**-56

Array = NDArray[np.float64]


def double_doubles(balls: Any) -> Array:
    """An array (2, n) of the high and the low parts of balls."""
    return np.array([double_double(ball) for ball in balls]).reshape(-1, 2).T.copy()


@dataclass(frozen=True)
class Ends:
    """Coefficients of powers of 1 - t (`near`) and of 1 + t (`far`), and the least frequency f.

    Beyond the coefficient `regular` the last powers are negligible.  `at_one` is K(1).  With a
    bias, opposite kinks leave coefficients that fall as exp(-fall n), not among the powers.
    """

    powers: Array
    near: tuple[arb, ...]
    far: tuple[arb, ...]
    frequency: float
    regular: float
    at_one: float
    fall: float

    @property
    def width(self) -> float:
        """Width of the cut-off, in sqrt(n)."""
        return WAVES * 2.0 * math.pi / self.frequency

    def middle(self, degree: int) -> float:
        """Square root of the n where the cut-off is a half, for degrees up to this one."""
        beyond: float = (degree * degree / self.frequency) ** (1.0 / 3.0)
        wide, whole = 6.0 * self.width, (ENDS + 1.0) * self.width
        return max(whole, beyond + wide, math.sqrt(self.regular) + ENDS * self.width)

    def count(self, degree: int) -> int:
        """Number of coefficients for degrees up to this one."""
        last = self.middle(degree) + ENDS * self.width + math.pi / self.frequency
        return int(last * last) + 2 * degree + 2

    def cut_off(self, middle: float, count: int) -> Array:
        """The factors of the coefficients."""
        n = np.arange(count, dtype=np.float64)
        found: Array = 0.5 * erfc((np.sqrt(n) - middle) / (self.width * math.sqrt(2.0)))
        return found

    def rest(self, high: Array, low: Array) -> tuple[Array, Array, Array]:
        """Coefficients without those of the powers, and the moduli of what is subtracted."""
        high, low, size = high.copy(), low.copy(), np.zeros(high.size)
        kernels.darboux(
            self.powers, double_doubles(self.near), double_doubles(self.far), high, low, size
        )
        return high, low, size

    @property
    def needed(self) -> int:
        """How many coefficients `tail` needs."""
        last = math.sqrt(max(self.regular, 200.0)) + (2.0 * ENDS + 1.0) * self.width
        return int(last * last) + 1

    def tail(self, coefficients: Array) -> tuple[int, float]:
        """Some n, and the sum of all coefficients after the n-th; `needed` are given."""
        assert coefficients.size >= self.needed
        first = int(max(self.regular, 200.0))
        middle = math.sqrt(first) + (ENDS + 1.0) * self.width
        high, _, _ = self.rest(coefficients, np.zeros(coefficients.size))
        some = slice(first + 1, None)
        total = float(np.sum((high * self.cut_off(middle, high.size))[some]))
        minus_high, minus_low, _ = self.rest(np.zeros(first + 1), np.zeros(first + 1))
        at_one = sum(
            (e * arb(2) ** arb(float(s)) for s, e in zip(self.powers, self.far, strict=True)),
            arb(0),
        )
        parts = [*double_double(at_one), *minus_high.tolist(), *minus_low.tolist()]
        return first, total + math.fsum(parts)


@lru_cache(maxsize=128)
@exclusive()
def ends(network: Any, kernel: str) -> Ends:
    """Find the powers at t = 1 and -1 and the slowest oscillation of a network's kernel."""
    with working_precision(BITS):
        layers = Layers(network, kernel)
        least, most = (choice(float(q.mid()) for q in layers.variances) for choice in (min, max))
        if not (least > LEAST and most < 1.0 / LEAST):
            raise NtkspecError(f"the variances of {network.name} leave the range of doubles")
        near = [c for _, c in powers_at_one(layers, 1, POWERS)]
        far = [arb(0)] * len(near)
        if network.bias_variance == 0.0 and network.sigma.symmetry == "odd":
            far = [-c for c in near]
        elif network.bias_variance == 0.0:
            far = [c for _, c in powers_beyond(layers, POWERS)]
        at_one = float(layers.at_one().mid())
        frequency = _frequency(network, layers)
        near, far = ([arb(0) if c.contains(0) else c for c in end] for end in (near, far))
        parities = [[abs(c + sign * e) for c, e in zip(near, far, strict=True)] for sign in (1, -1)]
        regular = max(_regular([float(x.upper()) for x in sizes]) for sizes in parities)
    powers = np.arange(len(near), dtype=np.float64) + 0.5
    fall, places = math.inf, {kink.place for kink in network.sigma.kinks}
    if network.bias_variance > 0.0 and any(-place in places for place in places):
        fall = math.log1p(2.0 * network.bias_variance / network.weight_variance)
    return Ends(powers, tuple(near), tuple(far), frequency, regular, at_one, fall)


def _regular(sizes: list[float]) -> float:
    """The n from which on the last of the powers 1/2, 3/2, ... is negligible beside the first."""
    there = [i for i, x in enumerate(sizes) if x > 1e-40]
    if len(there) < 2:
        return 0.0
    first, last = (math.log(sizes[i]) - math.lgamma(-0.5 - i) for i in (there[0], there[-1]))
    fall = max(last - first - math.log(NEGLIGIBLE), 0.0)
    return math.exp(fall / (there[-1] - there[0]))


def _frequency(network: Any, layers: Layers) -> float:
    """The least nonzero |a - b| / sqrt(q rho'(1)) of all layers and |a + b| / sqrt(q) of the first.

    Networks of odd activations have those of t = 1 at t = -1 too.
    """
    places = sorted({float(kink.place) for kink in network.sigma.kinks})
    apart = [b - a for a in places for b in places if b > a]
    sums = [abs(a + b) for a in places for b in places if a + b != 0.0]
    q = float(layers.variances[0].mid())
    growth = network.weight_variance / q
    found = [x / math.sqrt(q) for x in sums]
    for i, (_, slope) in enumerate(layers.duals):
        q = float(layers.variances[i].mid())
        found += [x / math.sqrt(q * growth) for x in apart]
        ahead = layers.variances[i + 1] if i + 1 < len(layers.variances) else layers.last
        following = float(ahead.mid())
        growth *= network.weight_variance * q * float(slope(Correlation.full()).mid()) / following
    return min(found)
