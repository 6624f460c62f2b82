"""How the parts of a network change its covariance q and its tangent T, in any arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

__all__ = [
    "Activate",
    "Affine",
    "Branch",
    "Degrees",
    "Join",
    "Program",
    "Scale",
    "State",
    "Step",
    "follow",
]


@dataclass(frozen=True, slots=True)
class Affine:
    """q becomes weight q + bias, T becomes own q + own_bias + weight T."""

    weight: float
    bias: float
    own: float
    own_bias: float


@dataclass(frozen=True, slots=True)
class Activate:
    """An activation, counted from 0."""

    number: int


@dataclass(frozen=True, slots=True)
class Scale:
    """A normalization, counted from 0: q and T are divided by q(1)."""

    number: int


@dataclass(frozen=True, slots=True)
class Branch:
    """The start of a residual branch: what it is added to is kept."""


@dataclass(frozen=True, slots=True)
class Join:
    """Its end: what was kept plus square times the branch."""

    square: float


Step: TypeAlias = Affine | Activate | Scale | Branch | Join


@dataclass(frozen=True)
class Program:
    """The parts of a network as steps, one after another, and its activations in their order."""

    steps: tuple[Step, ...]
    activations: tuple[Any, ...]

    @property
    def normalizes(self) -> bool:
        """Whether there is a Normalize."""
        return any(isinstance(step, Scale) for step in self.steps)

    @property
    def serial(self) -> bool:
        """Whether there is no residual branch."""
        return not any(isinstance(step, Branch) for step in self.steps)

    @property
    def first(self) -> Affine:
        """The first layer."""
        return next(step for step in self.steps if isinstance(step, Affine))

    def lines(
        self, unit: Any = 1j, number: Callable[[float], Any] = float
    ) -> list[tuple[Any, Any] | None]:
        """(s, c) of each activation whose covariance is q = s t + c, else None.

        `unit` is i in the complex numbers of an arithmetic, and `number` makes its real ones.
        """
        found: list[tuple[Any, Any] | None] = []

        def note(index: int, state: State) -> State:
            line = state.covariance  # c + i s
            found.append((line.imag, line.real) if abs(line.real) < math.inf else None)
            return State(line * math.nan)

        def size(index: int, state: State) -> Any:
            return state.covariance.real + state.covariance.imag

        follow(self, State(unit), note, size, number, tangent=False)
        return found

    def until(self, number: int) -> Program:
        """The parts before an activation and it: the end's q is its dual F."""
        found: list[Step] = []
        branches: list[int] = []
        for step in self.steps[: self._place(number) + 1]:
            if isinstance(step, Branch):
                branches.append(len(found))
            elif isinstance(step, Join):
                branches.pop()
            found.append(step)
        # Branches that are not joined change nothing.
        kept = tuple(step for i, step in enumerate(found) if i not in branches)
        return Program(kept, self.activations[: number + 1])

    def parities(self) -> list[int | None]:
        """Parities in t of the covariances before the activations: 0, 1 or None."""
        found: list[_Parity] = []

        def activate(index: int, state: State) -> State:
            found.append(state.covariance)
            return State(state.covariance.through(self.activations[index].symmetry))

        start = State(_Parity(False, True))
        even = _Parity(True, False)
        follow(self, start, activate, lambda *_: 1.0, tangent=False, constant=lambda _: even)
        return [None if one.even and one.odd else int(one.odd) for one in found]

    def degrees(self, tangent: bool) -> Degrees:
        """Degrees of the end's T (`tangent`) or q in the norm of one of the two vectors.

        Examples
        --------
        >>> from ntkspec import Network
        >>> Network("relu_power", power=2, depth=2).program.degrees(False)
        Degrees(least=4, most=4, turns=False)
        >>> Network("tanh", bias_variance=0.1).program.degrees(False)
        Degrees(least=0, most=inf, turns=False)
        """

        def activate(index: int, state: State) -> State:
            value, slope = state.covariance.through(self.activations[index])
            return State(value, None if state.tangent is None else state.tangent * slope)

        start, constant = State(Degrees(1, 1)), Degrees(0, 0)
        found = follow(
            self, start, activate, lambda _, state: state.covariance, tangent=tangent,
            constant=lambda _: constant,
        )  # fmt: skip
        whole = found.tangent if tangent else found.covariance
        return NOTHING if whole is None else whole

    def _place(self, number: int) -> int:
        return next(
            i for i, step in enumerate(self.steps)
            if isinstance(step, Activate) and step.number == number
        )  # fmt: skip

    def needed(self, dual: bool) -> tuple[bool, ...]:
        """Whether the dual F of each activation enters the end's q (`dual`) or T (else)."""
        wanted, kept, found = dual, list[bool](), list[bool]()
        for step in reversed(self.steps):
            if isinstance(step, Affine):
                wanted = wanted or (not dual and step.own > 0.0)
            elif isinstance(step, Activate):
                found.append(wanted)
                wanted = True
            elif isinstance(step, Join):
                kept.append(wanted)
            elif isinstance(step, Branch):
                wanted = kept.pop() or wanted
        return tuple(reversed(found))


@dataclass(frozen=True)
class _Parity:
    """Whether a function of t has an even and an odd part; factors change nothing."""

    even: bool
    odd: bool

    def __add__(self, other: _Parity) -> _Parity:
        return _Parity(self.even or other.even, self.odd or other.odd)

    def __rmul__(self, factor: float) -> _Parity:
        return self

    def __truediv__(self, size: float) -> _Parity:
        return self

    def through(self, symmetry: str | None) -> _Parity:
        """Of the dual of an activation."""
        if self.even:
            return self
        return _Parity(symmetry != "odd", symmetry != "even")


@dataclass(frozen=True)
class Degrees:
    """Degrees of a function of two vectors in the norm of one of them.

    It is a sum of powers of the norm from at least `least` to `most`, which is inf where it is no
    such sum.  `least` is 0 only where the function does not vanish with the norm, and `turns` is
    whether its limit there depends on the direction.
    """

    least: float
    most: float
    turns: bool = False

    def __add__(self, other: Degrees) -> Degrees:
        least, most = min(self.least, other.least), max(self.most, other.most)
        return Degrees(least, most, self.turns or other.turns)

    def __mul__(self, other: Degrees) -> Degrees:
        least, turns = self.least + other.least, self.turns or other.turns
        return Degrees(least, self.most + other.most, turns and least == 0)

    def __rmul__(self, factor: float) -> Degrees:
        return self if factor else NOTHING

    def __truediv__(self, size: Degrees) -> Degrees:
        least, turns = self.least - size.least, self.turns or size.least > 0
        most = self.most - size.least if size.least == size.most else math.inf
        return Degrees(least, most, turns and least <= 0)

    def through(self, sigma: Any) -> tuple[Degrees, Degrees]:
        """Those of the dual of an activation, and of the dual of its slope."""
        if sigma.homogeneous is not None:
            power = sigma.homogeneous[0]
            return self._raised(power, power == 0), self._raised(max(power - 1, 0), power == 1)
        zero = np.zeros(1)
        rises = sigma.derivative is not None and sigma.derivative(zero)[0] != 0.0
        kept = self.least if sigma.value(zero)[0] == 0.0 else 0
        turned = self.turns or (self.least > 0 and bool(sigma.kinks))
        slope = 0 if rises else self.least
        return (
            Degrees(kept, math.inf, self.turns and kept == 0),
            Degrees(slope, math.inf, turned and slope == 0),
        )

    def _raised(self, power: int, jumps: bool) -> Degrees:
        """Those of a power, which may jump at 0."""
        least, most = (power * self.least, power * self.most) if power else (0, 0)
        return Degrees(least, most, least == 0 and (self.turns or (jumps and self.least > 0)))


#: Those of 0.
NOTHING = Degrees(math.inf, -math.inf)


class State(NamedTuple):
    """q, T and q(1) - q at some t, in any arithmetic.

    T is None where it is 0, and the others where they are not computed.
    """

    covariance: Any
    tangent: Any = None
    gap: Any = None


def follow(
    program: Program,
    start: State,
    activate: Callable[[int, State], State],
    scale: Callable[[int, State], Any] | None = None,
    number: Callable[[float], Any] = float,
    tangent: bool = True,
    constant: Callable[[float], Any] | None = None,
) -> State:
    """Follow the covariance and the tangent through the parts of a network.

    activate(i, state) returns F, T D and F(1) - F of the i-th activation; scale(i, state) q(1) at
    the i-th normalization.  `number` converts factors to the arithmetic, and `constant` what is
    added, by default `number`; without `tangent` only q is followed.

    Examples
    --------
    >>> linear = Affine(1.0, 0.0, 1.0, 0.0)
    >>> program = Program((linear, Activate(0), linear), ("identity",))
    >>> follow(program, State(0.5), lambda index, state: state)
    State(covariance=0.5, tangent=1.0, gap=None)
    """
    numbers = number, constant or number
    state, kept = start, list[State]()
    for step in program.steps:
        if isinstance(step, Affine):
            state = _affine(step, state, numbers, tangent)
        elif isinstance(step, Activate):
            state = activate(step.number, state)
        elif isinstance(step, Scale):
            assert scale is not None
            size = scale(step.number, state)
            state = State(*(None if x is None else x / size for x in state))
        elif isinstance(step, Branch):
            kept.append(state)
        else:
            square = step.square
            pairs = zip(kept.pop(), state, strict=True)
            state = State(*(_sum(x, y, square, number) for x, y in pairs))
    return state


Numbers: TypeAlias = tuple[Callable[[float], Any], Callable[[float], Any]]


def _affine(step: Affine, state: State, numbers: Numbers, tangent: bool) -> State:
    weight, bias = step.weight, step.bias
    number, constant = numbers
    q = None if state.covariance is None else _line(weight, bias, state.covariance, numbers)
    gap = None if state.gap is None else _times(weight, state.gap, number)
    if not tangent:
        return State(q, None, gap)
    before = None if state.tangent is None else _times(weight, state.tangent, number)
    own: Any = None
    if (step.own, step.own_bias) == (weight, bias):
        own = q
    elif step.own:
        own = _line(step.own, step.own_bias, state.covariance, numbers)
    elif step.own_bias:
        assert q is not None
        own = 0 * q + constant(step.own_bias)
    if own is None or before is None:
        return State(q, before if own is None else own, gap)
    return State(q, own + before, gap)


def _line(slope: float, start: float, x: Any, numbers: Numbers) -> Any:
    number, constant = numbers
    scaled = _times(slope, x, number)
    return scaled + constant(start) if start else scaled


def _times(factor: float, x: Any, number: Callable[[float], Any]) -> Any:
    return x if factor == 1.0 else number(factor) * x


def _sum(kept: Any, branch: Any, square: float, number: Callable[[float], Any]) -> Any:
    if branch is None:
        return kept
    scaled = _times(square, branch, number)
    return scaled if kept is None else kept + scaled
