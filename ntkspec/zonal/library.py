"""The kernels of the literature, as functions of r = |x - x'| = sqrt(2 - 2t) on the unit sphere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.parameters import number, whole_number
from ntkspec.zonal.kernel import ZonalKernel

__all__ = [
    "BUILT_IN",
    "arc_cosine",
    "gamma_exponential",
    "gaussian",
    "laplace",
    "matern",
    "poisson",
    "polynomial",
    "rational_quadratic",
]

#: Lengths: of kernels that are analytic, and of those with a kink at t = 1.
LEAST_LENGTH, LEAST_KINKED, MOST_LENGTH = 0.005, 0.01, 1e6
MOST_DEGREE, MOST_ORDER, MOST_NU = 4096, 64, 100.0


#: Largest logarithm of the terms of a series of powers of 1 - t, which cancel.
MOST_CANCELLED = 600.0


def _check_size(size: float, length: float, exact: str) -> None:
    if size > MOST_CANCELLED:
        raise NtkspecError(
            f"length = {length:g} is not allowed here: {exact} = {size:.4g} must be at most "
            f"{MOST_CANCELLED:g}; give a greater length"
        )


def _kernel(name: str, *parameters: float) -> ZonalKernel:
    from ntkspec.zonal import formulas

    formula = getattr(formulas, name)(*parameters)
    return ZonalKernel(formula, arithmetic="flint", name=formula.name)


def gaussian(length: float = 1.0) -> ZonalKernel:
    """Gaussian kernel exp(-r^2 / (2 length^2)).

    Parameters
    ----------
    length : float
        0.005 to 1e6.  scikit-learn's ``RBF(length_scale=length)``, and ``rbf_kernel`` with gamma =
        1 / (2 length^2); Minh, Niyogi and Yao (2006) write exp(-r^2 / sigma^2), sigma =
        sqrt(2) length.

    Returns
    -------
    ZonalKernel

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.eigenvalues(gaussian(0.5), dim=3, degrees=[0, 10])
    array([1.24958067e-01, 1.96864491e-06])
    """
    return _kernel("Gaussian", number(length, "length", LEAST_LENGTH, MOST_LENGTH))


def laplace(length: float = 1.0) -> ZonalKernel:
    """Laplace (exponential) kernel exp(-r / length).

    Parameters
    ----------
    length : float
        0.01 to 1e6.  scikit-learn's ``Matern(length_scale=length, nu=0.5)``.  (Its
        ``laplacian_kernel`` has the sum of the moduli for r and is no function of t.)

    Returns
    -------
    ZonalKernel

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.eigenvalues(laplace(), dim=3, degrees=[0, 1, 50])
    array([2.96997075e-01, 8.26822659e-02, 3.88159666e-06])
    """
    return _kernel("Laplace", number(length, "length", LEAST_KINKED, MOST_LENGTH))


def matern(nu: float, length: float = 1.0) -> ZonalKernel:
    """Matern kernel 2^(1-nu)/Gamma(nu) z^nu K_nu(z), z = sqrt(2 nu) r / length.

    Parameters
    ----------
    nu : float
        0.01 to 100, not only half of a whole number; 0.5 is `laplace`, and nu to infinity
        `gaussian`.
    length : float
        0.01 to 1e6, and 2 sqrt(2 nu) / length at most 600.  scikit-learn's
        ``Matern(length_scale=length, nu=nu)``.

    Returns
    -------
    ZonalKernel

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.law(matern(1.5), dim=3).power
    -5.0
    """
    nu = number(nu, "nu", 0.01, MOST_NU)
    length = number(length, "length", LEAST_KINKED, MOST_LENGTH)
    _check_size(2.0 * math.sqrt(2.0 * nu) / length, length, "2 sqrt(2 nu) / length")
    return _kernel("Matern", nu, length)


def gamma_exponential(gamma: float, length: float = 1.0) -> ZonalKernel:
    """Gamma-exponential kernel exp(-(r / length)^gamma).

    Parameters
    ----------
    gamma : float
        0.05 to 2; 1 is `laplace`, and 2 is ``gaussian(length / sqrt(2))``.
    length : float
        0.01 to 1e6, and (2 / length)^gamma at most 600 for gamma < 2.  The convention of
        Rasmussen and Williams (2006), equation 4.18.

    Returns
    -------
    ZonalKernel

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.eigenvalues(gamma_exponential(1.5), dim=3, degrees=[0, 1, 50]).round(12)
    array([2.67033994e-01, 1.11914711e-01, 5.94847000e-07])
    """
    gamma = number(gamma, "gamma", 0.05, 2.0)
    length = number(length, "length", LEAST_KINKED, MOST_LENGTH)
    if gamma < 2.0:
        _check_size((2.0 / length) ** gamma, length, "(2 / length)^gamma")
    return _kernel("GammaExponential", gamma, length)


def rational_quadratic(alpha: float = 1.0, length: float = 1.0) -> ZonalKernel:
    """Rational quadratic kernel (1 + r^2 / (2 alpha length^2))^-alpha.

    Parameters
    ----------
    alpha : float
        0.01 to 1000.
    length : float
        0.005 to 1e6.  scikit-learn's ``RationalQuadratic(length_scale=length, alpha=alpha)``.

    Returns
    -------
    ZonalKernel

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.law(rational_quadratic(0.5), dim=3).kind
    'geometric'
    """
    alpha = number(alpha, "alpha", 0.01, 1000.0)
    length = number(length, "length", LEAST_LENGTH, MOST_LENGTH)
    return _kernel("RationalQuadratic", alpha, length)


def polynomial(degree: int, offset: float = 1.0) -> ZonalKernel:
    """Polynomial kernel (t + offset)^degree.

    Parameters
    ----------
    degree : int
        1 to 4096.
    offset : float
        0 to 1e6.  scikit-learn's ``polynomial_kernel(degree=degree, gamma=1, coef0=offset)``,
        whose gamma is 1 / d by default.

    Returns
    -------
    ZonalKernel

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.eigenvalues(polynomial(2), dim=3, degrees=range(4))
    array([1.33333333, 0.66666667, 0.13333333, 0.        ])
    """
    degree = whole_number(degree, "degree", 1, MOST_DEGREE)
    return _kernel("Polynomial", degree, number(offset, "offset", 0.0, 1e6))


def arc_cosine(order: int = 1) -> ZonalKernel:
    """Arc-cosine kernel 2 E[max(u, 0)^order max(v, 0)^order], (u, v) Gaussian of covariance t.

    Parameters
    ----------
    order : int
        0 to 64.  The convention of Cho and Saul (2009): twice the NNGP kernel of step (0), relu
        (1) and relu_power.

    Returns
    -------
    ZonalKernel

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.eigenvalues(arc_cosine(1), dim=3, degrees=[0, 1, 2, 3])
    array([0.375     , 0.16666667, 0.0234375 , 0.        ])
    """
    return _kernel("ArcCosine", whole_number(order, "order", 0, MOST_ORDER))


def poisson(r: float) -> ZonalKernel:
    """Poisson kernel (1 - r^2) / (1 - 2 r t + r^2)^(d/2), whose eigenvalues are r^k.

    Parameters
    ----------
    r : float
        0.001 to 0.999.  It is another function of t in each dimension d; K(1) = (1 + r) / (1 -
        r)^(d-1).

    Returns
    -------
    ZonalKernel

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.eigenvalues(poisson(0.5), dim=7, degrees=[0, 1, 2])
    array([1.  , 0.5 , 0.25])
    """
    return _kernel("Poisson", number(r, "r", 0.001, 0.999))


#: The built-in kernels by their names.
BUILT_IN: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        gaussian, laplace, matern, gamma_exponential, rational_quadratic, polynomial, arc_cosine,
        poisson,
    )
}  # fmt: skip
