"""What a recipe asks the networks to learn: points, a finer grid, target and losses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.trainer import points as makers
from ntkspec.trainer.harmonics import degree_energy
from ntkspec.trainer.points import Points
from ntkspec.trainer.recipe import DataRecipe, RunRecipe, TargetRecipe
from ntkspec.trainer.sobolev import resolved_degree
from ntkspec.trainer.targets import Target, Term

__all__ = ["Measure", "Problem", "pose"]

Array = NDArray[np.float64]

#: The grid has so many times as many points as the training data, if the recipe does not say.
FINER = 4
#: Points of a grid beyond which the energies of a record would take longer than its steps.
MOST_GRID = 8192
#: Degrees up to which energies are recorded, beside the target's own.
MOST_RECORDED = 64


@dataclass(frozen=True)
class Measure:
    """What is recorded of a residual at some points.

    Attributes
    ----------
    points : Points
    degrees : (K,) int64 array
    parts : (K, n) float64 array
        The target's own harmonic of each degree, of unit norm; NaN where it has none.
    """

    points: Points
    degrees: NDArray[np.int64]
    parts: Array

    def energy(self, residual: Array) -> Array:
        """Energy of the residual at each degree, (K,)."""
        return degree_energy(residual, self.points, self.degrees.tolist())

    def amplitude(self, residual: Array) -> Array:
        """Its components along the target's own harmonics, (K,); NaN where there is none."""
        return np.asarray(np.sum(self.parts * (self.points.weights * residual), axis=1))


@dataclass(frozen=True)
class Problem:
    """Points, target and what is recorded.

    Attributes
    ----------
    points, grid : Points
    target : Target
    target_values, grid_target : (n,) and (g,) float64 arrays
    degrees : (K,) int64 array
        Recorded degrees.
    on_points, on_grid : Measure
    """

    points: Points
    grid: Points
    target: Target
    target_values: Array
    grid_target: Array
    degrees: NDArray[np.int64]
    on_points: Measure
    on_grid: Measure


def pose(recipe: RunRecipe) -> Problem:
    """Make the points, the grid and the target of a recipe.

    Raises
    ------
    NtkspecError
        When points cannot be made as the recipe says, or the target is not one for them.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import parse_run_recipe
    >>> problem = pose(parse_run_recipe('''
    ... steps = 10
    ... network = {activation = "relu", width = 2}
    ... data = {kind = "circle", points = 8}
    ... target = {kind = "sine", degrees = [1, 3]}'''))
    >>> problem.target_values.round(6)[:3], problem.grid.n, problem.degrees
    (array([0.      , 1.414214, 0.      ]), 32, array([0, 1, 2, 3]))
    """
    points = _points(recipe.data)
    grid = _grid(recipe.data, points)
    target = _target(recipe.target)
    degrees = _recorded(points, target)
    return Problem(
        points=points,
        grid=grid,
        target=target,
        target_values=target.values(points.x),
        grid_target=target.values(grid.x),
        degrees=degrees,
        on_points=_measure(points, target, degrees),
        on_grid=_measure(grid, target, degrees),
    )


def _points(data: DataRecipe) -> Points:
    points = _made(data)
    if data.weights == "uniform" and not np.allclose(points.weights, 1.0 / points.n, atol=1e-12):
        return Points(points.x, np.full(points.n, 1.0 / points.n), points.kind, 0)
    if data.weights == "quadrature":
        from ntkspec.trainer.cubature import quadrature_weights

        weights, degree = quadrature_weights(points.x)
        return Points(points.x, weights, points.kind, degree)
    return points


def _made(data: DataRecipe) -> Points:
    given: dict[str, Any] = {
        "circle": {"n": data.points},
        "random": {"n": data.points, "dim": data.dim, "seed": data.seed},
        "fibonacci": {"n": data.points},
        "product": {"degree": data.degree, "dim": data.dim},
        "design": {"degree": data.degree},
        "cloud": {"n": data.points, "dim": data.dim, "seed": data.seed},
        "file": {},
    }[data.kind]
    if data.density is not None:
        given["density"] = data.density
    if data.kind == "file":
        return makers.from_array(_read(Path(data.file)))
    maker = {"random": "random_points", "product": "product_rule", "design": "spherical_design"}
    return getattr(makers, maker.get(data.kind, data.kind))(**given)  # type: ignore[no-any-return]


def _read(path: Path) -> Array:
    """Coordinates of points, a row each: an array of numpy, or numbers between commas."""
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
        return np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise NtkspecError(f"file = {str(path)!r} holds no array of numbers ({error})") from None


def _grid(data: DataRecipe, points: Points) -> Points:
    """Points between those of the training, with weights: exact ones where there are few enough."""
    wanted = data.grid or min(FINER * points.n, MOST_GRID)
    if points.dim == 2:
        return makers.circle(wanted)
    degree = 1
    while _rule_size(degree + 1, points.dim) <= wanted:
        degree += 1
    if points.dim == 3 or degree // 2 > resolved_degree(points):
        return makers.product_rule(degree, points.dim)
    return makers.random_points(wanted, points.dim, data.seed + 1)


def _rule_size(degree: int, dim: int) -> int:
    """Number of points of `product_rule`."""
    nodes = degree // 2 + 1
    return (degree + 1) * int(nodes ** (dim - 2))


def _target(target: TargetRecipe) -> Target:
    terms = zip(target.degrees, target.amplitudes, target.index, strict=True)
    return Target(
        Term(degree, amplitude, target.kind, index, target.pole)
        for degree, amplitude, index in terms
    )


def _recorded(points: Points, target: Target) -> NDArray[np.int64]:
    """The degrees that the points tell apart, up to a bound, and those of the target."""
    resolved = (points.n - 1) // 2 if points.equispaced else resolved_degree(points)
    last = min(max(resolved, *target.degrees), MOST_RECORDED)
    return np.union1d(np.arange(last + 1), target.degrees).astype(np.int64)


def _measure(points: Points, target: Target, degrees: NDArray[np.int64]) -> Measure:
    parts = np.full((degrees.size, points.n), np.nan)
    for row, degree in zip(parts, degrees.tolist(), strict=True):
        if (part := target.component(degree, points.x)) is not None:
            row[:] = part
    return Measure(points, degrees, parts)
