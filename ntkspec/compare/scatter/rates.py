"""The scatter of measured decay rates over random networks, at first order in 1/sqrt(width).

With x_k = 1 - eta lambda_k mu_k and A_k the target's amplitudes, the component k after t steps is,
to first order in the deviation dH of the kernel from its mean,

    x_k^t A_k - eta sum_j S_kj(t) mu_j dH_kj A_j,   S_kj = (x_k^t - x_j^t) / (x_k - x_j),

S_kk = t x_k^(t-1).  A rate is fitted to the logarithms of the amplitudes at the records t of a
window, with the weights om_t = (t - mean) / sum (t - mean)^2.  So it deviates by

    d rho_k = eta x_k sum_j mu_j (A_j / A_k) sig_kj dH_kj,   sig_kj = sum_t om_t S_kj(t) / x_k^t.

The term j = k is eta mu_k dH_kk, the deviation of the network's own eigenvalue; the others are
leaks from the other degrees of the target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.compare.scatter.kernel import KernelScatter, independent_neurons
from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, shown
from ntkspec.trainer.rates import decay_rate

__all__ = ["RateScatter", "rate_scatter"]

Array = NDArray[np.float64]

#: Relative difference below which x_j counts as x_k.
SAME = 1e-9


@dataclass(frozen=True, eq=False)
class RateScatter:
    """Predicted scatter of the rates that a training's records give, over random networks.

    Attributes
    ----------
    degrees : (K,) tuple of int
    rates : (K,) ndarray of float64
        Of infinite width, eta lambda_k mu_k.
    own : (K,) ndarray of float64
        Relative variance for one neuron of <Y_k, H Y_k>: without leaks.
    relative_variances : (K,) ndarray of float64
        Of the measured rate for one neuron, with leaks; NaN for degrees whose records do not
        measure a rate.
    covariance : (K, K) ndarray of float64
        Relative covariance of the measured rates for one neuron.

    Examples
    --------
    >>> from ntkspec.compare.scatter.kernel import kernel_scatter
    >>> kernel = kernel_scatter("relu", 2, [2, 4, 8])
    >>> found = rate_scatter(kernel, 1.0, range(0, 2000, 5), amplitudes=[1.0, 0.5, 0.1])
    >>> found.own.round(2), found.relative_variances.round(2)
    (array([0.18, 0.39, 0.47]), array([0.37, 0.45, 0.72]))
    """

    degrees: tuple[int, ...]
    rates: Array
    own: Array
    relative_variances: Array
    covariance: Array

    def deviations(self, width: int, antisymmetric: bool = True) -> Array:
        """(K,) relative standard deviations of the measured rates for networks of a width."""
        neurons = independent_neurons(width, antisymmetric)
        return np.asarray(np.sqrt(self.relative_variances / neurons))


def rate_scatter(
    kernel: KernelScatter,
    step_size: float,
    steps: ArrayLike,
    *,
    amplitudes: ArrayLike | None = None,
    multipliers: ArrayLike | None = None,
) -> RateScatter:
    """Scatter of measured decay rates over random networks.

    Parameters
    ----------
    kernel : KernelScatter
        Of the target's components.
    step_size : float
        eta.
    steps : (R,) array_like of int
        The records, from 0 on.
    amplitudes : (K,) array_like, optional
        Of the target, one for each component; by default those that the components have.
    multipliers : (K,) array_like, optional
        Weights mu_k of the loss at the components' degrees; by default 1.

    Returns
    -------
    RateScatter

    Raises
    ------
    NtkspecError
        If a parameter is not allowed.

    Notes
    -----
    The window is the one that `ntkspec.trainer.rates.decay_rate` takes at infinite width.  The
    prediction is of first order: it holds where relative deviations are small against 1.

    Examples
    --------
    A target of one degree has no leaks:

    >>> from ntkspec.compare.scatter.kernel import kernel_scatter
    >>> found = rate_scatter(kernel_scatter("tanh", 2, [3]), 1.0, range(0, 400, 4))
    >>> found.rates.round(6), found.own.round(6), found.relative_variances.round(6)
    (array([0.01325]), array([0.652764]), array([0.652764]))
    """
    count = kernel.eigenvalues.size
    if not 0.0 < as_number(step_size) < math.inf:
        raise NtkspecError(f"step_size = {shown(step_size)} is not allowed; it must be > 0")
    target = [one.amplitude for one in kernel.components] if amplitudes is None else amplitudes
    a = _one_for_each(target, "amplitudes", count)
    mu = np.ones(count) if multipliers is None else _one_for_each(multipliers, "multipliers", count)
    t = np.asarray(steps, dtype=np.float64)
    rates = step_size * kernel.eigenvalues * mu
    x = 1.0 - rates
    gain = np.full((count, count), np.nan)
    for k in range(count):
        window = _window(x[k], t)
        if window is not None and a[k] != 0.0:
            gain[k] = step_size * x[k] * mu * (a / a[k]) * _leaks(x, k, window)
    change = np.einsum("ij,kl,ijkl->ik", gain, gain, kernel.covariance)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = change / np.outer(rates, rates)
    return RateScatter(
        kernel.degrees, rates, kernel.relative_variances, np.diagonal(relative).copy(), relative
    )


def _one_for_each(values: ArrayLike, name: str, count: int) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise NtkspecError(
            f"{name} of shape {array.shape} are not allowed; give {count} finite numbers, one for "
            "each component"
        )
    return array


def _window(x: float, t: Array) -> Array | None:
    """Records of the window in which the rate of x^t is fitted, or None if none is."""
    with np.errstate(over="ignore", under="ignore"):
        found = decay_rate(t, x**t)
    if found.status != "measured":
        return None
    return np.asarray(t[(t >= found.first) & (t <= found.last)])


def _leaks(x: Array, k: int, t: Array) -> Array:
    """sig_kj for all j, from the window's records: S_kj(t) / x_k^t by its regression weights."""
    centred = t - t.mean()
    weights = centred / (centred @ centred)
    apart = (x - x[k]) / x[k]
    falls = apart > -1.0  # x_j has the sign of x_k
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        logs = np.log1p(np.where(falls, apart, 0.0))
        grown = np.where(
            falls[:, np.newaxis],
            np.expm1(np.outer(logs, t)),
            (1.0 + apart[:, np.newaxis]) ** t - 1.0,
        )
        shares = grown / (x[k] * apart)[:, np.newaxis]
    shares[np.abs(apart) <= SAME] = t / x[k]
    return np.asarray(shares @ weights)
