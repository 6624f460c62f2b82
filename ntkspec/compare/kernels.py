"""Kernel matrices of what a loss observes, at infinite width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import Torus, legendre
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.operators import Operator, as_operator
from ntkspec.parameters import lacking
from ntkspec.spectra import spectrum
from ntkspec.trainer.points import Points
from ntkspec.trainer.recipe import LossRecipe
from ntkspec.trainer.targets import SampledTarget, Target
from ntkspec.trainer.waves import frequencies_to

__all__ = [
    "as_torus",
    "components_at",
    "functionals",
    "infinite_kernel",
    "parts_of",
    "symbols_of",
]

Array = NDArray[np.float64]

#: Degrees of a residual's kernel that are added at a time, at most, and the part that is left out.
TERMS, MOST_TERMS, SMALL = 256, 2**14, 1e-12
#: Largest box of frequencies on a torus of each dimension.
MOST_SIZE = (4096, 128, 24)
#: Numbers in an array of them.
NUMBERS = 2**22


@lacking("tolerance")
def infinite_kernel(network: Network, loss: LossRecipe, points: Points) -> Array:
    """The kernel matrix of what a loss observes, (n, n), at infinite width.

    That of A f, and of f at the data of a PDE, is a sum over degrees of a^q N lambda P_k, q = 2, 1
    or 0.  It ends where a degree adds 1e-12 of it, or at degree 16,384, where kinked activations
    have 1e-4 of it left.

    Examples
    --------
    >>> from ntkspec.trainer.points import from_array
    >>> laplace = LossRecipe(operator="laplace", boundary=((1.0, 0.0),))
    >>> infinite_kernel(Network("tanh"), laplace, from_array(np.eye(2))).round(4)
    array([[ 5.6735,  0.    , -0.7646],
           [ 0.    ,  5.6735,  0.    ],
           [-0.7646,  0.    ,  0.4644]])
    """
    x, data = points.x, loss.data(points)
    if not loss.operator:
        return np.asarray(network.ntk_matrix(x), dtype=np.float64)
    if points.features is not None:
        return _on_torus(network, loss, points)
    operator, dim, n = as_operator(loss.operator), points.dim, points.n
    every = x if data is None else np.concatenate((x, data))
    t = np.clip(every @ every.T, -1.0, 1.0)
    angle = np.arctan2(every[:, 1], every[:, 0])
    apart = angle[:, np.newaxis] - angle
    blocks = _blocks(n)
    out, terms = np.zeros(t.shape), max(16, min(TERMS, NUMBERS // t.size))
    for first in range(0, MOST_TERMS, terms):
        degrees = np.arange(first, first + terms)
        part = spectrum(network, dim, degrees)
        with np.errstate(over="ignore"):
            weights = np.exp(part.log_eigenvalues + part.log_multiplicities)
        symbols = operator.symbol(degrees, dim)
        waves = legendre(degrees, dim, t)
        for rows, columns, power in blocks:
            factors = weights * (np.abs(symbols) ** 2 if power == 2 else symbols**power)
            out[rows, columns] += np.tensordot(factors.real, waves[:, rows, columns], 1)
            if power == 1 and operator.name == "derivative":
                sines = np.sin(np.multiply.outer(degrees, apart[rows, columns]))
                out[rows, columns] -= np.tensordot(factors.imag, sines, 1)
        if first and (weights * np.abs(symbols) ** 2).sum() <= SMALL * out[0, 0]:
            break
    out[n:, :n] = out[:n, n:].T
    return out


def components_at(target: Target | SampledTarget, points: Points) -> dict[int, Array]:
    """A target's components of unit norm at points, by their degrees; raise if it has none."""
    found = {k: target.component(k, points.at) for k in target.degrees}
    parts = {k: part for k, part in found.items() if part is not None}
    if not parts:
        raise NtkspecError(
            "the target has no known degrees, so there are no rates to predict; use a target made "
            "of harmonics, or samples"
        )
    return parts


def functionals(parts: Mapping[int, Array], points: Points, observations: int) -> Array:
    """Rows (K, observations) whose products with a residual are its parts along components."""
    rows = np.array(list(parts.values())) * points.weights
    return np.pad(rows, ((0, 0), (0, observations - points.n)))


def _blocks(n: int) -> list[tuple[slice, slice, int]]:
    """Rows and columns of residual and data, and the power of the symbol in their kernel."""
    points, data = slice(n), slice(n, None)
    return [(points, points, 2), (points, data, 1), (data, data, 0)]


def _on_torus(network: Network, loss: LossRecipe, points: Points) -> Array:
    """Sum over frequency vectors, in a box that grows until little is left."""
    operator, n = as_operator(loss.operator), points.n
    z = np.concatenate([rule.at for rule in loss.rules(points)])
    size = 16
    while True:
        part = spectrum(network, as_torus(points), size)
        m = part.frequencies.reshape(-1, part.dim)
        symbols = operator.symbol_on_torus(m)
        weights = np.nan_to_num(part.eigenvalues.ravel()) * part.multiplicities.ravel()
        sizes = weights * np.abs(symbols) ** 2
        outer = np.abs(m).max(axis=1) > size // 2
        if sizes[outer].sum() <= SMALL * sizes.sum() or 2 * size > MOST_SIZE[part.dim - 1]:
            break
        size *= 2
    kept = sizes + weights * sizes.sum() / weights.sum() > SMALL * SMALL * sizes.sum()
    m, symbols, weights = m[kept], symbols[kept], weights[kept]
    waves = np.exp(2j * np.pi * (z @ m.T))
    out = np.empty((len(z), len(z)))
    for rows, columns, power in _blocks(n):
        factors = weights * (np.abs(symbols) ** 2 if power == 2 else symbols**power)
        out[rows, columns] = ((waves[rows] * factors) @ waves[columns].conj().T).real
    out[n:, :n] = out[:n, n:].T
    return out


def as_torus(points: Points) -> Torus:
    """The torus of points."""
    assert points.features is not None
    return Torus(points.features.frequencies, points.features.amplitudes)


@lacking("tolerance")
def parts_of(
    network: Network, points: Points, degrees: ArrayLike
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Eigenvalues, bounds on their relative errors, and degrees or frequency vectors."""
    k = np.asarray(degrees, dtype=np.int64)
    if points.features is None:
        found = spectrum(network, points.dim, k)
        return found.eigenvalues, found.relative_error, k
    torus = as_torus(points)
    m = frequencies_to(torus.dim, int(k.max(initial=0)))[k]
    whole = spectrum(network, torus, max(1, int(np.abs(m).max(initial=0))))
    at = tuple((m + whole.size * (np.arange(torus.dim) > 0)).T)
    return whole.eigenvalues[at], whole.relative_error[at], m


def symbols_of(operator: Operator, points: Points, degrees: ArrayLike) -> NDArray[Any]:
    """The operator's symbols of degrees, on a torus of the frequency vectors of these numbers."""
    k = np.asarray(degrees, dtype=np.int64)
    if points.features is None:
        return operator.symbol(k, points.dim)
    m = frequencies_to(points.features.dim, int(k.max(initial=0)))[k]
    return operator.symbol_on_torus(m)
