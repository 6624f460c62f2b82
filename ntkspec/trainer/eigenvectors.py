"""Losses and targets in the eigenvectors of the kernel at the training points: for any data."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.networks import Network
from ntkspec.parameters import lacking, number
from ntkspec.threads import one_blas_thread
from ntkspec.trainer.points import Points
from ntkspec.trainer.sobolev import Factored, Quadratic
from ntkspec.trainer.targets import NEGLIGIBLE, SampledTarget

__all__ = ["EigenvectorTarget", "KernelLoss", "eigensystem"]

Array = NDArray[np.float64]

#: Usual least eigenvalue in a loss, relative to the largest.
FLOOR = 1e-4
#: Most points: their eigenvectors take n^3 operations.
MOST_POINTS = 4096
#: Relative difference below which two eigenvalues count as one.
EQUAL = 1e-6
#: Eigenvalues below this, relative to the largest, are rounding errors of 0.
ROUNDING = 1e-12


@lru_cache(maxsize=4)
@lacking("tolerance")
def eigensystem(network: Network, points: Points) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of the kernel at points, in the inner product of their weights.

    Parameters
    ----------
    network : Network
    points : Points
        n points of any norm, with their weights c.

    Returns
    -------
    eigenvalues : (n,) ndarray
        Of C^(1/2) K C^(1/2), C = diag(c), with the largest first; rounding errors below 0 are 0.
        For equal weights these are those of K/n.
    vectors : (n, n) ndarray
        Its eigenvectors in columns.

    Raises
    ------
    NtkspecError
        When there are more than 4096 points, or all eigenvalues are 0.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> eigensystem(Network("relu"), circle(32))[0][:3].round(4)
    array([0.125 , 0.125 , 0.1016])
    """
    if points.n > MOST_POINTS:
        raise NtkspecError(
            f"{points.n} points are not allowed: eigenvectors of the kernel are computed for at "
            f"most {MOST_POINTS}; take some of the points, or unit vectors and another loss"
        )
    root = np.sqrt(points.weights)
    with one_blas_thread():  # the bits of a run must not depend on the number of threads
        matrix = np.asarray(network.ntk_matrix(points.x), dtype=np.float64)
        values, vectors = np.linalg.eigh(root[:, np.newaxis] * matrix * root)
    if not values[-1] > 0.0:
        raise NtkspecError(f"the kernel of {network.name} is 0 at these points")
    return np.maximum(values[::-1], 0.0), np.ascontiguousarray(vectors[:, ::-1])


class KernelLoss(Quadratic):
    """1/2 r' P r with P a power of the kernel, of which the eigenvalues have a floor.

    Parameters
    ----------
    network : Network
        Whose kernel at infinite width it is.
    points : Points
    s : float
        The part of the residual along the j-th eigenvector has the weight
        max(lambda_j / lambda_0, floor)^-s: s > 0 speeds up what is slow.
    floor : float

    Attributes
    ----------
    eigenvalues : (n,) ndarray
        Of K P: the rate of the j-th eigenvector is the step size times this.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> loss = KernelLoss(Network("relu"), circle(32), 0.5)
    >>> loss.eigenvalues[[0, 2]].round(4)
    array([0.125 , 0.1127])
    """

    def __init__(
        self, network: Network, points: Points, s: float = 0.5, floor: float = FLOOR
    ) -> None:
        self.points, self.n = points, points.n
        self.s: float = number(s, "s", -100.0, 100.0)
        self.floor = number(floor, "floor", 1e-12, 1.0)
        values, vectors = eigensystem(network, points)
        share = np.maximum(values / values[0], self.floor)
        self.eigenvalues: Array = values * share**-self.s
        roots = vectors * share ** (-0.5 * self.s)
        self.operator = Factored(roots.T * np.sqrt(points.weights))

    def multiplier(self, degrees: ArrayLike) -> Array:
        """NaN: the weights belong to eigenvectors, not to degrees."""
        return np.full(np.shape(np.asarray(degrees)), np.nan)


class EigenvectorTarget(SampledTarget):
    """Values at points of any norm, in parts along the leading eigenvectors of the kernel there.

    What are degrees of other targets are ranks: 0 is the largest eigenvalue.  Eigenvectors of one
    eigenvalue count as one part, of the rank of the first.

    Parameters
    ----------
    points : Points
    samples : (n,) array_like
    last : int
        Largest rank.
    network : Network

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> points = circle(32)
    >>> target = EigenvectorTarget(points, points.x[:, 0] + 0.5, 9, Network("relu"))
    >>> target.degrees, np.round(target.amplitudes, 6)
    ((0, 2), array([0.707107, 0.5     ]))
    """

    network: Network

    def __init__(self, points: Points, samples: ArrayLike, last: int, network: Network) -> None:
        super().__init__(points, samples, min(last, points.n - 1))
        object.__setattr__(self, "network", network)

    @property
    def part(self) -> str:
        """What its parts are."""
        return "eigenvector"

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Ranks of all whole parts up to the last, whether the samples have them or not."""
        return np.concatenate(([0], self._ends[:-1]))

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        values = eigensystem(self.network, self.points)[0]
        values = np.where(values > ROUNDING * values[0], values, 0.0)
        ends = 1 + np.flatnonzero(np.r_[values[1:] < values[:-1] * (1.0 - EQUAL), True])
        return np.asarray(ends[ends <= max(self.last + 1, ends[0])])

    @cached_property
    def rows(self) -> Array:
        """The eigenvectors of these parts, whose products with a residual are its components."""
        vectors = eigensystem(self.network, self.points)[1][:, : self._ends[-1]]
        return np.ascontiguousarray(vectors.T * np.sqrt(self.points.weights))

    @cached_property
    def _parts(self) -> dict[int, Array]:
        found = self.rows @ self.samples
        least = NEGLIGIBLE * float(np.sqrt(self.points.weights @ self.samples**2))
        parts = zip(self.ranks.tolist(), np.split(found, self.ranks[1:]), strict=True)
        return {rank: part for rank, part in parts if np.linalg.norm(part) > least}

    def component(self, degree: int, x: ArrayLike) -> Array | None:
        """Values at the points of the part of a rank, scaled to unit norm, or None if it is 0."""
        part = self._parts.get(degree)
        if part is None or not np.array_equal(np.asarray(x), self.points.at):
            return None
        weighted = part @ self.rows[degree : degree + part.size] / np.linalg.norm(part)
        weights = self.points.weights
        return np.divide(weighted, weights, out=np.zeros_like(weighted), where=weights > 0.0)
