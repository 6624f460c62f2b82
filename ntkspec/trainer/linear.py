"""Training with a constant kernel, solved exactly: r <- (1 - eta K P) r, also with momentum."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError

__all__ = ["LinearTraining", "heavy_ball", "loss_factor"]

Array = NDArray[np.float64]

#: Eigenvalues of P below this fraction of the largest are rounding errors.
NEGLIGIBLE = 1e-14
#: Relative distance of the two roots of a heavy ball below which they are taken apart.
DOUBLE = 1e-7


def loss_factor(matrix: ArrayLike) -> Array:
    """B with P = B B', columns for the positive eigenvalues of P only.

    Parameters
    ----------
    matrix : (n, n) array_like
        P, symmetric and positive semidefinite.

    Returns
    -------
    (n, rank) ndarray of float64

    Raises
    ------
    NtkspecError
        If the matrix is not square, not symmetric, or has a negative eigenvalue.

    Examples
    --------
    >>> loss_factor([[4.0, 0.0], [0.0, 0.0]])
    array([[2.],
           [0.]])
    """
    p = _symmetric(matrix, "matrix")
    diagonal = p.diagonal()
    if np.count_nonzero(p) == np.count_nonzero(diagonal):
        values, vectors = diagonal, np.eye(p.shape[0])
    else:
        values, vectors = np.linalg.eigh(p)
    top = float(np.abs(values).max(initial=0.0))
    if values.min(initial=0.0) < -1e-10 * top:
        raise NtkspecError(
            f"matrix has the eigenvalue {values.min():.3g}; a loss must not have negative ones"
        )
    kept = values > NEGLIGIBLE * top
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


class LinearTraining:
    """Gradient descent on 1/2 r' P r with the kernel K, solved by one eigendecomposition.

    Parameters
    ----------
    kernel : (n, n) array_like
        K, symmetric; may be singular.
    factor : (n, rank) array_like
        B of `loss_factor`.

    Raises
    ------
    NtkspecError
        If the shapes do not fit, or the kernel is not symmetric.

    Notes
    -----
    With u = B' r and A = B' K B = V diag(a) V' a step is u <- (1 - eta A) u, r <- r - eta K B u.
    So after t steps r = r_0 - K B V diag(g(a)) V' B' r_0 with g(a) = (1 - (1 - eta a)^t) / a, and
    g(0) = eta t: neither K nor P is inverted.

    Examples
    --------
    >>> training = LinearTraining([[2.0, 0.0], [0.0, 0.0]], np.eye(2))
    >>> training.amplitudes(0.1, [0, 1, 2], [1.0, 1.0], np.eye(2))
    array([[1.  , 1.  ],
           [0.8 , 1.  ],
           [0.64, 1.  ]])
    """

    def __init__(self, kernel: ArrayLike, factor: ArrayLike) -> None:
        k = _symmetric(kernel, "kernel")
        b = np.asarray(factor, dtype=np.float64)
        if b.ndim != 2 or b.shape[0] != k.shape[0]:
            raise NtkspecError(
                f"factor of shape {b.shape} is not allowed with a kernel of shape {k.shape}"
            )
        scale = b.diagonal()[:, np.newaxis]
        if b.shape == k.shape and np.count_nonzero(b) == np.count_nonzero(scale) == len(b):
            # A V = V diag(a) is all that is needed: the products would take longer than V.
            values, vectors = np.linalg.eigh(scale * k * scale.T)
            moved, turned = vectors * values / scale, scale * vectors
        else:
            product = k @ b
            values, vectors = np.linalg.eigh(b.T @ product)
            moved, turned = product @ vectors, b @ vectors
        #: (rank,) eigenvalues of K P on the range of P, increasing; negative rounding errors are 0.
        self.eigenvalues: Array = np.maximum(values, 0.0)
        self._moved: Array = moved
        self._factor: Array = turned

    def amplitudes(
        self,
        step_size: float,
        steps: ArrayLike,
        start: ArrayLike,
        functionals: ArrayLike,
        momentum: float = 0.0,
    ) -> Array:
        """Linear functionals of the residual after given numbers of steps.

        Parameters
        ----------
        step_size : float
            eta > 0.
        steps : (R,) array_like
            Whole numbers >= 0, however large.
        start : (n,) array_like
            r_0.
        functionals : (K, n) array_like
        momentum : float
            Of the heavy ball, whose first step has none.

        Returns
        -------
        (R, K) ndarray of float64
            inf where it overflows.
        """
        r = np.asarray(start, dtype=np.float64)
        rows = np.asarray(functionals, dtype=np.float64)
        t = np.asarray(steps, dtype=np.float64)[:, np.newaxis]
        along = (rows @ self._moved) * (self._factor.T @ r)
        with np.errstate(over="ignore", invalid="ignore"):
            found = rows @ r - self._learned(step_size, t, momentum) @ along.T
        return np.where(np.isnan(found), np.inf, found)

    def _learned(self, step_size: float, t: Array, momentum: float) -> Array:
        """(R, rank) of what is learned of each component after t steps, over its eigenvalue."""
        z = step_size * self.eigenvalues
        tiny = z < 1e-300
        found = np.empty((t.shape[0], z.size))
        if momentum:
            found[:, ~tiny] = heavy_ball(z[~tiny], t, momentum)
        else:
            small = z < 0.5
            found[:, small] = -np.expm1(t * np.log1p(-z[small]))
            found[:, ~small] = 1.0 - (1.0 - z[~small]) ** t
        found[:, ~tiny] /= self.eigenvalues[~tiny]
        # Without decay the steps add up, each momentum / (1 - momentum) times the first at the end.
        late = (1.0 - momentum**t) * momentum / (1.0 - momentum)
        found[:, tiny] = step_size * (t - late) / (1.0 - momentum)
        return found


def heavy_ball(z: ArrayLike, t: ArrayLike, momentum: float) -> Array:
    """What is learned of a component after t steps: 1 at last.

    Parameters
    ----------
    z : array_like
        Step size times eigenvalue, > 0.
    t : array_like
        Numbers of steps, >= 0.
    momentum : float

    Returns
    -------
    ndarray of float64

    Notes
    -----
    What is left obeys x_(t+1) = (1 + beta - z) x_t - beta x_(t-1), x_0 = 1, x_1 = 1 - z (Polyak
    1964).  With the roots 1 - p and 1 - q, p q = z and p + q = 1 - beta + z, it is
    A (1 - p)^t + B (1 - q)^t, A = (q - z)/(q - p), B = (z - p)/(q - p).

    Examples
    --------
    >>> heavy_ball(0.1, [0, 1, 2], 0.9).round(6)
    array([0.  , 0.1 , 0.28])
    """
    z, t = np.asarray(z, dtype=np.complex128), np.asarray(t, dtype=np.float64)
    total = 1.0 - momentum + z
    root = np.sqrt(total * total - 4.0 * z)
    root = np.where(np.abs(root) < DOUBLE * np.abs(total), DOUBLE * np.abs(total), root)
    q = 0.5 * (total + root)
    p = z / q
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        left = [np.where(p == 1.0, t > 0, -np.expm1(t * np.log1p(-p))) for p in (p, q)]
    found = ((q - z) * left[0] + (z - p) * left[1]) / (q - p)
    return np.asarray(found.real)


def _symmetric(matrix: ArrayLike, name: str) -> Array:
    a = np.asarray(matrix, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or a.size == 0:
        raise NtkspecError(f"{name} of shape {a.shape} is not allowed; it must be (n, n), n >= 1")
    # Not `<=`: NaN must not pass.
    if not np.abs(a - a.T).max() <= 1e-6 * np.abs(a).max():
        raise NtkspecError(f"{name} is not symmetric, or has entries that are not numbers")
    return a
