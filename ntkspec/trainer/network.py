"""Finite networks with one hidden layer: random start, values, own tangent kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from ntkspec.activations import Activation
from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, one_of, shown, whole_number
from ntkspec.trainer.layer import layer_at, slopes_of, values_of

__all__ = ["WideNetwork", "start"]

Trained = Literal["hidden", "all"]
Precision = Literal["float64", "float32"]

#: Most numbers in an array of a pass over the neurons.
MOST_NUMBERS = 2**21
MOST_WIDTH = 2**28


@dataclass(eq=False)
class WideNetwork:
    """f(x) = m^(-1/2) sum_r a_r sigma(w_r . x), the poster's network, of finite width m.

    Parameters
    ----------
    sigma : Activation
    weights : (m, dim) ndarray of float64 or float32
        Inner weights w_r.
    readout : (m,) ndarray in the same precision
        Outer weights a_r.
    trained : {"hidden", "all"}
        Whether only the inner weights are trained (the poster) or the outer ones too.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> network = start(activation("relu"), 64, 2, seed=0)
    >>> network.values([[1.0, 0.0]])
    array([0.])
    """

    sigma: Activation
    weights: NDArray[Any]
    readout: NDArray[Any]
    trained: Trained = "hidden"

    @property
    def width(self) -> int:
        """Number of neurons m."""
        return int(self.weights.shape[0])

    @property
    def dim(self) -> int:
        """Dimension of the inputs."""
        return int(self.weights.shape[1])

    def values(self, x: ArrayLike, threads: int | None = None) -> NDArray[np.float64]:
        """f at points: (n, dim) -> (n,).

        Raises
        ------
        NtkspecError
            If x is not of shape (n, dim).
        """
        points = self._points(x)
        return layer_at(self.sigma, points, threads).values(self.weights, self.readout)

    def tangent_matrix(self, x: ArrayLike) -> NDArray[np.float64]:
        """The network's own tangent kernel between points: (n, dim) -> (n, n).

        H_ij = 1/m sum_r [a_r^2 sigma'(w_r . x_i) sigma'(w_r . x_j) <x_i, x_j>
        + sigma(w_r . x_i) sigma(w_r . x_j)], with the second term only if the readout is trained
        (Jacot et al. 2018).  As m goes to infinity this converges to the NTK.

        Examples
        --------
        >>> from ntkspec.activations import activation
        >>> start(activation("cos"), 4096, 3, seed=0).tangent_matrix(np.eye(3)).shape
        (3, 3)
        """
        points = self._points(x)
        n = len(points)
        slopes, values = np.zeros((n, n)), np.zeros((n, n))
        for z, readout in self._parts(points):
            rows = slopes_of(self.sigma, z) * readout
            slopes += rows @ rows.T
            if self.trained == "all":
                rows = values_of(self.sigma, z)
                values += rows @ rows.T
        inner = points.astype(np.float64) @ points.astype(np.float64).T
        return np.asarray((slopes * inner + values) / self.width)

    def tangent_operator(self, x: ArrayLike) -> LinearOperator:
        """`tangent_matrix` as an operator, without forming the matrix."""
        points = self._points(x)

        def apply(v: NDArray[np.float64]) -> NDArray[np.float64]:
            out = np.zeros(len(points))
            for z, readout in self._parts(points):
                rows = slopes_of(self.sigma, z) * readout
                back = (rows * v.reshape(-1, 1).astype(z.dtype)).T @ points
                out += np.sum(rows * (points @ back.T), axis=1)
                if self.trained == "all":
                    rows = values_of(self.sigma, z)
                    out += rows @ (rows.T @ v.ravel().astype(z.dtype))
            return out / self.width

        return LinearOperator((len(points), len(points)), matvec=apply, dtype=np.float64)

    def _parts(self, points: NDArray[Any]) -> Any:
        """Preactivations at all points, and readouts, for a block of neurons at a time."""
        count = max(1, MOST_NUMBERS // len(points))
        for first in range(0, self.width, count):
            mine = slice(first, first + count)
            yield points @ self.weights[mine].T, self.readout[mine]

    def _points(self, x: ArrayLike) -> NDArray[Any]:
        points = np.asarray(x, dtype=self.weights.dtype)
        if points.ndim != 2 or points.shape[1] != self.dim or not len(points):
            raise NtkspecError(
                f"x of shape {points.shape} is not allowed; it must be (n, {self.dim})"
            )
        return points


def start(
    sigma: Activation,
    width: int,
    dim: int,
    seed: int,
    *,
    antisymmetric: bool = True,
    weight_variance: float = 1.0,
    trained: Trained = "hidden",
    precision: Precision = "float64",
) -> WideNetwork:
    """Return a network with random weights.

    Parameters
    ----------
    sigma : Activation
    width, dim : int
        Neurons m, and dimension of the inputs.
    seed : int
        The same seed gives the same network; float32 weights are the float64 ones rounded.
    antisymmetric : bool
        Whether neurons come in pairs with the same inner weights and opposite readouts, so that
        f = 0 at the start.  The tangent kernel is then that of m/2 independent neurons.
    weight_variance : float
        Variance of each component of the inner weights, which are normal.
    trained : {"hidden", "all"}
    precision : {"float64", "float32"}

    Returns
    -------
    WideNetwork
        Readouts are +1 or -1, each with probability 1/2.

    Raises
    ------
    NtkspecError
        If a parameter is not allowed.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> start(activation("tanh"), 4, 3, seed=1).readout
    array([-1.,  1.,  1., -1.])
    """
    m, d = whole_number(width, "width", 1, MOST_WIDTH), whole_number(dim, "dim", 2, 10**6)
    seed = whole_number(seed, "seed", 0, 2**63)
    if antisymmetric and m % 2:
        raise NtkspecError(
            f"width = {m} is not allowed; an antisymmetric start needs an even width"
        )
    if not 0.0 < as_number(weight_variance) < math.inf:
        raise NtkspecError(
            f"weight_variance = {shown(weight_variance)} is not allowed; it must be > 0"
        )
    one_of(trained, "trained", get_args(Trained))
    one_of(precision, "precision", get_args(Precision))
    rng = np.random.default_rng(seed)
    free = m // 2 if antisymmetric else m
    weights = math.sqrt(weight_variance) * rng.standard_normal((free, d))
    readout = np.where(rng.random(free) < 0.5, 1.0, -1.0)
    if antisymmetric:  # adjacent pairs cancel exactly
        weights = np.repeat(weights, 2, axis=0)
        readout = np.column_stack((readout, -readout)).ravel()
    return WideNetwork(sigma, weights.astype(precision), readout.astype(precision), trained)
