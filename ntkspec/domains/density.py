"""Densities of inputs on the circle and the sphere, up to a factor.

On the circle a density depends on the angle theta in [0, 2 pi) of x = (cos theta, sin theta).  On
the sphere it is zonal: it depends on t = x_1, the cosine of the angle between x and the first
coordinate's axis.  `ntkspec.spectrum` divides a density by its mean, so that its values need no
normalization; only their ratios count.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ntkspec.callables import checked_function
from ntkspec.errors import NtkspecError
from ntkspec.parameters import is_one_of, nearest, number, numbers, read_literal_call, shown

__all__ = [
    "Cap",
    "Density",
    "DensityFunction",
    "Pieces",
    "VonMises",
    "as_density",
    "density_parameters",
    "named_density",
]

Array = NDArray[np.float64]

ROUNDING = 2.0**-53
#: Angles at which a function is tried when a domain is made.
TRIED = 257
MOST_CONCENTRATION, MOST_PIECES = 1e4, 1000


class Density(ABC):
    """A density of the inputs, a function of an angle up to a factor.

    The angle is that of the point on the circle, in [0, 2 pi], and the angle to the axis on the
    sphere, in [0, pi].

    Attributes
    ----------
    even : bool
        Whether the density on the circle is the same at theta and -theta.
    constant : bool
        Whether it is constant on each of its pieces.

    Examples
    --------
    >>> VonMises(2.0).values(2, np.array([0.0, np.pi])).round(4)
    array([1.    , 0.0183])
    """

    even: ClassVar[bool] = True
    constant: ClassVar[bool] = False

    def check(self, dim: int) -> None:  # noqa: B027 (most densities are for all dimensions)
        """Raise unless the density is one on the sphere of this dimension."""

    def ends(self, dim: int) -> Array:
        """Increasing angles between which the density is smooth, from the first to the last."""
        return np.array([0.0, 2.0 * math.pi if dim == 2 else math.pi])

    @abstractmethod
    def values(self, dim: int, angles: Array) -> Array:
        """Values at angles inside of the pieces, up to a factor."""

    def rounding(self) -> tuple[float, float]:
        """Bounds on the errors of the values: relative, and relative to the largest."""
        return 4.0 * ROUNDING, 0.0


@dataclass(frozen=True)
class VonMises(Density):
    """The density of von Mises on the circle, of von Mises and Fisher on spheres.

    It is proportional to exp(concentration * t), t the cosine of the angle to the first axis.

    Parameters
    ----------
    concentration : float
        0, which is uniform, to 10^4.

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.spectrum("erf", ntkspec.Sphere(2, density=VonMises(2.0)), count=3).eigenvalues
    array([0.3433464 , 0.18553307, 0.01839568])
    """

    concentration: float

    def __post_init__(self) -> None:
        kappa = number(self.concentration, "concentration", 0.0, MOST_CONCENTRATION)
        object.__setattr__(self, "concentration", kappa)

    def values(self, dim: int, angles: Array) -> Array:
        """exp(concentration (cos angle - 1))."""
        return np.asarray(np.exp(-2.0 * self.concentration * np.sin(0.5 * angles) ** 2))

    def rounding(self) -> tuple[float, float]:
        """That of the exponent."""
        return (4.0 + 8.0 * self.concentration) * ROUNDING, 0.0


@dataclass(frozen=True)
class Cap(Density):
    """A cap around the first axis with more, or fewer, of the inputs; on the circle an arc.

    Parameters
    ----------
    angle : float
        Angle between the axis and the edge of the cap, above 0 and below pi.
    outside : float
        Density outside of the cap, relative to that inside; by default there are no inputs.

    Examples
    --------
    >>> Cap(1.0, outside=0.5).values(3, np.array([0.5, 1.5]))
    array([1. , 0.5])
    """

    angle: float
    outside: float = 0.0
    constant: ClassVar[bool] = True

    def __post_init__(self) -> None:
        angle = number(self.angle, "angle", 0.0, math.pi)
        if not 0.0 < angle < math.pi:
            raise NtkspecError(
                f"angle = {shown(self.angle)} is not allowed; the edge of a cap lies between 0 "
                "and pi"
            )
        object.__setattr__(self, "angle", angle)
        object.__setattr__(self, "outside", number(self.outside, "outside", 0.0, 1e100))

    def ends(self, dim: int) -> Array:
        """The edges."""
        if dim == 2:
            return np.array([0.0, self.angle, 2.0 * math.pi - self.angle, 2.0 * math.pi])
        return np.array([0.0, self.angle, math.pi])

    def values(self, dim: int, angles: Array) -> Array:
        """1 inside, `outside` outside."""
        inside = np.minimum(angles, 2.0 * math.pi - angles) < self.angle
        return np.where(inside, 1.0, self.outside)


@dataclass(frozen=True)
class Pieces(Density):
    """A density that is constant on pieces: arcs of the circle, zones of the sphere.

    Parameters
    ----------
    weights : iterable of float
        Relative density on each piece, at least 0; they need not sum to 1.
    edges : iterable of float, optional
        One more than there are weights, increasing.  On the circle the angles between which the
        arcs lie, the last 2 pi after the first; by default arcs of equal length from angle 0.  On
        the sphere the values of t between which the zones lie, from -1 to 1; by default zones of
        equal width in t.

    Notes
    -----
    Basri et al. (2020, section 4) use arcs.

    Examples
    --------
    >>> Pieces([1, 2, 4]).values(2, np.array([0.1, 3.0, 6.0]))
    array([1., 2., 4.])
    """

    weights: tuple[float, ...]
    edges: tuple[float, ...] | None = None
    even: ClassVar[bool] = False
    constant: ClassVar[bool] = True

    def __init__(self, weights: Iterable[float], edges: Iterable[float] | None = None) -> None:
        found = _listed(weights, "weights")
        if not (0 < len(found) <= MOST_PIECES and all(0.0 <= w <= 1e100 for w in found)):
            raise NtkspecError(
                f"weights = {shown(weights)} is not allowed; give 1 to {MOST_PIECES} numbers that "
                "are at least 0"
            )
        if max(found) == 0.0:
            raise NtkspecError(
                f"weights = {shown(weights)} leave no inputs; make one of them positive"
            )
        object.__setattr__(self, "weights", found)
        given = None if edges is None else _listed(edges, "edges")
        if given is not None:
            if len(given) != len(found) + 1:
                raise NtkspecError(
                    f"edges = {shown(edges)} is not allowed; {len(found)} weights need "
                    f"{len(found) + 1} edges"
                )
            if not all(a < b for a, b in pairwise(given)):
                raise NtkspecError(f"edges = {shown(edges)} is not allowed; they must increase")
        object.__setattr__(self, "edges", given)

    def check(self, dim: int) -> None:
        """Edges go once around the circle, or from -1 to 1."""
        if self.edges is None:
            return
        first, last = self.edges[0], self.edges[-1]
        if dim == 2:
            whole = abs(last - first - 2.0 * math.pi) <= 1e-12 * max(1.0, abs(first))
            if not (whole and abs(first) <= 2.0 * math.pi):
                raise NtkspecError(
                    f"edges = {shown(self.edges)} is not allowed on the circle; they are angles, "
                    "the last 2 pi after the first, which is from -2 pi to 2 pi"
                )
        elif (first, last) != (-1.0, 1.0):
            raise NtkspecError(
                f"edges = {shown(self.edges)} is not allowed for dim = {dim}; there they are "
                "values of t = x_1, from -1 to 1"
            )

    def ends(self, dim: int) -> Array:
        """The edges, as angles; of weights that are equal on both sides too."""
        edges = self._edges(dim)
        if dim == 2:
            return edges
        return np.concatenate([[0.0], np.arccos(edges[-2:0:-1]), [math.pi]])

    def values(self, dim: int, angles: Array) -> Array:
        """The weight of the piece of each angle."""
        edges, weights = self._edges(dim), np.array(self.weights)
        if dim == 2:
            turned = edges[0] + np.mod(angles - edges[0], 2.0 * math.pi)
            return np.asarray(weights[_piece(edges, turned)])
        return np.asarray(weights[::-1][_piece(self.ends(dim), angles)])

    def _edges(self, dim: int) -> Array:
        if self.edges is not None:
            return np.array(self.edges)
        return (
            np.linspace(0.0, 2.0 * math.pi, len(self.weights) + 1)
            if dim == 2
            else (np.linspace(-1.0, 1.0, len(self.weights) + 1))
        )


@dataclass(frozen=True)
class DensityFunction(Density):
    """A density given as a function: of the angle on the circle, of t on the sphere.

    A bare function as the `density` of `Sphere` stands for one without breaks.

    Parameters
    ----------
    function : callable
        Of a float64 array: angles in [0, 2 pi] on the circle, t = x_1 in [-1, 1] on the sphere.
        It returns densities at least 0 up to a factor, accurate to some units in the last place
        of the largest.  Features narrower than a thousandth of a piece may be missed: name their
        ends as breaks.
    breaks : iterable of float
        Where the function, or one of its derivatives, jumps: angles inside of (0, 2 pi), or values
        of t inside of (-1, 1).  On the circle it may jump at 0 too.

    Examples
    --------
    >>> import ntkspec
    >>> density = DensityFunction(lambda angle: np.abs(np.sin(angle)), breaks=[np.pi])
    >>> ntkspec.spectrum("erf", ntkspec.Sphere(2, density=density), count=2).eigenvalues.round(8)
    array([0.35093399, 0.18010502])
    """

    function: Callable[[Array], Any]
    breaks: tuple[float, ...] = ()
    even: ClassVar[bool] = False

    def __init__(self, function: Callable[[Array], Any], breaks: Iterable[float] = ()) -> None:
        object.__setattr__(self, "function", checked_function(function, "double", "density"))
        object.__setattr__(self, "breaks", tuple(sorted(set(_listed(breaks, "breaks")))))

    def check(self, dim: int) -> None:
        """The breaks lie inside, and the function has values that are densities."""
        low, high = (0.0, 2.0 * math.pi) if dim == 2 else (-1.0, 1.0)
        bad = [x for x in self.breaks if not low < x < high]
        if bad or len(self.breaks) > MOST_PIECES:
            where = "angles between 0 and 2 pi" if dim == 2 else "values of t between -1 and 1"
            raise NtkspecError(
                f"breaks = {shown(self.breaks)} is not allowed for dim = {dim}; give at most "
                f"{MOST_PIECES} {where}"
            )
        ends = self.ends(dim)
        inside = (np.arange(TRIED) + 0.5) / TRIED
        tried = [a + (b - a) * inside for a, b in pairwise(ends)]
        if not np.max(self.values(dim, np.concatenate(tried))) > 0.0:
            raise NtkspecError(
                "density is 0 everywhere, so that no inputs are left; give a function that is "
                "positive somewhere"
            )

    def ends(self, dim: int) -> Array:
        """The breaks, as angles."""
        if dim == 2:
            return np.array([0.0, *self.breaks, 2.0 * math.pi])
        return np.array([0.0, *np.arccos(np.array(self.breaks[::-1])), math.pi])

    def values(self, dim: int, angles: Array) -> Array:
        """The function's values.

        Raises
        ------
        NtkspecError
            When it raises, and for values that are no densities.
        """
        points = angles if dim == 2 else np.cos(angles)
        name = "angle" if dim == 2 else "t"
        try:
            found = np.asarray(self.function(points.copy()))
        except NtkspecError:
            raise
        except Exception as error:
            raise NtkspecError(
                f"density failed at an array of values of {name}: {type(error).__name__}: {error}; "
                "give a function of a float64 array"
            ) from error
        if found.dtype.kind not in "iuf" or found.shape not in ((), points.shape):
            raise NtkspecError(
                f"density returned {shown(found)} for {points.size} values of {name}; it must "
                "return a real number for each"
            )
        values = np.broadcast_to(found.astype(np.float64), points.shape)
        bad = np.flatnonzero(~((values >= 0.0) & (values <= 1e100)))
        if bad.size:
            raise NtkspecError(
                f"density is {values[bad[0]]:.6g} at {name} = {points[bad[0]]:.6g}; it must be a "
                "number from 0 to 1e100 everywhere"
            )
        return values

    def rounding(self) -> tuple[float, float]:
        """Some units in the last place of the largest."""
        return 4.0 * ROUNDING, 4.0 * ROUNDING


#: The densities that have names in texts and recipes.
NAMED: dict[str, type[Density]] = {"von_mises": VonMises, "pieces": Pieces, "cap": Cap}


def named_density(name: str, **parameters: Any) -> Density:
    """Return a density from its name and parameters, as given in recipes.

    Raises
    ------
    NtkspecError
        When the name is unknown, or a parameter is missing or not one of the density's.

    Examples
    --------
    >>> named_density("cap", angle=1.0)
    Cap(angle=1.0, outside=0.0)
    """
    if not is_one_of(name, NAMED):
        raise NtkspecError(
            f"density = {shown(name)} is not allowed; use one of {', '.join(NAMED)}"
            + nearest(name, NAMED)
        )
    known = {one.name: one for one in fields(NAMED[name])}  # type: ignore[arg-type]
    for key, value in parameters.items():
        if key not in known:
            raise NtkspecError(
                f"{key} = {shown(value)} is not a parameter of the density {name!r}"
                + nearest(key, known)
            )
    needed = next(iter(known))
    if needed not in parameters:
        raise NtkspecError(f"density = {name!r} is not allowed alone; give its {needed}")
    return NAMED[name](**parameters)


def density_parameters(density: Density) -> dict[str, Any]:
    """The name and parameters of a density; of a function what Python shows of it.

    Examples
    --------
    >>> density_parameters(VonMises(2.0))
    {'density': 'von_mises', 'concentration': 2.0}
    """
    for name, kind in NAMED.items():
        if type(density) is kind:
            given = {one.name: getattr(density, one.name) for one in fields(kind)}  # type: ignore[arg-type]
            return {"density": name, **given}
    return {"density": shown(density)}


def as_density(density: Any) -> Density:
    """Return a density; a bare function stands for `DensityFunction`.

    Text is the name of one with its numbers: "von_mises(2)", "pieces(1, 2, 4)", with `edges` as a
    list, or "cap(1.0, outside=0.1)".

    Raises
    ------
    NtkspecError
        For anything else.

    Examples
    --------
    >>> as_density(VonMises(1)), as_density(np.cosh).breaks
    (VonMises(concentration=1.0), ())
    >>> as_density("pieces(1, 2, edges=[-1, 0.5, 1])")
    Pieces(weights=(1.0, 2.0), edges=(-1.0, 0.5, 1.0))
    """
    if isinstance(density, Density):
        return density
    if isinstance(density, str):
        return _named(density)
    if callable(density) and not isinstance(density, type):
        return DensityFunction(density)
    raise NtkspecError(
        f"density = {shown(density)} is not allowed; give ntkspec.VonMises(1.0), "
        "ntkspec.Pieces([1, 2, 4]), ntkspec.Cap(1.0) or a function"
    )


def _named(text: str) -> Density:
    try:
        name, given, options = read_literal_call(text)
        make = NAMED[name]
    except (ValueError, KeyError):
        raise NtkspecError(
            f"density = {shown(text)} is not allowed; write 'von_mises(2)', 'pieces(1, 2, 4)' or "
            "'cap(1.0, outside=0.1)'"
        ) from None
    try:
        return make(given, **options) if make is Pieces else make(*given, **options)
    except TypeError:
        takes = {
            "von_mises": "the concentration: 'von_mises(2)'",
            "pieces": "weights, and edges in a list: 'pieces(1, 2, edges=[-1, 0.5, 1])'",
            "cap": "the angle and the density outside: 'cap(1.0, outside=0.1)'",
        }[name]
        raise NtkspecError(
            f"density = {shown(text)} is not allowed; {name} takes {takes}"
        ) from None


def _listed(values: Any, name: str) -> tuple[float, ...]:
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes)):
        raise NtkspecError(f"{name} = {shown(values)} is not allowed; give a list of numbers")
    found = numbers(list(values), name)
    if found.ndim != 1 or not np.all(np.isfinite(found)):
        raise NtkspecError(f"{name} = {shown(values)} is not allowed; give a list of numbers")
    return tuple(found.tolist())


def _piece(ends: Array, angles: Array) -> NDArray[np.intp]:
    """Number of the piece in which each angle lies."""
    return np.clip(np.searchsorted(ends, angles, side="right") - 1, 0, ends.size - 2)
