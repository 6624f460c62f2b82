"""Training on a PDE with boundary points in the continuum: harmonics or waves, not points.

In each degree the target's component and the zonal functions of the boundary's points take part;
for one point the eigenvalues are the roots of the secular equation (`ntkspec.predict`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from ntkspec.compare.kernels import parts_of, symbols_of
from ntkspec.domains import legendre
from ntkspec.operators import as_operator
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.points import Points
from ntkspec.trainer.recipe import AnyLoss
from ntkspec.trainer.targets import SampledTarget, Target
from ntkspec.trainer.waves import frequencies_to

if TYPE_CHECKING:
    from ntkspec.trainer.runs.problem import Problem

__all__ = ["boundary_training"]

Array = NDArray[np.float64]

#: Degrees beyond the target's, and the part of the largest with which a degree is left out.
MORE, SMALL = 256, 1e-14
#: The derivative of cos and sin.
TURN = np.array([[0.0, 1.0], [-1.0, 0.0]])


def boundary_training(
    problem: Problem, degrees: list[int], loss: AnyLoss
) -> tuple[LinearTraining, Array, Array]:
    """Training, residual at the start (R,), and functionals (K, R) of the target's components."""
    recipe, points, target = problem.recipe.loss, problem.points, problem.target
    network, operator = problem.recipe.network.network, as_operator(recipe.operator)
    x = recipe.rules(points)[-1].at
    every = np.arange(max(degrees) + MORE)
    eigenvalues, _, _ = parts_of(network, points, every)
    symbols, multipliers = symbols_of(operator, points, every), loss.multiplier(every)
    counts = np.array([points.multiplicity(k) for k in every.tolist()], dtype=np.float64)
    amplitudes = dict(zip(target.degrees, target.amplitudes, strict=True))
    sizes = eigenvalues * counts
    blocks: list[Array] = []  # of the residual and, with data, of f - u
    at_boundary: list[Array] = []
    weights: list[Array] = []
    start: list[Array] = []
    places: dict[int, tuple[int, Array]] = {}
    for k in every[(sizes > SMALL * sizes.max()) | np.isin(every, target.degrees)].tolist():
        own, zonal = _coordinates(points, target, k, x)
        along, root = amplitudes.get(k, 0.0) * own, np.sqrt(eigenvalues[k])
        unit = np.eye(own.size)
        applied = symbols[k].real * unit
        if symbols[k].imag:
            applied = applied + symbols[k].imag * TURN
        terms = [(applied, multipliers[k])]
        if recipe.data_weight:
            terms.append((unit, recipe.data_weight))
        if k in degrees:
            seen = applied @ own
            places[k] = sum(one.size for one in start), seen / np.linalg.norm(seen)
        blocks.append(np.concatenate([root * a for a, _ in terms]))
        start += [-a @ along for a, _ in terms]
        weights += [np.full(own.size, mu) for _, mu in terms]
        at_boundary.append(root * zonal)
    slopes = np.concatenate((block_diag(*blocks), np.concatenate(at_boundary, axis=1)))
    start.append(-target.values(x))
    weights.append(np.full(len(x), recipe.boundary_weight / len(x)))
    functionals = np.zeros((len(degrees), len(slopes)))
    for row, k in zip(functionals, degrees, strict=True):
        first, along = places[k]
        row[first : first + along.size] = along
    training = LinearTraining(slopes @ slopes.T, loss_factor(np.diag(np.concatenate(weights))))
    return training, np.concatenate(start), functionals


def _coordinates(
    points: Points, target: Target | SampledTarget, k: int, x: Array
) -> tuple[Array, Array]:
    """The target's component of a degree in a basis of unit norm, (r,), and the basis at x, (m, r).

    On the circle and the torus the basis is cos and sin, else it spans that component and the zonal
    functions of the points.
    """
    if points.multiplicity(max(k, 1)) == 2:
        zonal = points.basis(k, x).matrix()[:, -points.multiplicity(k) :]
        quarter = np.array([[0.0], [0.25]])
        if points.features is not None:
            m = frequencies_to(points.features.dim, k)[-1]
            at = quarter * m / max(1, m @ m)
        else:
            angles = 2.0 * np.pi * quarter / max(1, k)
            at = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
        own = target.component(k, at)
        size = np.sqrt(zonal.shape[1])
        return np.zeros(zonal.shape[1]) if own is None else own[: zonal.shape[1]] / size, zonal
    gram = points.multiplicity(k) * legendre([k], points.dim, np.clip(x @ x.T, -1.0, 1.0))[0]
    own = target.component(k, x)
    if own is not None:
        gram = np.block([[np.ones((1, 1)), own[np.newaxis]], [own[:, np.newaxis], gram]])
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-12 * values[-1]
    # Coordinates of the functionals in orthonormal functions of the degree.
    factor = vectors[:, kept] * np.sqrt(values[kept])
    return (np.zeros(factor.shape[1]) if own is None else factor[0]), factor[len(factor) - len(x) :]
