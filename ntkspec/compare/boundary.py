"""Training on a PDE with boundary points in the continuum: harmonics in place of training points.

In each degree the target's component and the zonal functions of the boundary's points take part;
for one point the eigenvalues are the roots of the secular equation (`ntkspec.predict`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from ntkspec.domains import legendre
from ntkspec.operators import as_operator
from ntkspec.spectra import spectrum
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.recipe import AnyLoss

if TYPE_CHECKING:
    from ntkspec.trainer.runs.problem import Problem

__all__ = ["boundary_training"]

Array = NDArray[np.float64]

#: Degrees beyond the target's, and the part of the largest with which a degree is left out.
MORE, SMALL = 128, 1e-14


def boundary_training(
    problem: Problem, degrees: list[int], loss: AnyLoss
) -> tuple[LinearTraining, Array, Array]:
    """Training, residual at the start (R,), and functionals (K, R) of the target's components.

    Needs the Laplacian, whose symbols are real.

    Examples
    --------
    >>> from ntkspec import predict
    >>> from ntkspec.trainer.recipe import parse_run_recipe
    >>> from ntkspec.trainer.runs import make_problem
    >>> recipe = parse_run_recipe('''
    ... steps = 20
    ... network = {activation = "tanh", width = 64}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "zonal", degrees = 1}
    ... loss = {operator = "laplace(shift=-1)", boundary = [[1.0, 0.0]]}''')
    >>> problem = make_problem(recipe)
    >>> training, _, _ = boundary_training(problem, [1], recipe.loss.at(
    ...     problem.points, None, recipe.network.network))
    >>> rates = predict.boundary_rates("tanh", 2, "laplace(shift=-1)", degrees=range(40)).rates
    >>> bool(np.isclose(training.eigenvalues[-1], rates.max(), rtol=1e-12))
    True
    """
    recipe, dim, target = problem.recipe.loss, problem.points.dim, problem.target
    x = np.array(recipe.boundary)
    every = np.arange(max(degrees) + MORE)
    part = spectrum(problem.recipe.network.network, dim, every)
    symbols = as_operator(recipe.operator).symbol(every, dim)
    multipliers = loss.multiplier(every)
    amplitudes = dict(zip(target.degrees, target.amplitudes, strict=True))
    sizes = part.eigenvalues * part.multiplicities
    blocks: list[Array] = []  # of the residual and, with data, of f - u
    at_boundary: list[Array] = []
    weights: list[Array] = []
    start: list[Array] = []
    places: dict[int, tuple[int, Array]] = {}
    for k in every[(sizes > SMALL * sizes.max()) | np.isin(every, target.degrees)].tolist():
        gram = part.multiplicities[k] * legendre([k], dim, np.clip(x @ x.T, -1.0, 1.0))[0]
        own = target.component(k, x) if k in amplitudes else None
        if own is not None:
            gram = np.block([[np.ones((1, 1)), own[np.newaxis]], [own[:, np.newaxis], gram]])
        values, vectors = np.linalg.eigh(gram)
        kept = values > 1e-12 * values[-1]
        # Coordinates of the functionals in orthonormal functions of the degree.
        factor = vectors[:, kept] * np.sqrt(values[kept])
        along = np.zeros(factor.shape[1]) if own is None else amplitudes[k] * factor[0]
        root, unit = np.sqrt(part.eigenvalues[k]), np.eye(factor.shape[1])
        terms = [(symbols[k], multipliers[k])]
        if recipe.data_weight:
            terms.append((1.0, recipe.data_weight))
        if k in degrees:
            places[k] = sum(one.size for one in start), factor[0]
        blocks.append(np.concatenate([a * root * unit for a, _ in terms]))
        start += [-a * along for a, _ in terms]
        weights += [np.full(len(unit), mu) for _, mu in terms]
        at_boundary.append(root * factor[len(factor) - len(x) :])
    slopes = np.concatenate((block_diag(*blocks), np.concatenate(at_boundary, axis=1)))
    start.append(-target.values(x))
    weights.append(np.full(len(x), recipe.boundary_weight / len(x)))
    functionals = np.zeros((len(degrees), len(slopes)))
    for row, k in zip(functionals, degrees, strict=True):
        first, along = places[k]
        row[first : first + along.size] = along
    training = LinearTraining(slopes @ slopes.T, loss_factor(np.diag(np.concatenate(weights))))
    return training, np.concatenate(start), functionals
