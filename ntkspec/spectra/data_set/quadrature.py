"""How many eigenvalues of a kernel matrix exceed a level, by stochastic Lanczos quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Measures", "counted", "measures"]

Array = NDArray[np.float64]

#: Norm of the next Lanczos vector, relative to the largest, at which a probe's space is exhausted.
EXHAUSTED = 1e-13


class Measures(NamedTuple):
    """Nodes in rising order and weights of the spectral measure of each probe.

    Examples
    --------
    >>> Measures(np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])).weights.sum()
    np.float64(4.0)
    """

    nodes: Array
    weights: Array


def measures(
    times: Callable[[Array], Array], vectors: Array, probes: int, steps: int,
    rng: np.random.Generator,
) -> Measures:  # fmt: skip
    """Spectral measures of random signs in the complement of known eigenvectors.

    Parameters
    ----------
    times : callable
        The operator, of arrays of columns.
    vectors : (n, c) array
        Eigenvectors that are known.
    probes, steps : int
        Random vectors, and nodes for each.
    rng : numpy.random.Generator

    Returns
    -------
    Measures
        The mean weight of what lies above a level is the number of eigenvalues there, but for
        those of the known eigenvectors.  The weights of each probe are scaled to n - c.

    Examples
    --------
    >>> matrix = np.diag([3.0, 2.0, 2.0, 1.0])
    >>> found = measures(lambda v: matrix @ v, np.eye(4)[:, :1], 1, 2, np.random.default_rng(0))
    >>> found.nodes.round(6), found.weights.round(6)
    (array([[1., 2.]]), array([[1., 2.]]))
    """
    signs = np.where(rng.integers(0, 2, (len(vectors), probes)) == 1, 1.0, -1.0)
    now: Array = signs - vectors @ (vectors.T @ signs)
    size = np.sqrt(np.einsum("ij,ij->j", now, now))
    now /= np.where(size > 0.0, size, 1.0)
    before = np.zeros_like(now)
    diagonal, beside = np.zeros((steps, probes)), np.zeros((steps, probes))
    top = np.zeros(probes)
    for step in range(steps):
        after = times(now)
        after -= vectors @ (vectors.T @ after)
        diagonal[step] = np.einsum("ij,ij->j", now, after)
        after -= now * diagonal[step]
        if step:
            after -= before * beside[step - 1]
        left = np.sqrt(np.einsum("ij,ij->j", after, after))
        top = np.maximum(top, np.abs(diagonal[step]) + left)
        live = left > EXHAUSTED * top
        beside[step] = np.where(live, left, 0.0)
        after *= np.where(live, 1.0 / np.where(live, left, 1.0), 0.0)
        before, now = now, after
    nodes, weights = np.empty((probes, steps)), np.empty((probes, steps))
    left_over = len(vectors) - vectors.shape[1]
    for i in range(probes):
        matrix = np.diag(diagonal[:, i])
        some = np.arange(steps - 1)
        matrix[some, some + 1] = matrix[some + 1, some] = beside[:-1, i]
        nodes[i], inner = np.linalg.eigh(matrix)
        weights[i] = left_over * inner[0] ** 2 if size[i] > 0.0 else 0.0
    return Measures(nodes, weights)


def counted(found: Measures, levels: Array) -> tuple[Array, Array, Array]:
    """Weight above each level: interpolated, and the least and the most that the nodes allow.

    Returns
    -------
    value, at_least, at_most : (probes, levels) arrays
        The bounds are those of Chebyshev, Markov and Stieltjes for a measure of which a Gauss rule
        is known.

    Examples
    --------
    >>> one = Measures(np.array([[1.0, 4.0]]), np.array([[1.0, 1.0]]))
    >>> [x.ravel() for x in counted(one, np.array([0.5, 2.0, 8.0]))]
    [array([2., 1., 0.]), array([1., 0., 0.]), array([2., 2., 1.])]
    """
    shape = len(found.nodes), levels.size
    value, least, most = np.empty(shape), np.empty(shape), np.empty(shape)
    for i, (nodes, weights) in enumerate(zip(found.nodes, found.weights, strict=True)):
        there = weights > 0.0
        nodes, weights = nodes[there], weights[there]
        above = np.append(np.cumsum(weights[::-1])[::-1], [0.0, 0.0])
        at = np.searchsorted(nodes, levels)
        least[i], most[i] = above[at + 1], above[np.maximum(at - 1, 0)]
        value[i] = _between(nodes, weights, above, levels)
    return value, least, most


def _between(nodes: Array, weights: Array, above: Array, levels: Array) -> Array:
    """Weights above levels, linear in the logarithm between the nodes that are above 0."""
    first = int(np.searchsorted(nodes, 0.0, side="right"))
    if first == nodes.size:
        return np.zeros(levels.size)
    middles = above[first : nodes.size] - 0.5 * weights[first:]
    at, logs = np.log(nodes[first:]), np.log(levels)
    return np.asarray(np.interp(logs, at, middles, left=above[first], right=0.0))
