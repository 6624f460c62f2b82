"""Training points on the circle and on spheres, with their quadrature weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.parameters import number, whole_number
from ntkspec.trainer.checks import (
    OFF_SPHERE,
    checked_dim,
    checked_values,
    checked_vectors,
    function_values,
)
from ntkspec.trainer.cubature import exact_degree, quadrature_weights
from ntkspec.trainer.designs import design_points, spiral
from ntkspec.trainer.harmonics import Basis, axis, count, multiplicity
from ntkspec.trainer.waves import Features, Waves, frequencies_to, lattice

__all__ = [
    "Density",
    "Points",
    "circle",
    "cloud",
    "fibonacci",
    "from_array",
    "product_rule",
    "random_points",
    "spherical_design",
    "torus_grid",
    "torus_points",
]

Array = NDArray[np.float64]
Density = Literal["cap", "cluster"]

#: Most bytes that a set of points may take.
MOST_BYTES = 2**31
#: Distance up to which two points count as the same.
SAME = 1e-12
#: Number of clusters of a "cluster" cloud, and the fraction of its points that lie in them.
CLUSTERS, IN_CLUSTERS = 5, 0.5
#: Largest concentration: above it, points of a cap are too close together to tell apart.
MOST_CONCENTRATION = 1e6
#: Points proposed at a time to a user's density, and how many may be rejected for each one kept.
PROPOSALS, MOST_PROPOSED = 1 << 14, 10**4


@dataclass(frozen=True, eq=False)
class Points:
    """Training points, mostly on the sphere, and the weights of their quadrature rule.

    Parameters
    ----------
    x : (n, dim) ndarray of float64
        Unit vectors, or vectors of any norm; on a torus the features.
    weights : (n,) ndarray of float64
        Non-negative, with sum 1.
    kind : str
        How they were made: "circle", "random", "design", ...
    exact_degree : int
        The rule integrates every polynomial up to this degree exactly (to rounding); 0 where
        nothing is known; on a torus every wave of a shorter frequency vector.
    features : Features, optional
        Of a torus.
    coordinates : (n, m) ndarray, optional
        On the torus.

    Examples
    --------
    >>> points = circle(8)
    >>> points.n, points.dim, points.exact_degree, points.equispaced
    (8, 2, 7, True)
    """

    x: Array
    weights: Array
    kind: str
    exact_degree: int
    features: Features | None = None
    coordinates: Array | None = None

    @property
    def n(self) -> int:
        """Number of points."""
        return int(self.x.shape[0])

    @property
    def dim(self) -> int:
        """Dimension of the space around the sphere."""
        return int(self.x.shape[1])

    @property
    def at(self) -> Array:
        """Where targets are evaluated: the vectors, or coordinates on the torus."""
        return self.x if self.coordinates is None else self.coordinates

    def others(self, x: ArrayLike) -> Points:
        """Other points of the same sphere or torus."""
        if self.features is not None:
            return torus_points(x, self.features)
        made = from_array(x)
        checked_vectors(made.x, self.dim)
        return made

    def checked(self, x: ArrayLike) -> Array:
        """Where a target is evaluated on the same sphere or torus, or raise."""
        return checked_vectors(x, self.dim) if self.features is None else self.features.checked(x)

    def basis(self, last: int, x: Array | None = None) -> Basis | Waves:
        """Harmonics, or waves, up to a degree at these points, or at others."""
        at = self.at if x is None else x
        return Basis(at, last) if self.features is None else Waves(at, last)

    def count(self, last: int) -> int:
        """Number of them."""
        return count(self.dim, last) if self.features is None else 2 * last + 1

    def multiplicity(self, degree: int) -> int:
        """Number of those of one degree."""
        return multiplicity(self.dim, degree) if self.features is None else 1 + (degree > 0)

    def lengths(self, degrees: ArrayLike) -> Array:
        """The degrees; on a torus the lengths of the frequency vectors of these numbers."""
        k = np.asarray(degrees, dtype=np.float64)
        if self.features is None or self.features.dim == 1:
            return k
        known = frequencies_to(self.features.dim, int(k.max(initial=0.0)))
        return np.asarray(np.linalg.norm(known[k.astype(np.int64)], axis=-1))

    def laplacian(self, degrees: ArrayLike) -> Array:
        """k (k + d - 2), or on a torus the square of the length."""
        k = self.lengths(degrees)
        return k * (k + (self.dim - 2 if self.features is None else 0))

    def longest(self, length: float) -> int:
        """The last degree up to a length."""
        if self.features is None or self.features.dim == 1:
            return int(length)
        last = 0
        while self.lengths(2 * last + 1) <= length:
            last = 2 * last + 1
        return int(np.flatnonzero(self.lengths(np.arange(2 * last + 2)) <= length)[-1])

    def with_quadrature_weights(self, degree: int | None = None) -> Points:
        """Return the same points with weights that are exact up to a degree.

        See `ntkspec.trainer.cubature.quadrature_weights`; by default the largest degree.

        Examples
        --------
        >>> rule = random_points(100, 3, seed=0).with_quadrature_weights()
        >>> rule.exact_degree, bool(rule.weights.min() >= 0.0)
        (5, True)
        """
        self.check_on_sphere("quadrature weights are")
        if self.features is not None:
            raise NtkspecError("quadrature weights are for points on the sphere, not on a torus")
        weights, reached = quadrature_weights(self.x, degree)
        return replace(self, weights=weights, exact_degree=reached)

    @cached_property
    def on_sphere(self) -> bool:
        """Whether all are unit vectors."""
        return bool(np.all(np.abs(np.linalg.norm(self.x, axis=1) - 1.0) <= OFF_SPHERE))

    def check_on_sphere(self, what: str) -> None:
        """Raise unless all are unit vectors, which `what` needs."""
        if not self.on_sphere:
            norms = np.linalg.norm(self.x, axis=1)
            raise NtkspecError(
                f"{what} for points on the sphere, and these have norms from {norms.min():.6g} to "
                f"{norms.max():.6g}; divide each by its norm"
            )

    @cached_property
    def equispaced(self) -> bool:
        """Whether these are the points of `circle`, in the same order, with equal weights."""
        return (
            self.dim == 2
            and self.features is None
            and bool(np.all(np.abs(self.weights * self.n - 1.0) <= SAME))
            and bool(np.all(np.abs(self.x - _on_circle(self.n)) <= SAME))
        )


def circle(n: int) -> Points:
    """n equispaced points on the circle, at the angles 2 pi j/n.

    The poster's x in [0, 1) is the angle over 2 pi.

    Examples
    --------
    >>> circle(4).x.round(12) + 0.0
    array([[ 1.,  0.],
           [ 0.,  1.],
           [-1.,  0.],
           [ 0., -1.]])
    """
    n = _checked_size(n, 2)
    return _uniform(_on_circle(n), "circle", n - 1)


def _on_circle(n: int) -> Array:
    angle = 2.0 * np.pi * np.arange(n) / n
    return np.stack((np.cos(angle), np.sin(angle)), axis=1)


def random_points(n: int, dim: int, seed: int) -> Points:
    """n independent points, uniform on the sphere, with equal weights.

    Examples
    --------
    >>> random_points(5, 3, seed=0).x.shape
    (5, 3)
    """
    n = _checked_size(n, checked_dim(dim))
    return _uniform(_unit(_generator(seed).standard_normal((n, dim))), "random")


def fibonacci(n: int) -> Points:
    """n points along a spiral on S^2, nearly evenly spaced, with equal weights.

    See `ntkspec.trainer.designs.spiral`.  The rule is exact for no degree.

    Examples
    --------
    >>> fibonacci(100).exact_degree
    0
    """
    n = _checked_size(n, 3)
    return _uniform(_unit(spiral(n, n)), "fibonacci")


def product_rule(degree: int, dim: int) -> Points:
    """Product Gauss rule, exact for all polynomials up to a degree.

    On the circle degree + 1 equispaced points; in each further dimension Gauss-Gegenbauer nodes
    of the weight (1-t^2)^((dim-3)/2) along the last axis (Stroud 1971, Approximate Calculation of
    Multiple Integrals, chapter 2).

    Raises
    ------
    NtkspecError
        If the points would not fit in memory: their number grows as degree^(dim-1).

    Examples
    --------
    >>> rule = product_rule(7, 3)
    >>> rule.n, round(float(rule.weights @ rule.x[:, 2] ** 6), 14)
    (32, 0.14285714285714)
    """
    dim, degree = checked_dim(dim), whole_number(degree, "degree", least=1)
    nodes = degree // 2 + 1
    _checked_size((degree + 1) * nodes ** (dim - 2), dim)
    x, weights = _on_circle(degree + 1), np.full(degree + 1, 1.0 / (degree + 1))
    for d in range(3, dim + 1):
        t, along = np.zeros(1), np.ones(1)
        if nodes > 1:
            t, along = special.roots_gegenbauer(nodes, (d - 2) / 2)
        # The points (sqrt(1-t^2) x, t) for all t and x.
        sine = np.sqrt((1.0 - t) * (1.0 + t))
        rest = (sine[:, np.newaxis, np.newaxis] * x).reshape(-1, d - 1)
        x = np.column_stack((rest, np.repeat(t, len(x))))
        weights = np.outer(along / np.sum(along), weights).ravel()
    return Points(_unit(x), weights / weights.sum(), "product", degree)


def spherical_design(degree: int) -> Points:
    """Points on S^2 that integrate all polynomials up to a degree with equal weights.

    About degree^2/2 points in opposite pairs, computed once per process; see
    `ntkspec.trainer.designs.design_points`.

    Raises
    ------
    NtkspecError
        If degree is not between 1 and 63.

    Examples
    --------
    >>> spherical_design(6).exact_degree
    7
    """
    return _uniform(design_points(degree).copy(), "design", degree + 1 - degree % 2)


def cloud(
    n: int,
    dim: int,
    seed: int,
    density: Density | Callable[[Array], ArrayLike] = "cap",
    concentration: float | None = None,
) -> Points:
    """n independent points drawn from a non-uniform density, with equal weights 1/n.

    Parameters
    ----------
    n, dim, seed : int
    density : {"cap", "cluster"} or callable
        "cap": von Mises-Fisher, proportional to exp(concentration <x, pole>), about the
        axis of `ntkspec.trainer.harmonics.axis`.  "cluster": half of the points uniform, the others
        in 5 von Mises-Fisher clusters about random centres.  A function maps points (m, dim)
        to values (m,), non-negative, proportional to the density.
    concentration : float, optional
        For a named density: at least 0, by default 1 for "cap" and 50 for "cluster".

    Raises
    ------
    NtkspecError
        If the density has an unknown name, is negative or not finite, or is so narrow that less
        than one in ten thousand uniform points would be kept.

    Notes
    -----
    A function is sampled by rejection from the uniform density, bounded by the largest value seen;
    when a larger value appears, sampling starts again with the new bound.

    Examples
    --------
    >>> points = cloud(1000, 3, seed=0, density="cap", concentration=2.0)
    >>> bool(abs(points.x[:, 2].mean() - (1 / np.tanh(2.0) - 1 / 2.0)) < 0.05)
    True
    """
    n, generator = _checked_size(n, checked_dim(dim)), _generator(seed)
    if callable(density):
        if concentration is not None:
            raise NtkspecError("concentration is for a named density, not for a function")
        x = _rejected(n, dim, density, generator)
    elif density == "cap":
        x = _cap(n, axis(dim), _checked_concentration(concentration, 1.0), generator)
    elif density == "cluster":
        x = _clusters(n, dim, _checked_concentration(concentration, 50.0), generator)
    else:
        raise NtkspecError(
            f"density = {density!r} is not allowed; use 'cap', 'cluster' or a function"
        )
    return _uniform(x, "cloud")


def _cap(n: int, pole: Array, concentration: float, generator: np.random.Generator) -> Array:
    if concentration == 0.0:
        return _unit(generator.standard_normal((n, pole.size)))
    law = stats.vonmises_fisher(pole, concentration)
    return _unit(np.reshape(law.rvs(n, random_state=generator), (n, pole.size)))


def _clusters(n: int, dim: int, concentration: float, generator: np.random.Generator) -> Array:
    centres = _unit(generator.standard_normal((CLUSTERS, dim)))
    inside = round(IN_CLUSTERS * n)
    sizes = [len(part) for part in np.array_split(np.arange(inside), CLUSTERS)]
    parts = [_unit(generator.standard_normal((n - inside, dim)))]
    parts += [
        _cap(size, centre, concentration, generator)
        for centre, size in zip(centres, sizes, strict=True)
        if size
    ]
    return np.concatenate(parts)


def _rejected(
    n: int, dim: int, density: Callable[[Array], ArrayLike], generator: np.random.Generator
) -> Array:
    """Points kept with a probability proportional to their density."""
    bound, kept, total, proposed = 0.0, list[Array](), 0, 0
    while total < n:
        x = _unit(generator.standard_normal((PROPOSALS, dim)))
        values, chances = function_values(density, x, "density"), generator.random(PROPOSALS)
        if values.min() < 0.0:
            raise NtkspecError(f"density is {values.min():g} at a point; it must not be negative")
        if values.max() > bound:
            # The points so far were drawn with too low a bound.
            bound, kept, total, proposed = float(values.max()), [], 0, 0
            continue
        part = x[chances * bound < values]
        kept.append(part)
        total += len(part)
        proposed += PROPOSALS
        if proposed > MOST_PROPOSED * (total + 1):
            raise NtkspecError(
                f"density is too narrow: it keeps {total} of {proposed} uniform points, and "
                f"{n} are needed"
            )
    return np.ascontiguousarray(np.concatenate(kept)[:n])


def _checked_concentration(concentration: float | None, default: float) -> float:
    given = default if concentration is None else concentration
    return number(given, "concentration", 0.0, MOST_CONCENTRATION)


def from_array(x: ArrayLike, weights: ArrayLike | None = None) -> Points:
    """Points with the given coordinates.

    Parameters
    ----------
    x : (n, dim) array_like
        Where all norms are 1 to 1e-8, the vectors are normalized, and are points on the sphere.
    weights : (n,) array_like, optional
        Non-negative, with sum 1 (to 1e-8); by default 1/n.

    Raises
    ------
    NtkspecError
        If a point is given twice, shapes do not fit, or weights are negative or do not sum to 1.

    Notes
    -----
    exact_degree is measured, by `ntkspec.trainer.cubature.exact_degree`; off the sphere it is 0.

    Examples
    --------
    >>> from_array([[1.0, 0.0], [0.0, 1.0]]).weights
    array([0.5, 0.5])
    """
    array = checked_vectors(x, None, math.inf)
    n = array.shape[0]
    given = np.full(n, 1.0 / n) if weights is None else _checked_weights(weights, n)
    made = Points(np.ascontiguousarray(array), given, "array", 0)
    _check_distinct(array / max(1.0, np.abs(array).max()))
    if not made.on_sphere:
        return made
    array = _unit(array)
    return Points(array, given, "array", exact_degree(array, given))


def torus_points(x: ArrayLike, features: Features) -> Points:
    """Points of a torus, with equal weights.

    Parameters
    ----------
    x : (n, m) array_like
        Coordinates, of period 1.
    features : Features
        By which they enter the network.

    Raises
    ------
    NtkspecError
        If a point is given twice, or the shape does not fit.

    Examples
    --------
    >>> torus_points([[0.0], [0.3]], Features([[1], [2]])).dim
    4
    """
    z = features.checked(x)
    _check_distinct(np.concatenate((np.cos(2 * np.pi * z), np.sin(2 * np.pi * z)), axis=1))
    _checked_size(len(z), 2 * len(features.frequencies))
    return _uniform(features.of(z), "array", 0, features, z)


def torus_grid(side: int, features: Features) -> Points:
    """Equispaced points of a torus: i/side in each coordinate.

    Examples
    --------
    >>> points = torus_grid(4, Features([[1, 0], [0, 1]]))
    >>> points.n, points.exact_degree, points.coordinates[1]
    (16, 3, array([0.  , 0.25]))
    """
    side = whole_number(side, "points", least=2)
    _checked_size(side**features.dim, 2 * len(features.frequencies))
    z = lattice(side, features.dim)
    return _uniform(features.of(z), "torus", side - 1, features, z)


def _uniform(x: Array, kind: str, degree: int = 0, *torus: Any) -> Points:
    """Points with equal weights."""
    return Points(x, np.full(len(x), 1.0 / len(x)), kind, degree, *torus)


def _unit(x: Array) -> Array:
    return np.ascontiguousarray(x / np.linalg.norm(x, axis=1)[:, np.newaxis])


def _check_distinct(x: Array) -> None:
    """Raise if two points are the same: such points are neighbours along any direction."""
    along = x @ np.random.default_rng(0).standard_normal(x.shape[1])
    order = np.argsort(along, kind="stable")
    reach = SAME * math.sqrt(x.shape[1]) * 10.0
    for shift in range(1, x.shape[0]):
        close = np.flatnonzero(along[order[shift:]] - along[order[:-shift]] <= reach)
        if not close.size:
            return
        first, second = order[close], order[close + shift]
        same = np.flatnonzero(np.linalg.norm(x[first] - x[second], axis=1) <= SAME)
        if same.size:
            i, j = sorted((int(first[same[0]]), int(second[same[0]])))
            raise NtkspecError(f"points[{j}] is the same as points[{i}]; give each point once")


def _checked_weights(weights: ArrayLike, n: int) -> Array:
    array = checked_values(weights, n, "weights")
    bad = np.flatnonzero(~(array >= 0.0))
    if bad.size:
        raise NtkspecError(f"weights[{bad[0]}] = {array[bad[0]]} is not allowed; it must be >= 0")
    total = float(array.sum())
    if not abs(total - 1.0) <= 1e-8:
        raise NtkspecError(f"weights sum to {total:.10g}; the sum must be 1")
    return array / total


def _checked_size(n: int, dim: int) -> int:
    """Return a number of points, or raise."""
    n = whole_number(n, "n", least=1)
    if 8 * n * (dim + 1) > MOST_BYTES:
        raise NtkspecError(
            f"{n} points in dim = {dim} are not allowed: they take {8 * n * (dim + 1):.3g} bytes, "
            f"and the most is {MOST_BYTES:.3g}"
        )
    return n


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(whole_number(seed, "seed", least=0))
