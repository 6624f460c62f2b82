"""Values, derivatives and the leading singular part of a kernel at one t, by the rules of parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flint import arb, arb_series

from ntkspec.duals import Correlation
from ntkspec.duals.layers import series_length
from ntkspec.laws.expectations import NEAR, derivative, expectations
from ntkspec.networks import Kernel, Network
from ntkspec.precision import working_precision
from ntkspec.rules import Program, State, follow

__all__ = ["BITS", "Germ", "Germs", "germs_of"]

BITS = 96
#: Largest variance of an argument.
MOST = 1e300


@dataclass(frozen=True)
class Germ:
    """A function near some t: value, derivatives, and size times a singular function.

    Larger orders are more singular; only the most singular part is kept.
    """

    value: float
    first: float = 0.0
    second: float = 0.0
    size: float = 0.0
    order: float = -math.inf

    def __add__(self, other: Germ | float) -> Germ:
        if not isinstance(other, Germ):
            return self + Germ(other)
        size, order = _leading((self.size, self.order), (other.size, other.order))
        derivatives = self.first + other.first, self.second + other.second
        return Germ(self.value + other.value, *derivatives, size, order)

    def __mul__(self, other: Germ) -> Germ:
        parts = (self.size * other.value, self.order), (other.size * self.value, other.order)
        first = self.first * other.value + self.value * other.first
        return Germ(self.value * other.value, first, math.nan, *_leading(*parts))

    def __rmul__(self, factor: float) -> Germ:
        if factor == 0.0:
            return Germ(0.0)
        value, first, second = factor * self.value, factor * self.first, factor * self.second
        return Germ(value, first, second, factor * self.size, self.order)

    def __truediv__(self, size: float) -> Germ:
        return 1.0 / size * self


def _leading(one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
    """The more singular of two parts, or their sum."""
    if one[1] == two[1]:
        return one[0] + two[0], one[1]
    some = [part for part in (one, two) if part[0] != 0.0]
    return max(some, key=lambda part: part[1], default=(0.0, -math.inf))


#: (F, D) of an activation, by its number and its covariance, or None where both are regular.
Singular = Callable[[int, Germ], tuple[Germ, Germ] | None]


@lru_cache(maxsize=8)
def germs_of(network: Network, kernel: Kernel) -> Germs:
    """Return the germs of a kernel, which its laws in all dimensions have in common."""
    return Germs(network, kernel)


class Germs:
    """Germs of a kernel and of the covariances of its activations."""

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self.program: Program = network.program
        self.ntk = kernel == "ntk"
        #: q(1) of the activations, as balls and as doubles.
        self._balls: list[arb] = []
        self._duals: list[Any] = []
        self._sizes: list[float] = []
        self._found: dict[tuple[int, float], tuple[float, float, float]] = {}

        def prepare(index: int, state: State) -> State:
            sigma, q = network.sigmas[index], state.covariance
            self._balls.append(q)
            if sigma.singularity.kind == "pole":
                self._duals.append(None)
                return State(arb(expectations((sigma.value,), float(q.mid()), 1.0)[0]))
            self._duals.append(sigma.dual(q))
            return State(self._duals[-1][0](Correlation.full()))

        def measure(index: int, state: State) -> Any:
            self._sizes.append(float(state.covariance.mid()))
            return state.covariance

        with working_precision(BITS):
            follow(self.program, State(arb(1)), prepare, measure, arb, tangent=False)
            if not all(q.is_finite() and abs(q) < MOST for q in self._balls):
                raise ArithmeticError
        self.variances = [float(x.mid()) for x in self._balls]

    def at(self, t: float, singular: Singular) -> Germ:
        """The kernel at some t, where some duals are singular."""

        def activate(index: int, state: State) -> State:
            found = singular(index, state.covariance) or self.regular(index, state.covariance)
            tangent = None if state.tangent is None else state.tangent * found[1]
            return State(found[0], tangent)

        end = self.follow(t, activate)
        found = end.tangent if self.ntk else end.covariance
        return Germ(0.0) if found is None else found

    def covariances(
        self, t: float, beyond: Callable[[int, float], bool] = lambda index, c: False
    ) -> list[Germ]:
        """Those of the activations; infinite after the first of which `beyond` is true."""
        found: list[Germ] = []

        def activate(index: int, state: State) -> State:
            found.append(state.covariance)
            if beyond(index, state.covariance.value):
                return State(Germ(math.inf))
            return State(self.regular(index, state.covariance)[0])

        self.follow(t, activate, tangent=False)
        return found

    def follow(
        self, t: float, activate: Callable[[int, State], State], tangent: bool = True
    ) -> State:
        """Follow germs at t."""
        start = State(Germ(t, 1.0))
        return follow(
            self.program, start, activate, lambda index, _: self._sizes[index],
            tangent=tangent and self.ntk,
        )  # fmt: skip

    def regular(self, index: int, c: Germ) -> tuple[Germ, Germ]:
        """F and D of the activation at a covariance, where they are analytic."""
        at = index, c.value
        if at not in self._found:
            self._found[at] = self._at(*at)
        value, slope, bend = self._found[at]
        second = bend * c.first**2 + slope * c.second
        dual = Germ(value, slope * c.first, second, slope * c.size, c.order)
        return dual, Germ(slope, bend * c.first, math.nan, bend * c.size, c.order)

    def _at(self, index: int, covariance: float) -> tuple[float, float, float]:
        """F, D and dD / dq of an activation."""
        sigma, q = self.program.activations[index], self.variances[index]
        rho = covariance / q
        if abs(abs(rho) - 1.0) < NEAR:
            rho = math.copysign(1.0, rho)
        if sigma.singularity.kind == "pole":
            functions = sigma.value, sigma.derivative, derivative(sigma.shape, 2)
            value, slope, bend = expectations(functions, q, rho)
            return value, slope, bend
        with working_precision(BITS), series_length(2):
            point = Correlation(arb_series([arb(rho), 1], 2))
            dual, slope = (f(point) for f in self._duals[index])
            bend = slope[1] / self._balls[index]
            return _number(dual[0]), _number(slope[0]), _number(bend)


def _number(x: Any) -> float:
    return float(x.mid()) if x.is_finite() else math.nan
