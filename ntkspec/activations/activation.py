"""The description of an activation function, from which everything else is derived."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from ntkspec.conventions import Shape

__all__ = [
    "Activation",
    "ClosedDual",
    "Fixed",
    "Function",
    "Kink",
    "PreparedDual",
    "Singularity",
]

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Singularity:
    """The singularity of sigma nearest to the real line, which determines the spectrum's decay.

    Attributes
    ----------
    kind : {"kink", "kinks", "pole", "entire", "unknown"}
        A kink at 0, kinks of which one at least is not at 0, or no kink.
    order : int
        Of kinks: the first derivative that jumps there (0: sigma itself).
    distance : float
        Of a pole or branch point: its distance from the real line.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> activation("relu").singularity
    Singularity(kind='kink', order=1, distance=inf)
    """

    kind: Literal["kink", "kinks", "pole", "entire", "unknown"]
    order: int = 0
    distance: float = math.inf


class Kink(NamedTuple):
    """A jump of the derivative of some order (1: of the slope) at a place.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> activation("relu6").kinks[1]
    Kink(place=Fraction(6, 1), order=1, jump=Fraction(-1, 1))
    """

    place: Fraction
    order: int
    jump: Fraction


@dataclass(frozen=True)
class Activation:
    """An activation function and its properties.

    A dual is E[sigma(u) sigma(v)] or E[sigma'(u) sigma'(v)] for centred Gaussians u, v of variance
    q and covariance c = q cos(theta).

    Attributes
    ----------
    name : str
    value, derivative : callable
        sigma and sigma' of float64 arrays, elementwise; at a kink the mean of both sides.
        `derivative` is None where sigma' is not square integrable: there is no NTK then.
    ball, ball_derivative : callable
        The same for a python-flint ball, real or complex, and for a kink at 0 with the sign of
        the argument as a second one; for kinks elsewhere, for a real ball.
    dual : callable
        dual(q) returns two functions of a `ntkspec.duals.Correlation`: the dual of sigma, and
        that of sigma'.
    singularity : Singularity
    symmetry : {"odd", "even", None}
    polynomial : int or None
        sigma is a polynomial of this degree and parity plus a function of the other parity.
    homogeneous : (power, right, left) or None
        sigma(x) = right x^power for x > 0 and left (-x)^power for x < 0.
    tanh : (offset, amplitude, rate) or None
        sigma(x) = offset + amplitude tanh(rate x).
    scaled : Shape or None
        The catalogued activation that this one is, scaled.
    kinks : tuple of Kink
        All kinks of a polynomial between kinks of which one at least is not at 0; else empty.
    coefficients : tuple of float
        Of a polynomial, the constant first; else empty.
    user : bool
        Made from a Python callable: nothing about it can be proved.
    arithmetic : {"double", "flint", "mpmath"}
        The numbers that a user's callable takes; "double" limits the accuracy.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> sigma = activation("tanh")
    >>> sigma.symmetry, sigma.singularity.kind, float(sigma.derivative(0.0))
    ('odd', 'pole', 1.0)
    """

    name: str
    value: Function
    derivative: Function | None
    ball: Callable[..., Any]
    ball_derivative: Callable[..., Any] | None
    dual: Callable[[Any], tuple[Function, Function]]
    singularity: Singularity
    symmetry: Literal["odd", "even"] | None = None
    polynomial: int | None = None
    homogeneous: tuple[int, float, float] | None = None
    tanh: tuple[float, float, float] | None = None
    scaled: Shape | None = None
    kinks: tuple[Kink, ...] = ()
    coefficients: tuple[float, ...] = ()
    user: bool = False
    arithmetic: Literal["double", "flint", "mpmath"] = "flint"

    @property
    def shape(self) -> Shape:
        """The catalogued activation whose moments and duals it has, and the scale of both axes."""
        return self.scaled or Shape(self.name)

    @property
    def in_doubles(self) -> bool:
        """Whether its duals are known in doubles only."""
        return self.user and (self.arithmetic == "double" or self.singularity.kind == "kinks")

    @property
    def degrees(self) -> tuple[float, float]:
        """Degrees of the even and the odd part: infinite for no polynomial, -inf for 0."""
        if self.homogeneous == (1, 1.0, -1.0):
            return -math.inf, 1.0
        found: list[float] = [math.inf, math.inf]
        if self.polynomial is not None:
            found[self.polynomial % 2] = self.polynomial
        if self.symmetry is not None:
            found[int(self.symmetry == "even")] = -math.inf
        if self.coefficients:
            powers = [n for n, c in enumerate(self.coefficients) if c]
            found = [max((n for n in powers if n % 2 == k), default=-math.inf) for k in (0, 1)]
        return found[0], found[1]


@dataclass(frozen=True)
class Fixed:
    """A function with its first arguments fixed; equal to another of the same parts."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self, *others: Any) -> Any:
        """Return its value."""
        return self.function(*self.arguments, *others)


@dataclass(frozen=True)
class ClosedDual:
    """Duals in closed form: form(point, q) returns E[sigma sigma] and E[sigma' sigma'] in balls."""

    form: Callable[[Any, Any], tuple[Any, Any]]

    def __call__(self, q: Any) -> tuple[Function, Function]:
        """Return both duals at the variance q."""

        @lru_cache(maxsize=1)
        def both(point: Any) -> tuple[Any, Any]:
            return self.form(point, q)

        return (lambda point: both(point)[0]), (lambda point: both(point)[1])


@dataclass(frozen=True)
class PreparedDual:
    """Duals that a function of `ntkspec.duals`, by its name, prepares for a variance."""

    maker: str
    arguments: tuple[Any, ...] = ()

    def __call__(self, q: Any) -> tuple[Function, Function]:
        """Return both duals at the variance q."""
        # Imported on the first call: the catalogue itself loads no ball arithmetic.
        import ntkspec.duals as duals

        return getattr(duals, self.maker)(q, *self.arguments)  # type: ignore[no-any-return]
