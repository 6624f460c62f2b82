"""The coefficients of kernels with kinks away from 0 far from the first: powers and oscillations.

K is singular at t = 1 and, without bias, at t = -1.  Powers of 1 - t and 1 + t come from pairs of
equal and of opposite kinks; all other pairs have essential singularities, for which the Taylor
coefficients oscillate as cos(f sqrt(n)).  A sum over the coefficients is that over the powers, in
closed form, and a sum of the rest, cut off so slowly that what oscillates beyond cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
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
from ntkspec.rules import Affine, Program, State, follow

__all__ = ["BITS", "Ends", "double_doubles", "ends", "kinks_of"]

BITS = 192
#: Powers 1/2, 3/2, ... of both ends.
POWERS = 8
#: Width of the cut-off in waves of the slowest oscillation, and how many widths from its middle it
#: is 1 or 0: it leaves 2e-16 of an oscillation.
WAVES, ENDS = 1.35, 8.2
#: Frequency that stands for none.
SLOWEST = 4.0
#: Least variance of a layer.
LEAST = 1e-100
#: Fraction of the coefficients that the last powers may be.
NEGLIGIBLE = 2.0**-56
#: Nats by which a power is below the largest if it is none.
NOTHING = 92.0
#: Largest part of a derivative at t = 1 that the cut-off may leave, times the coefficients.
LEAK = 2.0**-46

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
        some, n = slice(first + 1, None), np.arange(high.size, dtype=np.float64)
        chi = self.cut_off(middle, high.size)
        near = (1.0 - chi[some]) * np.exp(-self.fall * n[some])
        if float(np.max(near)) > NEGLIGIBLE:
            raise NtkspecError("a small bias_variance leaves a singularity too near to t = -1")
        total = float(np.sum((high * chi)[some]))
        # What the cut-off leaves, from falls a quarter and a half of a wave nearer.
        for shift in (0.5, 1.0):
            other = self.cut_off(middle - shift * math.pi / self.frequency, high.size)
            leak = abs(float(np.sum((high * (chi - other))[some])))
            # Each of so many sums over the later coefficients has this error.
            if leak * high.size > LEAK * float(np.sum(n * np.abs(coefficients))):
                raise NtkspecError("the coefficients of a layer do not follow its singularities")
        minus_high, minus_low, _ = self.rest(np.zeros(first + 1), np.zeros(first + 1))
        at_one = sum(
            (e * arb(2) ** arb(float(s)) for s, e in zip(self.powers, self.far, strict=True)),
            arb(0),
        )
        parts = [*double_double(at_one), *minus_high.tolist(), *minus_low.tolist()]
        return first, total + math.fsum(parts)


def kinks_of(sigma: Any) -> tuple[tuple[Fraction, int, Fraction], ...]:
    """Place, order and jump of the kinks of a polynomial between kinks, at 0 or elsewhere."""
    if sigma.homogeneous is None:
        return tuple(sigma.kinks)
    power, right, left = sigma.homogeneous
    jump = math.factorial(power) * (Fraction(right) - (-1) ** power * Fraction(left))
    return ((Fraction(0), power, jump),)


@lru_cache(maxsize=128)
@exclusive()
def ends(program: Program, kernel: str) -> Ends:
    """Find the powers at t = 1 and -1 and the slowest oscillation of a kernel."""
    with working_precision(BITS):
        layers = Layers(program, kernel)
        least, most = (choice(float(q.mid()) for q in layers.variances) for choice in (min, max))
        if not (least > LEAST and most < 1.0 / LEAST):
            raise NtkspecError("the variances of the layers leave the range of doubles")
        near = [c for _, c in powers_at_one(layers, 1, POWERS)]
        far = [arb(0)] * len(near)
        if layers.ratio[0].is_zero():
            odd = all(sigma.symmetry == "odd" for sigma in program.activations)
            affine = [step for step in program.steps if isinstance(step, Affine)]
            if odd and not any(step.bias or step.own_bias for step in affine):
                far = [-c for c in near]
            else:
                far = [c for _, c in powers_beyond(layers, POWERS)]
        at_one = float(layers.at_one().mid())
        frequency, fall = _frequency(layers)
        near, far = ([arb(0) if c.contains(0) else c for c in end] for end in (near, far))
        parities = [[c + sign * e for c, e in zip(near, far, strict=True)] for sign in (1, -1)]
        regular = max(map(_regular, parities))
    powers = np.arange(len(near), dtype=np.float64) + 0.5
    return Ends(powers, tuple(near), tuple(far), frequency, regular, at_one, fall)


def _regular(sizes: list[arb]) -> float:
    """The n from which on the last of the powers 1/2, 3/2, ... is negligible beside the first."""
    # Kinks far out leave powers below the range of doubles.
    logs = {i: float(abs(x).upper().log()) for i, x in enumerate(sizes) if not x.contains(0)}
    there = [i for i, x in logs.items() if x > max(logs.values()) - NOTHING]
    if len(there) < 2:
        return 0.0
    first, last = (logs[i] - math.lgamma(-0.5 - i) for i in (there[0], there[-1]))
    fall = max(last - first - math.log(NEGLIGIBLE), 0.0)
    return math.exp(fall / (there[-1] - there[0]))


def _frequency(layers: Layers) -> tuple[float, float]:
    """The least frequency of the oscillations, and how fast the terms of opposite kinks fall.

    The first is the least nonzero |a - b| / sqrt(c'(1)) of all activations, c their covariances,
    and |a + b| of those with c(-1) = -c(1) or nearly so: of the first ones with kinks.  There
    opposite kinks are singular at t = -1, or beyond it where 1 + rho reaches 0.
    """
    found, fall, smooth = [], math.inf, True
    parities = layers.program.parities()
    for i, (c, last) in enumerate(zip(_slopes(layers), _opposites(layers), strict=True)):
        places = sorted({float(place) for place, _, _ in kinks_of(layers.program.activations[i])})
        found += [(b - a) / math.sqrt(c) for a in places for b in places if b > a]
        if places and (smooth or parities[i] == 1):
            q = float(layers.variances[i].mid())
            sums = [abs(a + b) for a in places for b in places if a + b != 0.0]
            found += [x / math.sqrt(max(q, c)) for x in sums]
            if last > 0.0 and any(-place in places for place in places):
                fall = min(fall, math.log1p(last))
        smooth = smooth and not places
    # Without an oscillation the rest falls geometrically.
    return min(found, default=SLOWEST), fall


def _slopes(layers: Layers) -> list[float]:
    """c'(1) of the activations."""
    found: list[float] = []

    def activate(index: int, state: State) -> State:
        found.append(state.covariance.imag)
        _, slope = layers.duals[index]
        return State(1j * state.covariance.imag * float(slope(Correlation.full()).mid()))

    sizes = [float(x.mid()) for x in layers.sizes]
    follow(layers.program, State(1j), activate, lambda index, _: sizes[index], tangent=False)
    return found


def _opposites(layers: Layers) -> list[float]:
    """(1 + rho(-1)) / rho'(1) of the activations: how far beyond -1 rho reaches it, about."""
    found: list[float] = []

    def activate(index: int, state: State) -> State:
        q = layers.variances[index]
        line, rho = layers.lines[index], state.covariance / q
        if parities[index] == 1:
            found.append(0.0)
            point = Correlation(arb(-1), arb.pi())
        else:
            found.append(float((1 + rho).mid()) * float(q.mid()) / slopes[index])
            point = Correlation(rho)
            if line is not None:
                found[-1] = float((2 * line[1] / line[0]).mid())
        return State(layers.duals[index][0](point))

    slopes, parities = _slopes(layers), layers.program.parities()
    follow(
        layers.program, State(arb(-1)), activate, lambda index, _: layers.sizes[index], arb,
        tangent=False,
    )  # fmt: skip
    return found
