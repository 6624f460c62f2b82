"""Targets of training: sums of harmonics, samples, or a user's function."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.operators import Operator
from ntkspec.parameters import number, one_of, whole_number
from ntkspec.trainer.checks import (
    checked_degree,
    checked_values,
    checked_vectors,
    function_values,
)
from ntkspec.trainer.harmonics import harmonic, zonal
from ntkspec.trainer.points import Points
from ntkspec.trainer.waves import Features, Frequency, frequency_number, half

__all__ = [
    "FunctionTarget",
    "Kind",
    "SampledTarget",
    "Target",
    "Term",
    "applied",
    "on_torus",
    "target_of",
]

Array = NDArray[np.float64]
Kind = Literal["sine", "cosine", "zonal", "basis"]

#: A component of samples with a smaller relative norm counts as rounding error of the file.
NEGLIGIBLE = 1e-6
#: Largest absolute value of samples must be at least this: their squares must not underflow.
LEAST_VALUE = 1e-100
#: Numbers in one block of basis values.
BLOCK = 1 << 20
#: Largest coordinate of a frequency vector.
MOST = 2**20


@dataclass(frozen=True)
class Term:
    """One harmonic of a target.

    Parameters
    ----------
    degree : int
    amplitude : float
        For the kinds "sine" and "cosine" the largest value (1 for the poster's sin(2 pi k x)); for
        the others the norm in L2 of the uniform probability measure.
    kind : {"zonal", "basis", "sine", "cosine"}
        "sine", "cosine": amplitude sin(k phi), cos(k phi) on the circle, x = (cos phi, sin phi).
        "zonal": amplitude sqrt(N(d,k)) P_k(<x, pole>).  "basis": amplitude times
        `ntkspec.trainer.harmonics.harmonic(dim, degree, index, x)`.
    index : int
        For kind "basis".
    pole : tuple of float, optional
        For kind "zonal"; it is normalized.  By default `ntkspec.trainer.harmonics.axis`: the first
        axis on the circle, the last in higher dimensions.

    frequency : tuple of int, optional
        On a torus; the term is that of the circle of degree 1 at 2 pi times its product with x, and
        `degree` becomes the number of the vector (`ntkspec.trainer.waves`).

    Raises
    ------
    NtkspecError
        If a parameter is not allowed.

    Examples
    --------
    >>> Term(4, 1.0, "sine").norm.__round__(4)
    0.7071
    >>> Term(0, 1.0, "sine", frequency=(1, -1)).degree
    3
    """

    degree: int
    amplitude: float = 1.0
    kind: Kind = "zonal"
    index: int = 0
    pole: tuple[float, ...] | None = None
    frequency: Frequency | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if self.frequency is not None:
            given = tuple(whole_number(one, "frequency", -MOST, MOST) for one in self.frequency)
            set_(self, "frequency", half(given))
            set_(self, "degree", frequency_number(given))
            if given != self.frequency and self.place == 1:  # sines are odd
                set_(self, "amplitude", -self.amplitude)
            if self.pole is not None or self.index > 1:
                raise NtkspecError("pole, and an index above 1, are for harmonics on the sphere")
        set_(self, "degree", checked_degree(self.degree))
        set_(self, "index", whole_number(self.index, "index", least=0))
        set_(self, "amplitude", number(self.amplitude, "amplitude", -1e100, 1e100))
        one_of(self.kind, "kind", get_args(Kind))
        if self.kind == "sine" and self.degree == 0:
            raise NtkspecError("degree = 0 is not allowed for kind 'sine'; it must be >= 1")
        if self.pole is not None:
            if self.kind != "zonal":
                raise NtkspecError(f"pole is for kind 'zonal', not for kind {self.kind!r}")
            set_(self, "pole", _checked_pole(self.pole))

    @property
    def norm(self) -> float:
        """Norm in L2 of the uniform probability measure, with the sign of the amplitude."""
        wave = self.kind in ("sine", "cosine") and self.degree > 0
        return self.amplitude / math.sqrt(2.0) if wave else self.amplitude

    @property
    def dim(self) -> int | None:
        """Dimension that the term requires, or None."""
        if self.frequency is not None:
            return None
        if self.kind in ("sine", "cosine"):
            return 2
        return None if self.pole is None else len(self.pole)

    @property
    def place(self) -> int:
        """Index of the term's function in the basis, unless the term has a pole."""
        return {"sine": 1, "cosine": 0, "zonal": 0}.get(self.kind, self.index)

    def function(self, x: ArrayLike) -> Array:
        """Values of the term's function of unit norm at x (n, dim): (n,)."""
        if self.frequency is not None:
            angle = 2.0 * math.pi * (np.asarray(x, dtype=np.float64) @ np.array(self.frequency))
            wave = np.sin if self.place else np.cos
            return math.sqrt(2.0) * wave(angle) if self.degree else np.ones(len(angle))
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
        At least one, all of one dimension.

    Raises
    ------
    NtkspecError
        If there are no terms, or they have different dimensions.

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
            raise NtkspecError(
                f"terms have dim = {needed[0]} and dim = {needed[1]}; give terms of one dimension"
            )
        if len({len(term.frequency or ()) for term in self.terms}) > 1:
            raise NtkspecError("terms have frequencies of different dimensions, or some have none")

    @property
    def part(self) -> str:
        """What its parts are: degrees, or on a torus frequencies."""
        return "degree" if self.terms[0].frequency is None else "frequency"

    @property
    def degrees(self) -> tuple[int, ...]:
        """Degrees of the target, increasing."""
        return tuple(sorted({term.degree for term in self.terms}))

    @property
    def amplitudes(self) -> tuple[float, ...]:
        """Norm of the component of each degree, in L2 of the uniform probability measure."""
        return tuple(_norm(self._of(degree)) for degree in self.degrees)

    def values(self, x: ArrayLike) -> Array:
        """Values at points on the sphere, (n, dim) -> (n,)."""
        return _sum(self.terms, x)

    def component(self, degree: int, x: ArrayLike) -> Array | None:
        """Values of the component of one degree, scaled to unit norm, or None if it is 0.

        The target is the sum over `degrees` of `amplitudes` times these components.

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


def on_torus(target: Target, features: Features) -> Target:
    """A sum of waves from terms of the circle, or from terms with frequencies.

    Raises
    ------
    NtkspecError
        For frequencies of another dimension, and poles.

    Examples
    --------
    >>> from ntkspec.trainer.waves import Features
    >>> on_torus(Target([Term(3, 1.0, "sine")]), Features([[1], [2]])).terms[0].frequency
    (3,)
    """
    terms = [
        replace(term, frequency=(term.degree,) if term.frequency is None else term.frequency)
        for term in target.terms
    ]
    if len(terms[0].frequency or ()) != features.dim:
        raise NtkspecError(
            f"the target's frequencies have not the {features.dim} coordinates of the torus; give "
            "vectors such as ntkspec.harmonics([[1, 0], [1, 2]])"
        )
    return Target(terms)


def applied(target: Target | SampledTarget, operator: Operator, dim: int) -> Target:
    """A u for a sum of harmonics u, an operator A, and the sphere S^(dim-1).

    Raises
    ------
    NtkspecError
        For samples, and under the derivative for other harmonics than sines and cosines.

    Examples
    --------
    >>> from ntkspec.operators import Operator
    >>> found = applied(Target([Term(2, 1.0, "sine")]), Operator("derivative"), 2).terms[1]
    >>> found.kind, found.amplitude
    ('cosine', 2.0)
    """
    waves = ("sine", "cosine")
    if isinstance(target, SampledTarget):
        raise NtkspecError("A u must be known, so the target must be a sum of harmonics")
    terms: list[Term] = []
    for term in target.terms:
        if operator.name == "derivative" and term.kind not in waves:
            raise NtkspecError(
                f"kind = {term.kind!r} is not allowed with operator = {str(operator)!r}; take "
                "'sine' or 'cosine'"
            )
        if term.frequency is None:
            (symbol,) = operator.symbol([term.degree], dim)
        else:
            (symbol,) = operator.symbol_on_torus([term.frequency])
        terms.append(replace(term, amplitude=term.amplitude * float(symbol.real)))
        if operator.name == "derivative":
            # d/dphi of sin(k phi) is k cos(k phi), and of cos(k phi) -k sin(k phi).
            size = float(symbol.imag) * (1.0 if term.kind == "sine" else -1.0)
            other: Kind = "cosine" if term.kind == "sine" else "sine"
            if term.degree:
                terms.append(replace(term, amplitude=term.amplitude * size, kind=other))
    return Target(terms)


def _sum(terms: tuple[Term, ...], x: ArrayLike) -> Array:
    array = checked_vectors(x) if terms[0].frequency is None else np.asarray(x, dtype=np.float64)
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
    """Inner product of two unit-norm functions of the same degree.

    The zonal function Z_p with pole p reproduces: (f, Z_p) = f(p) / sqrt(N), Z_p(p) = sqrt(N).
    """
    if a.pole is None and b.pole is None:
        return float(a.place == b.place)
    other, about = (b, a) if b.pole is None else (a, b)
    pole = np.array([about.pole])
    return float(other.function(pole)[0] / about.function(pole)[0])


@dataclass(frozen=True, eq=False)
class SampledTarget:
    """A target known by its values at points; its components come from the points' quadrature rule.

    The component of degree k is sum_m (sum_i c_i y_i Y_km(x_i)) Y_km: that of the function, if the
    rule is exact for its products with the harmonics of that degree.

    Parameters
    ----------
    points : Points
    samples : (n,) array_like
    last : int
        Largest degree of the components.

    Raises
    ------
    NtkspecError
        If there is not one finite sample for each point, or all are 0.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> points = circle(16)
    >>> target = SampledTarget(points, points.x[:, 0] ** 2, last=7)
    >>> target.degrees, np.round(target.amplitudes, 6)
    ((0, 2), array([0.5     , 0.353553]))
    >>> target.component(2, [[1.0, 0.0]]).round(6)
    array([1.414214])
    """

    points: Points
    samples: Array
    last: int

    def __init__(self, points: Points, samples: ArrayLike, last: int) -> None:
        values = checked_values(samples, points.n, "samples", finite=True).copy()
        if not (largest := np.abs(values).max()) >= LEAST_VALUE:
            raise NtkspecError(
                f"samples are at most {largest:g}, which has no square in doubles; scale them"
                if largest
                else "samples are all 0: there is nothing to learn"
            )
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "samples", values)
        object.__setattr__(self, "last", whole_number(last, "last", least=0))

    @property
    def part(self) -> str:
        """What its parts are: degrees, or on a torus frequencies."""
        return "degree" if self.points.features is None else "frequency"

    @cached_property
    def _parts(self) -> dict[int, Array]:
        """Coefficients in the basis of the components above rounding errors."""
        weighted = self.points.weights * self.samples
        parts = self.points.basis(self.last).coefficients(weighted)
        least = NEGLIGIBLE * math.sqrt(float(weighted @ self.samples))
        return {k: part for k, part in enumerate(parts) if np.linalg.norm(part) > least}

    @property
    def degrees(self) -> tuple[int, ...]:
        """Degrees of which the samples have a component, increasing."""
        return tuple(self._parts)

    @property
    def amplitudes(self) -> tuple[float, ...]:
        """Norm of the component of each degree, in L2 of the uniform probability measure."""
        return tuple(float(np.linalg.norm(part)) for part in self._parts.values())

    def coefficients(self, degree: int) -> Array:
        """Coefficients of one degree in the basis, (N(dim, degree),), by index.

        All are 0 if the samples have no component of that degree.

        Examples
        --------
        >>> from ntkspec.trainer.points import circle
        >>> points = circle(16)
        >>> SampledTarget(points, points.x[:, 1], last=3).coefficients(1).round(6) + 0.0
        array([0.      , 0.707107])
        """
        part = self._parts.get(checked_degree(degree))
        return np.zeros(self.points.multiplicity(degree)) if part is None else part.copy()

    def values(self, x: ArrayLike) -> Array:
        """The samples if x are their points, (n, dim) -> (n,); NaN otherwise."""
        array = np.asarray(x, dtype=np.float64)
        if np.array_equal(array, self.points.at):
            return self.samples.copy()
        return np.full(array.shape[0], np.nan)

    def component(self, degree: int, x: ArrayLike) -> Array | None:
        """Values of the component of one degree, scaled to unit norm, or None if it is 0."""
        degree, array = checked_degree(degree), self.points.checked(x)
        part = self.coefficients(degree)
        if not part.any():
            return None
        values = np.empty(array.shape[0])
        some = max(1, BLOCK // self.points.count(degree))
        for start in range(0, values.size, some):
            rows = slice(start, start + some)
            basis = self.points.basis(degree, array[rows])
            values[rows] = basis.matrix()[:, -part.size :] @ part
        return values / np.linalg.norm(part)


@dataclass(frozen=True)
class FunctionTarget:
    """A user's function as target: it has values, but no known degrees.

    Examples
    --------
    >>> target_of(lambda x: x[:, 0]).values([[1.0, 0.0], [0.0, 1.0]])
    array([1., 0.])
    """

    function: Callable[[Array], ArrayLike]
    degrees: tuple[int, ...] = ()
    amplitudes: tuple[float, ...] = ()

    def values(self, x: ArrayLike) -> Array:
        """Values at points of any norm, (n, dim) -> (n,)."""
        array = checked_vectors(x, None, math.inf)
        return function_values(self.function, array, "the target's function")

    def component(self, degree: int, x: ArrayLike) -> None:
        """None: the components of a user's function are not known."""
        return None


def target_of(function: Callable[[Array], ArrayLike]) -> FunctionTarget:
    """Make a target from a function that maps points (n, dim) to values (n,).

    Raises
    ------
    NtkspecError
        If function is not callable.

    Examples
    --------
    `ntkspec.trainer.descent.Descent` uses the values at its points; their degrees are:

    >>> from ntkspec.trainer.points import circle
    >>> points, target = circle(32), target_of(lambda x: np.abs(x[:, 0]) - 0.5)
    >>> SampledTarget(points, target.values(points.x), last=6).degrees
    (0, 2, 4, 6)
    """
    if not callable(function):
        raise NtkspecError(f"function = {function!r} is not allowed; it must be callable")
    return FunctionTarget(function)


def _checked_pole(pole: tuple[float, ...]) -> tuple[float, ...]:
    try:
        vector = np.array(pole, dtype=np.float64)
    except (TypeError, ValueError):
        vector = np.empty(0)
    norm = float(np.linalg.norm(vector))
    if vector.ndim != 1 or vector.size < 2 or not 0.0 < norm < math.inf:
        raise NtkspecError(f"pole = {pole!r} is not allowed; give two numbers or more, not all 0")
    return tuple(float(v) for v in vector / norm)
