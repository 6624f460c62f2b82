"""Effective dimension and degrees of freedom at a ridge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.predict.curves import learning_curve
from ntkspec.predict.modes import Source, modes

__all__ = ["EffectiveDimension", "effective_dimension"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EffectiveDimension:
    """Degrees of freedom of a kernel, by `effective_dimension`.

    Attributes
    ----------
    dim : int
    degrees : (K,) int64 array
    ridge : (R,) float64 array
        On the scale of the eigenvalues lambda_k.
    effective_dimension : (R,) float64 array
        sum_k N lambda_k / (lambda_k + ridge), over all degrees.
    bounds : (R, 2) float64 array
        Lower and upper bound of it: what the degrees beyond the last can add.
    of_degree : (R, K) float64 array
        Its part of each degree.
    second : (R,) float64 array
        sum_k N (lambda_k / (lambda_k + ridge))^2 over the known degrees: the degrees of freedom
        in the variance.
    of_samples : (R,) float64 array or None
        Expected Tr G (G + n ridge)^-1 of the kernel matrix G of `samples` random points.
    """

    dim: int
    degrees: NDArray[np.int64]
    ridge: Array
    effective_dimension: Array
    bounds: Array
    of_degree: Array
    second: Array
    of_samples: Array | None = None


def effective_dimension(
    source: Source,
    dim: int | None = None,
    ridge: ArrayLike = 1e-3,
    *,
    samples: int | None = None,
    kernel: Kernel = "ntk",
    max_degree: int | None = None,
) -> EffectiveDimension:
    """Return the effective dimension, or degrees of freedom, of kernel ridge regression.

    Parameters
    ----------
    source, dim, kernel, max_degree
        As for `ntkspec.predict.modes`.
    ridge : array_like, (R,) or scalar
        On the scale of the operator's eigenvalues: that of K / n + ridge I.  For the estimator
        (K + delta I)^-1 on n points it is delta / n.
    samples : int, optional
        n, for `of_samples`.

    Returns
    -------
    EffectiveDimension

    Raises
    ------
    NtkspecError
        For a ridge that is not positive.

    Notes
    -----
    N(r) = Tr K (K + r)^-1 (Zhang 2005; Caponnetto and De Vito 2007, definition 1), here
    sum_k N(d,k) lambda_k / (lambda_k + r).  The matrix of n points has n - delta / kappa, delta =
    n r, with kappa as for `learning_curve` (Simon et al. 2023, eq. 4); it cannot exceed n.

    Examples
    --------
    >>> found = effective_dimension("relu", dim=3, ridge=[1e-2, 1e-4], max_degree=200)
    >>> found.effective_dimension.round(3)
    array([ 11.826, 169.486])
    """
    values = np.atleast_1d(np.asarray(ridge, dtype=np.float64))
    if not (values.size and np.all(values > 0.0) and np.all(np.isfinite(values))):
        raise NtkspecError(f"ridge = {ridge!r} is not allowed; it must be positive")
    known = modes(source, dim, kernel, max_degree)
    finite = None
    if samples is not None:
        delta = float(samples) * values
        kappa = [learning_curve(known, None, samples, (0.0,), ridge=r).kappa[0] for r in delta]
        finite = float(samples) - delta / np.array(kappa)
    logs = np.log(values)
    below, above = known.rest_freedom(logs)
    parts = known.freedom(logs)
    total = parts.sum(axis=1)
    bounds = np.stack([total + below, total + above], axis=1)
    second = known.freedom(logs, 2).sum(axis=1)
    return EffectiveDimension(
        known.dim, known.degrees, values, bounds.mean(axis=1), bounds, parts, second, finite
    )
