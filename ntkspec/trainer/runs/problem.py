"""The learning problem of a recipe: points, a finer grid, target and recorded degrees."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.jobs.lines import Fault, KeyPath, attributed
from ntkspec.locks import cached_property
from ntkspec.trainer.checks import function_values
from ntkspec.trainer.eigenvectors import EigenvectorTarget
from ntkspec.trainer.energy import degree_energy
from ntkspec.trainer.network import FiniteNetwork, start
from ntkspec.trainer.passes import memory_kinds
from ntkspec.trainer.points import (
    Points,
    circle,
    cloud,
    fibonacci,
    from_array,
    product_rule,
    random_points,
    spherical_design,
    torus_grid,
    torus_points,
)
from ntkspec.trainer.recipe import DataRecipe, RunRecipe, TargetRecipe, harmonics_of
from ntkspec.trainer.runs.checkpoints import Sizes
from ntkspec.trainer.sobolev import resolved_degree
from ntkspec.trainer.targets import SampledTarget, Target, on_torus

__all__ = [
    "Measure",
    "Problem",
    "known_target",
    "make_problem",
    "problem_of",
    "recipe_target",
    "sampled",
    "start_network",
]

Array = NDArray[np.float64]

#: What makes the points of a kind, and from which keys.
MAKERS: dict[str, tuple[Callable[..., Points], tuple[str, ...]]] = {
    "circle": (circle, ("points",)),
    "random": (random_points, ("points", "dim", "seed")),
    "fibonacci": (fibonacci, ("points",)),
    "product": (product_rule, ("degree", "dim")),
    "design": (spherical_design, ("degree",)),
    "cloud": (cloud, ("points", "dim", "seed", "density", "concentration")),
    "torus": (torus_grid, ("points", "features")),
}
#: Default ratio of grid points to training points.
FINER = 4
#: Largest default grid; with more points a record would take longer than the steps.
MOST_GRID = 8192
#: Largest recorded degree, apart from those of the target.
MOST_RECORDED = 64
#: Largest size of a basis that is kept in memory.
MOST_HELD = 2**23


@dataclass(frozen=True)
class Measure:
    """Measures a residual at points.

    `parts`, (K, n), holds the target's harmonic of each degree, normalized; NaN for degrees that
    are not in the target.  `rows` holds eigenvectors, where the degrees are ranks of these.
    """

    points: Points
    degrees: NDArray[np.int64]
    parts: Array
    rows: Array | None = None

    @cached_property
    def _basis(self) -> Array | None:
        """All harmonics up to the last degree, (count, n); None if they need too much memory."""
        last = int(self.degrees[-1])
        if self.points.count(last) * self.points.n > MOST_HELD:
            return None
        return np.ascontiguousarray(self.points.basis(last).matrix().T)

    def energy(self, residual: Array) -> Array:
        """Energy of the residual at each degree, (K,); see `degree_energy`."""
        if self.rows is not None:
            return np.asarray(np.add.reduceat((self.rows @ residual) ** 2, self.degrees))
        if self._basis is None:
            return degree_energy(residual, self.points, self.degrees.tolist())
        squares = (self._basis @ (self.points.weights * residual)) ** 2
        first = [self.points.count(k - 1) if k else 0 for k in range(self.degrees[-1] + 1)]
        return np.asarray(np.add.reduceat(squares, first)[self.degrees])

    def amplitude(self, residual: Array) -> Array:
        """Components along the target's harmonics, (K,); NaN for degrees not in the target."""
        return np.asarray(np.sum(self.parts * (self.points.weights * residual), axis=1))


@dataclass(frozen=True, eq=False, repr=False)
class Problem:
    """The points, target and recorded degrees of a recipe.

    Attributes
    ----------
    recipe : RunRecipe
    points, grid : Points
    target : Target or SampledTarget
    target_values, grid_target : (n,) and (g,) float64 arrays
        NaN on the grid where the target is samples.
    degrees : (K,) int64 array
        Recorded degrees.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import read_run_recipe
    >>> from ntkspec.trainer.runs import make_problem
    >>> problem = make_problem(read_run_recipe(run_recipe_path))
    >>> problem.points.n, problem.degrees
    (16, array([0, 1, 2, 3, 4, 5, 6, 7]))
    """

    recipe: RunRecipe
    points: Points
    grid: Points
    target: Target | SampledTarget
    target_values: Array
    grid_target: Array
    degrees: NDArray[np.int64]

    @cached_property
    def observed(self) -> Target | SampledTarget:
        """What the network's observations at the points are compared with: u, or A u."""
        return self.recipe.loss.observed(self.target, self.points.dim)

    @cached_property
    def observations(self) -> Array:
        """Its values (n,) at the training points; then those of u at the data of a PDE."""
        if self.recipe.operator is None:
            return self.target_values
        return self.recipe.loss.observations(self.target, self.points)

    @cached_property
    def on_points(self) -> Measure:
        """Measures residuals at the training points."""
        return _measure(self.points, self.observed, self.degrees)

    @cached_property
    def on_grid(self) -> Measure:
        """Measures residuals on the finer grid."""
        return _measure(self.grid, self.target, self.degrees)

    @property
    def sizes(self) -> Sizes:
        """Sizes of the run, which determine the shapes of its arrays."""
        points, recipe = self.points, self.recipe
        data = recipe.loss.data(points)
        observations = points.n + (0 if data is None else len(data))
        return Sizes(
            points.n, observations, self.grid.n, points.dim, self.degrees.size, recipe.steps,
            recipe.network.network,
            memory_kinds(recipe.optimizer.momentum, recipe.optimizer.adam),
        )  # fmt: skip


def make_problem(recipe: RunRecipe) -> Problem:
    """Make the points, the grid and the target of a recipe.

    Raises
    ------
    NtkspecError
        When the points cannot be made, or the target does not fit them or the losses; the
        message has the line of the recipe.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import read_run_recipe
    >>> problem = make_problem(read_run_recipe(run_recipe_path))
    >>> problem.target_values.round(6)[:3], problem.grid.n
    (array([0.      , 1.08979 , 1.707107]), 64)
    """
    try:
        points = _points(recipe.data)
        samples = _samples(recipe.target, points) if recipe.target.kind == "samples" else None
        return problem_of(recipe, points, recipe_target(recipe.target, points, samples))
    except NtkspecError as error:
        fault = error if isinstance(error, Fault) else Fault(str(error), ("data",))
        raise fault.located(recipe.text, recipe.source) from None


def problem_of(
    recipe: RunRecipe,
    points: Points,
    target: Target | SampledTarget,
    function: Callable[[Array], ArrayLike] | None = None,
) -> Problem:
    """Make the problem of given points and a target, which the recipe describes.

    Parameters
    ----------
    recipe : RunRecipe
    points : Points
    target : Target or SampledTarget
    function : callable, optional
        Gives the target's values on the grid, where the target is samples of it.

    Raises
    ------
    NtkspecError
        When the target does not fit the points or the losses.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import read_run_recipe
    >>> problem = make_problem(read_run_recipe(run_recipe_path))
    >>> problem_of(problem.recipe, problem.points, problem.target).grid.n
    64
    """
    target = known_target(recipe, points, target)
    if isinstance(target, EigenvectorTarget):
        values = target.samples
        return Problem(recipe, points, points, target, values, values, target.ranks)
    points.check_on_sphere("a PDE is" if recipe.loss.operator else "a target of harmonics is")
    grid = _grid(recipe.data, points)
    _check_weighed(recipe, points, target)
    on_grid = target.values(grid.at)
    if function is not None:
        on_grid = function_values(function, grid.at, "the target's function")
    values = target.values(points.at)
    last = min(max((_resolvable(points), *target.degrees)), MOST_RECORDED)
    degrees = np.union1d(np.arange(last + 1), np.array(target.degrees, dtype=np.int64))
    return Problem(recipe, points, grid, target, values, on_grid, degrees)


def known_target(
    recipe: RunRecipe, points: Points, target: Target | SampledTarget
) -> Target | SampledTarget:
    """The target in the parts that are recorded: samples along eigenvectors where degrees say less.

    So for points off the sphere, and for a loss in the kernel's eigenvectors.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import read_run_recipe
    >>> problem = make_problem(read_run_recipe(run_recipe_path))
    >>> known_target(problem.recipe, problem.points, problem.target).part
    'degree'
    """
    if isinstance(target, SampledTarget) and (
        recipe.loss.weight == "kernel" or not points.on_sphere
    ):
        network = recipe.network.network
        return EigenvectorTarget(points, target.samples, MOST_RECORDED - 1, network)
    return target


def sampled(points: Points, samples: ArrayLike) -> SampledTarget:
    """The target of values at the points, with the degrees that the points resolve.

    Examples
    --------
    >>> points = circle(16)
    >>> sampled(points, points.x[:, 0]).degrees
    (1,)
    """
    return SampledTarget(points, samples, min(_resolvable(points), MOST_RECORDED))


def _points(data: DataRecipe) -> Points:
    points = _made(data)
    if data.weights == "uniform" and not np.allclose(points.weights, 1.0 / points.n, atol=1e-12):
        return Points(points.x, np.full(points.n, 1.0 / points.n), points.kind, 0)
    if data.weights == "quadrature":
        return points.with_quadrature_weights()
    return points


def _made(data: DataRecipe) -> Points:
    if data.kind != "file":
        maker, names = MAKERS[data.kind]
        return maker(*(getattr(data, name) for name in names))
    values = _read(data.file, ("data", "file"))
    with attributed("data", "file", before=f"file = {data.file!r}: "):
        return from_array(values) if data.features is None else torus_points(values, data.features)


def _read(file: str, path: KeyPath) -> Array:
    """Read a matrix from a file of numpy or from comma-separated numbers."""
    try:
        if Path(file).suffix == ".npy":
            return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64)
        with warnings.catch_warnings(action="error"):  # numpy reads an empty file without an error
            return np.loadtxt(file, delimiter=",", ndmin=2)
    except (EOFError, OSError, TypeError, UserWarning, ValueError) as error:
        raise Fault(f"file = {file!r} is not an array of numbers ({error})", path) from None


def _samples(target: TargetRecipe, points: Points) -> Array:
    """Read one value per point from a file: a row, a column or a vector."""
    path = ("target", "file")
    values = _read(target.file, path)
    if values.size != points.n or max(values.shape, default=0) != points.n:
        raise Fault(
            f"file = {target.file!r} has the shape {values.shape}; give one value for "
            f"each of the {points.n} points",
            path,
        )
    with attributed(*path, before=f"file = {target.file!r}: "):
        return SampledTarget(points, values.ravel(), 0).samples


def _grid(data: DataRecipe, points: Points) -> Points:
    """Points between the training points, with weights; exact ones if there are few enough."""
    wanted = data.grid or min(FINER * points.n, MOST_GRID)
    if points.features is not None:
        return torus_grid(max(2, round(wanted ** (1.0 / points.features.dim))), points.features)
    if points.dim == 2:
        return circle(wanted)
    degree = 1
    while (degree + 2) * ((degree + 3) // 2) ** (points.dim - 2) <= wanted:  # of `product_rule`
        degree += 1
    if points.dim == 3 or degree // 2 > resolved_degree(points):
        return product_rule(degree, points.dim)
    return random_points(wanted, points.dim, data.seed + 1)


def recipe_target(
    target: TargetRecipe, points: Points, samples: Array | None = None
) -> Target | SampledTarget:
    """Make the target of a recipe; one of samples needs its values at the points."""
    if target.kind == "samples":
        assert samples is not None
        return sampled(points, samples)
    found = harmonics_of(target)
    return found if points.features is None else on_torus(found, points.features)


def start_network(recipe: RunRecipe, dim: int, width: int, seed: int) -> FiniteNetwork:
    """Make the network of a member before its first step; calls are reproducible.

    Parameters
    ----------
    recipe : RunRecipe
    dim : int
        Dimension of the points.
    width, seed : int
        Of the member.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> run = open_run(run_path)
    >>> member = run.members[0]
    >>> network = start_network(run.recipe, run.points.dim, member.width, member.seed)
    >>> network.parameters["weights_2"][0, :4]
    array([ 1., -1., -1.,  1.])
    """
    network = recipe.network
    return start(
        network.network, width, dim, seed, start=network.start, precision=network.precision
    )  # fmt: skip


def _check_weighed(recipe: RunRecipe, points: Points, target: Target | SampledTarget) -> None:
    """Refuse a target of higher degree than a Sobolev loss weighs by default."""
    most, degree = resolved_degree(points), max(points.lengths(target.degrees), default=0)
    sobolev = recipe.loss.weight != "kernel" and any(s != "l2" for s in recipe.loss.exponents)
    if sobolev and recipe.loss.max_degree is None and degree > most:
        raise Fault(
            f"degrees: {degree:g} is not allowed with a Sobolev loss, which on these {points.n} "
            f"points weighs degrees to {most}; take more points, a max_degree or s = 'l2'",
            ("target", "degrees"),
        )


def _resolvable(points: Points) -> int:
    """Largest degree whose harmonics the points resolve."""
    return (points.n - 1) // 2 if points.equispaced else points.longest(resolved_degree(points))


def _measure(points: Points, target: Target | SampledTarget, degrees: NDArray[np.int64]) -> Measure:
    parts = np.full((degrees.size, points.n), np.nan)
    for row, degree in zip(parts, degrees.tolist(), strict=True):
        if (part := target.component(degree, points.at)) is not None:
            row[:] = part
    return Measure(points, degrees, parts, getattr(target, "rows", None))
