"""What the networks are to learn: sums of spherical harmonics, or a user's function."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.trainer.harmonics import (
    checked_degree,
    checked_vectors,
    checked_whole,
    harmonic,
    zonal,
)

__all__ = ["FunctionTarget", "Kind", "Target", "Term", "target_of"]

Array = NDArray[np.float64]
Kind = Literal["sine", "cosine", "zonal", "basis"]


@dataclass(frozen=True)
class Term:
    """One harmonic of a target.

    Parameters
    ----------
    degree : int
    amplitude : float
        Of the kinds "sine" and "cosine" the largest value, as the poster's sin(2 pi k x) has 1;
        of the others the norm in L2 of the uniform probability measure.
    kind : {"zonal", "basis", "sine", "cosine"}
        "sine", "cosine": amplitude sin(k phi), cos(k phi) on the circle, x = (cos phi, sin phi).
        "zonal": amplitude sqrt(N(d,k)) P_k(<x, pole>).  "basis": amplitude times
        `ntkspec.trainer.harmonics.harmonic(dim, degree, index, x)`.
    index : int
        Of kind "basis".
    pole : tuple of float, optional
        Of kind "zonal"; normalized.  By default the axis about which the basis' first
        function is zonal: the first axis on the circle, the last in higher dimensions.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed.

    Examples
    --------
    >>> Term(4, 1.0, "sine")
    Term(degree=4, amplitude=1.0, kind='sine', index=0, pole=None)
    """

    degree: int
    amplitude: float = 1.0
    kind: Kind = "zonal"
    index: int = 0
    pole: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "degree", checked_degree(self.degree))
        set_(self, "index", checked_whole(self.index, "index", least=0))
        set_(self, "amplitude", _checked_amplitude(self.amplitude))
        if self.kind not in get_args(Kind):
            names = "', '".join(get_args(Kind))
            raise NtkspecError(f"kind = {self.kind!r} is not allowed; use one of '{names}'")
        if self.kind == "sine" and self.degree == 0:
            raise NtkspecError("degree = 0 is not allowed for kind 'sine'; it must be >= 1")
        if self.pole is not None:
            if self.kind != "zonal":
                raise NtkspecError(f"pole is for kind 'zonal', not for kind {self.kind!r}")
            set_(self, "pole", _checked_pole(self.pole))

    @property
    def norm(self) -> float:
        """Norm in L2 of the uniform probability measure, with the amplitude's sign."""
        wave = self.kind in ("sine", "cosine") and self.degree > 0
        return self.amplitude / math.sqrt(2.0) if wave else self.amplitude

    @property
    def dim(self) -> int | None:
        """Dimension that the term needs, if any."""
        if self.kind in ("sine", "cosine"):
            return 2
        return None if self.pole is None else len(self.pole)

    @property
    def place(self) -> int:
        """Index of the term's function in the basis, unless it has a pole of its own."""
        return {"sine": 1, "cosine": 0, "zonal": 0}.get(self.kind, self.index)

    def function(self, x: ArrayLike) -> Array:
        """Values of the term's function of unit norm at x (n, dim): (n,)."""
        x = checked_vectors(x, self.dim)
        if self.pole is not None:
            return zonal(x.shape[1], self.degree, x, self.pole)
        return harmonic(x.shape[1], self.degree, self.place, x)


@dataclass(frozen=True)
class Target:
    """A sum of harmonics.

    Parameters
    ----------
    terms : iterable of Term
        At least one, all for one dimension.

    Raises
    ------
    NtkspecError
        For no terms, and for terms of different dimensions.

    Examples
    --------
    The poster's target, sin(2 pi x) + sin(2 pi 4x) + sin(2 pi 8x):

    >>> target = Target([Term(k, 1.0, "sine") for k in (1, 4, 8)])
    >>> target.values([[0.0, 1.0]]).round(12), target.degrees
    (array([1.]), (1, 4, 8))
    """

    terms: tuple[Term, ...]

    def __init__(self, terms: Iterable[Term]) -> None:
        object.__setattr__(self, "terms", tuple(terms))
        if not self.terms:
            raise NtkspecError("a target needs at least one term")
        needed = sorted({term.dim for term in self.terms if term.dim is not None})
        if len(needed) > 1:
            raise NtkspecError(f"terms are of dim = {needed[0]} and of dim = {needed[1]}")

    @property
    def degrees(self) -> tuple[int, ...]:
        """The degrees that the target has, increasing."""
        return tuple(sorted({term.degree for term in self.terms}))

    @property
    def amplitudes(self) -> tuple[float, ...]:
        """Norm of the part of each of `degrees`, in L2 of the uniform probability measure."""
        return tuple(_norm(self._of(degree)) for degree in self.degrees)

    def values(self, x: ArrayLike) -> Array:
        """Values at points of the sphere, (n, dim) -> (n,)."""
        return _sum(self.terms, x)

    def component(self, degree: int, x: ArrayLike) -> Array | None:
        """Values of the target's part of one degree, scaled to unit norm; None without one.

        The target is the sum over `degrees` of `amplitudes` times these.

        Examples
        --------
        >>> Target([Term(2, 0.1, "cosine")]).component(2, [[1.0, 0.0]]).round(6)
        array([1.414214])
        """
        terms = self._of(checked_degree(degree))
        norm = _norm(terms)
        return _sum(terms, x) / norm if norm > 0.0 else None

    def _of(self, degree: int) -> tuple[Term, ...]:
        return tuple(term for term in self.terms if term.degree == degree)


def _sum(terms: tuple[Term, ...], x: ArrayLike) -> Array:
    array = checked_vectors(x)
    total = np.zeros(array.shape[0])
    for term in terms:
        total += term.norm * term.function(array)
    return total


def _norm(terms: tuple[Term, ...]) -> float:
    """Norm of a sum of terms of one degree, from the inner products of their functions."""
    square = sum(a.norm * b.norm * _inner(a, b) for a in terms for b in terms)
    # Terms that cancel leave rounding errors.
    return math.sqrt(square) if square > 1e-28 * sum(a.norm**2 for a in terms) else 0.0


def _inner(a: Term, b: Term) -> float:
    """Inner product of two functions of unit norm and one degree.

    The zonal function of a pole p reproduces: (f, Z_p) = f(p) / sqrt(N), and Z_p(p) = sqrt(N).
    """
    if a.pole is None and b.pole is None:
        return float(a.place == b.place)
    other, about = (b, a) if b.pole is None else (a, b)
    pole = np.array([about.pole])
    return float(other.function(pole)[0] / about.function(pole)[0])


@dataclass(frozen=True)
class FunctionTarget:
    """A user's function of the points as target: it has values, but no known degrees.

    Examples
    --------
    >>> target_of(lambda x: x[:, 0]).values([[1.0, 0.0], [0.0, 1.0]])
    array([1., 0.])
    """

    function: Callable[[Array], ArrayLike]
    degrees: tuple[int, ...] = ()
    amplitudes: tuple[float, ...] = ()

    def values(self, x: ArrayLike) -> Array:
        """Values at points of the sphere, (n, dim) -> (n,)."""
        array = checked_vectors(x)
        try:
            values = np.array(self.function(array), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise NtkspecError(f"the target's function failed on an (n, dim) array: {error}") from (
                error
            )
        if values.shape != array.shape[:1]:
            raise NtkspecError(
                f"the target's function gave the shape {values.shape} for {array.shape[0]} points; "
                "it must map (n, dim) to (n,)"
            )
        if not np.isfinite(values).all():
            i = int(np.flatnonzero(~np.isfinite(values))[0])
            raise NtkspecError(f"the target's function is {values[i]} at points[{i}]")
        return values

    def component(self, degree: int, x: ArrayLike) -> None:
        """None: the parts of a user's function are not known."""
        return None


def target_of(function: Callable[[Array], ArrayLike]) -> FunctionTarget:
    """Target from a function that maps points (n, dim) to values (n,).

    Raises
    ------
    NtkspecError
        For something that cannot be called.

    Examples
    --------
    >>> target_of(lambda x: abs(x[:, 0])).degrees
    ()
    """
    if not callable(function):
        raise NtkspecError(f"function = {function!r} is not allowed; it must be callable")
    return FunctionTarget(function)


def _checked_amplitude(amplitude: float) -> float:
    try:
        value = float(amplitude)
    except (TypeError, ValueError):
        value = math.nan
    if not abs(value) <= 1e100:
        raise NtkspecError(
            f"amplitude = {amplitude!r} is not allowed; it must be a number up to 1e100"
        )
    return value


def _checked_pole(pole: tuple[float, ...]) -> tuple[float, ...]:
    try:
        vector = np.array(pole, dtype=np.float64)
    except (TypeError, ValueError):
        vector = np.empty(0)
    norm = float(np.linalg.norm(vector))
    if vector.ndim != 1 or vector.size < 2 or not 0.0 < norm < math.inf:
        raise NtkspecError(f"pole = {pole!r} is not allowed; give a vector other than zero")
    return tuple(float(v) for v in vector / norm)
