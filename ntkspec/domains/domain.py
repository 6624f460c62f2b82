"""What every domain has: an index, multiplicities, a measure, and what bounds the degrees left out.

A domain describes inputs and computes no eigenvalues: those come from the routes in
`ntkspec.spectra`.
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

__all__ = ["Array", "Degrees", "Domain"]

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
        In the command line, in recipes and in messages.
    measure : str
        What the inputs are and how they are distributed.
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
        """The last degree there is; None if the degrees never end."""
        return None

    @property
    def default_degrees(self) -> range:
        """Degrees that a spectrum has unless others are asked for."""
        return range(101)

    def check_degrees(self, degrees: int | str | Iterable[int] | None) -> Degrees:
        """Return the degrees as an int64 array, the default ones for None.

        Raises
        ------
        NtkspecError
            When a degree is not a whole number, or one that the domain does not have.
        """
        wanted = check_degrees(self.default_degrees if degrees is None else degrees)
        end = self.last_degree
        if end is not None and wanted.max() > end:
            raise NtkspecError(
                f"degree = {int(wanted.max())} is not allowed; the {self.name} of dimension "
                f"{self.dim} has degrees 0 to {end}"
            )
        if wanted.max() > self.most_degree:
            raise NtkspecError(
                f"degree = {int(wanted.max())} is not allowed{self.place}; it must be a whole "
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
        """Whether it is proved that lambda_(k+2) <= lambda_k for all k."""

    def laplacian(self, degrees: Degrees) -> Array:
        """(K,) eigenvalues of the domain's Laplacian.

        Raises
        ------
        NtkspecError
            When it is not diagonal in the degrees, or not defined here.
        """
        raise NtkspecError(f"weight = 'laplacian' is not allowed{self.place}; use weight = 'power'")

    def missing(self, degrees: Degrees, falls: bool) -> Degrees:
        """Degrees left out of `degrees`, as many as bound the eigenvalues of all left out.

        Parameters
        ----------
        degrees : (K,) int64 array
            Increasing.
        falls : bool
            As `falls` returns it.

        Notes
        -----
        When degrees never end, the first of each parity are enough: either the eigenvalues fall,
        or each is at most the sum of those left out over its multiplicity, which grows with the
        degree.
        """
        end = int(degrees[-1]) + 2
        if self.last_degree is not None:
            end = min(end, self.last_degree) if falls else self.last_degree
        return np.setdiff1d(np.arange(end + 1), degrees)

    def log_count_beyond(self, degrees: Degrees) -> float:
        """Logarithm of the number of eigenvalues, with multiplicity, of the degrees left out."""
        return math.inf
