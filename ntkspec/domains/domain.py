"""The common base of domains: index, multiplicities, measure, and bounds for omitted degrees.

A domain describes inputs.  It computes no eigenvalues; the routes in `ntkspec.spectra` do.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.conventions import MAX_DEGREE, check_degrees
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.parameters import as_whole, shown

if TYPE_CHECKING:
    from ntkspec.zonal import ZonalKernel

__all__ = ["Array", "Degrees", "Domain", "WithoutDegrees"]

Array = NDArray[np.float64]
Degrees = NDArray[np.int64]


@dataclass(frozen=True)
class Domain(ABC):
    """A set of inputs with a probability measure, and the index of the eigenvalues on it.

    Attributes
    ----------
    dim : int
        Dimension d of the inputs.
    name : str
        Name on the command line, in recipes and in messages.
    measure : str
        Description of the inputs and their distribution.
    unit : bool
        Whether the inputs enter a network as unit vectors, so that E K(x, x) = K(1).
    single : bool
        Whether each degree has one eigenvalue; otherwise a decreasing sequence of them.
    most_degree : int
        Largest degree that can be computed.

    Examples
    --------
    >>> from ntkspec.domains import Sphere
    >>> sphere = Sphere(3)
    >>> sphere.multiplicity([0, 1, 2]), sphere.last_degree
    (array([1., 3., 5.]), None)
    """

    dim: int
    name: ClassVar[str]
    measure: ClassVar[str]
    place: ClassVar[str]
    unit: ClassVar[bool] = True
    single: ClassVar[bool] = True
    least_dim: ClassVar[int] = 2
    most_dim: ClassVar[int] = 10**6
    most_degree: ClassVar[int] = MAX_DEGREE

    def __post_init__(self) -> None:
        dim = as_whole(self.dim)
        if dim is None or not self.least_dim <= dim <= self.most_dim:
            raise NtkspecError(
                f"dim = {shown(self.dim)} is not allowed{self.place}; it must be a whole number "
                f"from {self.least_dim} to {self.most_dim}"
            )
        object.__setattr__(self, "dim", dim)

    def __str__(self) -> str:
        place = self.place or f" on the {self.name}"
        return f"{place.strip()}, dim = {self.dim}"

    @property
    def last_degree(self) -> int | None:
        """The last degree, or None if there are infinitely many."""
        return None

    @property
    def default_degrees(self) -> range:
        """Default degrees of a spectrum."""
        return range(101)

    def check_degrees(self, degrees: int | str | Iterable[int] | None) -> Degrees:
        """Return the degrees as an int64 array; None stands for the default ones.

        Raises
        ------
        NtkspecError
            When a degree is not a whole number, or the domain does not have it.
        """
        wanted = check_degrees(self.default_degrees if degrees is None else degrees)
        end, largest = self.last_degree, int(wanted.max())
        if end is not None and largest > end:
            raise NtkspecError(
                f"degree = {largest} is not allowed; the {self.name} of dimension "
                f"{self.dim} has degrees 0 to {end}"
            )
        if largest > self.most_degree:
            raise NtkspecError(
                f"degree = {largest} is not allowed{self.place}; it must be a whole "
                f"number from 0 to {self.most_degree}"
            )
        return wanted

    @abstractmethod
    def multiplicity(self, degrees: Degrees) -> Array:
        """(K,) multiplicities; inf beyond the range of doubles."""

    @abstractmethod
    def log_multiplicity(self, degrees: Degrees) -> Array:
        """(K,) natural logarithms of the multiplicities."""

    @abstractmethod
    def zonal(self, degrees: Iterable[int], t: ArrayLike) -> Array:
        """(K, T) zonal functions at cosines t, 1 at t = 1: K(t) = sum_k N_k lambda_k P_k(t)."""

    @abstractmethod
    def falls(self, source: Network | ZonalKernel) -> bool:
        """Whether lambda_(k+2) <= lambda_k is proved for all k."""

    def laplacian(self, degrees: Degrees) -> Array:
        """(K,) eigenvalues of the domain's Laplacian.

        Raises
        ------
        NtkspecError
            When it is not diagonal in the degrees, or not defined for this domain.
        """
        raise NtkspecError(f"weight = 'laplacian' is not allowed{self.place}; use weight = 'power'")

    def missing(self, degrees: Degrees, falls: bool) -> Degrees:
        """Degrees that are not in `degrees`, and whose eigenvalues bound all others not in it.

        If there are infinitely many, the first of each parity suffice: either the eigenvalues
        decrease (`falls`), or each is at most the sum of the omitted ones over its multiplicity,
        which grows with the degree.
        """
        end = int(degrees[-1]) + 2
        if self.last_degree is not None:
            end = min(end, self.last_degree) if falls else self.last_degree
        return np.setdiff1d(np.arange(end + 1), degrees)

    def log_count_beyond(self, degrees: Degrees) -> float:
        """Logarithm of the number of eigenvalues, with multiplicity, of the omitted degrees."""
        return math.inf


class WithoutDegrees(Domain):
    """A domain whose eigenvalues have another index; `no_degrees` says which.

    Examples
    --------
    >>> from ntkspec.domains import Torus
    >>> isinstance(Torus([[1]]), WithoutDegrees)
    True
    """

    @property
    def default_degrees(self) -> range:
        """None: see `check_degrees`."""
        raise self.no_degrees("degrees")

    def check_degrees(self, degrees: int | str | Iterable[int] | None) -> Degrees:
        """Refuse all degrees.

        Raises
        ------
        NtkspecError
            Always.
        """
        raise self.no_degrees("degrees" if degrees is None else f"degrees = {shown(degrees)}")

    def multiplicity(self, degrees: Degrees) -> Array:
        """Refuse, as `check_degrees` does."""
        raise self.no_degrees("multiplicity")

    def log_multiplicity(self, degrees: Degrees) -> Array:
        """Refuse, as `check_degrees` does."""
        raise self.no_degrees("log_multiplicity")

    def zonal(self, degrees: Iterable[int], t: ArrayLike) -> Array:
        """Refuse, as `check_degrees` does."""
        raise self.no_degrees("zonal")

    @abstractmethod
    def no_degrees(self, what: str) -> NtkspecError:
        """The error of a parameter or method that needs degrees."""
