"""What a domain is to its spectra: multiplicities, trace, and what bounds the degrees left out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.kernels import closed_form as kernels
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.conventions import check_degrees, check_dim
from ntkspec.spectra.trace import kernel_at_one

if TYPE_CHECKING:
    from ntkspec.zonal import ZonalKernel

__all__ = ["Domain", "Sphere", "log_multiplicity", "multiplicity"]

Array = NDArray[np.float64]
Degrees = NDArray[np.int64]


@dataclass(frozen=True)
class Domain(ABC):
    """A set of inputs with a probability measure, and the index of the eigenvalues on it.

    Attributes
    ----------
    dim : int
    name : str
        For messages.
    last_degree : int or None
        The last degree there is; None where degrees never end.
    single : bool
        Whether each degree has one eigenvalue; otherwise a falling sequence of them.

    Examples
    --------
    >>> sphere = Sphere(3)
    >>> sphere.multiplicity([0, 1, 2]), sphere.last_degree
    (array([1., 3., 5.]), None)
    """

    dim: int
    name: ClassVar[str]
    single: ClassVar[bool] = True

    @property
    def last_degree(self) -> int | None:
        """The last degree there is; None where degrees never end."""
        return None

    @abstractmethod
    def multiplicity(self, degrees: Degrees) -> Array:
        """(K,) multiplicities; inf beyond the range of doubles."""

    @abstractmethod
    def log_multiplicity(self, degrees: Degrees) -> Array:
        """(K,) natural logarithms of the multiplicities."""

    @abstractmethod
    def falls(self, source: Network | ZonalKernel) -> bool:
        """Whether it is proved that lambda_(k+2) <= lambda_k for all k."""

    def trace(self, source: Network | ZonalKernel, kernel: Kernel) -> tuple[float, float]:
        """E K(x, x), the sum of all eigenvalues, and a bound on its error."""
        return kernel_at_one(source, kernel, self.dim)

    def laplacian(self, degrees: Degrees) -> Array:
        """(K,) eigenvalues of the domain's Laplacian.

        Raises
        ------
        NtkspecError
            Where it is not diagonal in the degrees, or not defined here.
        """
        raise NtkspecError(
            f"weight = 'laplacian' is not allowed on the {self.name}; use weight = 'power'"
        )

    def missing(self, degrees: Degrees, falls: bool) -> Degrees:
        """Degrees left out of `degrees`, as many as bound the eigenvalues of all left out.

        Parameters
        ----------
        degrees : (K,) int64 array
            Increasing.
        falls : bool
            As `falls` says.

        Notes
        -----
        Of degrees without end the first of each parity are enough: either the eigenvalues fall, or
        each is at most the sum of those left out over its multiplicity, which grows with the
        degree.
        """
        end = int(degrees[-1]) + 2
        if self.last_degree is not None:
            end = min(end, self.last_degree) if falls else self.last_degree
        return np.setdiff1d(np.arange(end + 1), degrees)

    def log_count_beyond(self, degrees: Degrees) -> float:
        """Logarithm of the number of eigenvalues, with multiplicity, of the degrees left out."""
        return math.inf


@dataclass(frozen=True)
class Sphere(Domain):
    """The unit sphere S^(d-1) under its uniform probability measure; degrees of harmonics.

    Examples
    --------
    >>> Sphere(3).multiplicity(np.arange(4)), Sphere(3).laplacian(np.arange(4))
    (array([1., 3., 5., 7.]), array([ 0.,  2.,  6., 12.]))
    """

    name: ClassVar[str] = "sphere"

    def multiplicity(self, degrees: Degrees) -> Array:
        """(K,) N(d, k)."""
        return multiplicity(self.dim, degrees)

    def log_multiplicity(self, degrees: Degrees) -> Array:
        """(K,) natural logarithms of N(d, k)."""
        return log_multiplicity(self.dim, degrees)

    def falls(self, source: Network | ZonalKernel) -> bool:
        """For kernels that are positive in all dimensions and depend on none.

        lambda_k = lambda_(k+2) + (1 + 2k/d) lambda_k^(d+2): docs/mathematics.rst.
        """
        return isinstance(source, Network) and source.weights == "gaussian"

    def laplacian(self, degrees: Degrees) -> Array:
        """(K,) k (k + d - 2)."""
        k = np.asarray(degrees, dtype=np.float64)
        return np.asarray(k * (k + self.dim - 2))


def multiplicity(dim: int, degrees: int | Iterable[int]) -> Array:
    """N(d, k) = (2k+d-2)/k binom(k+d-3, k-1), the dimension of the harmonics of degree k.

    Parameters
    ----------
    dim : int
    degrees : int or iterable of int

    Returns
    -------
    (K,) float64 array
        Correctly rounded; inf beyond the range of doubles.

    Examples
    --------
    >>> multiplicity(3, range(4))
    array([1., 3., 5., 7.])
    """
    wanted, dim = check_degrees(degrees), check_dim(dim)
    values = np.full(int(wanted.max()) + 1, np.inf)
    # In whole numbers: a double-double cannot tell on which side of a tie it lies.
    n = 1
    for k in range(values.size):
        try:
            values[k] = float(n)
        except OverflowError:
            break
        a = 2 * k + dim
        n = n * a * (k + dim - 2) // ((a - 2) * (k + 1)) if k else dim
    return values[wanted]


def log_multiplicity(dim: int, degrees: int | Iterable[int]) -> Array:
    """Natural logarithm of N(d, k), beyond the range of doubles too; parameters as `multiplicity`.

    Examples
    --------
    >>> log_multiplicity(1000, [0, 1, 500]).round(6)
    array([  0.      ,   6.907755, 950.4243  ])
    """
    wanted = check_degrees(degrees)
    size = int(wanted.max()) + 1
    mantissa, exponent = np.empty(size), np.empty(size, np.int64)
    kernels.multiplicities(check_dim(dim), mantissa, exponent)
    return np.asarray(np.log(mantissa[wanted]) + exponent[wanted] * math.log(2.0))
