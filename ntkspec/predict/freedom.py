"""Effective dimension and degrees of freedom at a ridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import Domain, one_given
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.parameters import numbers, one_of, shown, whole_number
from ntkspec.predict.by_degree import ByDegree, Variables, along
from ntkspec.predict.modes import Source, resolved
from ntkspec.predict.regularization import RidgeScale, regularization

__all__ = ["EffectiveDimension", "effective_dimension"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class EffectiveDimension(ByDegree):
    """Degrees of freedom of a kernel, by `effective_dimension`.

    Attributes
    ----------
    domain, degrees, radial
        As for `ntkspec.predict.Modes`.
    ridge : (R,) float64 array
        r, on the scale of the eigenvalues lambda_k.
    effective_dimension : (R,) float64 array
        sum_k N lambda_k / (lambda_k + r), over all eigenvalues.
    bounds : (R, 2) float64 array
        Its lower and upper bound, including the omitted eigenvalues.
    of_degree : (R, K) float64 array
        Contribution of each eigenvalue.
    second : (R,) float64 array
        sum_k N (lambda_k / (lambda_k + r))^2: the degrees of freedom in the variance.
    second_bounds : (R, 2) float64 array
        Its lower and upper bound.
    samples : int or None
        n, as given.
    of_samples : (R,) float64 array or None
        With n: the expectation of Tr K (K + n r I)^-1 for the kernel's matrix at n random points.

    Examples
    --------
    >>> found = effective_dimension("tanh", dim=3, ridge=1e-3)
    >>> found.effective_dimension.round(3), found.of_degree[0, 1].round(3)
    (array([13.338]), np.float64(2.979))
    """

    main: ClassVar[str] = "effective_dimension"

    ridge: Array
    effective_dimension: Array
    bounds: Array
    of_degree: Array
    second: Array
    second_bounds: Array
    samples: int | None
    of_samples: Array | None

    def axes(self) -> dict[str, NDArray[Any]]:
        """Ridges and degrees."""
        return {"ridge": self.ridge, **super().axes()}

    def variables(self) -> Variables:
        """Degrees of freedom with bounds, their parts by degree, and those in the variance."""
        at_least, at_most = self.bounds.T
        return {
            **along("ridge", effective_dimension=self.effective_dimension),
            **along("ridge", at_least=at_least, at_most=at_most, second=self.second),
            **along("ridge", self.index, of_degree=self.of_degree),
            **self.ranks(),
            **({} if self.of_samples is None else along("ridge", of_samples=self.of_samples)),
        }

    def heading(self) -> dict[str, Any]:
        """The domain, and the number of points if given."""
        return super().heading() | ({} if self.samples is None else {"samples": self.samples})


def effective_dimension(
    source: Source,
    domain: Domain | int | None = None,
    ridge: ArrayLike = 1e-3,
    *,
    dim: int | None = None,
    samples: int | None = None,
    ridge_scale: RidgeScale = "operator",
    kernel: Kernel = "ntk",
    max_degree: int | None = None,
) -> EffectiveDimension:
    """Return the effective dimension, or degrees of freedom, of kernel ridge regression.

    Parameters
    ----------
    source, domain, dim, kernel
        As for `ntkspec.predict.modes`.
    ridge : array_like, (R,) or scalar
        Positive.
    samples : int, optional
        Number n of points; at least 1.
    ridge_scale : {"operator", "matrix"}
        The ridge is r of K / n + r I, on the scale of the operator's eigenvalues; or, with n given,
        delta = n r of K + delta I.
    max_degree : int, optional
        Largest degree of a network's spectrum that is treated separately; by default as large as
        the smallest ridge needs (`ntkspec.predict.modes.resolved`).

    Returns
    -------
    EffectiveDimension

    Raises
    ------
    NtkspecError
        For a ridge that is not positive, samples that are not a number from 1, and the scale
        "matrix" without samples.

    Notes
    -----
    N(r) = Tr T (T + r)^-1 of the operator T (Zhang 2005; Caponnetto and De Vito 2007), here
    sum_k N_k lambda_k / (lambda_k + r).  The kernel's matrix at n random points has n - delta /
    kappa = sum_k N_k lambda_k / (lambda_k + kappa) instead, with kappa > r as in
    `learning_curve`: the sum of learnabilities of Simon et al. 2023, section 4.

    Examples
    --------
    >>> found = effective_dimension("relu", dim=3, ridge=[1e-2, 1e-4])
    >>> found.effective_dimension.round(2)
    array([ 11.83, 169.56])
    >>> effective_dimension("relu", 3, 0.1, samples=10, ridge_scale="matrix").of_samples.round(2)
    array([6.78])
    """
    where = one_given(domain, dim)
    values = np.atleast_1d(numbers(ridge, "ridge"))
    if not (values.size and values.ndim == 1 and np.all((values > 0.0) & np.isfinite(values))):
        raise NtkspecError(f"ridge = {shown(ridge)} is not allowed; give positive numbers")
    n = None if samples is None else whole_number(samples, "samples", 1)
    if one_of(ridge_scale, "ridge_scale", get_args(RidgeScale)) == "matrix":
        if n is None:
            raise NtkspecError("ridge_scale = 'matrix' is not allowed without samples")
        values = values / n
    logs = np.log(values)
    known = resolved(source, where, kernel, max_degree, 0, lambda m: m.doubt(logs.min()))
    parts, squares = known.freedom(logs), known.freedom(logs, 2).sum(axis=1)
    below, likely, above = (parts.sum(axis=1) + x for x in known.rest_freedom(logs))
    second = [squares + x for x in known.rest_second(logs)]
    of_samples = None
    if n is not None:
        sizes = np.full(values.size, float(n))
        kappa = regularization(known, sizes, n * values).log_kappa
        of_samples = n - n * np.exp(logs - kappa)
    return EffectiveDimension(
        known.domain, known.degrees, known.radial, values, likely,
        np.stack([below, above], axis=1), parts, second[0],
        np.stack([squares, second[1]], axis=1), n, of_samples,
    )  # fmt: skip
