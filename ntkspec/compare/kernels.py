"""Kernel matrices of what a loss observes, at infinite width."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import legendre
from ntkspec.networks import Network
from ntkspec.operators import as_operator
from ntkspec.spectra import spectrum
from ntkspec.trainer.points import Points
from ntkspec.trainer.recipe import LossRecipe

__all__ = ["infinite_kernel"]

Array = NDArray[np.float64]

#: Degrees of a residual's kernel that are added at a time, at most, and the part that is left out.
TERMS, MOST_TERMS, SMALL = 256, 2**14, 1e-12
#: Numbers in an array of them.
NUMBERS = 2**22


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
    operator, dim, n = as_operator(loss.operator), points.dim, points.n
    every = x if data is None else np.concatenate((x, data))
    t = np.clip(every @ every.T, -1.0, 1.0)
    angle = np.arctan2(every[:, 1], every[:, 0])
    apart = angle[:, np.newaxis] - angle
    blocks = [
        (slice(n), slice(n), 2),
        (slice(n), slice(n, None), 1),
        (slice(n, None), slice(n, None), 0),
    ]
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
